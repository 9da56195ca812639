"""The recipe of pykan's tutorial on partial differential equations, run by an interpreter that has pykan 0.2.8.

python studies/_pde_pykan.py PROBLEM SEED WIDTHS SECONDS

Grid 5, k 3, steps of the L-BFGS that comes with pykan (up to 20 inner iterations each), 0.01 times the equation's mean
square plus the border's, grids moved with the samples at every fifth step, random points inside and an even border, all
as there; float32 as there. The tutorial stops after 20 steps; here it goes on up to SECONDS of processor time, and the
state after 20 steps is written down too. Prints one line of JSON.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time

import torch
from _pde_problems import PROBLEMS, square
from kan import KAN, LBFGS

GRID, ORDER, ALPHA, TUTORIAL_STEPS, MOVES = 5, 3, 0.01, 20, 5


def second_derivatives(u: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient [n, 2] and both pure second derivatives [n, 2] of u [n] at x."""
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    bends = [torch.autograd.grad(slope[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(2)]
    return slope, torch.stack(bends, -1)


def residual(name: str, u: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the equation's residual [n] from u [n] at x, with the right-hand sides of `_pde_problems`."""
    problem = PROBLEMS[name]
    slope, bend = second_derivatives(u, x)
    if name == "burgers":
        return slope[:, 1] + u * slope[:, 0] - 0.01 / torch.pi * bend[:, 0]
    zero = problem.equation(lambda a: 0 * a[:, :1], x.detach())  # the right-hand side alone
    return bend.sum(-1) + (u if name == "helmholtz" else 0) + zero


def main() -> None:
    """Train and print."""
    name, seed, widths, seconds = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), float(sys.argv[4])
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    os.chdir(tempfile.mkdtemp())
    problem = PROBLEMS[name]
    torch.manual_seed(seed)
    net = KAN(width=widths, grid=GRID, k=ORDER, seed=seed, device="cpu", auto_save=False)
    low, high = torch.tensor(problem.low), torch.tensor(problem.high)
    inside = low + (high - low) * torch.rand(21 * 21, 2)
    border = problem.split(square(21, problem.low, problem.high))[1]
    known = problem.solution(border).float()
    border = border.float()
    optimizer = LBFGS(
        net.parameters(), lr=1, history_size=10, line_search_fn="strong_wolfe",
        tolerance_grad=1e-32, tolerance_change=1e-32, tolerance_ys=1e-32,
    )  # fmt: skip

    u = problem.symmetry(net)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        x = inside.clone().requires_grad_()
        equation = residual(name, u(x)[:, 0], x).square().mean()
        loss = ALPHA * equation + (u(border)[:, 0] - known).square().mean()
        loss.backward()
        return loss

    def error() -> float:
        return problem.error(lambda x: u(x.float()).double())

    start, cpu, steps, tutorial = time.perf_counter(), time.process_time(), 0, {}
    while steps < TUTORIAL_STEPS or time.process_time() - cpu < seconds:
        if steps % MOVES == 0 and steps < 50:
            net.update_grid_from_samples(inside)
        loss = float(optimizer.step(closure))
        steps += 1
        if steps == TUTORIAL_STEPS:
            tutorial = {"error": error(), "cpu_seconds": time.process_time() - cpu}
        if not math.isfinite(loss):
            break
    used = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    count = sum(p.numel() for p in net.parameters() if p.requires_grad)
    stopped = "time" if math.isfinite(loss) else "not finite"
    row = {"error": error(), "parameters": count, "iterations": steps, "stopped": stopped, "tutorial": tutorial, **used}
    sys.stdout.write("\n" + json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
