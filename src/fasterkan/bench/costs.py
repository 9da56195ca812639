"""The costs of a subject besides time: parameters, floating-point operations, and memory of a step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

MIB = 1 << 20


def parameters(model: nn.Module) -> int:
    """Return the number of learned parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def flops(run: Callable[[], object]) -> int:
    """Return the number of operations in the matrix products of a call; a multiply-add counts as 2."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def peak_mib(run: Callable[[], object], device: str) -> float:
    """Return the largest amount of live memory during a call, in MiB, minus the amount before it."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    assert profiler.profiler is not None
    live = peak = 0
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak / MIB
