"""Networks, and functions that save and load them."""

from .conv_net import ResKANNet
from .fasterkan import FasterKAN
from .fasterkanvolver import FasterKANvolver
from .importing import import_checkpoint
from .kan import KAN
from .kanvolver import KANvolver
from .mlp import MLP
from .presets import RBFKAN, ChebyKAN, EfficientKAN, FastKAN, FourierKAN, KALNet, PyKAN, ReLUKAN, WavKAN
from .pretrained import CheckpointError, Pretrained, from_pretrained
from .registry import create_model, list_models

__all__ = [
    "KAN",
    "MLP",
    "RBFKAN",
    "CheckpointError",
    "ChebyKAN",
    "EfficientKAN",
    "FastKAN",
    "FasterKAN",
    "FasterKANvolver",
    "FourierKAN",
    "KALNet",
    "KANvolver",
    "Pretrained",
    "PyKAN",
    "ReLUKAN",
    "ResKANNet",
    "WavKAN",
    "create_model",
    "from_pretrained",
    "import_checkpoint",
    "list_models",
]
