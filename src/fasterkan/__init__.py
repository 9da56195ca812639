"""fasterkan: Kolmogorov-Arnold networks at the price of a plain MLP."""

from . import bases, data, models, nn, ops
from ._version import __version__
from .bases import RSWAF, Basis
from .models import KAN, CheckpointError, FasterKAN, from_pretrained
from .nn import (
    FeatureNorm,
    KANLinear,
    LayerNorm,
    RMSNorm,
    calibrate,
    param_groups,
    penalty,
    update_norms,
)

__all__ = [
    "Basis",
    "CheckpointError",
    "FasterKAN",
    "FeatureNorm",
    "KAN",
    "KANLinear",
    "LayerNorm",
    "RMSNorm",
    "RSWAF",
    "__version__",
    "bases",
    "calibrate",
    "data",
    "from_pretrained",
    "models",
    "nn",
    "ops",
    "param_groups",
    "penalty",
    "update_norms",
]
