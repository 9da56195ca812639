"""Measuring one cell: the subjects of a family and two MLPs in one task."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ..models import KAN
from . import costs
from .exactness import FOREIGN, exactness
from .peers import PeerError
from .subjects import EQUAL_FLOPS, EQUAL_PARAMETERS, Family, Subject, mlp_of_equal_flops, mlp_of_equal_parameters
from .tasks import Task
from .timing import Spread, interleave, ratios
from .work import Data, forward_and_step, loss_of, precision

_EDGEWISE_LIMIT = 6e9
"""If a subject that expands [N, O, I] numbers needs more bytes, it is not run."""
_EDGEWISE_COPIES = 8
"""Approximate number of such tensors that a step holds at a time."""
_LOSS_LIMIT = 300.0
"""If a step takes more milliseconds, the loss after the task's steps is not measured."""


@dataclasses.dataclass
class _Entry:
    subject: Subject
    model: nn.Module
    forward: Callable[[], object]
    step: Callable[[], object]
    first_call_ms: float


def measure(task: Task, family: Family, subjects: Sequence[Subject], seconds: float) -> list[dict[str, Any]]:
    """Return a row for each subject and for the MLPs of equal parameters and of equal FLOPs.

    The MLPs have the size of the first subject. Times are in milliseconds. Ratios are relative to the MLP of equal
    parameters in the same round.

    Args:
        task: shape, precision and mode.
        family: the family of the cell. It decides K.
        subjects: the subjects to measure. The first one must be ours.
        seconds: time for each of the two timings, forward and step.
    """
    begun, functions, data = time.perf_counter(), task.functions_of(family.name), Data.of(task)
    entries: dict[str, _Entry] = {}
    rows: dict[str, dict[str, Any]] = {}
    for subject in subjects:
        try:
            _check_memory(subject, task)
            entries[subject.name] = _prepare(subject, subject.build(task.widths, functions), task, data)
        except (PeerError, MemoryError, *FOREIGN) as error:
            if subject.ours:
                raise
            reason = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
            rows[subject.name] = {"subject": subject.name, "ours": False, "failed": reason}
    first = entries[subjects[0].name]
    assert isinstance(first.model, KAN)
    for name, model in (
        (EQUAL_PARAMETERS, mlp_of_equal_parameters(first.model)),
        (EQUAL_FLOPS, mlp_of_equal_flops(task, costs.flops(functools.partial(_forward, first.model, data)))),
    ):
        subject = Subject(name, lambda widths, k, model=model: model)  # type: ignore[misc]
        entries[name] = _prepare(subject, model, task, data)
    forwards = interleave({n: e.forward for n, e in entries.items()}, seconds=seconds, device=task.device)
    steps = interleave({n: e.step for n, e in entries.items()}, seconds=seconds, device=task.device)
    forward_ratios, step_ratios = (ratios(times, EQUAL_PARAMETERS) for times in (forwards, steps))
    for name, entry in entries.items():
        rows[name] = {
            "subject": name,
            "ours": entry.subject.ours and not name.startswith("MLP"),
            "functions": functions,
            **_costs(entry, task, data),
            "forward": dataclasses.asdict(Spread.of(forwards[name])),
            "step": dataclasses.asdict(Spread.of(steps[name])),
            "forward_ratio": dataclasses.asdict(forward_ratios[name]),
            "step_ratio": dataclasses.asdict(step_ratios[name]),
            "rounds": len(steps[name]),
            "first_call_ms": entry.first_call_ms,
        }
    for name, entry in entries.items():
        found = exactness(entry.model, data) if task.mode == "eager" else None
        if found is not None:
            rows[name]["exactness"] = {**dataclasses.asdict(found), "wrong": found.wrong}
        if task.train_steps and Spread.of(steps[name]).median < _LOSS_LIMIT:
            rows[name]["loss"] = _loss_after(entry.model, task, data)
    for row in rows.values():
        row["cell_seconds"] = time.perf_counter() - begun
    return list(rows.values())


def _check_memory(subject: Subject, task: Task) -> None:
    largest = max(i * o for i, o in zip(task.widths, task.widths[1:], strict=False))
    needed = 4.0 * _EDGEWISE_COPIES * task.batch * largest
    if subject.edgewise and needed > _EDGEWISE_LIMIT:
        raise MemoryError(f"it stores numbers for each row and edge, about {needed / 1e9:.0f} GB here; not run")


def _prepare(subject: Subject, model: nn.Module, task: Task, data: Data) -> _Entry:
    model = model.to(task.device).train()
    start = time.perf_counter()
    forward, step = forward_and_step(model, task, data)
    step()
    if task.device == "cuda":
        torch.cuda.synchronize()
    first = (time.perf_counter() - start) * 1e3
    forward()
    return _Entry(subject, model, forward, step, first)


@torch.no_grad()
def _forward(model: nn.Module, data: Data) -> object:
    """A plain forward pass, not compiled and not captured, for counting its products."""
    return model(data.x)


def _costs(entry: _Entry, task: Task, data: Data) -> dict[str, Any]:
    count = costs.parameters(entry.model)
    about: dict[str, Any] = {"parameters": count, "parameters_per_edge": count / task.edges}
    eager = forward_and_step(entry.model, dataclasses.replace(task, mode="eager"), data)
    about["forward_flops"], about["step_flops"] = map(costs.flops, eager)
    if task.mode != "graph":
        entry.model.zero_grad(set_to_none=True)
        about["peak_mib"] = costs.peak_mib(entry.step, task.device)
        entry.model.zero_grad(set_to_none=True)
    return about


def _loss_after(model: nn.Module, task: Task, data: Data) -> float:
    """The loss after the task's number of AdamW steps, with learning rate 1e-3 and all rows in each step."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(task.train_steps):
        optimizer.zero_grad(set_to_none=True)
        with precision(task):
            y = model(data.x)
        loss_of(y, data.target).backward()
        optimizer.step()
    with torch.no_grad(), precision(task):
        return float(loss_of(model(data.x), data.target))
