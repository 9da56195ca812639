"""Which basis? Accuracy against time and parameters, with defaults only: images, tables, functions, noise.

python studies/which_basis.py [--task NAME ...] [--threads 2]

Every basis stands in the same network, `fk.KAN(widths, basis)`, with its own defaults; nothing is tuned, so the test
data are looked at once a run. Results go to studies/results/which_basis.jsonl; runs that it holds are not made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fasterkan as fk
from fasterkan.data import train_validation_test

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _common import machine

RESULTS = Path(__file__).parent / "results" / "which_basis.jsonl"
SEEDS = (0, 1, 2)
BASES: dict[str, Callable[[], fk.Basis]] = {
    "RSWAF": fk.RSWAF,
    "Gaussian": fk.Gaussian,
    "BSpline": fk.BSpline,
    "Hat": fk.Hat,
    "Chebyshev": fk.Chebyshev,
    "Legendre": fk.Legendre,
    "Fourier": fk.Fourier,
    "Sine": fk.Sine,
    "Wavelet": fk.Wavelet,
    "ReLUBump": fk.ReLUBump,
    "Rational": lambda: fk.Rational(groups=1),  # its groups must divide the inputs, here 3 as well
}
MLP = "MLP, parameters of RSWAF"


@dataclasses.dataclass(frozen=True)
class Task:
    """A network's widths, its norm, how long it trains, and the data of a seed: x, y, test x, test y."""

    widths: tuple[int, ...]
    norm: str
    steps: int
    batch: int
    lr: float
    data: Callable[[int], tuple[Tensor, Tensor, Tensor, Tensor]]

    @property
    def classes(self) -> bool:
        """Whether the target is a label; else a number, and the score is the RMSE by the target's deviation."""
        return self.widths[-1] > 1


def images(name: str) -> Callable[[int], tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return the data of an image set: 55,000 to train on, 10,000 to test."""

    def load(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        train, _, test = train_validation_test(name)
        x, z = (part.images.flatten(1).float() / 255 for part in (train, test))
        return x, train.labels, z, test.labels

    return load


def table(name: str) -> Callable[[int], tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return a regression table that scikit-learn ships, a fifth of it to test, its columns and target standardised."""

    def load(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        import sklearn.datasets

        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        y = y[:, 0] if y.ndim == 2 else y
        order = np.random.default_rng(seed).permutation(len(x))
        cut = len(x) - len(x) // 5
        train, test = order[:cut], order[cut:]
        x = (x - x[train].mean(0)) / x[train].std(0)
        y = (y - y[train].mean()) / y[train].std()
        parts = (x[train], y[train, None], x[test], y[test, None])
        return tuple(torch.tensor(part, dtype=torch.float32) for part in parts)  # type: ignore[return-value]

    return load


def function(
    f: Callable[[np.ndarray], np.ndarray], low: list[float], high: list[float], rows: int = 1000, noise: float = 0.0
) -> Callable[[int], tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return samples of a function on a box; the noise, a share of its deviation, is on the training targets only."""

    def load(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        random = np.random.default_rng(seed)
        x, z = (random.uniform(low, high, (n, len(low))) for n in (rows, 1000))
        y, t = f(x)[:, None], f(z)[:, None]
        mean, deviation = y.mean(), y.std()
        y, t = (y - mean) / deviation, (t - mean) / deviation
        y = y + noise * random.standard_normal(y.shape)
        return tuple(torch.tensor(part, dtype=torch.float32) for part in (x, y, z, t))  # type: ignore[return-value]

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


TASKS: dict[str, Task] = {
    "MNIST": Task((784, 64, 10), "layer", 860, 256, 2e-3, images("mnist")),
    "Fashion-MNIST": Task((784, 64, 10), "layer", 860, 256, 2e-3, images("fashion-mnist")),
    "diabetes": Task((10, 5, 1), "feature", 500, 1 << 20, 1e-2, table("diabetes")),
    "linnerud": Task((3, 3, 1), "feature", 500, 1 << 20, 1e-2, table("linnerud")),
    "sn(u, m)": Task((2, 5, 1), "feature", 2000, 1 << 20, 1e-2, function(ellipj, [-5, 0], [5, 0.99])),
    "J_v(t)": Task((2, 5, 1), "feature", 2000, 1 << 20, 1e-2, function(jv, [0, 0], [5, 20])),
    "noisy": Task((2, 5, 1), "feature", 2000, 1 << 20, 1e-2, function(wave, [-1, -1], [1, 1], 300, 0.3)),
}


def build(name: str, task: Task, x: Tensor) -> nn.Module:
    """Return the network of a basis for a task, its norms set by the data."""
    if name == MLP:
        return fk.MLP.like(fk.KAN(task.widths, norm=task.norm))
    net = fk.KAN(task.widths, BASES[name](), norm=task.norm)
    if task.norm == "feature":
        net.calibrate(x)
    return net


def run(name: str, task: Task, seed: int) -> dict[str, float]:
    """Train once with AdamW, a tenth of warm-up and a linear decay, and score the test data."""
    x, y, test_x, test_y = task.data(seed)
    torch.manual_seed(seed)
    net = build(name, task, x)
    optimizer = torch.optim.AdamW(fk.param_groups(net, weight_decay=0.01), lr=task.lr, betas=(0.9, 0.98))
    batch, warmup = min(task.batch, len(x)), task.steps // 10
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / warmup, (task.steps - i) / (task.steps - warmup))
    )
    loss_of = F.cross_entropy if task.classes else F.mse_loss
    generator = torch.Generator().manual_seed(seed)
    net.train()
    start, rows = time.perf_counter(), torch.empty(0, dtype=torch.long)
    for _ in range(task.steps):
        if len(rows) < batch:
            rows = torch.randperm(len(x), generator=generator)
        take, rows = rows[:batch], rows[batch:]
        optimizer.zero_grad(set_to_none=True)
        loss_of(net(x[take]), y[take]).backward()
        optimizer.step()
        schedule.step()
    seconds = time.perf_counter() - start
    net.eval()
    with torch.no_grad():
        found = torch.cat([net(part) for part in test_x.split(2000)])
    if task.classes:
        score = float((found.argmax(-1) == test_y).float().mean())
    else:
        score = math.sqrt(float(F.mse_loss(found, test_y))) / float(test_y.std())
    return {"score": score, "seconds": seconds, "parameters": sum(p.numel() for p in net.parameters())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    RESULTS.parent.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()[1:]] if RESULTS.exists() else []
    done = {(row["task"], row["basis"], row["seed"]) for row in rows}
    for task, seed, basis in itertools.product(args.task, SEEDS, [*BASES, MLP]):
        if (task, basis, seed) in done:
            continue
        row = {"task": task, "basis": basis, "seed": seed, **run(basis, TASKS[task], seed)}
        rows.append(row)
        print(f"{task:14} {basis:26} seed {seed}  {row['score']:.4f}  {row['seconds']:.1f} s", flush=True)
        text = [{"machine": machine()}, *rows]
        RESULTS.write_text("".join(json.dumps(line) + "\n" for line in text))


if __name__ == "__main__":
    main()
