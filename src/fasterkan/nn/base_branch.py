"""The base branch of an edge: a fixed activation of one input, with one learned weight per edge."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import Situation, at_least_float32

Base = str | Callable[[Tensor], Tensor] | None
BaseInput = Literal["x", "scaled", "z"]


class BaseScaling(nn.Module):
    """(x - m) / d with the mean m and the deviation d of each feature: the input of a base branch on columns of data.

    The buffers are `center` m and `scale` 1 / d, [I]. They are 0 and 1 until the layer's feature norm is set for the
    first time. They do not change when the norm moves later, so that the branch stays the same function of x. To set
    them anew, reset the norm (`layer.norm.reset_parameters()`) and calibrate again.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self, in_features: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("center", torch.empty(in_features, device=device, dtype=dtype))
        self.register_buffer("scale", torch.empty(in_features, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset to m = 0 and d = 1."""
        nn.init.zeros_(self.center)
        nn.init.ones_(self.scale)

    @torch.no_grad()
    def set_to(self, center: Tensor, scale: Tensor) -> None:
        """Set m and 1 / d, each [I]."""
        self.center.copy_(center)
        self.scale.copy_(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled x [..., I], in its dtype; it is computed in float32 or float64."""
        exact = at_least_float32(x)
        return ((exact - self.center.to(exact.dtype)) * self.scale.to(exact.dtype)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"in_features={self.center.numel()}"


def check_base_input(owner: str, base_input: BaseInput | None, base: Base, *, feature_norm: bool) -> BaseInput:
    """Return the input of a base branch; None means "scaled" beside a feature norm, else "x".

    Raises:
        ValueError: there is no such input.
    """
    if base_input is None:
        return "scaled" if feature_norm and base is not None else "x"
    if base_input not in get_args(BaseInput):
        raise ValueError(f'{owner}: base_input must be "x", "scaled" or "z", got {base_input!r}')
    return base_input


def _identity(x: Tensor) -> Tensor:
    return x


def silu(x: Tensor) -> Tensor:
    """x sigmoid(x): torch's kernel, or the formula under transforms and in forward mode, which the kernel lacks."""
    situation = Situation.of(x)
    return x * torch.sigmoid(x) if situation.transformed or situation.dual else F.silu(x)


BASES: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": silu,
    "gelu": F.gelu,
    "relu": F.relu,
    "tanh": torch.tanh,
    "identity": _identity,
}
_MODULES: dict[str, nn.Module] = {
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "relu": nn.ReLU(),
    "tanh": nn.Tanh(),
    "identity": nn.Identity(),
}


def resolve_base(base: Base) -> Callable[[Tensor], Tensor] | None:
    """Return the callable that `base` names; callables and None are returned as they are.

    Raises:
        TypeError, ValueError: `base` is neither a known name nor a callable.
    """
    if isinstance(base, str):
        if base not in BASES:
            raise ValueError(f"base must be None, a callable or one of {', '.join(BASES)}; got {base!r}")
        return BASES[base]
    if base is F.silu:
        return silu
    if inspect.isclass(base) or not (base is None or callable(base)):
        raise TypeError(f"base must be None, a callable or one of {', '.join(BASES)}; got {base!r}")
    return base


def base_name(base: Base) -> str | None:
    """Return the name under which `resolve_base` finds this branch again.

    Raises:
        ValueError: the callable has no name here, so it cannot be written into a configuration.
    """
    found = named_base(base)
    if found is None or isinstance(found, str):
        return found
    raise ValueError(f"base {base!r} has no name: only None and {', '.join(BASES)} can be saved")


def named_base(base: Base) -> Base:
    """Return the name of a branch if it has one; other callables and None are returned as they are."""
    if base is None or isinstance(base, str):
        return base
    for name, function in BASES.items():
        if resolve_base(base) is function:
            return name
    for name, module in _MODULES.items():
        if type(base) is type(module) and repr(base) == repr(module):  # with other arguments it is another function
            return name
    return base
