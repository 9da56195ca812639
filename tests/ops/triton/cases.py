"""What the kernels' tests share: the bases, the layers, and gradients of a layer by a path."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

import fasterkan as fk
from fasterkan.testing.layer import gradients
from fasterkan.testing.plain import errors

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

BASES: dict[str, fk.Basis] = {
    "RSWAF": fk.RSWAF(train_grid=True, train_inv_denominator=True),
    "RSWAF-5-each": fk.RSWAF(5, per_feature=True, train_grid=True, train_inv_denominator=True),
    "Gaussian": fk.Gaussian(train_grid=True, train_denominator=True),
    "Gaussian-5-each": fk.Gaussian(5, per_feature=True, train_grid=True, train_denominator=True),
    "Hat": fk.Hat(),
    "Hat-zero": fk.Hat(6, outside="zero"),
    "Hat-linear": fk.Hat(2, outside="linear"),
    "BSpline": fk.BSpline(),
    "BSpline-constant": fk.BSpline(grid_size=6, degree=2, outside="constant"),
    "BSpline-linear": fk.BSpline(grid_size=3, degree=4, outside="linear", grid_range=(-2.0, 1.0)),
    "Chebyshev": fk.Chebyshev(),
    "Legendre": fk.Legendre(),
    "Hermite": fk.Hermite(degree=5, normalized=True),
    "Jacobi": fk.Jacobi(degree=3, domain="clamp"),
    "Gegenbauer": fk.Gegenbauer(degree=1),
    "Monomial": fk.Monomial(degree=2, domain=None),
    "Monomial-constant": fk.Monomial(degree=0),
    "Fourier": fk.Fourier(),
    "Sine": fk.Sine(train_phase=True),
    "Sine-5-each": fk.Sine(5, per_feature=True),
    "ReLUBump": fk.ReLUBump(train=True),
    "ReLUBump-fixed": fk.ReLUBump(grid_size=2, grid_range=(-1.0, 1.0)),
}
FLOOR = 1e-6
"""About 8 roundings of float32."""
NORMS = ("layer", "rms", "feature", None)


def layer_of(
    basis: fk.Basis,
    inputs: int = 13,
    outputs: int = 5,
    norm: object = "layer",
    dtype: torch.dtype = torch.float32,
    device: str = DEVICE,
) -> fk.KANLinear:
    """A layer with random tensors that takes the kernels; a feature norm is calibrated."""
    layer = fk.KANLinear(inputs, outputs, basis, norm=norm, dtype=dtype, device=device)  # type: ignore[arg-type]
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.1 * torch.randn_like(p))
    if norm == "feature":
        layer.calibrate(torch.randn(200, inputs, dtype=dtype, device=device))
        layer.freeze()
    layer.path = "triton"
    return layer


def by(path: str, layer: fk.KANLinear, x: Tensor, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """y and every gradient by a path, in another dtype if one is given."""
    layer = copy.deepcopy(layer)
    layer.path = path
    if dtype is not None:
        layer, x = layer.to(dtype), x.to(dtype)
    return gradients(layer, x.detach().requires_grad_())


def assert_as_exact_as_the_formula(
    layer: fk.KANLinear, rows: int, *, autocast: torch.dtype | None = None, draws: int = 2, scale: float = 1.0
) -> None:
    """Compare y and every gradient with float64: the errors are at most twice those of the formula in plain torch.

    `FLOOR` of the largest number is allowed beside that, since a small error of the formula can be luck.
    """
    squares: dict[str, Tensor] = {}
    largest: dict[str, float] = {}
    for _ in range(draws):
        x = scale * torch.randn(rows, layer.in_features, dtype=layer.weight.dtype, device=layer.weight.device)
        with torch.autocast(x.device.type, autocast, enabled=autocast is not None):
            got, plain = (by(path, layer, x) for path in ("triton", "reference"))
        exact = by("reference", layer, x, torch.float64)
        for name, value in got.items():
            pair = torch.tensor(errors(value, plain[name], exact[name]), dtype=torch.float64)
            squares[name] = squares.get(name, torch.zeros_like(pair)) + pair.square() / draws
            largest[name] = max(largest.get(name, 0.0), exact[name].abs().max().item())
    for name, mean in squares.items():
        error, yardstick = mean.sqrt().tolist()
        floor = FLOOR * max(1.0, largest[name])
        assert error <= 2 * yardstick + floor, f"d{name}: error {error:.3e}, the plain formula's is {yardstick:.3e}"
