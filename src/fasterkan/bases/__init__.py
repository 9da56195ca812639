"""Bases: families of functions of one variable. A basis is a description without tensors."""

from ._base import Basis, Params, basis_from_config
from .bspline import BSpline
from .chebyshev import Chebyshev
from .fourier import Fourier
from .gaussian import Gaussian
from .gegenbauer import Gegenbauer
from .hat import Hat
from .hermite import Hermite
from .jacobi import Jacobi
from .legendre import Legendre
from .monomial import Monomial
from .rational import Rational
from .relu import ReLUBump
from .rswaf import RSWAF
from .sine import Sine
from .wavelet import Wavelet

__all__ = [
    "BSpline",
    "Basis",
    "Chebyshev",
    "Fourier",
    "Gaussian",
    "Gegenbauer",
    "Hat",
    "Hermite",
    "Jacobi",
    "Legendre",
    "Monomial",
    "Params",
    "RSWAF",
    "Rational",
    "ReLUBump",
    "Sine",
    "Wavelet",
    "basis_from_config",
]
