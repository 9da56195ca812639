"""Which basis? Error against time and parameters, with defaults only: images, tables, functions, noise.

python studies/which_basis.py [--task NAME ...] [--threads 2]

Every basis stands in the same network, `fk.KAN(widths, basis)`, with its own defaults, and is trained by the same
steps at the same rate; nothing is tuned. The weights of the best of 20 looks at validation rows are scored on the test
rows, once. Steps are timed afterwards, all networks of a task in turns. Results go to
studies/results/which_basis.jsonl; runs that it holds are not made again. The tables need scikit-learn.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fasterkan as fk

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _common import interleave, machine
from _which_basis_tasks import TASKS, Rows, Split, Task

RESULTS = Path(__file__).parent / "results" / "which_basis.jsonl"
SEEDS, LOOKS = 3, 20
BASES: dict[str, Callable[..., fk.Basis]] = {
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
    "Rational": fk.Rational,
}
MLPS = {f"MLP like {name}": name for name in ("Rational", "RSWAF", "Fourier")}
"""MLPs of the same depth with the parameters of the smallest, a middle and the largest basis."""
NETWORKS = (*BASES, *MLPS)


def kan(name: str, task: Task) -> fk.KAN:
    """Return the network of a basis. Rational's groups, 8, are fewer where 8 does not divide every width."""
    options = {"groups": math.gcd(fk.Rational().groups, *task.widths[:-1])} if name == "Rational" else {}
    return fk.KAN(task.widths, BASES[name](**options), norm=task.norm)


def build(name: str, task: Task, x: Tensor) -> nn.Module:
    """Return a fresh network for a task, its feature norms set by x."""
    if name in MLPS:
        return fk.MLP.like(kan(MLPS[name], task))
    net = kan(name, task)
    if task.norm == "feature":
        net.calibrate(x)
    return net


def step_of(net: nn.Module, task: Task) -> Callable[[Tensor, Tensor], None]:
    """Return a training step: AdamW, a tenth of warm-up and a linear decay to 0."""
    optimizer = torch.optim.AdamW(fk.param_groups(net, weight_decay=0.01), lr=task.lr, betas=(0.9, 0.98))
    warmup = max(1, task.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / warmup, max(0, task.steps - i) / (task.steps - warmup))
    )
    loss_of = F.cross_entropy if task.classes else F.mse_loss

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of(net(x), y).backward()
        optimizer.step()
        schedule.step()

    return step


@torch.no_grad()
def squares(net: nn.Module, rows: Rows, task: Task) -> Tensor:
    """Return each row's squared error, or 1 for a wrong label and 0 for the right one: [rows] in float64."""
    net.eval()
    found = torch.cat([net(x) for x in rows.x.split(2000)])
    net.train()
    return (found.argmax(-1) != rows.y).double() if task.classes else (found - rows.y)[:, 0].double().square()


def constant(split: Split, task: Task) -> Tensor:
    """Return the same of the network that always says the training rows' mean or most frequent label."""
    y = split.test.y
    return (y != split.train.y.mode()[0]).double() if task.classes else (y - split.train.y.mean())[:, 0].double() ** 2


def error(parts: list[Tensor], task: Task) -> float | None:
    """Return the share of wrong labels, or the RMSE in deviations of the training target; None if it is not finite."""
    mean = float(torch.cat(parts).mean())
    return None if not math.isfinite(mean) else mean if task.classes else math.sqrt(mean)


def train(name: str, task: Task, split: Split, seed: int) -> nn.Module:
    """Train once and return the network as it was at the best of LOOKS looks at the validation rows."""
    torch.manual_seed(seed)
    net = build(name, task, split.train.x)
    step, generator = step_of(net, task), torch.Generator().manual_seed(seed)
    (x, y), batch = split.train, min(task.batch, len(split.train.x))
    best, state, rows = math.inf, net.state_dict(), torch.empty(0, dtype=torch.long)
    for i in range(1, task.steps + 1):
        if len(rows) < batch:
            rows = torch.randperm(len(x), generator=generator)
        take, rows = rows[:batch], rows[batch:]
        step(x[take], y[take])
        if i % max(1, task.steps // LOOKS) == 0:
            now = float(squares(net, split.validation, task).mean())
            if now < best:
                best, state = now, copy.deepcopy(net.state_dict())
    net.load_state_dict(state)
    return net


def run(name: str, task: Task, seed: int) -> dict[str, Any]:
    """Train a network for each split of a seed and look at the test rows once."""
    splits = task.data(seed)
    nets = [train(name, task, split, seed) for split in splits]
    found = [squares(net, split.test, task) for net, split in zip(nets, splits, strict=True)]
    return {
        "error": error(found, task),
        "constant_error": error([constant(split, task) for split in splits], task),
        "parameters": sum(p.numel() for p in nets[0].parameters()),
        "functions": nets[0].basis.num_basis if isinstance(nets[0], fk.KAN) else None,
    }


def step_times(task: Task, repeats: int) -> dict[str, dict[str, float]]:
    """Time one training step of every network of a task, in turns."""
    x, y = (part[: task.batch] for part in task.data(0)[0].train)
    steps = {name: step_of(build(name, task, x), task) for name in NETWORKS}
    return interleave({name: lambda step=step: step(x, y) for name, step in steps.items()}, repeats, turn=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15, help="rounds of the steps' timing; 0 leaves it out")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = [json.loads(line) for line in args.out.read_text().splitlines()[1:]] if args.out.exists() else []

    def order(row: dict[str, Any]) -> tuple[int, ...]:
        step = row["kind"] == "step"
        return list(TASKS).index(row["task"]), step, row.get("seed", 0), NETWORKS.index(row["network"])

    def write() -> None:
        rows.sort(key=order)
        args.out.parent.mkdir(exist_ok=True)
        args.out.write_text("".join(json.dumps(line) + "\n" for line in [{"machine": machine()}, *rows]))

    done = {(row["task"], row["network"], row["seed"]) for row in rows if row["kind"] == "run"}
    for task, seed, name in itertools.product(args.task, range(args.seeds), NETWORKS):
        if (task, name, seed) not in done:
            head = {"kind": "run", "task": task, "group": TASKS[task].group, "network": name, "seed": seed}
            row = {**head, "threads": args.threads, **run(name, TASKS[task], seed)}
            rows.append(row)
            write()
            print(f"{task:14} {name:18} seed {seed}  error {row['error']}", flush=True)
    for task in args.task if args.repeats else []:
        rows = [row for row in rows if row["kind"] == "run" or row["task"] != task]
        for name, times in step_times(TASKS[task], args.repeats).items():
            rows.append({"kind": "step", "task": task, "network": name, "threads": args.threads, **times})
            print(f"{task:14} {name:18} step {times['median_ms']:.2f} ms", flush=True)
        write()


if __name__ == "__main__":
    main()
