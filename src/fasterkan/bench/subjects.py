"""The subjects of the benchmark: families of one kind of network, from this library and other projects, and MLPs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from ..bases import RSWAF, BSpline, Hat
from ..models import (
    KAN,
    MLP,
    RBFKAN,
    ChebyKAN,
    EfficientKAN,
    FasterKAN,
    FastKAN,
    FourierKAN,
    KALNet,
    PyKAN,
    ReLUKAN,
    WavKAN,
)
from .peers import PEERS, Peer
from .tasks import Task

EQUAL_PARAMETERS, EQUAL_FLOPS = "MLP, equal parameters", "MLP, equal FLOPs"


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network that is measured.

    Args:
        name: name in results and tables.
        build: makes the network from the widths and K.
        peer: the project of the network; None if it is ours.
        edgewise: whether the network expands [N, O, I] numbers. Wide tasks then do not fit into memory.
        about: its settings, for the tables.
    """

    name: str
    build: Callable[[Sequence[int], int], nn.Module]
    peer: Peer | None = None
    edgewise: bool = False
    about: str = ""

    @property
    def ours(self) -> bool:
        """Whether the network belongs to this library."""
        return self.peer is None


@dataclasses.dataclass(frozen=True)
class Family:
    """Subjects that take turns with each other and with the MLPs.

    Args:
        name: name in the results and on the command line.
        ours: configurations of this library.
        peers: names in `PEERS`.
        edgewise: as in `Subject`, for the peers.
    """

    name: str
    ours: tuple[Subject, ...] = ()
    peers: tuple[str, ...] = ()
    edgewise: bool = False

    def subjects(self, peers: Path | None) -> tuple[Subject, ...]:
        """Return the subjects; the module of a peer is imported from the folder `peers` when its network is built."""
        others = tuple(
            Subject(peer.name, _from_peer(peer, peers), peer, self.edgewise)
            for peer in map(PEERS.__getitem__, self.peers)
        )
        return self.ours + others


def _from_peer(peer: Peer, peers: Path | None) -> Callable[[Sequence[int], int], nn.Module]:
    return lambda widths, functions: peer.build(peer.load(peers), widths, functions)


def mlp_of_equal_parameters(model: KAN) -> MLP:
    """Return `MLP.like(model)` with aligned hidden widths."""
    first, *hidden, last = MLP.like(model).layers_hidden
    return MLP([first, *map(aligned, hidden), last])


def aligned(width: int) -> int:
    """Return the nearest multiple of 64 or else of 8, if it differs by at most a hundredth; otherwise the width itself.

    Matrix products of other sizes are slow on tensor cores, so nobody would choose such widths for an MLP.
    """
    for step in (64, 8):
        near = step * round(width / step)
        if abs(near - width) <= width / 100:
            return near
    return width


def mlp_of_equal_flops(task: Task, flops: int) -> nn.Module:
    """Return the MLP of the task's depth whose forward pass has about `flops` operations, with aligned widths.

    Args:
        task: gives the number of inputs, outputs and rows.
        flops: operations of a forward pass; a multiply-add counts as 2.
    """
    per_row, depth = flops / (2 * task.batch), len(task.widths) - 1
    inputs, outputs = task.widths[0], task.widths[-1]
    if depth == 1:
        hidden = round(per_row / (inputs + outputs))
        return MLP([inputs, aligned(max(1, hidden)), outputs])
    inner = depth - 2
    if inner == 0:
        hidden = round(per_row / (inputs + outputs))
    else:
        half = (inputs + outputs) / (2 * inner)
        hidden = round((half * half + per_row / inner) ** 0.5 - half)
    return MLP([inputs, *[aligned(max(1, hidden))] * (depth - 1), outputs])


def _ours(name: str, build: Callable[[Sequence[int], int], nn.Module], about: str = "") -> Subject:
    return Subject(name, build, about=about)


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "FasterKAN",
            (
                _ours("FasterKAN", lambda w, k: FasterKAN(w, num_grids=k), "the original's defaults"),
                _ours(
                    "KAN",
                    lambda w, k: KAN(w, RSWAF(num_grids=k), first_affine=False),
                    "RSWAF, first norm without affine",
                ),
            ),
            ("faster-kan",),
        ),
        Family("FastKAN", (_ours("fk.FastKAN", lambda w, k: FastKAN(w, num_grids=k)),), ("fast-kan",)),
        Family(
            "efficient-KAN",
            (_ours("fk.EfficientKAN", lambda w, k: EfficientKAN(w, grid_size=k - 3)),),
            ("efficient-kan",),
        ),
        Family(
            "pykan",
            (_ours("fk.PyKAN", lambda w, k: PyKAN(w, grid=k - 3)),),
            ("pykan",),
            edgewise=True,
        ),
        Family("ChebyKAN", (_ours("fk.ChebyKAN", lambda w, k: ChebyKAN(w, degree=k - 1)),), ("ChebyKAN",)),
        Family("KAL-Net", (_ours("fk.KALNet", lambda w, k: KALNet(w, polynomial_order=k - 1)),), ("torchkan KAL-Net",)),
        Family("Wav-KAN", (_ours("fk.WavKAN", lambda w, k: WavKAN(w)),), ("Wav-KAN",), edgewise=True),
        Family("FourierKAN", (_ours("fk.FourierKAN", lambda w, k: FourierKAN(w, k // 2)),), ("FourierKAN",), True),
        Family("ReLU-KAN", (_ours("fk.ReLUKAN", lambda w, k: ReLUKAN(w, k - 3, 3)),), ("ReLU-KAN",)),
        Family("RBF-KAN", (_ours("fk.RBFKAN", lambda w, k: RBFKAN(w, num_grids=k)),), ("RBF-KAN",)),
        Family(
            "B-spline layers",
            (
                _ours(
                    "KAN, BSpline",
                    lambda w, k: KAN(w, BSpline(grid_size=k - 3), norm=None, base="silu", bias=False),
                    "SiLU branch, no norm",
                ),
            ),
            ("inkan", "flashkan", "kanx"),
        ),
        Family(
            "hat functions",
            (_ours("KAN, Hat", lambda w, k: KAN(w, Hat(num_grids=k), norm=None), "no norm"),),
            ("kanditioned",),
        ),
    )
}
"""The families by name."""


def families(names: Sequence[str] = ()) -> list[Family]:
    """Return the families with these names, or all families if no name is given.

    Raises:
        ValueError: a name is unknown. The message lists the known names.
    """
    if unknown := sorted(set(names) - set(FAMILIES)):
        raise ValueError(f"unknown family {', '.join(unknown)}; known: {', '.join(FAMILIES)}")
    return [FAMILIES[name] for name in names] if names else list(FAMILIES.values())
