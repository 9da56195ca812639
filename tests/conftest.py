"""What every test shares: the same seed, one thread for each of several test processes, repeatable hypothesis runs."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch starts its threads; several workers would fight over the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def seed() -> None:
    """Start each test from the same random state, so that it does not depend on the tests before it."""
    torch.manual_seed(0)
