"""Rational functions of a given degree that come close to a known one, by repeated linear least squares."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

FIT_RANGE = (-4.0, 4.0)

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": torch.clone,
    "swish": F.silu,
    "tanh": torch.tanh,
}


@lru_cache(maxsize=64)
def fitted(name: str, numerator_degree: int, denominator_degree: int) -> tuple[list[float], list[float]]:
    """Return (a_0 .. a_P, b_1 .. b_Q) for which sum a_j z^j / (1 + |sum b_j z^j|) comes close to a known function.

    Q gets even powers only, below P's degree; as these functions want them positive, |Q| has no kink. For "identity",
    which any Q serves, it is that of "swish": with Q = 0 the gradient of b would be 0 for ever.
    """
    z = torch.linspace(*FIT_RANGE, 401, dtype=torch.float64, device="cpu")
    y, guide = FUNCTIONS[name](z), FUNCTIONS["swish" if name == "identity" else name](z)
    powers = range(2, min(denominator_degree + 1, numerator_degree), 2)
    top = torch.stack([z**j for j in range(numerator_degree + 1)], -1)  # [S, P + 1]
    bottom = torch.stack([z**j for j in powers], -1)
    scale = torch.ones_like(z)  # 1 + |Q| of the round before: P - y Q = y is linear, and right when divided by it
    found = torch.zeros(len(powers), dtype=torch.float64, device="cpu")
    for _ in range(20):
        system = torch.cat([top, -guide.unsqueeze(-1) * bottom], -1) / scale.unsqueeze(-1)
        found = _solve(system, guide / scale)[numerator_degree + 1 :]
        scale = 1 + bottom @ found
    b = [0.0] * denominator_degree
    for j, value in zip(powers, found.tolist(), strict=True):
        b[j - 1] = value
    return _solve(top / scale.unsqueeze(-1), y).tolist(), b


def _solve(system: Tensor, right: Tensor) -> Tensor:
    return torch.linalg.lstsq(system, right.unsqueeze(-1), driver="gelsd").solution.squeeze(-1)
