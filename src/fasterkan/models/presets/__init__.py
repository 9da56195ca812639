"""The compared systems as configurations of `KAN`: their authors' arguments, defaults and starting weights."""

from .polynomials import ChebyKAN, KALNet
from .radial import RBFKAN, FastKAN
from .relu import ReLUKAN
from .splines import EfficientKAN, PyKAN
from .waves import FourierKAN, WavKAN

__all__ = [
    "ChebyKAN",
    "EfficientKAN",
    "FastKAN",
    "FourierKAN",
    "KALNet",
    "PyKAN",
    "RBFKAN",
    "ReLUKAN",
    "WavKAN",
]
