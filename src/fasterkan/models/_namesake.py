"""The package of the original FasterKAN is also called fasterkan: its pickled models must not load as ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pretrained import CheckpointError

ELSEWHERE = (
    "load it in an environment with the original FasterKAN instead of this package (both are called fasterkan), and "
    'save only its tensors: torch.save(model.state_dict(), "weights.pt")'
)
IMPORT = f"fk.import_checkpoint(path) reads it and runs nothing of it; if that refuses it, {ELSEWHERE}"


def check_own(name: str, state: Mapping[str, Any], attribute: str) -> None:
    """Raise an error if the state in a pickle is not that of an object of our class.

    Args:
        name: name of the class.
        state: the object's attributes.
        attribute: an attribute that every object of our class has, and no object of the original.

    Raises:
        CheckpointError: the state is that of an object of the original.
    """
    if attribute not in state:
        raise CheckpointError(
            f"{name}: the pickle holds a {name} of the original FasterKAN, not of this package. {IMPORT}"
        )
