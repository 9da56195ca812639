"""The one operation of the library, y = sum_ik W[o, i, k] phi_k(z_i) + b, and the ways to compute it."""

from .dispatch import Path, choose, kan_linear
from .recompute import kan_linear_recompute
from .reference import kan_linear_reference
from .row_norm import row_norm
from .situation import Situation, autocast_dtype

__all__ = [
    "Path",
    "Situation",
    "autocast_dtype",
    "choose",
    "kan_linear",
    "kan_linear_recompute",
    "kan_linear_reference",
    "row_norm",
]
