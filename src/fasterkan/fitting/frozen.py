"""The parts that a fit does not change: frozen parameters, buffers of other modules, norms of frozen layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..nn.feature_norm import FeatureScaling
from ..nn.layer import KANLayer


def is_free(layer: KANLayer) -> bool:
    """Whether the weight and all parameters of the basis are learned; only then may the basis be replaced."""
    own = (getattr(layer, name) for name in layer.basis_tensors())
    return layer.weight.requires_grad and all(t.requires_grad for t in own if isinstance(t, nn.Parameter))


def held_norms(net: nn.Module) -> list[FeatureScaling]:
    """Return the calibrated norms of layers that are not free; moving them would require another weight."""
    layers = (m for m in net.modules() if isinstance(m, KANLayer) and not is_free(m))
    return [m.norm for m in layers if isinstance(m.norm, FeatureScaling) and m.norm.calibrated]


def _may_rescale(layer: KANLayer) -> bool:
    """Whether the scales of a layer's base branch may change: its weight is learned, or they have not been set yet."""
    learned = layer.base_weight is not None and layer.base_weight.requires_grad
    return learned or (isinstance(layer.norm, FeatureScaling) and not layer.norm.calibrated)


def norms_of_frozen_branches(net: nn.Module) -> list[FeatureScaling]:
    """Return the calibrated norms of layers whose base branch is frozen; with them its scales would be reset."""
    layers = (m for m in net.modules() if isinstance(m, KANLayer) and m.base_norm is not None and not _may_rescale(m))
    return [m.norm for m in layers if isinstance(m.norm, FeatureScaling)]


@contextmanager
def frozen_kept(net: nn.Module) -> Iterator[None]:
    """Restore frozen parameters, buffers and held norms at the end.

    Grids of free layers, other norms, and the scales of learned base branches may change.
    """
    held = held_norms(net)
    moving: set[int] = set()
    for module in net.modules():
        if isinstance(module, FeatureScaling) and module not in held:
            moving |= {id(buffer) for buffer in module.buffers()}
        if isinstance(module, KANLayer) and is_free(module):
            moving |= {id(getattr(module, name)) for name in module.basis_tensors()}
        if isinstance(module, KANLayer) and module.base_norm is not None and _may_rescale(module):
            moving |= {id(buffer) for buffer in module.base_norm.buffers()}
    fixed: list[Tensor] = [p for p in net.parameters() if not p.requires_grad]
    fixed += [buffer for buffer in net.buffers() if id(buffer) not in moving]
    before = [tensor.detach().clone() for tensor in fixed]
    yield
    with torch.no_grad():
        for tensor, value in zip(fixed, before, strict=True):
            tensor.copy_(value)
    for norm in held:
        norm.set_status(calibrated=True, frozen=True)
