"""Feature norms during a fit: set by the data, frozen, moved between phases where hidden values have drifted."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from ..nn import calibrate
from ..nn.feature_norm import FeatureScaling
from ..nn.statistics import FeatureStatistics

DRIFT = 0.1
"""A norm moves when the interval it would choose now differs by more than this fraction of its width at an end."""

HIDDEN_MARGIN = 0.2
"""Of the norms of hidden layers: a new row in a corner of the domain sends hidden values beyond all that were fitted;
there the smooth continuation on the grid is right to many more digits than a straight line beyond its end."""


def feature_norms(net: nn.Module) -> list[FeatureScaling]:
    """Return the network's feature norms."""
    return [m for m in net.modules() if isinstance(m, FeatureScaling)]


def give_room(net: nn.Module) -> None:
    """Let the norms of hidden layers leave a margin of `HIDDEN_MARGIN` or more around the values they see, in place."""
    for norm in feature_norms(net)[1:]:
        norm.description = dataclasses.replace(norm.description, margin=max(norm.description.margin, HIDDEN_MARGIN))


def settle(net: nn.Module, points: Tensor | None, dtype: torch.dtype) -> None:
    """Set the feature norms by the points [N, I], or move them where values drifted, and freeze them, in place.

    Norms that move keep the functions as well as the grid allows; the next phase mends the rest. Their numbers are
    rounded to `dtype`, that of the network which will hold them: what is fitted is then what it will compute.

    Raises:
        RuntimeError: a norm is not calibrated, and there are no points.
    """
    norms = feature_norms(net)
    if not norms:
        return
    if points is None:
        if not all(norm.calibrated for norm in norms):
            raise RuntimeError(
                "fit: the feature norms are not calibrated and there are no points to do it with; give the points of "
                "the domain as X, fk.fit(net, X, residual=fn), or call net.calibrate(X) before"
            )
    elif not all(norm.calibrated for norm in norms) or _drifted(net, norms, points):
        calibrate(net, points)
    for norm in norms:
        with torch.no_grad():
            norm.center.copy_(norm.center.to(dtype))
            norm.scale.copy_(norm.scale.to(dtype))
        norm.set_status(calibrated=True, frozen=True)


def _drifted(net: nn.Module, norms: list[FeatureScaling], points: Tensor) -> bool:
    """If the points, sent through the network, would set a norm elsewhere than it is."""
    found: dict[int, FeatureStatistics] = {}

    def listen(norm: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(norm, FeatureScaling)
        found.setdefault(id(norm), FeatureStatistics(norm.center.numel())).add(args[0])

    handles = [norm.register_forward_pre_hook(listen) for norm in norms]
    try:
        with torch.no_grad():
            net(points)
    finally:
        for handle in handles:
            handle.remove()
    return any(_moved(norm, found[id(norm)]) for norm in norms if id(norm) in found and found[id(norm)].count)


def _moved(norm: FeatureScaling, statistics: FeatureStatistics) -> bool:
    """If an end of the interval, seen in the norm's own units, lies more than DRIFT of the width off."""
    center, scale = statistics.center_scale(norm.mode, norm.target, norm.description.margin, torch.float64)
    low, high = norm.target
    own_center, own_scale = norm.center.cpu().double(), norm.scale.cpu().double()
    ends = [(end / scale + center - own_center) * own_scale - end for end in (low, high)]
    constant = statistics.maximum == statistics.minimum
    return any(bool(((end.abs() > DRIFT * (high - low)) & ~constant).any()) for end in ends)
