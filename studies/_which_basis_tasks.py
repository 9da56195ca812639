"""The tasks of which_basis.py: networks' widths, how long they train, and the rows to train, choose and test on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fasterkan.data import train_validation_test

FOLDS = 5


class Rows(NamedTuple):
    """Inputs [rows, inputs] and targets: labels [rows], or numbers [rows, 1]."""

    x: Tensor
    y: Tensor


class Split(NamedTuple):
    """What is trained on, what the best moment of the training is chosen by, and what is looked at once."""

    train: Rows
    validation: Rows
    test: Rows


Data = Callable[[int], list[Split]]


@dataclasses.dataclass(frozen=True)
class Task:
    """A network's widths, its norm, how long it trains, and what a seed's networks are trained on, one each."""

    group: str
    what: str
    widths: tuple[int, ...]
    norm: str
    steps: int
    batch: int
    lr: float
    data: Data

    @property
    def classes(self) -> bool:
        """Whether the target is a label, and the error the share of wrong ones; else it is the RMSE."""
        return self.widths[-1] > 1


def standardised(x: np.ndarray, y: np.ndarray, train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> Split:
    """Return rows whose columns and target have mean 0 and deviation 1 over the training rows."""

    def unit(values: np.ndarray) -> np.ndarray:
        return (values - values[train].mean(0)) / values[train].std(0)

    x, y = (torch.tensor(unit(values), dtype=torch.float32) for values in (x, y))
    return Split(*(Rows(x[part], y[part]) for part in (train, validation, test)))


def images(name: str) -> Data:
    """Return an image set: 55,000 to train on, 5,000 to choose by, 10,000 to test; pixels standardised together."""

    def load(seed: int) -> list[Split]:
        parts = train_validation_test(name)
        pixels = parts[0].images.float()
        mean, deviation = float(pixels.mean()), float(pixels.std())
        return [Split(*(Rows((part.images.flatten(1).float() - mean) / deviation, part.labels) for part in parts))]

    return load


def table(name: str) -> Data:
    """Return the folds of a table that scikit-learn ships: each row is tested once, by a network that never saw it."""

    def load(seed: int) -> list[Split]:
        import sklearn.datasets

        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        y = y.reshape(len(y), -1)[:, :1]
        return folds(x, y, seed)

    return load


def folds(x: np.ndarray, y: np.ndarray, seed: int) -> list[Split]:
    """Return FOLDS splits of a table in an order drawn by the seed; a fifth of the rows left chooses."""
    parts = np.array_split(np.random.default_rng(seed).permutation(len(x)), FOLDS)
    splits = []
    for i, test in enumerate(parts):
        rest = np.concatenate([part for j, part in enumerate(parts) if j != i])
        cut = len(rest) - len(rest) // 5
        splits.append(standardised(x, y, rest[:cut], rest[cut:], test))
    return splits


def function(
    f: Callable[[np.ndarray], np.ndarray], low: list[float], high: list[float], rows: int = 1000, noise: float = 0.0
) -> Data:
    """Return samples of a function on a box, four fifths to train on, one to choose by, 1,000 more to test.

    The noise, a share of the function's deviation, is on what trains and chooses; the test is against the function.
    """

    def load(seed: int) -> list[Split]:
        random = np.random.default_rng(seed)
        x = random.uniform(low, high, (rows + 1000, len(low)))
        y = f(x)[:, None]
        cut = rows - rows // 5
        train, validation, test = np.split(np.arange(len(x)), [cut, rows])
        split = standardised(x, y, train, validation, test)
        noisy = [Rows(s.x, s.y + noise * torch.from_numpy(random.standard_normal(s.y.shape)).float()) for s in split]
        return [Split(noisy[0], noisy[1], split.test)]

    return load


def ellipj(x: np.ndarray) -> np.ndarray:
    """Return the Jacobi elliptic function sn(u, m)."""
    import scipy.special

    return scipy.special.ellipj(x[:, 0], x[:, 1])[0]


def jv(x: np.ndarray) -> np.ndarray:
    """Return the Bessel function of the first kind J_v(t)."""
    import scipy.special

    return scipy.special.jv(x[:, 0], x[:, 1])


def wave(x: np.ndarray) -> np.ndarray:
    """Return sin(3 x1) + x2^2."""
    return np.sin(3 * x[:, 0]) + x[:, 1] ** 2


_IMAGES = {"group": "images", "widths": (784, 64, 10), "norm": "layer", "steps": 860, "batch": 256, "lr": 2e-3}
_SMALL = {"norm": "feature", "batch": 1 << 20, "lr": 1e-2}
_TABLE = {"group": "tables", "steps": 500, **_SMALL}
_FUNCTION = {"widths": (2, 5, 1), "steps": 2000, **_SMALL}
TASKS: dict[str, Task] = {
    "MNIST": Task(what="28 x 28 digits", data=images("mnist"), **_IMAGES),
    "Fashion-MNIST": Task(what="28 x 28 pieces of clothing", data=images("fashion-mnist"), **_IMAGES),
    "diabetes": Task(what="442 rows of 10 columns", widths=(10, 5, 1), data=table("diabetes"), **_TABLE),
    "linnerud": Task(what="20 rows of 3 columns", widths=(3, 3, 1), data=table("linnerud"), **_TABLE),
    "sn(u, m)": Task(
        "functions",
        "Jacobi's elliptic function, 1,000 rows",
        data=function(ellipj, [-5, 0], [5, 0.99]),
        **_FUNCTION,
    ),
    "J_v(t)": Task("functions", "a Bessel function, 1,000 rows", data=function(jv, [0, 0], [5, 20]), **_FUNCTION),
    "noisy": Task(
        "noise",
        "sin(3 x) + y^2, noise of 0.3 deviations, 300 rows",
        data=function(wave, [-1, -1], [1, 1], 300, 0.3),
        **_FUNCTION,
    ),
}
