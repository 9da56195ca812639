"""Measuring the functions of one layer over its data, in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .._device import exact_on_cpu
from ..nn import KANLinear
from ..nn.edge_functions import exact_tensors, range_of_z, spread_over
from .observe import Seen
from .report import LayerReport
from .thresholds import DEAD_VALUE, DEAD_WEIGHT, FLAT, RANK

_VALUES = 4_000_000  # largest number of values of phi in memory at a time
_NODES = 513
_EACH_EDGE = 8_000_000  # largest number of values of phi for bases with tensors for each edge; more edges, fewer rows


def measure(name: str, seen: Seen, rows: int) -> LayerReport:
    """Return the report of one layer.

    Args:
        name: name of the layer.
        seen: its inputs, and sums over all batches.
        rows: number of rows of data in the sums.
    """
    layer = seen.layer
    report = LayerReport(name, layer.in_features, layer.out_features, layer.basis.num_basis, **_shape_of_grid(layer))
    if seen.output_count:
        report = dataclasses.replace(report, output_rms=(seen.output_squares / seen.output_count) ** 0.5)
    report = dataclasses.replace(
        report,
        weight_grad=None if seen.weight_grad is None else float(seen.weight_grad.norm()) / rows,
        input_grad=None if seen.input_squares is None else seen.input_squares**0.5 / rows,
        output_grad=None if seen.output_grad_squares is None else seen.output_grad_squares**0.5 / rows,
    )
    z = torch.cat(seen.z) if seen.z else torch.empty(0, layer.in_features, dtype=torch.float64, device="cpu")
    z = z[torch.isfinite(z).all(1)]
    parameters = [layer.weight, *layer.basis_tensors().values()]
    if not len(z) or not all(bool(torch.isfinite(p).all()) for p in parameters):
        return report
    return dataclasses.replace(report, rows=len(z), **_over_data(layer, z))


def _over_data(layer: KANLinear, z: Tensor) -> dict[str, Any]:
    """The numbers that need phi over the data, z [S, I]. With tensors for each edge, O I stands for I below."""
    weight = exact_on_cpu(_by_function(layer))  # [O, I, K]
    _, features, functions = weight.shape
    value_peak, slope_peak = _peaks(layer)
    triangle = z.new_zeros(features, 0, functions)  # R with R'R = phi' phi, whose singular values keep their digits
    size = torch.zeros(features, functions, dtype=torch.float64, device="cpu")
    flat = 0
    low, high = range_of_z(layer)
    outside = float(((z < low) | (z > high)).double().mean())
    z = _some(layer, z)
    count = len(z)
    for phi, slope in _tables(layer, z):
        triangle = torch.linalg.qr(torch.cat([triangle, phi.movedim(1, 0)], 1), mode="r").R
        size += phi.abs().sum(0)
        unseen = phi.abs().amax(-1) < FLAT * value_peak
        flat += int((unseen | (slope.abs().amax(-1) < FLAT * slope_peak)).sum())
    singular = torch.linalg.svdvals(triangle)  # [I, K] or fewer, descending; the Gram matrix's eigenvalues by squaring
    singular = F.pad(singular, (0, functions - singular.shape[1]))
    shares = singular / singular[:, :1].clamp_min(torch.finfo(torch.float64).tiny)
    rms = weight.square().mean().sqrt()
    dead = (size / count < DEAD_VALUE * size.max() / count) | (weight.abs().amax(0) <= DEAD_WEIGHT * rms)
    return {
        "outside": outside,
        "dead": float(dead.double().mean()),
        "independent": float((shares > RANK**0.5).sum(-1).double().mean()),
        "condition": float((-2 * shares[:, -1].clamp_min(torch.finfo(torch.float64).eps).log()).mean().exp()),
        "saturated": flat / (count * features),
    }


def _by_function(layer: KANLinear) -> Tensor:
    """The weights [O, I, K], or [1, O I, K] for a basis with tensors for each edge."""
    weight = layer.weight.detach()
    return weight.flatten(0, 1).unsqueeze(0) if layer.basis.per_edge else weight


def _some(layer: KANLinear, z: Tensor) -> Tensor:
    """The rows of z; for a basis with tensors for each edge, at most some rows at even distances."""
    most = max(32, _EACH_EDGE // layer.weight.numel()) if layer.basis.per_edge else len(z)
    return z if len(z) <= most else z[torch.arange(most, device=z.device) * (len(z) - 1) // (most - 1)]


def _tables(layer: KANLinear, z: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """phi and its slope per half range, [S', I, K] or [S', O I, K], for some rows at a time."""
    params, (_, features, functions) = exact_tensors(layer), _by_function(layer).shape
    low, high = range_of_z(layer)
    half = ((high - low) / 2).unsqueeze(-1)  # [I, 1]
    with torch.no_grad():
        for part in z.split(max(1, _VALUES // (features * functions))):
            phi, slope = layer.basis.evaluate(part, params), layer.basis.derivative(part, params) * half
            yield phi.reshape(-1, features, functions), slope.reshape(-1, features, functions)


def _peaks(layer: KANLinear) -> tuple[float, float]:
    """The largest value and slope of any function on the grid."""
    nodes = _some(layer, spread_over(*range_of_z(layer), _NODES))
    pairs = [(float(phi.abs().max()), float(slope.abs().max())) for phi, slope in _tables(layer, nodes)]
    return max(value for value, _ in pairs), max(slope for _, slope in pairs)


def _shape_of_grid(layer: KANLinear) -> dict[str, Any]:
    """The gap between centres and the width of the functions; empty for a basis without a grid."""
    tensors = exact_tensors(layer)
    grid = tensors.get("grid")
    if grid is None or grid.shape[-1] < 2 or not bool(torch.isfinite(grid).all()):
        return {}
    mean = (grid.amax(-1) - grid.amin(-1)) / (grid.shape[-1] - 1)
    mean = mean.clamp_min(torch.finfo(torch.float64).tiny)
    found: dict[str, Any] = {"grid_gap": float((grid.diff(dim=-1).amin(-1) / mean).min())}
    if (inverse := tensors.get("inv_denominator")) is not None and bool(torch.isfinite(inverse).all()):
        ratio = 1 / (inverse.abs() * mean)
        found["width"] = float(ratio.flatten()[ratio.log().abs().argmax()])
    return found
