"""The one operation of the library, y = sum_ik W[o, i, k] phi_k(z_i) + b, and the ways to compute it."""

from .conv import kan_conv
from .conv_recompute import kan_conv_recompute
from .conv_reference import ConvGeometry, kan_conv_reference
from .dispatch import Path, choose, kan_linear
from .edges import kan_linear_edges
from .recompute import kan_linear_recompute
from .reference import kan_linear_reference
from .row_norms import row_norm
from .situation import Situation, autocast_dtype

__all__ = [
    "ConvGeometry",
    "Path",
    "Situation",
    "autocast_dtype",
    "choose",
    "kan_conv",
    "kan_conv_recompute",
    "kan_conv_reference",
    "kan_linear",
    "kan_linear_edges",
    "kan_linear_recompute",
    "kan_linear_reference",
    "row_norm",
]
