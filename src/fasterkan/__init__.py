"""fasterkan: Kolmogorov-Arnold networks near the price of a plain MLP."""

from . import bases, data, diagnosis, models, nn, ops
from ._version import __version__
from .bases import RSWAF, Basis
from .diagnosis import diagnose
from .models import KAN, CheckpointError, FasterKAN, FasterKANvolver, from_pretrained, import_checkpoint
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
    "FasterKANvolver",
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
    "diagnose",
    "diagnosis",
    "from_pretrained",
    "import_checkpoint",
    "models",
    "nn",
    "ops",
    "param_groups",
    "penalty",
    "update_norms",
]
