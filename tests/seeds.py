"""One seed for everything that the tests draw: the environment's FASTERKAN_TEST_SEED, 0 unless it is set."""

from __future__ import annotations

import os

SEED = int(os.environ.get("FASTERKAN_TEST_SEED", "0"))


def seed_of(number: int = 0) -> int:
    """Return the seed of a test's draw, numbered below a million: the number itself at 0, another for each other value.

    Seeds that the library is given, such as that of `fit`, stay what they are: they are under test.
    """
    return number + 1_000_000 * SEED
