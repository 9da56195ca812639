"""The original FasterKAN's package is called fasterkan too: its pickled models must not become half of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pretrained import CheckpointError

ELSEWHERE = (
    "load it in an environment with the original FasterKAN instead of this package (both are called fasterkan), and "
    'save its tensors alone: torch.save(model.state_dict(), "weights.pt")'
)
IMPORT = f"fk.import_checkpoint(path) reads it and runs nothing of it; if that refuses it, {ELSEWHERE}"


def check_own(name: str, state: Mapping[str, Any], attribute: str) -> None:
    """Raise unless what a pickle holds of an object is that of our class.

    Args:
        name: of the class.
        state: the object's attributes.
        attribute: one that every object of our class has, and none of the original's.

    Raises:
        CheckpointError: it is the state of an object of the original.
    """
    if attribute not in state:
        raise CheckpointError(
            f"{name}: the pickle holds a {name} of the original FasterKAN, not of this package. {IMPORT}"
        )
