"""Checkpoints of networks of ChebyKAN's layers."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from ...bases import Chebyshev
from ...nn import LayerNorm
from ..kan import KAN
from .foreign_state import ForeignState, build

_COEFFICIENTS = "cheby_coeffs"


def import_cheby_kan(path: Path) -> KAN:
    """Return the network of ChebyKANLayers in a file; the project has no model class, so the user chose the names.

    The layers and the LayerNorms between them are sorted by name; numbers in names are sorted by value.

    Args:
        path: the file. It holds `NAME.cheby_coeffs` [I, O, degree + 1] and `NAME.arange`. It also holds `NAME.weight`
            and `NAME.bias` of a LayerNorm before every layer except the first, or of no LayerNorm.
    """
    file = ForeignState(path, "cheby-kan", "network of ChebyKANLayers")
    suffix = re.compile(rf"(?:.*\.)?{_COEFFICIENTS}")
    layers = sorted((name for name in file.state if suffix.fullmatch(name)), key=_natural)
    if not layers:
        file.count(rf"(\d+)\.{_COEFFICIENTS}", f"chebykan1.{_COEFFICIENTS}")
    norms = sorted({name.rpartition(".")[0] for name in file.state if name.endswith(".weight")}, key=_natural)
    if len(norms) not in (0, len(layers) - 1):
        raise file.error(
            f"holds {len(layers)} layers and {len(norms)} norms ({', '.join(norms)}); expected was a LayerNorm in "
            "front of every layer but the first, or none"
        )
    state: dict[str, Tensor] = {}
    widths: list[int] = []
    functions: int | None = None
    for n, name in enumerate(layers):
        weight = file.take(name, widths[-1] if widths else None, None, functions)
        inputs, outputs, functions = weight.shape
        orders = f"{name.removesuffix(_COEFFICIENTS)}arange"
        if orders in file and not torch.equal(file.state[orders].long(), torch.arange(functions, device="cpu")):
            raise file.error(f"holds {orders} = {file.state[orders].tolist()}, expected 0 .. {functions - 1}")
        file.ignore(orders)
        state[f"layers.{n}.weight"] = weight.transpose(0, 1).contiguous()
        if n and norms:
            state[f"layers.{n}.norm.weight"] = file.take(f"{norms[n - 1]}.weight", inputs)
            state[f"layers.{n}.norm.bias"] = file.take(f"{norms[n - 1]}.bias", inputs)
        widths += [inputs, outputs] if not widths else [outputs]
    assert functions is not None
    between = [LayerNorm(gain=1.0) if norms else None] * (len(layers) - 1)
    basis = Chebyshev(degree=functions - 1, domain="tanh")
    return build(file, state, KAN, layers_hidden=widths, basis=basis, norm=[None, *between], bias=False)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """The key that sorts ln2 before ln10."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]
