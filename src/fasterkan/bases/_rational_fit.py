"""Rational functions of given degrees that approximate a known function, by repeated linear least squares."""

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
    """Return (a_0 .. a_P, b_1 .. b_Q) for which sum a_j z^j / (1 + |sum b_j z^j|) approximates a known function.

    Q has only even powers, below the degree of P. For these functions the fitted coefficients of Q are positive, so |Q|
    has no kink. For "identity", every Q is possible. The fit then uses the Q of "swish", because with Q = 0 the
    gradient of b would always be 0.
    """
    z = torch.linspace(*FIT_RANGE, 401, dtype=torch.float64, device="cpu")
    y, guide = FUNCTIONS[name](z), FUNCTIONS["swish" if name == "identity" else name](z)
    powers = range(2, min(denominator_degree + 1, numerator_degree), 2)
    top = torch.stack([z**j for j in range(numerator_degree + 1)], -1)  # [S, P + 1]
    bottom = torch.stack([z**j for j in powers], -1)
    scale = torch.ones_like(z)  # 1 + |Q| of the previous round; dividing P - y Q = y by it makes it exact
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
