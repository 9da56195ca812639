"""What all polynomial families share: values of numpy and scipy, exact refinement, domains, messages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev, hermite, legendre, polynomial

import fasterkan as fk

FAMILIES = {
    "chebyshev": fk.Chebyshev,
    "gegenbauer": fk.Gegenbauer,
    "hermite": fk.Hermite,
    "jacobi": fk.Jacobi,
    "legendre": fk.Legendre,
    "monomial": fk.Monomial,
}
each_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
GRID = np.concatenate([[-1.0, 1.0, 0.0, 1e-9, np.nextafter(1, 0)], np.linspace(-1, 1, 401)])


def values(basis: fk.Basis, x: np.ndarray) -> np.ndarray:
    """phi [S, K] of the formula, after a look that the lean way gives the same."""
    z = torch.tensor(x).unsqueeze(-1)
    phi = basis.evaluate(z, {})
    with torch.no_grad():
        torch.testing.assert_close(basis.evaluate_for_vjp(z, {})[0], phi, rtol=1e-12, atol=1e-12)
    return phi.squeeze(1).numpy()


@pytest.mark.parametrize("degree", range(13))
@pytest.mark.parametrize(
    ("family", "table"),
    [
        (fk.Chebyshev, chebyshev.chebvander),
        (fk.Legendre, legendre.legvander),
        (fk.Hermite, hermite.hermvander),
        (fk.Monomial, polynomial.polyvander),
    ],
    ids=["chebyshev", "legendre", "hermite", "monomial"],
)
def test_values_are_those_of_numpy(family: type[fk.Basis], table: object, degree: int) -> None:
    np.testing.assert_allclose(values(family(degree, domain=None), GRID), table(GRID, degree), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("degree", range(13))
@pytest.mark.parametrize(
    ("basis", "function", "orders"),
    [
        (fk.Chebyshev(12, None), "eval_chebyt", ()),
        (fk.Legendre(12, None), "eval_legendre", ()),
        (fk.Hermite(12, None), "eval_hermite", ()),
        (fk.Jacobi(12, 1.0, 1.0, None), "eval_jacobi", (1.0, 1.0)),
        (fk.Jacobi(12, -0.5, 2.25, None), "eval_jacobi", (-0.5, 2.25)),
        (fk.Jacobi(12, 0.0, -0.75, None), "eval_jacobi", (0.0, -0.75)),
        (fk.Gegenbauer(12, 1.0, None), "eval_gegenbauer", (1.0,)),
        (fk.Gegenbauer(12, 2.5, None), "eval_gegenbauer", (2.5,)),
        (fk.Gegenbauer(12, -0.25, None), "eval_gegenbauer", (-0.25,)),
    ],
    ids=[
        "chebyshev",
        "legendre",
        "hermite",
        "jacobi",
        "jacobi-skew",
        "jacobi-negative",
        "gegenbauer",
        "gegenbauer-2.5",
        "gegenbauer-negative",
    ],
)
def test_values_are_those_of_scipy(basis: fk.Basis, function: str, orders: tuple[float, ...], degree: int) -> None:
    special = pytest.importorskip("scipy.special")
    expected = getattr(special, function)(degree, *orders, GRID)
    np.testing.assert_allclose(values(basis, GRID)[:, degree], expected, rtol=1e-12, atol=1e-12)


@each_family
def test_the_constant_is_the_first_function(family: type[fk.Basis]) -> None:
    assert (values(family(3), GRID)[:, 0] == 1).all()
    assert family(0).num_basis == 1


@each_family
@pytest.mark.parametrize("domain", ["tanh", "clamp"])
def test_what_a_domain_does(family: type[fk.Basis], domain: str) -> None:
    z = torch.tensor([[-50.0], [-1.5], [-1.0], [-0.25], [0.5], [1.0], [7.0], [math.inf], [-math.inf]])
    z = z.double().requires_grad_()
    basis, plain = family(5, domain=domain), family(5, domain=None)
    x = torch.tanh(z) if domain == "tanh" else z.clamp(-1, 1)
    torch.testing.assert_close(basis.evaluate(z, {}), plain.evaluate(x, {}))
    inner = 1 - x * x if domain == "tanh" else (z.abs() <= 1).double()
    slope = plain.derivative(x, {}) * inner.unsqueeze(-1)
    torch.testing.assert_close(basis.derivative(z, {}), slope)
    dphi = torch.randn(9, 1, 6, dtype=torch.float64)
    (formula,) = torch.autograd.grad(basis.evaluate(z, {}), z, dphi)
    with torch.no_grad():
        dz, _ = basis.vjp(z, {}, *basis.evaluate_for_vjp(z, {}), dphi, frozenset({"z"}))
    torch.testing.assert_close(formula, (slope * dphi).sum(-1).detach())
    torch.testing.assert_close(dz, formula)


@each_family
@pytest.mark.parametrize("degree", [0, 1, 8])
def test_nan_stays_in_its_feature(family: type[fk.Basis], degree: int) -> None:
    z = torch.tensor([[0.5, math.nan, -0.5]])
    for domain in ("tanh", "clamp", None):
        basis = family(degree, domain=domain)
        with torch.no_grad():
            phi, saved = basis.evaluate_for_vjp(z, {})
            dz, _ = basis.vjp(z, {}, phi, saved, torch.ones_like(phi), frozenset({"z"}))
        for found in (basis.evaluate(z, {}), basis.derivative(z, {}), phi, dz.unsqueeze(-1)):
            assert found[0, 1].isnan().all() and found[0, [0, 2]].isfinite().all()


@each_family
def test_refined_functions_are_the_old_ones_to_the_last_bit(family: type[fk.Basis]) -> None:
    old = family(3)
    new = old.refine(9)
    assert type(new) is family and new.num_basis == 10 and new.domain == old.domain
    z, weight = torch.randn(50, 4), torch.randn(2, 4, 4)
    found, error = old.refit({}, weight, z, new, {}, z)
    assert error == 0 and torch.equal(found[..., :4], weight) and not found[..., 4:].any()
    assert torch.equal(new.evaluate(z, {})[..., :4], old.evaluate(z, {}))
    assert old.refine(3) == old


@each_family
def test_moved_points_or_another_domain_are_refitted_by_least_squares(family: type[fk.Basis]) -> None:
    old, weight = family(3, domain=None), torch.randn(2, 1, 4, dtype=torch.float64)
    z = torch.linspace(-1, 1, 60, dtype=torch.float64).unsqueeze(-1)
    for new, new_z, bound in (
        (old.refine(5), z * 0.5, 1e-9),
        (family(18, domain="tanh"), z, 1e-3),  # the worst of all cubics: 6e-4 by Hermite's, 3e-6 by the others
        (fk.Legendre(4), z, 1e-9),
    ):
        found, error = old.refit({}, weight, z, new, {}, new_z)
        before, after = old.evaluate(z, {}) @ weight[:, 0].T, new.evaluate(new_z, {}) @ found[:, 0].T
        assert error < bound
        assert (after - before).norm() / before.norm() == pytest.approx(error, rel=1e-6, abs=1e-12)


@each_family
def test_lower_degrees_are_refitted_by_least_squares(family: type[fk.Basis]) -> None:
    old, new = family(5, domain=None), family(3, domain=None)
    z = torch.linspace(-1, 1, 60, dtype=torch.float64).unsqueeze(-1)
    weight = torch.ones(1, 1, 6, dtype=torch.float64)
    weight[..., 4:] = 0
    found, error = old.refit({}, weight, z, new, {}, z)
    torch.testing.assert_close(found, weight[..., :4], rtol=1e-6, atol=1e-6)
    assert error < 1e-6


@each_family
@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5), (0, 5), (5,)], ids=lambda s: "x".join(map(str, s)))
def test_views_and_other_dtypes(family: type[fk.Basis], shape: tuple[int, ...]) -> None:
    basis, z = family(6), torch.randn(*shape, 2).select(-1, 0)
    expected = basis.evaluate(z.double(), {})
    scale = expected.abs().amax().item() if z.numel() else 1.0
    for dtype, bound in ((torch.float32, 1e-5), (torch.bfloat16, 0.3), (torch.float16, 0.05)):
        with torch.no_grad():
            phi, saved = basis.evaluate_for_vjp(z.to(dtype), {})
            dz, _ = basis.vjp(z.to(dtype), {}, phi, saved, torch.ones_like(phi), frozenset({"z"}))
        for found in (basis.evaluate(z.to(dtype), {}), phi):
            assert found.dtype == dtype and found.shape == (*shape, 7)
            assert not z.numel() or (found.double() - expected).abs().max() < bound * scale
        assert dz.dtype == dtype and dz.shape == shape


@each_family
def test_compiles_to_one_graph(family: type[fk.Basis]) -> None:
    basis, z = family(4), torch.randn(8, 3, requires_grad=True)
    compiled = torch.compile(lambda v: basis.evaluate(v, {}), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z), basis.evaluate(z, {}))
    grads = [torch.autograd.grad(f(z).square().sum(), z)[0] for f in (compiled, lambda v: basis.evaluate(v, {}))]
    torch.testing.assert_close(*grads)


@each_family
def test_trains_in_a_layer_as_the_formula_does(family: type[fk.Basis]) -> None:
    layer, x = fk.KANLinear(5, 3, family()), torch.randn(33, 5, requires_grad=True)
    grads = {}
    for layer.path in ("reference", "recompute"):
        y = layer(x)
        grads[layer.path] = (y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()]))
    for lean, formula in zip(grads["recompute"], grads["reference"], strict=True):
        torch.testing.assert_close(lean, formula, rtol=1e-4, atol=1e-4)


@each_family
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"degree": -1}, ValueError, "degree must be at least 0, got -1"),
        ({"degree": 2.5}, TypeError, "degree must be a whole number, got 2.5"),
        ({"degree": True}, TypeError, "degree must be a whole number, got True"),
        ({"domain": "tahn"}, ValueError, "domain must be \"tanh\", \"clamp\" or None, got 'tahn'; did you mean 'tanh'"),
        ({"domain": "clip"}, ValueError, "got 'clip'; did you mean 'clamp'"),
        ({"domain": "none"}, ValueError, "got 'none'; did you mean None"),
        ({"domain": 3}, ValueError, "or None, got 3$"),
    ],
    ids=["negative", "fraction", "flag", "tahn", "clip", "none", "number"],
)
def test_bad_arguments(family: type[fk.Basis], arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"{family.__name__}: .*{words}"):
        family(**arguments)


@each_family
def test_refine_refuses_a_lower_degree(family: type[fk.Basis]) -> None:
    with pytest.raises(ValueError, match=rf"{family.__name__}.refine: degree must be at least 4, got 2"):
        family(4).refine(2)


def test_what_families_share_is_not_a_family() -> None:
    assert not [name for name in fk.Basis.registry if name.startswith("_")]
