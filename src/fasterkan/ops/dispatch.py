"""Which way to compute the one operation: a pure choice with its reason, and the call that follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor

from ..bases import Basis, Params
from .recompute import kan_linear_recompute
from .reference import kan_linear_reference
from .situation import Situation

Path = Literal["auto", "reference", "recompute"]
_CALLS: dict[str, Callable[..., Tensor]] = {"reference": kan_linear_reference, "recompute": kan_linear_recompute}


def choose(requested: Path, situation: Situation, device: str = "cpu") -> tuple[Literal["reference", "recompute"], str]:
    """Return (path, reason) for a call on a device of this type.

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
    if requested == "recompute" and obstacle:
        raise RuntimeError(f'path="recompute" is impossible here: {obstacle}; use path="auto" or "reference"')
    if requested == "reference":
        return "reference", "requested"
    if requested == "recompute":
        return "recompute", "requested"
    if obstacle:
        return "reference", obstacle
    if device not in ("cpu", "cuda", "meta"):
        return "reference", f"{device} takes the formula"
    return "recompute", "eager: the basis is rebuilt, not kept"


def kan_linear(
    z: Tensor, weight: Tensor, bias: Tensor | None, basis: Basis, params: Params, *, path: Path = "auto"
) -> Tensor:
    """Return y[..., o] = sum_ik weight[o, i, k] phi_k(z[..., i]) + bias[o].

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
    chosen, _ = choose(path, Situation.of(*tensors), z.device.type)
    return _CALLS[chosen](z, weight, bias, basis, params)
