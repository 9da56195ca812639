"""Layers: KANLinear, its norms, and what optimisers and losses need from them."""

from .calibration import Calibratable, calibrate, update_norms
from .feature_norm import FeatureNorm, FeatureScaling
from .init import critical_gain
from .linear import KANLinear
from .norm import Norm, norm_from_config, norm_to_config, resolve_norm
from .param_groups import param_groups
from .penalty import penalty
from .row_norm import LayerNorm, RMSNorm, RowNorm

__all__ = [
    "Calibratable",
    "FeatureNorm",
    "FeatureScaling",
    "KANLinear",
    "LayerNorm",
    "Norm",
    "RMSNorm",
    "RowNorm",
    "calibrate",
    "critical_gain",
    "norm_from_config",
    "norm_to_config",
    "param_groups",
    "penalty",
    "resolve_norm",
    "update_norms",
]
