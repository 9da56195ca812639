"""What is measured: shapes, batches, functions an edge, precision, mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Precision = Literal["float32", "tf32", "bf16"]
Mode = Literal["eager", "compiled", "graph"]


@dataclasses.dataclass(frozen=True)
class Task:
    """One shape under which every family is timed.

    Args:
        name: by which results and command line know it.
        widths: inputs, hidden units and outputs of the network.
        batch: rows N of a step.
        functions: K, functions on an edge, of every subject that lets it be chosen.
        own: K of single families, by name, where the task is a published table that has another one for them.
        precision: "float32", "tf32" (TensorFloat32 products), "bf16" (autocast).
        mode: "eager", "compiled" (torch.compile), "graph" (a CUDA graph of the whole step).
        device: "cpu" or "cuda".
        train_steps: steps of AdamW after which the loss is compared; 0 compares none.
        about: where the shape comes from.
    """

    name: str
    widths: tuple[int, ...]
    batch: int
    functions: int = 8
    own: Mapping[str, int] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    precision: Precision = "float32"
    mode: Mode = "eager"
    device: str = "cpu"
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


def _growth() -> list[Task]:
    """One layer, one of its four sizes at a time."""
    base = {"N": 256, "I": 256, "O": 256, "K": 8}
    points = {"N": (16, 256, 2048), "I": (32, 1024), "O": (32, 1024), "K": (16, 32, 128)}
    tasks = []
    for axis, values in points.items():
        for value in values:
            size = {**base, axis: value}
            widths = (size["I"], size["O"])
            tasks.append(Task(f"growth-{axis}{value}", widths, size["N"], size["K"], about=f"growth with {axis}"))
    return tasks


_CPU = [
    Task("published", MNIST, 64, 16, _PUBLISHED, about="the table of the FasterKAN project"),
    Task("mnist", MNIST, 64, 8, train_steps=50, about="the network of the MNIST examples"),
    Task("flat", FLAT, 100, 10, train_steps=50, about="the public KAN benchmark, G = 10"),
    Task("square", SQUARE, 256, 8, about="wide layers"),
    *_growth(),
]
_GPU = [
    Task("gpu-mnist-graph", MNIST, 64, 8, precision="tf32", mode="graph", device="cuda", about="small batch"),
    Task("gpu-mnist", MNIST, 64, 8, precision="tf32", device="cuda", about="small batch, eager"),
    Task("gpu-flat", FLAT, 100, 10, precision="tf32", device="cuda", about="the public KAN benchmark, G = 10"),
    Task("gpu-square-fp32", SQUARE, 8192, 8, device="cuda", about="wide layers"),
    Task("gpu-square-tf32", SQUARE, 8192, 8, precision="tf32", device="cuda", about="wide layers"),
    Task("gpu-square-bf16", SQUARE, 8192, 8, precision="bf16", device="cuda", about="wide layers"),
    Task(
        "gpu-square-bf16-compiled",
        SQUARE,
        8192,
        8,
        precision="bf16",
        mode="compiled",
        device="cuda",
        about="wide layers",
    ),
]

TASKS: dict[str, Task] = {task.name: task for task in (*_CPU, *_GPU)}
"""By name."""

SUITES: dict[str, tuple[str, ...]] = {
    "cpu": tuple(task.name for task in _CPU),
    "gpu": tuple(task.name for task in _GPU),
}
"""Names of the tasks that belong together."""
