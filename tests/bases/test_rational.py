"""Safe Pade functions against P / (1 + |Q|), and how close they start to known ones."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fasterkan import KANLinear, Rational
from fasterkan.testing import BasisBattery


class RationalBattery(BasisBattery):
    kinks = (0.0,)  # Q is 0 there

    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        share = z.shape[-1] // len(params["numerator"])
        a, b = (params[k].repeat_interleave(share, 0) for k in ("numerator", "denominator"))  # [I, p + 1], [I, q]
        powers = z.unsqueeze(-1) ** torch.arange(a.shape[-1] + b.shape[-1])
        top = (powers[..., : a.shape[-1]] * a).sum(-1, keepdim=True)
        return top / (1 + (powers[..., 1 : b.shape[-1] + 1] * b).sum(-1, keepdim=True).abs())


class TestOneGroup(RationalBattery):
    basis = Rational(groups=1)


class TestGroups(RationalBattery):
    basis = Rational(numerator_degree=3, denominator_degree=2, groups=3, start="tanh")


class TestIdentity(RationalBattery):
    basis = Rational(numerator_degree=3, denominator_degree=5, groups=1, start="identity")


class TestMoved(RationalBattery):
    """Coefficients that differ from group to group, with a Q that changes its sign between the points."""

    basis = Rational(groups=3)
    kinks = (0.0, -0.5)

    def params(self, dtype: torch.dtype = torch.float64, learn: bool = False) -> dict[str, Tensor]:
        made = {k: t.detach() for k, t in super().params(torch.float64).items()}
        made["numerator"] += 0.1 * torch.arange(18, dtype=torch.float64).view(3, 6).cos()
        made["denominator"] += torch.tensor([[0.1], [0.2], [-0.1]], dtype=torch.float64) * torch.tensor([1.0, 2, 0, 0])
        return {k: t.to(dtype).requires_grad_(learn) for k, t in made.items()}


@pytest.mark.parametrize(
    ("start", "degrees", "bound"),
    [
        ("swish", (5, 4), 1.2e-5),
        ("swish", (3, 2), 2e-2),
        ("swish", (7, 6), 1e-9),
        ("swish", (4, 6), 4e-3),
        ("tanh", (5, 4), 2.5e-5),
        ("tanh", (3, 2), 1e-2),
        ("identity", (5, 4), 1e-12),
        ("identity", (3, 4), 1e-12),
        ("identity", (7, 6), 1e-12),
    ],
    ids=lambda v: "-".join(map(str, v)) if isinstance(v, tuple) else v if isinstance(v, str) else "",
)
def test_start_is_close_to_its_function(start: str, degrees: tuple[int, int], bound: float) -> None:
    basis = Rational(*degrees, groups=1, start=start)
    params = basis.init(1, 1, dtype=torch.float64)
    z = torch.linspace(-4, 4, 2001, dtype=torch.float64).unsqueeze(-1)
    known = {"swish": z * torch.sigmoid(z), "tanh": z.tanh(), "identity": z}[start]
    assert (basis.evaluate(z, params).squeeze(-1) - known).abs().max() < bound
    assert (params["denominator"] >= 0).all() and params["denominator"].any()
    assert not params["denominator"][:, ::2].any()  # even powers only: |Q| has no kink


def test_learns_from_every_start() -> None:
    for start in ("swish", "tanh", "identity"):
        basis = Rational(groups=1, start=start)
        params = {k: t.requires_grad_() for k, t in basis.init(4, 1).items()}
        phi = basis.evaluate(torch.randn(50, 4), params)
        assert all(g.all() for g in torch.autograd.grad(phi.square().sum(), list(params.values())))


def test_a_group_has_coefficients_of_its_own() -> None:
    basis = Rational(groups=2)
    params = basis.init(6, 1)
    z = torch.randn(5, 6)
    before = basis.evaluate(z, params)
    params["numerator"][1] += 1
    changed = (basis.evaluate(z, params) != before).squeeze(-1).all(0)
    assert changed.tolist() == [False] * 3 + [True] * 3


def test_groups_must_divide_the_features() -> None:
    words = "Rational: groups=8 does not divide in_features=12; possible values: 1, 2, 3, 4, 6, 12"
    with pytest.raises(ValueError, match=words):
        Rational(groups=8).init(12, 3)
    with pytest.raises(ValueError, match=words):
        KANLinear(12, 3, Rational())
    assert Rational(groups=8).init(1, 3)["numerator"].shape == (1, 6)


@pytest.mark.parametrize("value", [1e7, -3.4e38, math.inf], ids=["1e7", "min", "inf"])
def test_huge_inputs_have_no_slope(value: float) -> None:
    basis, z = Rational(groups=1), torch.tensor([[0.5, value]], requires_grad=True)
    params = {k: t.requires_grad_() for k, t in basis.init(2, 1).items()}
    phi = basis.evaluate(z, params)
    dz, *found = torch.autograd.grad(phi.sum(), [z, *params.values()])
    wrt = frozenset({"z", *params})
    with torch.no_grad():
        lean, others = basis.vjp(z, params, *basis.evaluate_for_vjp(z, params), torch.ones(1, 2, 1), wrt)
    assert dz[0, 1] == 0 == lean[0, 1] == basis.derivative(z, params)[0, 1]
    for got, expected in zip((lean, others["numerator"], others["denominator"]), (dz, *found), strict=True):
        torch.testing.assert_close(got, expected)
        assert got.isfinite().all()


def test_values_are_right_up_to_the_bound() -> None:
    basis = Rational(groups=1)
    params = basis.init(1, 1)
    z = torch.tensor([[-3e5], [1e3], [1e5], [3e5]])
    a, b = (t.double()[0] for t in params.values())
    x = z.double()
    top = (x.unsqueeze(-1) ** torch.arange(6) * a).sum(-1)
    expected = top / (1 + (x.unsqueeze(-1) ** torch.arange(1, 5) * b).sum(-1).abs())
    torch.testing.assert_close(basis.evaluate(z, params).squeeze(-1).double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    basis, z = Rational(groups=1), torch.linspace(-40, 40, 201).unsqueeze(-1).to(dtype)
    params = basis.init(1, 1, dtype=dtype)
    expected = basis.evaluate(z.float(), {k: t.float() for k, t in params.items()})
    with torch.no_grad():
        phi, saved = basis.evaluate_for_vjp(z, params)
        dz, _ = basis.vjp(z, params, phi, saved, torch.ones_like(phi), frozenset({"z"}))
    assert basis.evaluate(z, params).dtype == phi.dtype == dz.dtype == dtype
    torch.testing.assert_close(phi.float(), expected, rtol=torch.finfo(dtype).eps, atol=1e-6)


def test_long_sums_of_coefficients_keep_their_digits() -> None:
    basis, rows = Rational(groups=1), 300_000
    params, z = basis.init(1, 1), torch.full((rows, 1), 0.3)
    sums = []
    with torch.no_grad():
        for part in (z, z[:1]):
            phi, saved = basis.evaluate_for_vjp(part, params)
            sums.append(basis.vjp(part, params, phi, saved, torch.ones_like(phi), basis.trainable)[1])
    for name in basis.trainable:
        torch.testing.assert_close(sums[0][name], sums[1][name] * rows, rtol=2e-7, atol=0)


def test_trains_in_a_layer_as_the_formula_does() -> None:
    layer, x = KANLinear(6, 3, Rational(groups=2)), torch.randn(33, 6, requires_grad=True)
    grads = {}
    for layer.path in ("reference", "recompute"):
        y = layer(x)
        grads[layer.path] = (y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()]))
    for lean, formula in zip(grads["recompute"], grads["reference"], strict=True):
        torch.testing.assert_close(lean, formula, rtol=1e-4, atol=1e-4)


def test_compiles_to_one_graph() -> None:
    basis, z = Rational(groups=3), torch.rand(8, 3)
    params = basis.init(3, 1)
    compiled = torch.compile(lambda v: basis.evaluate(v, params), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z), basis.evaluate(z, params))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"numerator_degree": 2}, ValueError, "numerator_degree must be at least 3, got 2"),
        ({"denominator_degree": 1}, ValueError, "denominator_degree must be at least 2, got 1"),
        ({"groups": 0}, ValueError, "groups must be at least 1, got 0"),
        ({"groups": 1.5}, TypeError, "groups must be a whole number, got 1.5"),
        ({"start": "swich"}, ValueError, "'swish', 'tanh', got 'swich'; did you mean 'swish'"),
        ({"start": None}, ValueError, "start must be one of 'identity', 'swish', 'tanh', got None"),
    ],
    ids=["numerator", "denominator", "groups", "fraction", "start", "none"],
)
def test_bad_arguments(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"Rational: .*{words}"):
        Rational(**arguments)


def test_it_has_no_finer_grid() -> None:
    with pytest.raises(ValueError, match="Rational cannot be refined"):
        Rational().refine(9)
