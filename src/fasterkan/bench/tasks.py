"""The tasks of the benchmark: shapes, batches, functions per edge, precision and mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

Precision = Literal["float32", "tf32", "bf16"]
Mode = Literal["eager", "compiled", "graph"]


@dataclasses.dataclass(frozen=True)
class Task:
    """One shape for which every family is timed.

    Args:
        name: name in the results and on the command line.
        widths: inputs, hidden units and outputs of the network.
        batch: number of rows N in a step.
        functions: K, the number of functions on an edge, for every subject in which it can be chosen.
        own: a different K for some families, by name. Used for a published table that has such exceptions.
        precision: "float32", "tf32" (TensorFloat32 products) or "bf16" (autocast).
        mode: "eager", "compiled" (torch.compile) or "graph" (a CUDA graph of the whole step).
        device: "cpu" or "cuda".
        families: names of the families to measure; () means all. Compiling every subject would take long.
        train_steps: number of AdamW steps after which the loss is compared; 0 compares no loss.
        about: the origin of the shape.
    """

    name: str
    widths: tuple[int, ...]
    batch: int
    functions: int = 8
    own: Mapping[str, int] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    precision: Precision = "float32"
    mode: Mode = "eager"
    device: str = "cpu"
    families: tuple[str, ...] = ()
    train_steps: int = 0
    about: str = ""

    @property
    def edges(self) -> int:
        """Number of edges of a network of these widths."""
        return sum(i * o for i, o in zip(self.widths, self.widths[1:], strict=False))

    def functions_of(self, family: str) -> int:
        """Return K for a family."""
        return self.own.get(family, self.functions)


MNIST, SQUARE, FLAT = (784, 256, 10), (1024, 1024, 1024), (1000, 1000, 1)
_PUBLISHED = MappingProxyType({"efficient-KAN": 8, "KAL-Net": 4, "ChebyKAN": 5})


_COMPILED = ("FasterKAN", "FastKAN", "efficient-KAN", "ChebyKAN", "B-spline layers")

GROWTH: dict[str, dict[str, int]] = {
    "growth": {"N": 256, "I": 256, "O": 256, "K": 8},
    "gpu-growth": {"N": 8192, "I": 1024, "O": 1024, "K": 8},
}
"""The layer in which one size at a time grows, by the prefix of the tasks' names."""


def _growth(prefix: str, points: Mapping[str, Sequence[int]], **options: Any) -> list[Task]:
    """One layer, one of its four sizes at a time."""
    tasks = []
    for axis, values in points.items():
        for value in values:
            size = {**GROWTH[prefix], axis: value}
            name, widths = f"{prefix}-{axis}{value}", (size["I"], size["O"])
            tasks.append(Task(name, widths, size["N"], size["K"], about=f"growth with {axis}", **options))
    return tasks


_CPU = [
    Task("published", MNIST, 64, 16, _PUBLISHED, about="the table of the FasterKAN project"),
    Task("mnist", MNIST, 64, 8, train_steps=50, about="the network of the MNIST examples"),
    Task("flat", FLAT, 100, 10, about="the public KAN benchmark, G = 10"),
    Task("square", SQUARE, 256, 8, about="wide layers"),
    Task("mnist-compiled", MNIST, 64, 8, mode="compiled", families=("FasterKAN",), about="torch.compile"),
    *_growth("growth", {"N": (16, 256, 2048), "I": (32, 1024), "O": (32, 1024), "K": (16, 32, 128)}),
]
_WIDE: dict[str, Any] = {"widths": SQUARE, "batch": 8192, "device": "cuda", "about": "wide layers"}
_GRAPH: dict[str, Any] = {"precision": "tf32", "mode": "graph", "device": "cuda", "about": "a step as a CUDA graph"}
_GPU = [
    Task("gpu-mnist", MNIST, 64, precision="tf32", device="cuda", about="small batch"),
    Task("gpu-mnist-graph", MNIST, 64, **_GRAPH),
    Task("gpu-mnist-graph-1024", MNIST, 1024, **_GRAPH),
    Task("gpu-flat", FLAT, 100, 10, precision="tf32", device="cuda", about="the public KAN benchmark, G = 10"),
    Task("gpu-square-fp32", **_WIDE),
    Task("gpu-square-tf32", **_WIDE, precision="tf32"),
    Task("gpu-square-bf16", **_WIDE, precision="bf16"),
    Task("gpu-square-tf32-compiled", **_WIDE, precision="tf32", mode="compiled", families=_COMPILED),
    Task("gpu-square-bf16-compiled", **_WIDE, precision="bf16", mode="compiled", families=_COMPILED),
    *_growth(
        "gpu-growth",
        {"N": (512, 8192, 65536), "I": (128, 4096), "O": (128, 4096), "K": (16, 32, 128)},
        precision="bf16",
        mode="compiled",
        device="cuda",
        families=("FasterKAN",),
    ),
]

TASKS: dict[str, Task] = {task.name: task for task in (*_CPU, *_GPU)}
"""The tasks by name."""

SUITES: dict[str, tuple[str, ...]] = {
    "cpu": tuple(task.name for task in _CPU),
    "gpu": tuple(task.name for task in _GPU),
}
"""Names of the tasks in each suite."""
