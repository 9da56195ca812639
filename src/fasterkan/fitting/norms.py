"""Feature norms during a fit: set from data, frozen, and moved between phases if hidden values have drifted."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from ..nn import KANLayer, calibrate
from ..nn.base_branch import BaseScaling
from ..nn.edge_functions import range_of_z
from ..nn.feature_norm import FeatureScaling
from ..nn.statistics import FeatureStatistics
from .frozen import frozen_kept, held_norms

CALIBRATED = 8192
"""Largest number of rows that set the norms, besides the rows with the ends of each column."""
CHUNK = 4096
"""Number of rows that pass through the network at a time."""
DRIFT = 0.1
"""A norm moves if one end of its interval for the present data differs by more than this fraction of the width."""

HIDDEN_MARGIN = 0.2
"""Margin of the norms of hidden layers. A new row in a corner of the domain gives hidden values outside the range of
the fitted rows. There the smooth continuation on the grid is more accurate by many digits than a straight line beyond
the end of the grid."""


def calibration_rows(points: Tensor) -> Tensor:
    """Return at most about `CALIBRATED` rows of the points [N, I], which have the same range in each column."""
    if len(points) <= CALIBRATED:
        return points
    spread = points[:: -(-len(points) // CALIBRATED)]
    return torch.cat([spread, points[torch.cat([points.argmin(0), points.argmax(0)])]])


def feature_norms(net: nn.Module) -> list[FeatureScaling]:
    """Return the network's feature norms."""
    return [m for m in net.modules() if isinstance(m, FeatureScaling)]


def give_room(net: nn.Module) -> None:
    """Give the norms of hidden layers a margin of at least `HIDDEN_MARGIN` around their values, in place."""
    for norm in feature_norms(net)[1:]:
        norm.description = dataclasses.replace(norm.description, margin=max(norm.description.margin, HIDDEN_MARGIN))


def settle(net: nn.Module, points: Tensor | None, dtype: torch.dtype) -> None:
    """Set the feature norms from the points [N, I], or move them if values have drifted; freeze them, in place.

    When a norm moves, the functions are kept as well as the grid allows; the next phase corrects the rest. The numbers
    of the norms are rounded to `dtype`, the dtype of the network that will hold them. The fitted network and the final
    one then compute the same. The norm of a frozen layer does not change.

    Raises:
        RuntimeError: a norm is not calibrated, and there are no points to calibrate it.
        ValueError: the first norm's numbers do not fit into `dtype`.
    """
    norms = feature_norms(net)
    if not norms:
        return
    if points is None:
        if not all(norm.calibrated for norm in norms):
            raise RuntimeError(
                "fit: the feature norms are not calibrated and there are no points for it; give the points of "
                "the domain as X, fk.fit(net, X, residual=fn), or call net.calibrate(X) before"
            )
    else:
        held = held_norms(net)
        movable = [norm for norm in norms if norm not in held]
        if not all(norm.calibrated for norm in norms) or (movable and _drifted(net, movable, points)):
            with frozen_kept(net):
                calibrate(net, list(points.split(CHUNK)))
    for norm in norms:
        norm.set_status(calibrated=True, frozen=True)
    for scaling in (m for m in net.modules() if isinstance(m, FeatureScaling | BaseScaling)):
        with torch.no_grad():
            scaling.center.copy_(scaling.center.to(dtype))
            scaling.scale.copy_(scaling.scale.to(dtype))
    if not bool((torch.isfinite(norms[0].center) & torch.isfinite(norms[0].scale)).all()):
        raise ValueError(
            f"fit: the feature norm of the inputs does not fit into {dtype}; multiply X by a number that brings it to "
            "ordinary sizes, or make the network with dtype=torch.float64"
        )


def _drifted(net: nn.Module, norms: list[FeatureScaling], points: Tensor) -> bool:
    """Whether a norm, set from the points that now reach it, would differ from the present norm."""
    found: dict[int, FeatureStatistics] = {}

    def listen(norm: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(norm, FeatureScaling)
        found.setdefault(id(norm), FeatureStatistics(norm.center.numel())).add(args[0])

    handles = [norm.register_forward_pre_hook(listen) for norm in norms]
    try:
        with torch.no_grad():
            for part in points.split(CHUNK):
                net(part)
    finally:
        for handle in handles:
            handle.remove()
    layers = [m for m in net.modules() if isinstance(m, KANLayer) and m.norm in norms]
    return any(_moved(layer, found[id(layer.norm)]) for layer in layers if id(layer.norm) in found)


def _moved(layer: KANLayer, statistics: FeatureStatistics) -> bool:
    """Whether an end of the interval, in units of the norm, has moved by more than DRIFT of the width."""
    norm = layer.norm
    assert isinstance(norm, FeatureScaling)
    if not statistics.count:
        return False
    low, high = range_of_z(layer)
    center, scale = statistics.center_scale(norm.mode, (low, high), norm.description.margin, torch.float64)
    own_center, own_scale = norm.center.cpu().double(), norm.scale.cpu().double()
    ends = [(end / scale + center - own_center) * own_scale - end for end in (low, high)]
    constant = (statistics.maximum == statistics.minimum).cpu()
    return any(bool(((end.abs() > DRIFT * (high - low)) & ~constant).any()) for end in ends)
