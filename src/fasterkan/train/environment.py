"""The environment of a result: versions, processor, threads."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

from .._version import __version__


def versions() -> dict[str, str]:
    """Return the versions of this package, PyTorch and Python."""
    return {"fasterkan": __version__, "torch": torch.__version__, "python": platform.python_version()}


def machine(device: torch.device) -> dict[str, Any]:
    """Return the name of the processor, the number of usable cores, PyTorch's threads, the system and the device."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
