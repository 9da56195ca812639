"""The operation of the library, y = sum_ik W[o, i, k] phi_k(norm(x)_i) + b, and the paths that compute it."""

from .call import ConvCall, LinearCall, normalised
from .conv import conv_call, kan_conv
from .conv_recompute import kan_conv_recompute
from .conv_reference import ConvGeometry, kan_conv_reference
from .dispatch import choose
from .edges import kan_linear_edges
from .linear import kan_linear, linear_call
from .norm_form import NormForm
from .paths import CONV_PATHS, LINEAR_PATHS, Path
from .precision import at_least_float32
from .recompute import kan_linear_recompute
from .reference import kan_linear_reference
from .row_norms import row_norm
from .situation import Situation, autocast_dtype

__all__ = [
    "CONV_PATHS",
    "LINEAR_PATHS",
    "ConvCall",
    "ConvGeometry",
    "LinearCall",
    "NormForm",
    "Path",
    "Situation",
    "at_least_float32",
    "autocast_dtype",
    "choose",
    "conv_call",
    "kan_conv",
    "kan_conv_recompute",
    "kan_conv_reference",
    "kan_linear",
    "kan_linear_edges",
    "kan_linear_recompute",
    "kan_linear_reference",
    "linear_call",
    "normalised",
    "row_norm",
]
