"""Copies of a network on which something is tried."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from .._device import with_float64
from ..nn import calibrate
from ..nn.feature_norm import FeatureScaling

SAMPLE = 4096
"""Largest number of rows of a trial."""


def exact_copy(net: nn.Module) -> nn.Module:
    """Return a copy in float64 and evaluation mode, which the fit may change."""
    return copy.deepcopy(with_float64(net)).double().eval()


def probe_of(net: nn.Module, points: Tensor) -> tuple[nn.Module, Tensor]:
    """Return a copy of the network with calibrated norms, and at most `SAMPLE` of the points [N, I], evenly spread."""
    few = points[:: -(-len(points) // SAMPLE)]
    probe = exact_copy(net)
    if any(isinstance(m, FeatureScaling) and not m.calibrated for m in probe.modules()):
        calibrate(probe, few)
    return probe, few
