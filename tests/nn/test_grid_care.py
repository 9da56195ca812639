"""update_grid, refine and fit_to: functions are kept, grids follow the data, and no data makes NaN."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fasterkan as fk
from fasterkan import KAN, RSWAF, KANLinear

from ..seeds import seed_of
from .best_fit import ALLOWED, best_of_twice_the_size

BASES = {
    "rswaf": RSWAF(8, (-1.0, 1.0)),
    "rswaf-per-feature": RSWAF(8, (-1.0, 1.0), per_feature=True),
    "rswaf-beyond": RSWAF(12, (-1.0, 1.0), beyond=2),
    "rswaf-given": RSWAF(grid=(-1.0, -0.6, -0.1, 0.2, 0.7, 1.0)),
    "gaussian": fk.Gaussian(8, (-1.0, 1.0)),
    "bspline": fk.BSpline(8),
    "bspline-free": fk.BSpline(knots=(-1.0, -0.6, -0.1, 0.2, 0.7, 1.0), degree=2),
    "hat": fk.Hat(8, (-1.0, 1.0)),
    "relu": fk.ReLUBump(6, grid_range=(-1.0, 1.0)),
}


def layer_of(name: str = "rswaf", inputs: int = 3, outputs: int = 4, norm: Any = None, **options: Any) -> KANLinear:
    options = {"dtype": torch.float64, **options}
    return KANLinear(inputs, outputs, BASES[name], norm=norm, **options)


def edges(layer: KANLinear, z: Tensor) -> Tensor:
    """The functions on the edges, [S, O, I]."""
    return torch.einsum("sik,oik->soi", layer.basis.evaluate(z, layer.basis_tensors()), layer.weight).detach()


def relative(after: Tensor, before: Tensor) -> float:
    return ((after - before).norm() / before.norm()).item()


def everywhere(layer: KANLinear) -> Tensor:
    """Ten points in each interval of the grids, and as densely beyond them up to the outermost centres, [S, I]."""
    grid = layer.basis.grid_of(layer.basis_tensors())
    if isinstance(layer.basis, RSWAF):
        grid = layer.basis_tensors()["grid"]
    return torch.lerp(grid[:, :-1, None], grid[:, 1:, None], torch.linspace(0, 1, 10, dtype=grid.dtype)).flatten(1).T


@pytest.mark.parametrize("mix", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("name", BASES)
def test_update_grid_follows_the_data_and_keeps_the_functions(name: str, mix: float) -> None:
    layer, x = layer_of(name), torch.rand(400, 3, dtype=torch.float64) ** 2 * 1.6 - 0.8
    old, before = copy.deepcopy(layer), edges(layer, x)
    error = layer.update_grid(x, mix=mix)
    assert relative(edges(layer, x), before) == pytest.approx(error, rel=1e-9)
    between = everywhere(layer)
    points = torch.cat([x, between])
    # All points between the data together count a thousandth of the data.
    root = torch.cat([torch.ones(400), torch.full((len(between),), (0.4 / len(between)) ** 0.5)]).double()
    phi = (layer.basis.evaluate(points, layer.basis_tensors()) * root[:, None, None]).movedim(-2, 0)  # [I, S, K]
    wanted = (edges(old, points) * root[:, None, None]).movedim(-1, 0)  # [I, S, O]
    best = best_of_twice_the_size(phi, wanted, old.weight)
    left = float((phi @ layer.weight.detach().permute(1, 2, 0) - wanted).square().sum())
    assert (error * float(before.norm())) ** 2 <= left < ALLOWED**2 * best
    grid = layer.basis.grid_of(layer.basis_tensors())
    low, high = x.amin(0), x.amax(0)
    count = grid.shape[-1]
    torch.testing.assert_close(grid[:, 0], low - 0.01 * (high - low))
    torch.testing.assert_close(grid[:, -1], high + 0.01 * (high - low))
    share = torch.linspace(0, 1, count, dtype=torch.float64)
    uniform = grid[:, :1] + share * (grid[:, -1:] - grid[:, :1])
    quantiles = x.quantile(share, dim=0).T
    expected = (mix * uniform + (1 - mix) * quantiles)[:, 1:-1]
    torch.testing.assert_close(grid[:, 1:-1], expected)


def test_the_same_grid_keeps_everything() -> None:
    layer = layer_of("rswaf-per-feature")
    x = torch.linspace(-1, 1, 8, dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    before = layer.weight.detach().clone()
    assert layer.update_grid(x, margin=0.0) < 1e-12
    torch.testing.assert_close(layer.weight.detach(), before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["bspline", "hat", "rswaf"])
def test_functions_go_on_between_the_data(name: str) -> None:
    """Two clusters at the ends, the same grid: what no data determines stays as it was."""
    layer = layer_of(name)
    x = torch.tensor([-1.0, -0.99, 0.99, 1.0], dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    z = torch.linspace(-1, 1, 300, dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    before = edges(layer, z)
    layer.update_grid(x, mix=1.0, margin=0.0)
    assert relative(edges(layer, z), before) < 1e-9


def test_models_follow_layer_by_layer() -> None:
    net = KAN([2, 5, 1], BASES["rswaf"], norm="feature", dtype=torch.float64)
    x = torch.rand(300, 2, dtype=torch.float64)
    net.calibrate(x)
    before = net.eval()(x).detach()
    error = net.train().update_grid(x, mix=0.5)
    assert net.training and error < 0.05
    assert relative(net.eval()(x).detach(), before) < 0.1
    hidden = net.layers[1].norm(net.layers[0](x)).detach()
    grid = net.layers[1].grid
    span = hidden.amax(0) - hidden.amin(0)
    torch.testing.assert_close(grid[:, 0], hidden.amin(0) - 0.01 * span)


def test_layers_with_more_than_one_argument_follow_too() -> None:
    class Scaled(KANLinear):
        def forward(self, x: Tensor, size: Tensor) -> Tensor:
            return size * super().forward(x)

    class Net(KAN):
        def forward(self, x: Tensor) -> Tensor:
            return self.layers[0](x, torch.tensor(3.0))

    net, x = Net([2, 4], BASES["hat"], norm=None), torch.rand(300, 2)
    net.layers[0] = Scaled(2, 4, BASES["hat"], norm=None)
    net.update_grid(x, margin=0.0)
    torch.testing.assert_close(net.layers[0].grid[:, [0, -1]], torch.stack([x.amin(0), x.amax(0)], 1))


def test_refined_and_moved_models_are_saved_as_they_are(tmp_path: Any) -> None:
    net, x = KAN([2, 5, 1], BASES["rswaf"], norm=None), torch.rand(100, 2)
    net.update_grid(x)
    net.refine(20)
    net.save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(fk.from_pretrained(tmp_path)(x), net(x))


def test_layers_of_unlike_grids_are_saved_as_they_are(tmp_path: Any) -> None:
    """The first layer's knots become uniform, the second's free; the last layer is finer than the others."""
    net, x = KAN([1, 4, 3, 1], fk.BSpline(8), norm=None), torch.linspace(-1, 1, 100).unsqueeze(-1)
    net.update_grid(x, mix=0.0)
    net.layers[2].refine(16)
    bases = [layer.basis for layer in net.layers]
    assert len(set(bases)) == 3
    net.save_pretrained(tmp_path)
    again = fk.from_pretrained(tmp_path)
    assert [layer.basis for layer in again.layers] == bases
    with torch.no_grad():
        assert torch.equal(again(x), net(x))


HOSTILE = {
    "one-row": torch.tensor([[0.3, -0.2, 0.5]]),
    "two-rows": torch.tensor([[0.3, -0.2, 0.5], [0.30001, -0.2, 0.9]]),
    "repeated-rows": torch.tensor([[0.3, -0.2, 0.5]]).repeat(50, 1),
    "one-constant-feature": torch.stack([torch.linspace(-1, 1, 60), torch.full((60,), 0.25), torch.randn(60)], -1),
    "constant-outside": torch.full((9, 3), 1e4),
    "fewer-rows-than-functions": torch.rand(4, 3),
    "few-values": torch.randint(0, 3, (200, 3)).float(),
    "one-outlier": torch.cat([torch.randn(200, 3) * 0.1, torch.full((1, 3), 1e6)]),
    "far-from-zero": torch.rand(50, 3) * 1e-3 + 1e4,
    "nan-and-infinity": torch.cat([torch.rand(30, 3), torch.tensor([[math.nan, 0, 0], [0, math.inf, 0]])]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("mix", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("rows", HOSTILE)
@pytest.mark.parametrize("name", ["rswaf", "gaussian", "bspline", "hat"])
def test_no_data_makes_nan_or_large_weights(name: str, rows: str, mix: float, dtype: torch.dtype) -> None:
    layer, x = layer_of(name, dtype=dtype), HOSTILE[rows].to(dtype)
    height = layer.weight.abs().max().item()
    error = layer.update_grid(x, mix=mix)
    assert math.isfinite(error)
    grid = layer.basis.grid_of(layer.basis_tensors())
    assert (grid.diff(dim=-1) > 0).all()
    assert layer.weight.abs().max() < 50 * height
    z = (grid[:, 0] + torch.linspace(0, 1, 500, dtype=dtype).unsqueeze(-1) * (grid[:, -1] - grid[:, 0])).clone()
    assert edges(layer, z).abs().max() < 50 * height  # between the data too


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.empty(0, 3), "holds no finite row of 3 features"),
        (torch.full((4, 3), math.nan), "holds no finite row of 3 features"),
        (torch.zeros(4, 2), "x has 2 features, in_features is 3"),
    ],
    ids=["empty", "nan", "width"],
)
def test_unusable_data_is_refused(x: Tensor, words: str) -> None:
    layer = layer_of(dtype=torch.float32)
    before = layer.weight.detach().clone()
    with pytest.raises(ValueError, match=words):
        layer.update_grid(x)
    assert torch.equal(layer.weight, before) and layer.grid.dim() == 1


def test_bad_calls() -> None:
    layer = layer_of()
    with pytest.raises(ValueError, match=r"mix must lie between 0 .* got 2"):
        layer.update_grid(torch.rand(9, 3).double(), mix=2)
    with pytest.raises(ValueError, match="margin must not be negative, got -1"):
        layer.update_grid(torch.rand(9, 3).double(), margin=-1)
    with pytest.raises(ValueError, match="num_grids must be at least 8, got 4"):
        layer.refine(4)
    with pytest.raises(TypeError, match=r"num must be a whole number, got 8\.5"):
        layer.refine(8.5)
    with pytest.raises(RuntimeError, match="not calibrated"):
        layer_of(norm="feature").update_grid(torch.rand(9, 3).double())


NESTED = {
    "bspline": (fk.BSpline(5), 20),
    "bspline-fine": (fk.BSpline(8), 128),
    "bspline-degree-1": (fk.BSpline(4, degree=1), 12),
    "bspline-degree-5": (fk.BSpline(3, degree=5), 9),
    "bspline-free": (fk.BSpline(knots=(-1.0, -0.6, -0.1, 0.2, 0.7, 1.0)), 15),
    "hat": (fk.Hat(5), 17),
    "hat-given": (fk.Hat(grid=(0.0, 0.1, 0.5, 2.0)), 13),
    "chebyshev": (fk.Chebyshev(4), 9),
    "monomial": (fk.Monomial(3), 7),
    "fourier": (fk.Fourier(3), 6),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_families_refine_exactly(name: str) -> None:
    basis, num = NESTED[name]
    layer = KANLinear(3, 4, basis, norm=None, dtype=torch.float64)
    low, high = basis.grid_range
    z = low + (high - low) * torch.linspace(0, 1, 777, dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    before = edges(layer, z)
    assert layer.refine(num) < 1e-12
    assert relative(edges(layer, z), before) < 1e-12
    assert layer.basis.num_basis > basis.num_basis


@pytest.mark.parametrize("name", ["bspline", "hat"])
def test_moved_grids_refine_exactly_too(name: str) -> None:
    layer, x = layer_of(name), torch.rand(200, 3, dtype=torch.float64) ** 2
    layer.update_grid(x, mix=0.3)
    before = edges(layer, x)
    assert layer.refine(16 if name == "bspline" else 15) < 1e-12
    assert relative(edges(layer, x), before) < 1e-12


@pytest.mark.parametrize("name", ["BSpline", "Hat"])
def test_unequal_intervals_refine_exactly_too(name: str) -> None:
    """Heavy tails put the grid's inner intervals a thousand times closer than the outer; none may go unseen."""
    torch.manual_seed(seed_of(0))
    x = torch.randn(2000, 3, dtype=torch.float64) ** 3
    layer = KANLinear(3, 2, getattr(fk, name)(), norm=None, dtype=torch.float64)
    layer.update_grid(x)
    before = layer(x)
    error = layer.refine({"BSpline": 10, "Hat": 15}[name])
    assert error < 1e-12
    assert (layer(x) - before).norm() / before.norm() < 1e-12


@pytest.mark.parametrize("family", [RSWAF, fk.Gaussian], ids=["rswaf", "gaussian"])
def test_bumps_refine_to_a_thousandth(family: Any) -> None:
    layer = KANLinear(16, 16, family(5, (-1.0, 1.0)), norm=None, dtype=torch.float64)
    nn.init.normal_(layer.weight)
    assert layer.refine(50) < 1e-3


@pytest.mark.parametrize("basis", [fk.Chebyshev(), fk.Fourier()], ids=["chebyshev", "fourier"])
def test_families_without_a_grid_say_so(basis: fk.Basis) -> None:
    net = KAN([3, 4, 2], basis, norm=None)
    before = [p.clone() for p in net.parameters()]
    with pytest.raises(ValueError, match=f"{type(basis).__name__} has no grid that could follow the data"):
        net.update_grid(torch.rand(20, 3))
    assert all(map(torch.equal, before, net.parameters()))


@pytest.mark.parametrize("ratio", [1.2, 2.0])
def test_narrower_bumps_keep_the_functions(ratio: float) -> None:
    """5 to 50 centres; without centres beyond the borders the error is 4e-3 at h = 1.2 d."""
    layer = KANLinear(16, 16, RSWAF(5, (-1.0, 1.0), inv_denominator=2 / ratio), norm=None, dtype=torch.float64)
    nn.init.normal_(layer.weight)
    z = torch.linspace(-1, 1, 999, dtype=torch.float64).unsqueeze(-1).expand(-1, 16)
    before = edges(layer, z)
    error = layer.refine(50)
    assert layer.basis.num_grids == 50 and layer.weight.shape == (16, 16, 50)
    assert error < (3.5e-4 if ratio == 1.2 else 3e-5)
    assert relative(edges(layer, z), before) == pytest.approx(error, rel=0.05)


def test_refining_in_steps_keeps_learned_places_and_widths() -> None:
    layer = KANLinear(3, 2, RSWAF(5, train_grid=True, train_inv_denominator=True), norm=None, dtype=torch.float64)
    with torch.no_grad():
        layer.grid.copy_(torch.tensor([-2.0, -1.0, 0.2, 0.7, 1.4]))
        layer.inv_denominator.fill_(0.9)
    z = torch.linspace(-2, 1.4, 200, dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    before = edges(layer, z)
    assert layer.refine(17) < 2e-2
    assert layer.refine(60) < 2e-3
    assert isinstance(layer.grid, nn.Parameter) and layer.grid.numel() == 60
    assert relative(edges(layer, z), before) < 2e-2


def test_refine_makes_new_parameters_of_the_same_kind() -> None:
    layer = layer_of(dtype=torch.float32)
    layer.weight.requires_grad_(False)
    old = layer.weight
    layer.refine(16)
    assert layer.weight is not old and isinstance(layer.weight, nn.Parameter)
    assert not layer.weight.requires_grad and layer.weight.dtype == torch.float32


@pytest.mark.parametrize("norm", [None, "feature", "layer"])
@pytest.mark.parametrize("given", [False, True], ids=["range", "data"])
def test_fit_to_takes_the_functions_of_another_basis(norm: str | None, given: bool) -> None:
    x = torch.rand(300, 3, dtype=torch.float64) * 1.6 - 0.8
    other = KANLinear(3, 4, RSWAF(6, (-1.0, 1.0)), norm=norm, base="silu", dtype=torch.float64)
    layer = KANLinear(
        3,
        4,
        RSWAF(30, (-1.1, 1.1)),
        norm=fk.LayerNorm(gain=0.3) if norm == "layer" else norm,
        base="silu",
        dtype=torch.float64,
    )
    nn.init.normal_(other.bias)
    if norm == "layer":
        other = KANLinear(3, 4, RSWAF(6, (-1.0, 1.0)), norm=fk.LayerNorm(gain=0.3), base="silu", dtype=torch.float64)
        with torch.no_grad():
            other.norm.weight.copy_(torch.tensor([0.2, 0.3, 0.4]))
    if norm == "feature":
        other.calibrate(x)
        layer.calibrate(x * 1.3)
    error = layer.fit_to(other, x if given else None)
    assert error < 1e-2
    assert relative(layer.eval()(x), other.eval()(x)) < 1e-2
    assert torch.equal(layer.base_weight, other.base_weight) and torch.equal(layer.bias, other.bias)


def test_fit_to_takes_the_mask_and_clears_what_the_other_lacks() -> None:
    layer, other = layer_of(base="silu"), layer_of(bias=False)
    nn.init.normal_(layer.bias)
    other.set_mask(torch.rand(4, 3) < 0.5)
    assert layer.fit_to(other) < 1e-12
    assert torch.equal(layer.mask, other.mask) and not layer.weight[~other.mask].any()
    assert not layer.bias.any() and not layer.base_weight.any()


def test_fit_to_itself_is_exact() -> None:
    layer, other = layer_of(), layer_of()
    assert layer.fit_to(other) < 1e-12
    x = torch.rand(50, 3, dtype=torch.float64)
    torch.testing.assert_close(layer(x), other(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        ({"inputs": 2}, {}, r"this layer is \(2, 4\) wide .* the other \(3, 4\)"),
        ({"norm": "layer"}, {}, "need equal norms"),
        ({"norm": nn.Identity()}, {}, "cannot be compared"),
        ({"bias": False}, {}, "has a bias, this one has none"),
        ({}, {"base": "silu"}, "base of the other layer is .*silu.* of this one None"),
        ({"after": "batchnorm"}, {}, "after of the other layer is None"),
    ],
    ids=["width", "row-norm", "module", "bias", "base", "after"],
)
@pytest.mark.filterwarnings("ignore:LayerNorm of two features")
def test_fit_to_refuses_what_has_no_place(mine: dict, theirs: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layer_of(**mine).fit_to(layer_of(**theirs))


def test_fit_to_is_for_layers() -> None:
    with pytest.raises(TypeError, match="takes the functions of a KANLinear, got KANLinear and KAN"):
        layer_of().fit_to(KAN([3, 4]))
