"""Networks of other projects, run unchanged, from an installed package or from a checkout below one folder."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

Build = Callable[[ModuleType, Sequence[int], int], nn.Module]


class PeerError(ValueError):
    """A peer is not installed, or cannot be imported or built."""


@dataclasses.dataclass(frozen=True)
class Peer:
    """The source of another project's network, and how to build the network.

    Args:
        name: name of the project.
        module: name of the module to import.
        build: makes the network from the module, the widths and K, with the authors' defaults for everything else.
        source: address of the project.
        package: name on PyPI; None if the project must be checked out.
        folder: name of the checkout below the folder of the peers.
        path: folder of the module in the checkout.
    """

    name: str
    module: str
    build: Build
    source: str
    package: str | None = None
    folder: str = ""
    path: str = "."

    @property
    def how(self) -> str:
        """The command that installs it or checks it out."""
        return f"pip install {self.package}" if self.package else f"git clone {self.source} PEERS/{self.folder}"

    def load(self, peers: Path | None) -> ModuleType:
        """Import the module, from the checkout if there is one.

        Raises:
            PeerError: the project is missing, or its import fails.
        """
        place = None if peers is None or not self.folder else peers / self.folder / self.path
        found = place is not None and place.is_dir()
        if not found and (self.package is None or not _installed(self.module)):
            raise PeerError(f"{self.name} is not here: {self.how}")
        known = (self.module, place if found else None)
        if known in _LOADED:
            return _LOADED[known]
        try:
            with _alone(self.module.split(".")[0], place if found else None, f"peers:{self.name}"):
                _LOADED[known] = importlib.import_module(self.module)
            return _LOADED[known]
        except (ImportError, SyntaxError, OSError, RuntimeError, AttributeError) as error:
            raise PeerError(f"{self.name} cannot be imported: {type(error).__name__}: {error}") from error

    def version(self, peers: Path | None) -> str:
        """Return its version on PyPI or the commit of its checkout; "unknown" if neither is known."""
        if peers is not None and (checkout := peers / self.folder).is_dir() and self.folder:
            marker = checkout / "COMMIT"
            if marker.is_file():
                return marker.read_text(encoding="utf-8").strip()[:12]
            command = ["git", "-C", str(checkout), "log", "-1", "--format=%H", "--", "."]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.stdout.strip()[:12] or "unknown"
        try:
            return importlib.metadata.version(self.package or self.name)
        except importlib.metadata.PackageNotFoundError:
            return "unknown"


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module.split(".")[0]) is not None


_LOADED: dict[tuple[str, Path | None], ModuleType] = {}
"""Imported modules, by name and folder."""


@contextmanager
def _alone(package: str, place: Path | None, prefix: str) -> Iterator[None]:
    """Let a package name refer to one project during its import, because several use the name `kan` or `fasterkan`.

    After the import, the names of its modules begin with `prefix`. torch.compile finds their globals by these names.
    """
    hidden = {n: sys.modules.pop(n) for n in list(sys.modules) if n.split(".")[0] == package}
    if place is not None:
        sys.path.insert(0, str(place))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if place is not None:
            sys.path.remove(str(place))
        for name in [n for n in sys.modules if n.split(".")[0] == package]:
            module = sys.modules.pop(name)
            module.__name__ = f"{prefix}.{name}"
            sys.modules[module.__name__] = module
        sys.modules.update(hidden)


def _cheby(module: Any, widths: Sequence[int], functions: int) -> nn.Module:
    parts: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        parts += [nn.LayerNorm(inputs)] if i else []
        parts.append(module.ChebyKANLayer(inputs, outputs, functions - 1))
    return nn.Sequential(*parts)


class _Columns(nn.Module):
    """Adapt a network that takes and returns [N, I, 1] to rows [N, I]."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x.unsqueeze(-1))
        return y.squeeze(-1)


def _layers(layer: Callable[[int, int], nn.Module], widths: Sequence[int]) -> nn.Module:
    return nn.Sequential(*(layer(i, o) for i, o in itertools.pairwise(widths)))


def _pykan(module: Any, widths: Sequence[int], functions: int) -> nn.Module:
    model: nn.Module = module.KAN(list(widths), grid=functions - 3, k=3, auto_save=False, seed=0)
    model.speed()  # type: ignore[operator]
    return model


_GITHUB = "https://github.com/"
PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "faster-kan",
            "fasterkan.fasterkan",
            lambda m, w, k: m.FasterKAN(list(w), num_grids=k),
            _GITHUB + "AthanasiosDelis/faster-kan",
            folder="faster-kan",
        ),
        Peer(
            "fast-kan",
            "fastkan",
            lambda m, w, k: m.FastKAN(list(w), num_grids=k),
            _GITHUB + "ZiyaoLi/fast-kan",
            folder="fast-kan",
        ),
        Peer(
            "efficient-kan",
            "efficient_kan",
            lambda m, w, k: m.KAN(list(w), grid_size=k - 3, spline_order=3),
            _GITHUB + "Blealtan/efficient-kan",
            folder="efficient-kan",
            path="src",
        ),
        Peer("pykan", "kan", _pykan, _GITHUB + "KindXiaoming/pykan", package="pykan", folder="pykan"),
        Peer("ChebyKAN", "ChebyKANLayer", _cheby, _GITHUB + "SynodicMonth/ChebyKAN", folder="ChebyKAN"),
        Peer(
            "torchkan KAL-Net",
            "KALnet",
            lambda m, w, k: m.KAL_Net(list(w), polynomial_order=k - 1),
            _GITHUB + "1ssb/torchkan",
            folder="torchkan",
        ),
        Peer(
            "Wav-KAN",
            "KAN",
            lambda m, w, k: m.KAN(list(w), wavelet_type="mexican_hat"),
            _GITHUB + "zavareh1/Wav-KAN",
            folder="Wav-KAN",
        ),
        Peer(
            "FourierKAN",
            "fftKAN",
            lambda m, w, k: _layers(lambda i, o: m.NaiveFourierKANLayer(i, o, k // 2), w),
            _GITHUB + "GistNoesis/FourierKAN",
            folder="FourierKAN",
        ),
        Peer(
            "ReLU-KAN",
            "torch_relu_kan",
            lambda m, w, k: _Columns(m.ReLUKAN(list(w), k - 3, 3)),
            _GITHUB + "quiqi/relu_kan",
            folder="relu_kan",
        ),
        Peer(
            "RBF-KAN",
            "Fast_RBF_KAN",
            lambda m, w, k: m.RBFKAN(list(w), num_grids=k),
            _GITHUB + "sidhu2690/RBF-KAN",
            folder="RBF-KAN",
        ),
        Peer(
            "inkan",
            "inkan",
            lambda m, w, k: m.KANNetwork(list(w), grid_size=k - 3),
            _GITHUB + "NAVEENMN/inkan",
            package="inkan",
        ),
        Peer(
            "flashkan",
            "flashkan",
            lambda m, w, k: m.KANNetwork(list(w), grid_size=k - 3),
            _GITHUB + "NAVEENMN/flashkan",
            package="flashkan",
        ),
        Peer(
            "kanditioned",
            "KANditioned.kan_layer",
            lambda m, w, k: _layers(
                lambda i, o: m.KANLayer(i, o, init="random_normal", num_control_points=k, impl="embedding_bag"), w
            ),
            _GITHUB + "cats-marin/KANditioned",
            package="kanditioned",
        ),
        Peer(
            "kanx",
            "kanx.torch",
            lambda m, w, k: m.KAN(list(w), grid_size=k - 3),
            _GITHUB + "Mattral/KANX",
            package="kanx",
        ),
    )
}
"""The peers by name."""
