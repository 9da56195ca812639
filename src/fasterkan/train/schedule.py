"""The learning rate during a training run."""

from __future__ import annotations

import math
from typing import Literal


def factor(kind: Literal["linear", "cosine", "constant"], step: int, steps: int, warmup_steps: int = 0) -> float:
    """Return the learning rate of step number `step` (from 0) of `steps`, as a share of the highest one.

    In the warm-up it rises as (step + 1) / warmup_steps. After that, q goes from 0 at the end of the warm-up to 1 after
    the last step. The share is then 1 - q ("linear"), (1 + cos(pi q)) / 2 ("cosine") or 1 ("constant").

    Example:
        >>> [factor("linear", step, 6, warmup_steps=2) for step in range(6)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    q = (step - warmup_steps) / max(1, steps - warmup_steps)
    if kind == "linear":
        return 1 - q
    return (1 + math.cos(math.pi * q)) / 2 if kind == "cosine" else 1.0
