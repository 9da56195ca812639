"""Turning measured numbers into findings, each with the argument to change."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ..nn.feature_norm import FeatureScaling
from ..nn.row_norm import RowNorm
from . import thresholds as at
from .observe import Observation, Seen
from .report import Finding, LayerReport


def findings(observation: Observation, layers: list[LayerReport], ratio: float | None) -> tuple[Finding, ...]:
    """Return the findings, the most serious one first.

    Args:
        observation: the result of the pass over the data.
        layers: the measured numbers of each layer.
        ratio: gradient at the last layer's output, divided by that at the first layer's output.
    """
    found = list(_stops(observation, layers))
    for layer in layers:
        seen = observation.seen[layer.name]
        found += [*_grid(layer, seen), *_functions(layer, seen), *_outputs(layer, seen)]
    return (*found, *_gradient(layers, ratio, observation.nonfinite is None))


def _stops(observation: Observation, layers: list[LayerReport]) -> Iterator[Finding]:
    if observation.nonfinite is not None:
        where, what = observation.nonfinite
        if what == "the data":
            advice = "Remove or repair the rows of the data that contain NaN or infinity"
        elif what == "its input":
            advice = "Check the modules before this layer; lower lr, or clip gradients"
        elif what in ("its output", "its normed input"):
            advice = 'Scale the inputs down, or set norm="layer" in this layer; compute in float32'
        else:
            advice = "Go back to the last good weights, lower lr, clip gradients, and check that no batch contains NaN"
        yield Finding("nonfinite", where, f"the first NaN or infinity appears in {what}", advice)
    if observation.uncalibrated is not None:
        message = "its feature norm is not calibrated, so nothing after it could be measured"
        yield Finding("uncalibrated", observation.uncalibrated, message, "Call model.calibrate(X) with training data")
        return
    for layer in layers:
        if layer.name not in observation.reached:
            message = "no row of the data reached it"
            yield Finding("unreached", layer.name, message, "Call it in the model's forward, or remove it")


def _grid(layer: LayerReport, seen: Seen) -> Iterator[Finding]:
    if layer.grid_gap is not None and layer.grid_gap < at.GAP:
        state = "crossed" if layer.grid_gap < 0 else "collapsed"
        learned = "grid" in seen.layer.basis.trainable
        remedy = (
            "Train it with a lower lr (in its own group of fk.param_groups) or set train_grid=False"
            if learned
            else "Choose centres (`grid`) that are farther apart"
        )
        message = (
            f"neighbouring centres have {state}: the smallest distance is {layer.grid_gap:.2g} times the mean distance"
        )
        yield Finding("grid", layer.name, message, remedy)
    if layer.width is not None and not at.WIDTH[0] <= layer.width <= at.WIDTH[1]:
        state = "too narrow: no function reaches inputs between two centres"
        if layer.width > at.WIDTH[1]:
            state = "too wide: inv_denominator is near 0, and every function is almost constant"
        learned = "inv_denominator" in seen.layer.basis.trainable
        also = ", and train it with a lower lr or set train_inv_denominator=False" if learned else ""
        message = f"its functions are {layer.width:.2g} grid spacings wide, {state}"
        yield Finding("width", layer.name, message, f'Set inv_denominator="auto"{also}')


def _functions(layer: LayerReport, seen: Seen) -> Iterator[Finding]:
    if layer.outside is not None and layer.outside > at.OUTSIDE:
        message = f"{layer.outside:.0%} of its inputs, after the norm, lie outside the grid"
        yield Finding("outside", layer.name, message, _bring_inside(seen))
    if layer.saturated is not None and layer.saturated > at.SATURATED:
        message = f"at {layer.saturated:.0%} of its inputs, after the norm, all functions, or all slopes, are almost 0"
        narrow = layer.outside is not None and layer.outside < layer.saturated / 2
        advice = 'Set inv_denominator="auto", because the functions are too narrow' if narrow else _bring_inside(seen)
        yield Finding("saturated", layer.name, message, advice)
    if layer.dead is not None and layer.dead > at.DEAD:
        message = f"{layer.dead:.0%} of its functions are dead: no data reaches them, or all their weights are 0"
        advice = f"{_bring_inside(seen)}; if the weights are 0, lower weight_decay or the l1 of fk.penalty"
        yield Finding("dead", layer.name, message, advice)
    if layer.independent is not None and layer.independent < at.INDEPENDENT * layer.num_basis:
        message = (
            f"its functions are collinear: {layer.independent:.1f} of {layer.num_basis} are independent over the data "
            f"(condition number {layer.condition:.0e})"
        )
        yield Finding("collinear", layer.name, message, _tell_apart(layer, seen))


def _bring_inside(seen: Seen) -> str:
    """The advice that brings z into the grid, which depends on the norm of the layer."""
    norm = seen.layer.norm
    z = torch.cat(seen.z)
    z = z[torch.isfinite(z).all(1)]
    sample = z.flatten()[:: max(1, z.numel() // 100_000)]
    low, high = torch.quantile(sample, torch.tensor([0.01, 0.99], dtype=torch.float64, device="cpu")).tolist()
    span = f"grid_range=({low:.2g}, {high:.2g}), which contains 98 % of them" if high > low else "another grid_range"
    if isinstance(norm, FeatureScaling):
        return "Call model.calibrate(X) with data like this"
    if isinstance(norm, RowNorm) and norm.description.gain == "auto":
        return f"Set {span}"
    if isinstance(norm, RowNorm):
        return f'Set norm_gain="auto" (in a KANLinear norm=fk.LayerNorm(gain="auto")), or {span}'
    return f'Set norm="layer" or norm="feature", or {span}'


def _tell_apart(layer: LayerReport, seen: Seen) -> str:
    norm = seen.layer.norm
    if layer.width is not None and layer.width > at.WIDE:
        fixed = isinstance(norm, RowNorm) and norm.description.gain != "auto"
        gain = ' with norm_gain="auto"' if fixed else ""
        return f'Set inv_denominator="auto"{gain}: functions are then 1.2 grid spacings wide, not {layer.width:.2g}'
    if isinstance(norm, FeatureScaling):
        return "Call model.calibrate(X) with data like this, remove constant inputs, or lower num_grids"
    return f"{_bring_inside(seen)}; or remove constant inputs, or lower num_grids"


def _outputs(layer: LayerReport, seen: Seen) -> Iterator[Finding]:
    size = layer.output_rms
    if size is None or at.OUTPUT[0] <= size <= at.OUTPUT[1]:
        return
    if size > at.OUTPUT[1] and _has_branch_on_large_columns(seen):
        advice = (
            'Make the network with base_input="scaled"; if it has that, call norm.reset_parameters() in this layer and '
            "calibrate again: the base branch takes large numbers"
        )
    elif size > at.OUTPUT[1]:
        advice = "Lower lr, or raise weight_decay in fk.param_groups"
    else:
        advice = "Lower weight_decay, or call reset_parameters() and train again"
    yield Finding(
        "output", layer.name, f"its outputs have the size {size:.1e} (RMS); at initialisation it is near 1", advice
    )


def _has_branch_on_large_columns(seen: Seen) -> bool:
    """Whether the base branch takes numbers above the size of good outputs, for columns as the norm has them."""
    layer, norm = seen.layer, seen.layer.norm
    if layer.base is None or layer.base_input == "z" or not isinstance(norm, FeatureScaling):
        return False
    ends = torch.stack([norm.center - 1 / norm.scale, norm.center + 1 / norm.scale]).to(layer.weight)
    return bool(layer.split_input(ends)[2].abs().max() > at.OUTPUT[1])


def _gradient(layers: list[LayerReport], ratio: float | None, finite: bool) -> Iterator[Finding]:
    for layer in layers:
        if finite and layer.weight_grad is not None and not math.isfinite(layer.weight_grad):
            message = "the gradient of its weight is not finite"
            yield Finding("gradient", layer.name, message, "Lower lr, clip gradients, or compute in float32")
        if layer.weight_grad == 0:
            message = "the gradient of its weight is exactly 0"
            yield Finding(
                "gradient",
                layer.name,
                message,
                "Check that its output reaches the loss, and fix the other findings first",
            )
    if ratio is None or not layers:
        return
    if ratio > at.GRADIENT or ratio < 1 / at.GRADIENT:
        state = "shrink towards the first layer" if ratio > 1 else "grow towards the first layer"
        message = (
            f"gradients {state}: at the last layer's output, it is {ratio:.1e} times that at the first layer's output"
        )
        advice = (
            'Set norm_gain="auto" with inv_denominator="auto", so that gradients keep their size, or use fewer layers'
        )
        yield Finding("gradient", "", message, advice)
