"""A norm as numbers: what a path needs to compute z = norm(x) itself instead of calling the norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from torch import Tensor, nn

from .._torch import has_hooks
from .precision import at_least_float32
from .row_norms import row_norm


class NormForm(NamedTuple):
    """z = gain (x - m) / sqrt(mean((x - m)^2) + eps) + shift for "layer" and "rms", gain (x - shift) for "feature".

    For "layer" m is the mean of the row, for "rms" it is 0.
    """

    kind: Literal["layer", "rms", "feature"]
    gain: Tensor
    """[I]."""
    shift: Tensor | None
    """[I]; None is 0."""
    eps: float = 0.0

    def apply(self, x: Tensor) -> Tensor:
        """Return z [..., I] in plain torch, float32 or more."""
        x = at_least_float32(x)
        gain, shift = self.gain.to(x.dtype), None if self.shift is None else self.shift.to(x.dtype)
        if self.kind != "feature":
            return row_norm(x, gain, shift, self.eps, center=self.kind == "layer")
        return (x if shift is None else x - shift) * gain


class HasForm(Protocol):
    """A norm that can be written as numbers."""

    def norm_form(self) -> NormForm | str:
        """Return the norm as numbers, or the reason why it cannot be written so."""

    def check_ready(self, x: Tensor) -> None:
        """Raise the error that a call with x [..., I] would raise, because the norm has no numbers yet."""


def form_of(norm: Callable[[Tensor], Tensor] | None) -> NormForm | str | None:
    """Return the form of a norm, None without a norm, or the reason why there is none."""
    if norm is None:
        return None
    known = getattr(norm, "norm_form", None)
    if known is None:
        return f"the norm {type(norm).__name__} is known only by its calls"
    if isinstance(norm, nn.Module) and has_hooks(norm):
        return "hooks of the norm wait for a call of it"
    return known()
