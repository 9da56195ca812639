"""The timed work: a forward pass without gradients and a training step, in the precision and mode of a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tasks import Task


@dataclasses.dataclass(frozen=True)
class Data:
    """Inputs [N, I] in [-1, 1], and the targets of the loss: labels [N] or, for one output, numbers [N, 1]."""

    x: Tensor
    target: Tensor

    @classmethod
    def of(cls, task: Task) -> Data:
        """Return the data of a task; the same task always gets the same data."""
        generator = torch.Generator("cpu").manual_seed(0)
        x = torch.rand(task.batch, task.widths[0], generator=generator, device="cpu") * 2 - 1
        if task.widths[-1] == 1:
            target = torch.sin(3 * x[:, :8].sum(-1, keepdim=True))
        else:
            target = (x @ torch.randn(task.widths[0], task.widths[-1], generator=generator, device="cpu")).argmax(-1)
        return cls(x.to(task.device), target.to(task.device))


def loss_of(y: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error for numbers, or the cross-entropy for labels, in float32 or higher precision."""
    y = y.to(torch.promote_types(y.dtype, torch.float32))
    return F.mse_loss(y, target.to(y.dtype)) if target.is_floating_point() else F.cross_entropy(y, target)


def precision(task: Task) -> AbstractContextManager[Any]:
    """Return the autocast context of a task."""
    return torch.autocast(task.device, torch.bfloat16) if task.precision == "bf16" else nullcontext()


def forward_and_step(model: nn.Module, task: Task, data: Data) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the two functions to time: the forward pass and the training step."""
    called: Callable[[Tensor], Tensor] = torch.compile(model) if task.mode == "compiled" else model

    def forward() -> Tensor:
        with torch.no_grad(), precision(task):
            return called(data.x)

    def step() -> None:
        with precision(task):
            y = called(data.x)
        loss_of(y, data.target).backward()

    def eager_step() -> None:
        model.zero_grad(set_to_none=True)
        step()

    if task.mode == "graph":
        return _captured(forward, model), _captured(step, model)
    return forward, eager_step


def _captured(run: Callable[[], object], model: nn.Module) -> Callable[[], object]:
    """Return a function that replays a CUDA graph of a call; the graph itself creates the gradients."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            model.zero_grad(set_to_none=True)
            run()
    torch.cuda.current_stream().wait_stream(stream)
    model.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = run()

    def replay() -> object:
        graph.replay()
        return kept

    return replay
