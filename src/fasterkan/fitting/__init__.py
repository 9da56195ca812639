"""Second-order fits of small networks: Levenberg-Marquardt with several starts, from coarse to fine grids."""

from __future__ import annotations

from .effort import MOST_PARAMETERS
from .fit_network import fit
from .losses import Huber, Logistic, Loss, Squared
from .observers import FitObserver
from .result import Attempt, FitResult, Phase

__all__ = [
    "MOST_PARAMETERS",
    "Attempt",
    "FitObserver",
    "FitResult",
    "Huber",
    "Logistic",
    "Loss",
    "Phase",
    "Squared",
    "fit",
]
