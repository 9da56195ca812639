"""What every test shares: the same seed, one thread for each of several test processes, repeatable hypothesis runs."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch starts its threads; several workers would fight over the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

from .seeds import SEED, seed_of

if not torch.cuda.is_available():  # before triton is imported; its interpreter runs the kernels on the CPU
    os.environ.setdefault("TRITON_INTERPRET", "1")

settings.register_profile("repeatable", derandomize=SEED == 0, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let hypothesis draw by the seed of the tests too."""
    if SEED and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(SEED)


def pytest_collectstart() -> None:
    """Import each test module from the same random state, whatever was imported before it."""
    torch.manual_seed(seed_of())


@pytest.fixture(autouse=True)
def seed() -> None:
    """Start each test from the same random state, so that it does not depend on the tests before it."""
    torch.manual_seed(seed_of())
