"""Layers: KANLinear, KAN convolutions, their norms, and helpers for optimisers and losses."""

from .after import After
from .batch_range import BatchRange, BatchScaling
from .calibration import Calibratable, calibrate, update_norms
from .conv import KANConv1d, KANConv2d, KANConv3d
from .edge_layer import EdgeLayer
from .feature_norm import FeatureNorm, FeatureScaling
from .grid_care import GridCare
from .init import critical_gain
from .layer import KANLayer
from .layer_spec import LayerSpec
from .linear import KANLinear
from .norm import Norm, norm_from_config, norm_to_config, resolve_norm
from .optimizer_groups import param_groups
from .paths import which_path
from .penalties import penalty
from .row_norm import LayerNorm, RMSNorm, RowNorm

__all__ = [
    "After",
    "BatchRange",
    "BatchScaling",
    "Calibratable",
    "EdgeLayer",
    "FeatureNorm",
    "FeatureScaling",
    "KANConv1d",
    "KANConv2d",
    "KANConv3d",
    "KANLayer",
    "GridCare",
    "KANLinear",
    "LayerNorm",
    "LayerSpec",
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
    "which_path",
]
