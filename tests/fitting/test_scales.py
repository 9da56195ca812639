"""fk.fit on columns and targets of any size: as good as on the standardised table."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import fasterkan as fk
from fasterkan.fitting import Squared

from ..seeds import seed_of


class Own(Squared):
    """A loss of which the fit knows nothing."""


class Within(nn.Module):
    """A network as a part of another module."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def rows(count: int, seed: int) -> Tensor:
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(seed_of(seed)), dtype=torch.float64)


def target(x: Tensor) -> Tensor:
    """sin 3a + b^2 and noise that does not depend on the sizes; half as large as one that hides fine differences."""
    return torch.sin(3 * x[:, 0]) + x[:, 1].square() + 0.05 * torch.sin(1e4 * (x[:, 0] + 2 * x[:, 1]))


def held_out_error(
    sizes: tuple[float, float],
    size: float,
    *,
    offsets: tuple[float, float] = (0.0, 0.0),
    offset: float = 0.0,
    dtype: torch.dtype = torch.float32,
    kind: str = "kan",
    loss: object = "squared",
    rows_of: int = 150,
    **options: object,
) -> float:
    """The RMSE on new rows, divided by the size of y."""
    settings = {"norm": "feature", "base": "silu", "dtype": dtype, **options}
    scale, shift = (torch.tensor(pair, dtype=torch.float64) for pair in (sizes, offsets))
    x, new = rows(rows_of, 0), rows(500, 1)
    generator = torch.Generator().manual_seed(seed_of(0))
    net: nn.Module
    if kind == "mlp":
        net = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)).to(dtype)
    else:
        widths = [2, 1] if kind == "one layer" else [2, 2, 1]
        net = fk.KAN(widths, fk.BSpline(grid_size=4), generator=generator, **settings)
        net = Within(net) if kind == "within" else net
    fk.fit(
        net, x * scale + shift, target(x) * size + offset, loss=loss, starts=2, iterations=12, smoothness=1e-6,
        polish=False, progress=False,
    )  # fmt: skip
    with torch.no_grad():
        predicted = net((new * scale + shift).to(dtype)).double().squeeze(-1)
    return float(((predicted - offset) / size - target(new)).square().mean().sqrt())


STANDARDISED: dict[str, float] = {}


def standardised(**options: object) -> float:
    """The error on columns of size 1 in float64; it is below half of the deviation of y, .4."""
    key = repr(sorted(options.items(), key=str))
    if key not in STANDARDISED:
        STANDARDISED[key] = held_out_error((1.0, 1.0), 1.0, **{**options, "dtype": torch.float64})
        assert STANDARDISED[key] < 0.15
    return STANDARDISED[key]


def check(sizes: tuple[float, float], size: float, **options: object) -> None:
    extra = {k: v for k, v in options.items() if k not in ("dtype", "offsets", "offset")}
    assert held_out_error(sizes, size, **options) < 2 * standardised(**extra)


@pytest.mark.parametrize(
    ("sizes", "size"),
    [((1, 1e18), 1.0), ((1e30, 1e-30), 1e30), ((1e-30, 1e30), 1e-30)],
    ids=["1 and 1e18", "1e30 and 1e-30, y 1e30", "1e-30 and 1e30, y 1e-30"],
)
@pytest.mark.parametrize(
    "options",
    [
        {"base": "silu", "base_input": "x"},
        {"base": "silu", "base_input": "scaled"},
        {"base": "silu", "base_input": "z"},
        {"base": None},
        {"base": "tanh"},
        {"kind": "one layer"},
        {"kind": "within"},
        {"kind": "mlp"},
        {"loss": "huber"},
        {"loss": Own()},
    ],
    ids=[
        "silu of x",
        "silu of scaled x",
        "silu of z",
        "no base",
        "tanh",
        "one layer",
        "within",
        "mlp",
        "huber",
        "own loss",
    ],
)
def test_sizes_do_not_matter(sizes, size, options):
    check(sizes, size, **options)


@pytest.mark.parametrize(
    ("offsets", "sizes", "offset"),
    [((1e15, 0.0), (1e3, 1.0), 0.0), ((1e9, -1e9), (1.0, 1.0), 0.0), ((1e35, 0.0), (1e30, 1e-30), 1e9)],
    ids=["1e15 and 1e3", "1e9 and 1", "all"],
)
@pytest.mark.parametrize("base_input", ["x", "scaled", "z"])
def test_large_offsets_do_not_matter_in_float64(offsets, sizes, offset, base_input):
    check(sizes, 1.0, offsets=offsets, offset=offset, base_input=base_input, dtype=torch.float64)


@pytest.mark.parametrize("base_input", ["x", "scaled", "z"])
def test_sparsity_does_not_see_the_sizes(base_input):
    x = rows(150, 0)
    nets = []
    for sizes in ((1.0, 1.0), (1e-20, 1e20)):
        generator = torch.Generator().manual_seed(seed_of(0))
        options = {"base": "identity", "base_input": base_input, "dtype": torch.float64, "generator": generator}
        net = fk.KAN([2, 1], fk.BSpline(4), norm="feature", **options)
        scale = torch.tensor(sizes, dtype=torch.float64)
        fk.fit(net, x * scale, x[:, 0], sparsity=1e-3, smoothness=1e-6, starts=1, iterations=20)
        with torch.no_grad():
            nets.append(net(x * scale))
    torch.testing.assert_close(nets[1], nets[0], rtol=0, atol=1e-2)


def test_lbfgs_does_not_see_the_sizes(monkeypatch):
    monkeypatch.setattr("fasterkan.fitting.effort.MOST_PARAMETERS", 5)
    errors = [held_out_error(s, y, kind="one layer") for s, y in (((1.0, 1.0), 1.0), ((1e30, 1e-30), 1e-30))]
    assert errors[1] < 2 * errors[0] < 0.6


def test_equations_may_be_small():
    t = torch.linspace(0, 2, 40, dtype=torch.float64).unsqueeze(-1)
    net = fk.KAN([1, 1], fk.Legendre(degree=8, domain=None), norm=fk.FeatureNorm(mode="range"), dtype=torch.float64)
    fk.fit(net, residual=[(lambda n, t: 1e-25 * (n(t) - torch.exp(-t)), t)], starts=1)
    with torch.no_grad():
        assert float((net(t) - torch.exp(-t)).abs().max()) < 1e-6


@pytest.mark.parametrize("column", [0, 1])
def test_columns_that_float32_cannot_tell_apart_are_refused(column):
    net = fk.KAN([2, 1], norm="feature")
    x = rows(50, 0)
    x[:, column] += 1e9
    with pytest.raises(ValueError, match=rf"column {column} of X varies by 0\.\d+ around 1e\+09, and torch.float32"):
        fk.fit(net, x, target(x))
    assert not net.layers[0].norm.calibrated
    third = torch.full((50, 1), 1 / 3, dtype=torch.float64)
    third[::2] *= 1 + 1e-15  # a constant with rounding errors is none of these
    fk.fit(net, torch.cat([rows(50, 0)[:, :1], third], 1), target(x), iterations=2, starts=1)


SIZES = [1e-30, 1e-12, 1e5, 1e13, 1e18, 1e30]
PAIRS = [(1.0, 1.0), *((size, 1.0) for size in SIZES), *((1.0, size) for size in SIZES)]
PAIRS += [(1e30, 1e30), (1e-30, 1e-30), (1e30, 1e-30), (1e-30, 1e30), (1e13, 1e-12), (1e5, 1e18)]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("base_input", ["x", "scaled", "z", None])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30], ids=lambda size: f"y {size:g}")
def test_all_sizes(base_input, size, dtype):
    for sizes in PAIRS:
        check(sizes, size, dtype=dtype, base=base_input and "silu", base_input=base_input)
