"""Calibrating, updating, freezing and folding the feature norms of a layer or a model."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .._arrays import array_of, input_of, is_array, is_pair, parts_of
from .._device import exact_on_cpu
from .._torch import compiler_off
from ..bases import Basis, Params
from ..bases._refit import refit
from .computed import check_not_shared
from .edge_functions import exact_tensors, range_of_z, spread_over
from .feature_norm import FeatureScaling
from .layer import KANLayer
from .writing import check_writable


class _StatisticsGathered(BaseException):
    """Stops a forward pass at the layer whose statistics are gathered; `except Exception` does not catch it."""


class Calibratable(nn.Module):
    """The methods for feature norms that layers and models share; without a feature norm they raise ValueError."""

    def calibrate(self, data: Tensor | Iterable[Any], *, group: dist.ProcessGroup | None = None) -> dict[str, float]:
        """Set every feature norm from data, layer by layer; see `fasterkan.nn.calibration.calibrate`."""
        return calibrate(self, data, group=group)

    def freeze(self) -> None:
        """Stop the feature norms from following the data in training.

        Raises:
            RuntimeError: a norm is not calibrated yet.
        """
        for layer in _calibrated(self, "freeze"):
            _norm(layer).set_status(calibrated=True, frozen=True)

    def unfreeze(self) -> None:
        """Let the feature norms follow the data again: `update_norms` may move them `updates` more times."""
        for layer in _required(self, "unfreeze").values():
            norm = _norm(layer)
            norm.statistics.reset()
            norm.set_status(calibrated=norm.calibrated, frozen=False)
            norm.updates_left = norm.description.updates

    @torch.inference_mode(False)
    @torch.no_grad()
    def fold(self) -> None:
        """Move the centres and scales of the feature norms into the basis' tensors, in place and exactly.

        Afterwards `norm` is None. A base branch keeps its function of x; one that took z has the input "scaled" then,
        with c and s as its constants.

        Raises:
            ValueError: there is no feature norm, the basis cannot absorb it, or a convolution pads z with zeros.
            RuntimeError: a norm is not calibrated yet; a tensor of a basis is computed and does not take the new
                values, or belongs to two layers. No layer is then changed.
        """
        moved = []
        for layer in _calibrated(self, "fold"):
            layer.check_foldable()
            tensors, (center, scale) = exact_tensors(layer), _exact(_norm(layer))
            moved.append((layer, *layer.basis.fold(tensors, center, scale)))
        check_not_shared("fold", self, {layer: layer.basis_tensors() for layer, *_ in moved})
        for layer, basis, tensors in moved:
            layer.check_functions(basis, tensors, layer.weight)
        for layer, basis, tensors in moved:  # only after no layer was refused
            layer.set_functions(basis, tensors, layer.weight)
            layer.base_input, layer.base_norm = layer.branch_without_norm()
            layer.norm = None


@torch.inference_mode(False)
@torch.no_grad()
def calibrate(
    model: nn.Module, data: Tensor | Iterable[Any], *, group: dist.ProcessGroup | None = None
) -> dict[str, float]:
    """Set the centre and scale of every feature norm in `model`, in the order in which the data reaches them.

    Layers that were calibrated before also get new weights, so that their functions stay the same (`Basis.refit`).

    Args:
        model: a layer, a KAN, or any module that contains such layers.
        data: rows [..., I] as one tensor, array, table or list of rows; a pair (X, y), of which only X is used; or an
            iterable of batches. A batch is a tensor or array, or a tuple or list that starts with one. Whole numbers
            are taken as numbers, except by a model with an `nn.Embedding`. The data is read once for each layer. Empty
            and non-finite batches are skipped.
        group: None uses the rows of this process alone. With a group of torch.distributed, such as
            `torch.distributed.group.WORLD`, the norms are set from the rows of all its ranks. Then each of these ranks
            must make this call, with data of its own: at least one batch, which may be empty.

    Returns:
        For each layer that was calibrated before: its name, and the relative RMS error between its old and new
        functions.

    Raises:
        TypeError: the data, or one of its batches, has another type.
        ValueError: there is no feature norm, or the data holds no finite row.
        RuntimeError: a layer was calibrated before, and its weight is computed and cannot be refitted, or belongs to
            two layers. Nothing is then changed.
    """
    pending = _required(model, "calibrate")
    _check_writable("calibrate", model, {n: layer for n, layer in pending.items() if _norm(layer).calibrated})
    batches = _batches(data)
    errors: dict[str, float] = {}
    was_training = {m: m.training for m in model.modules()}
    model.eval()
    try:
        while pending:
            name = _gather(model, pending, batches)
            statistics = _norm(pending[name]).statistics
            statistics.all_reduce(group)
            if not statistics.count:
                raise ValueError(
                    f"calibrate: {name or 'the layer'} saw no usable row: every batch was empty or held NaN or "
                    "infinity; remove such rows first"
                )
            if (error := move_norm(pending.pop(name))) is not None:
                errors[name] = error
    finally:
        for layer in pending.values():
            _norm(layer).statistics.reset()
        for module, training in was_training.items():
            module.training = training
    return errors


@torch.inference_mode(False)
@torch.no_grad()
def update_norms(model: nn.Module, *, group: dist.ProcessGroup | None = None) -> dict[str, float]:
    """Move the feature norms to the statistics of the training data since the last call, keeping the functions.

    Call it between optimiser steps. Each norm freezes after `FeatureNorm.updates` calls. Forwards under transforms, in
    compiled code, in CUDA graphs and in DataParallel leave no statistics.

    Args:
        model: any module. If it has no feature norms, nothing happens.
        group: None uses the rows of this process alone. With a group of torch.distributed, those of all its ranks, each
            of which must make this call. Ranks that train one model (DDP) need this: else their norms become different.

    Returns:
        For each layer name, the relative RMS error between its old and new functions.

    Raises:
        RuntimeError: a weight is computed and cannot be refitted, or belongs to two layers. Nothing is then changed.
    """
    moving = {n: m for n, m in _layers(model).items() if _norm(m).calibrated and not _norm(m).frozen}
    _check_writable("update_norms", model, moving)
    errors = {}
    for name, layer in moving.items():
        norm = _norm(layer)
        norm.statistics.all_reduce(group)
        if norm.updates_left > 0 and (error := move_norm(layer)) is not None:
            errors[name] = error
        norm.updates_left -= 1
        if norm.updates_left <= 0:
            norm.set_status(calibrated=True, frozen=True)
    return errors


def move_norm(layer: KANLayer) -> float | None:
    """Move one layer's norm to its statistics; if it was calibrated before, refit the weights and return the error."""
    norm = _norm(layer)
    tensors, (low, high) = layer.basis_tensors(), range_of_z(layer)
    before, (center, scale) = norm.calibrated, _exact(norm)
    branch_of_z = _branch_of_z(layer)
    if before:
        branch_of_z(low.unsqueeze(0))  # if it cannot be called, nothing has changed yet
    if (standard := norm.move_to_statistics((low, high))) is None:
        return None
    if not before:
        if layer.base_norm is not None:
            layer.base_norm.set_to(*standard)
        return None
    new_center, new_scale = _exact(norm)
    edges = layer.edge_weights().detach()  # [..., I, K]
    flat = edges.reshape(-1, *edges.shape[-2:])
    shift, factor = (center - new_center) * new_scale, new_scale / scale  # new z = factor * z + shift
    new_z = spread_over(low, high, 8 * max(8, layer.basis.num_basis) + 1)  # [S, I]
    z = (new_z / new_scale + new_center - center) * scale
    followed = _followed(layer, shift, 1 / factor)
    made = tensors if followed is None else followed
    if layer.base is not None and layer.base_input == "z":
        assert layer.base_weight is not None
        branch = layer.edge_weights(layer.base_weight.detach().unsqueeze(2))  # [..., I, 1]
        flat = torch.cat([flat, branch.reshape(*flat.shape[:2], 1)], -1)
        old = _WithBranch(layer.basis, branch_of_z, factor, shift)
        weight, error = refit(old, tensors, flat, z, layer.basis, made, new_z)
    elif followed is not None:
        weight, error = flat, 0.0
    else:
        weight, error = layer.basis.refit(tensors, flat, z, layer.basis, tensors, new_z)
    layer.set_functions(layer.basis, made, layer.with_edge_weights(weight.view(edges.shape)))
    return error


def _branch_of_z(layer: KANLayer) -> Callable[[Tensor], Tensor]:
    """The base branch in evaluation mode, for z [S, I] in float64 on the CPU; it is called as in the layer."""
    base, like = layer.base, layer.weight
    if base is None or layer.base_input != "z":
        return torch.zeros_like
    if isinstance(base, nn.Module):
        base = copy.deepcopy(base).eval()
    call = base
    return lambda z: exact_on_cpu(call(z.to(like.device, like.dtype)))


@dataclasses.dataclass(frozen=True)
class _WithBranch:
    """The functions of a basis, and by how much a base branch on z changes when z becomes factor * z + shift."""

    basis: Basis
    base: Callable[[Tensor], Tensor]
    factor: Tensor
    shift: Tensor

    @property
    def per_edge(self) -> bool:
        return self.basis.per_edge

    def sites(self, params: Params) -> Tensor | None:
        return self.basis.sites(params)

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        phi = self.basis.evaluate(z, params)  # [S, (O,) I, K]
        change = self.base(z) - self.base(self.factor * z + self.shift)  # [S, I]
        change = change.unsqueeze(1).expand(phi.shape[:-1]) if self.per_edge else change
        return torch.cat([phi, change.unsqueeze(-1)], -1)


def _check_writable(caller: str, model: nn.Module, layers: Mapping[str, KANLayer]) -> None:
    """Raise RuntimeError if the functions of one of the layers cannot be refitted."""
    changed = {m: ("weight", *(m.basis_tensors() if m.basis.per_edge else ())) for m in layers.values()}
    check_not_shared(caller, model, changed)
    for where, layer in layers.items():
        check_writable(caller, where, layer, changed[layer])


def _followed(layer: KANLayer, center: Tensor, scale: Tensor) -> dict[str, Tensor] | None:
    """Tensors with which each edge's function stays exactly the same; None if the basis cannot do this."""
    return layer.basis.moved(exact_tensors(layer), center, scale) if layer.basis.per_edge else None


def _exact(norm: FeatureScaling) -> tuple[Tensor, Tensor]:
    """Copies of c and s in float64 on the CPU; later changes of the norm do not change them."""
    return exact_on_cpu(norm.center).clone(), exact_on_cpu(norm.scale).clone()


def _norm(layer: KANLayer) -> FeatureScaling:
    assert isinstance(layer.norm, FeatureScaling)
    return layer.norm


def _layers(model: nn.Module) -> dict[str, KANLayer]:
    """The layers with a feature norm, by name ("" is the model itself)."""
    return {n: m for n, m in model.named_modules() if isinstance(getattr(m, "norm", None), FeatureScaling)}


def _required(model: nn.Module, caller: str) -> dict[str, KANLayer]:
    layers = _layers(model)
    if not layers:
        raise ValueError(f'{caller}: no layer has a feature norm; make the model with norm="feature"')
    return layers


def _calibrated(model: nn.Module, caller: str) -> list[KANLayer]:
    layers = _required(model, caller)
    if new := [name or "the layer" for name, layer in layers.items() if not _norm(layer).calibrated]:
        raise RuntimeError(f"{caller}: {', '.join(new)} not calibrated yet; call calibrate(X) first")
    return list(layers.values())


def _batches(data: Any) -> Iterable[Any]:
    """The data as batches that can be read several times."""
    if not isinstance(data, tuple) and is_array(data):
        return [data]
    if is_pair(data) and _is_table_with_targets(*data):
        return [data[0]]
    if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
        raise TypeError(f"calibrate: data must be a tensor or an iterable of batches, got {type(data).__name__}")
    return list(data) if isinstance(data, Iterator) else data


def _is_table_with_targets(x: Any, y: Any) -> bool:
    """Whether y, with as many rows as x and rows of another shape, cannot be a second batch."""
    rows, targets = (array_of("calibrate", name, part).shape for name, part in (("X", x), ("y", y)))
    return bool(rows and targets) and rows[0] == targets[0] and rows[1:] != targets[1:]


def _rows(batch: Any, model: nn.Module) -> Tensor:
    """The input of a batch, for the model."""
    parts = parts_of(batch)
    if not parts or not is_array(parts[0]):
        got = type(parts[0] if parts else batch).__name__
        raise TypeError(f"calibrate: a batch must be a tensor, or a tuple that starts with one, got {got}")
    return input_of("calibrate", "X", parts[0], model)


def _gather(model: nn.Module, pending: dict[str, KANLayer], batches: Iterable[Any]) -> str:
    """Send the batches to the first pending layer they reach, gather its statistics, and return its name."""
    reached: list[str] = []

    def hook(name: str) -> Any:
        def stop(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            if not reached or reached[0] == name:
                reached[:] = [name]
                _norm(pending[name]).statistics.add(args[0])
            raise _StatisticsGathered

        return stop

    for layer in pending.values():
        _norm(layer).statistics.reset()
    handles = [_norm(layer).register_forward_pre_hook(hook(name)) for name, layer in pending.items()]
    try:
        for batch in batches:
            with torch.no_grad(), compiler_off(), contextlib.suppress(_StatisticsGathered):
                model(_rows(batch, model))
    finally:
        for handle in handles:
            handle.remove()
    if not reached:
        raise ValueError(f"calibrate: no batch reached {next(iter(pending)) or 'the layer'}; is the data empty?")
    return reached[0]
