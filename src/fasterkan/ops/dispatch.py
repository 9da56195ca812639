"""Which way to compute the one operation: a pure choice with its reason, and the call that follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor

from ..bases import Basis, Params
from .edges import kan_linear_edges
from .recompute import kan_linear_recompute
from .reference import kan_linear_reference
from .situation import Situation

Path = Literal["auto", "reference", "recompute", "edges"]
_CALLS: dict[str, Callable[..., Tensor]] = {
    "reference": kan_linear_reference,
    "recompute": kan_linear_recompute,
    "edges": kan_linear_edges,
}


def choose(
    requested: Path, situation: Situation, device: str = "cpu", *, per_edge: bool = False
) -> tuple[Literal["reference", "recompute", "edges"], str]:
    """Return (path, reason) for a call.

    Args:
        requested: "auto", or one path by name.
        situation: who is looking at the call.
        device: the type of the device.
        per_edge: the basis has tensors for each edge, as `Basis.per_edge` says.

    Raises:
        ValueError: the requested path is unknown.
        RuntimeError: the requested path cannot serve this situation; nothing is replaced silently.
    """
    if requested not in get_args(Path):
        raise ValueError(f"path must be one of {', '.join(map(repr, get_args(Path)))}, got {requested!r}")
    obstacle = (
        "the formula is traced by torch.compile, export or jit.trace"
        if situation.compiling
        else "a torch.func transform differentiates the formula itself"
        if situation.transformed
        else "forward-mode derivatives follow the formula itself"
        if situation.dual
        else None
    )
    lean: Literal["recompute", "edges"] = "edges" if per_edge else "recompute"
    if requested in ("recompute", "edges"):
        if requested != lean:
            obstacle = f"the basis has tensors for {'each edge' if per_edge else 'all outputs in common'}"
            raise RuntimeError(f'path="{requested}" is impossible here: {obstacle}; use path="auto" or "{lean}"')
        if obstacle:
            raise RuntimeError(f'path="{lean}" is impossible here: {obstacle}; use path="auto" or "reference"')
        return lean, "requested"
    if requested == "reference":
        return "reference", "requested"
    if obstacle:
        return "reference", obstacle
    if device not in ("cpu", "cuda", "meta"):
        return "reference", f"{device} takes the formula"
    return lean, f"eager: the basis is rebuilt{', tile by tile of rows and outputs' if per_edge else ''}, not kept"


def kan_linear(
    z: Tensor, weight: Tensor, bias: Tensor | None, basis: Basis, params: Params, *, path: Path = "auto"
) -> Tensor:
    """Return y[..., o] = sum_ik weight[o, i, k] phi_k(z[..., i]) + bias[o], phi_oik where `basis.per_edge`.

    Args:
        z: normalised input [..., I], float32 or float64, any leading shape.
        weight: [O, I, K].
        bias: [O] or None.
        basis: the family of functions phi_k.
        params: its tensors by name, as `basis.init` makes them.
        path: "auto", or one path by name; an impossible one raises.

    Returns:
        y [..., O] in weight's dtype, or autocast's.

    Raises:
        ValueError, RuntimeError: as `choose`.
    """
    tensors = [t for t in (z, weight, bias, *params.values()) if t is not None]
    chosen, _ = choose(path, Situation.of(*tensors), z.device.type, per_edge=basis.per_edge)
    return _CALLS[chosen](z, weight, bias, basis, params)
