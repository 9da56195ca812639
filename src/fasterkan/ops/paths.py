"""The paths that compute a layer or a convolution: the name of each, what it refuses and why, and how it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor

from .call import ConvCall, LinearCall
from .conv_recompute import kan_conv_recompute
from .conv_reference import kan_conv_reference
from .edges import kan_linear_edges
from .recompute import kan_linear_recompute
from .reference import kan_linear_reference
from .situation import PLAIN
from .triton import kan_linear_kernels, kernels_on_request, kernels_refuse

Call = TypeVar("Call")


def _never(call: object) -> str | None:
    return None


@dataclasses.dataclass(frozen=True)
class Path(Generic[Call]):
    """One way to compute a call."""

    name: str
    """Selects the path: `layer.path = name`."""
    why: str
    """The reason that is given when the path is chosen."""
    refuses: Callable[[Call], str | None]
    """Returns the reason why the path cannot compute a call, or None if it can."""
    run: Callable[[Call], Tensor]
    """Computes the call."""
    avoids: Callable[[Call], str | None] = _never
    """Returns the reason why "auto" passes over the path although it can compute a call, or None."""


def _lean_refuses(call: LinearCall | ConvCall) -> str | None:
    """The reason why no lean path can compute a call, or None."""
    if call.situation is not PLAIN and (obstacle := call.situation.obstacle):
        return obstacle
    kind = call.x.device.type
    return None if kind in ("cpu", "cuda", "meta") else f"on {kind} the formula is used"


def _recompute_refuses(call: LinearCall) -> str | None:
    return _lean_refuses(call) or ("the basis has tensors for each edge" if call.basis.per_edge else None)


def _edges_refuses(call: LinearCall) -> str | None:
    return _lean_refuses(call) or (None if call.basis.per_edge else "the basis has tensors that all outputs share")


def _recompute(call: LinearCall) -> Tensor:
    z, params = call.normalised()
    return kan_linear_recompute(z, call.weight, call.bias, call.basis, params)


def _edges(call: LinearCall) -> Tensor:
    z, params = call.normalised()
    return kan_linear_edges(z, call.weight, call.bias, call.basis, params)


def _reference(call: LinearCall) -> Tensor:
    z, params = call.normalised()
    return kan_linear_reference(z, call.weight, call.bias, call.basis, params)


def _conv_recompute(call: ConvCall) -> Tensor:
    z, params = call.normalised()
    return kan_conv_recompute(z, call.weight, call.bias, call.basis, params, call.geometry)


def _conv_reference(call: ConvCall) -> Tensor:
    z, params = call.normalised()
    return kan_conv_reference(z, call.weight, call.bias, call.basis, params, call.geometry)


_REBUILT = "eager: the basis is rebuilt, not kept"
_FORMULA = "the formula in plain torch, which can be traced and transformed"

LINEAR_PATHS: tuple[Path[LinearCall], ...] = (
    Path(
        "triton",
        "eager on a CUDA device: norm and basis are one kernel",
        kernels_refuse,
        kan_linear_kernels,
        kernels_on_request,
    ),
    Path("recompute", _REBUILT, _recompute_refuses, _recompute),
    Path("edges", "eager: the basis is rebuilt, tile by tile of rows and outputs, not kept", _edges_refuses, _edges),
    Path("reference", _FORMULA, _never, _reference),
)
"""The paths of linear layers, the best first; the last one takes every call."""

CONV_PATHS: tuple[Path[ConvCall], ...] = (
    Path("recompute", _REBUILT, _lean_refuses, _conv_recompute),
    Path("reference", _FORMULA, _never, _conv_reference),
)
"""The paths of convolutions, the best first; the last one takes every call."""
