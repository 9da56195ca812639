"""Other KAN systems as configurations of `KAN`, with their authors' arguments, defaults and initial weights."""

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
