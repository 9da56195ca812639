"""Sending data through a model and observing its layers, without changing the model."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .._arrays import as_targets
from .._device import exact, exact_on_cpu
from .._torch import compiler_off
from ..nn import KANLinear
from ..nn.feature_norm import FeatureScaling

Loss = Callable[[Any, Any], Tensor]


class _Stop(BaseException):
    """Ends a forward pass at a layer that cannot be evaluated; it is not an `Exception`, so no module catches it."""


@dataclasses.dataclass
class Seen:
    """The data of one layer: z [S, I] in float64 on the CPU, and sums over all batches."""

    layer: KANLinear
    z: list[Tensor] = dataclasses.field(default_factory=list)
    output_squares: float = 0.0
    output_count: int = 0
    weight_grad: Tensor | None = None
    input_squares: float | None = None
    output_grad_squares: float | None = None


@dataclasses.dataclass
class Observation:
    """The result of one pass over the data."""

    seen: dict[str, Seen]
    rows: int = 0
    loss: float | None = None
    """Mean over the rows; None if the model could not be run to the end."""
    reached: list[str] = dataclasses.field(default_factory=list)
    uncalibrated: str | None = None
    nonfinite: tuple[str, str] | None = None
    """The place of the first NaN or infinity: (layer, what), or ("", "the data")."""


def observe(
    model: nn.Module, pairs: Callable[[], Iterable[tuple[Tensor, Tensor | None]]], loss: Loss | None
) -> Observation:
    """Run the model over the batches from `pairs`; collect values and gradients of its KANLinear layers."""
    layers = {name: m for name, m in model.named_modules() if isinstance(m, KANLinear)}
    found = Observation({name: Seen(layer) for name, layer in layers.items()})
    total = 0.0
    with _as_found(model):
        for x, y in pairs():
            found.rows += len(x)
            if not _is_finite(x) and found.nonfinite is None:
                found.nonfinite = ("", "the data")
            total += _one_batch(model, x, y, found, loss)
            if found.uncalibrated is not None:
                return found
    if found.rows:
        found.loss = total / found.rows
    return found


def _one_batch(model: nn.Module, x: Tensor, y: Tensor | None, found: Observation, loss: Loss | None) -> float:
    """The loss of the batch times its number of rows."""
    tensors: list[tuple[str, Tensor, Tensor]] = []
    x = x.detach().clone()
    x = x.requires_grad_(x.is_floating_point()).clone()  # not a leaf, so that the model may change it in place
    handles = [handle for name, seen in found.seen.items() for handle in _hooks(name, seen, found, len(x), tensors)]
    with parametrize.cached():  # a parametrised weight is then the same tensor in the forward and in `_gradients`
        try:
            output = model(x)
        except _Stop:
            return 0.0
        finally:
            for handle in handles:
                handle.remove()
        value = _loss(output, y, loss)
        if value.requires_grad:
            _gradients(value, tensors, found, len(x))
    return float(value.detach()) * len(x)


def _hooks(
    name: str, seen: Seen, found: Observation, count: int, tensors: list[tuple[str, Tensor, Tensor]]
) -> Iterator[Any]:
    """Hooks that record z, the output and the first value that is not finite, for one forward pass."""
    layer = seen.layer
    normed: list[Tensor] = []

    def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        normed.clear()
        if name not in found.reached:
            found.reached.append(name)
        if isinstance(layer.norm, FeatureScaling) and not layer.norm.calibrated:
            found.uncalibrated = name
            raise _Stop

    def after_norm(module: nn.Module, args: tuple[Tensor, ...], z: Tensor) -> None:
        normed.append(z)

    def after(module: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> None:
        x, z = args[0], normed[-1] if normed else layer.selected(args[0])
        tensors.append((name, x, y))
        seen.output_squares += float(exact(y.detach()).square().sum())
        seen.output_count += y.numel()
        flat = z.detach().reshape(-1, layer.in_features)
        steps = max(1, len(flat) // count)  # for sequences: one step per row, a different one for each row
        kept = torch.arange(min(count, len(flat)), device=flat.device)
        seen.z.append(exact_on_cpu(flat[kept * steps + kept % steps]))
        if found.nonfinite is None and not _is_finite(y):
            found.nonfinite = (name, _culprit(layer, x, z))

    yield layer.register_forward_pre_hook(before)
    if layer.norm is not None:
        yield layer.norm.register_forward_hook(after_norm)
    yield layer.register_forward_hook(after)


def _culprit(layer: KANLinear, x: Tensor, z: Tensor) -> str:
    """Name the first part that was not finite in a layer whose output is not finite."""
    for name, parameter in layer.named_parameters():
        if not _is_finite(parameter):
            return f"its {name}"
    if not _is_finite(x):
        return "its input"
    return "its output" if _is_finite(z) else "its normed input"


def _loss(output: Any, y: Tensor | None, loss: Loss | None) -> Tensor:
    if loss is not None:
        value: Any = loss(output, y)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise TypeError("diagnose: loss(output, y) must return a tensor with one number")
        return value.reshape(())
    if not isinstance(output, Tensor):
        raise TypeError(f"diagnose: the model returns {type(output).__name__}, not a tensor; give loss=f(output, y)")
    if y is None:
        return output.square().mean()
    y = as_targets(y, output)
    if y.is_floating_point() and y.shape == output.shape:
        return (output - y.to(output.dtype)).square().mean()
    if y.is_floating_point() or y.dim() != 1 or output.dim() != 2:
        raise ValueError(
            f"diagnose: no loss for outputs {list(output.shape)} and targets {y.dtype} {list(y.shape)}; "
            "give loss=f(output, y)"
        )
    if int(y.min()) < 0 or int(y.max()) >= output.shape[1]:
        raise ValueError(
            f"diagnose: labels run from {int(y.min())} to {int(y.max())}, expected 0 to {output.shape[1] - 1}"
        )
    return F.cross_entropy(output, y.long())


def _gradients(value: Tensor, tensors: list[tuple[str, Tensor, Tensor]], found: Observation, count: int) -> None:
    """Add the gradients of one batch, times its rows, because `value` is a mean over the batch."""
    weights = {name: seen.layer.weight for name, seen in found.seen.items() if seen.layer.weight.requires_grad}
    wanted = [*weights.values(), *(t for _, x, y in tensors for t in (x, y) if t.requires_grad)]
    grads: tuple[Tensor | None, ...] = torch.autograd.grad(value, wanted, allow_unused=True)
    by_tensor = {
        id(tensor): exact_on_cpu(grad.detach()) * count
        for tensor, grad in zip(wanted, grads, strict=True)
        if grad is not None
    }
    for name, weight in weights.items():
        if (grad := by_tensor.get(id(weight))) is not None:
            seen = found.seen[name]
            seen.weight_grad = grad if seen.weight_grad is None else seen.weight_grad + grad
    for name, x, y in tensors:
        seen = found.seen[name]
        if (grad := by_tensor.get(id(x))) is not None:
            seen.input_squares = (seen.input_squares or 0.0) + float(grad.square().sum())
        if (grad := by_tensor.get(id(y))) is not None:
            seen.output_grad_squares = (seen.output_grad_squares or 0.0) + float(grad.square().sum())


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor.detach()).all())


@contextlib.contextmanager
def _as_found(model: nn.Module) -> Iterator[None]:
    """Run in evaluation mode, eagerly and with gradients; then restore modes, buffers and random states."""
    modes = {module: module.training for module in model.modules()}
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    try:
        for module in modes:
            module.training = False
        with (
            torch.random.fork_rng(devices=devices),
            compiler_off(),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)
