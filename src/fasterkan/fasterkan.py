"""The models under the import path of the original, for its scripts: `from fasterkan.fasterkan import FasterKAN`.

They are the models of this package, so every argument has an effect. The original ignored `inv_denominator`. If a
script passes `inv_denominator=0.5`, remove this argument to get the function of the original.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor

from ._check import positive_number
from .bases import RSWAF
from .models import FasterKAN, FasterKANvolver
from .models._namesake import IMPORT, check_own
from .nn import KANLinear, LayerNorm
from .nn.base_branch import Base

__all__ = ["FasterKAN", "FasterKANLayer", "FasterKANvolver"]

_BASIS = "fk.RSWAF(...) describes these functions, fk.KANLinear(in_features, out_features, fk.RSWAF()) has them"
_FEATURES = "fk.FasterKANvolver(...).features is the whole feature extractor"
_INSTEAD = {
    "RSWAFFunction": _BASIS,
    "ReflectionalSwitchFunction": _BASIS,
    "SplineLinear": "fk.KANLinear has these numbers as its weight, [out_features, in_features, num_grids]",
    "EnhancedFeatureExtractor": _FEATURES,
    "BasicResBlock": _FEATURES,
    "SEBlock": _FEATURES,
    "DepthwiseSeparableConv": _FEATURES,
    "SelfAttention": _FEATURES,
}


class FasterKANLayer(KANLinear):
    """One layer of a FasterKAN with the signature of the original: LayerNorm, RSWAF basis, matrix product without bias.

    Args:
        input_dim: I.
        output_dim: O.
        grid_min, grid_max: first and last centre of the grid, in units of the normalised input.
        num_grids: centres K.
        exponent, inv_denominator, train_grid, train_inv_denominator, base_activation, spline_weight_init_scale: as in
            `FasterKAN`, with the same defaults. The layer of the original ignores inv_denominator, base_activation and
            spline_weight_init_scale; it computes the same as the defaults here.
        device, dtype, generator: as in `KANLinear`.

    Shapes: x [..., input_dim] -> y [..., output_dim].

    Raises:
        TypeError, ValueError: an argument lies outside its domain.

    Source: A. Delis, FasterKAN (2024).

    Example:
        >>> FasterKANLayer(64, 10)(torch.rand(5, 64)).shape
        torch.Size([5, 10])
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        grid_min: float = -1.2,
        grid_max: float = 0.2,
        num_grids: int = 8,
        exponent: float = 2,
        inv_denominator: float | Literal["auto"] = 1.0,
        train_grid: bool = False,
        train_inv_denominator: bool = False,
        base_activation: Base | Callable[[Tensor], Tensor] = None,
        spline_weight_init_scale: float = 1.0,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        gain = positive_number("FasterKANLayer", "spline_weight_init_scale", spline_weight_init_scale)
        super().__init__(
            input_dim,
            output_dim,
            RSWAF(
                num_grids=num_grids,
                grid_range=(grid_min, grid_max),
                inv_denominator=inv_denominator,
                exponent=exponent,
                train_grid=train_grid,
                train_inv_denominator=train_inv_denominator,
            ),
            norm=LayerNorm(gain=1.0),
            base=base_activation,
            bias=False,
            device=device,
            dtype=dtype,
            generator=generator,
        )
        self.xavier_gain = gain
        self.reset_parameters(generator)

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_own("FasterKANLayer", state, "in_features")
        super().__setstate__(state)


def __getattr__(name: str) -> NoReturn:
    if name in _INSTEAD:  # `from ... import` would replace the message of an AttributeError
        raise ImportError(
            f"fasterkan has no {name}, only the original FasterKAN has. In a script: {_INSTEAD[name]}. For a pickled "
            f"model: {IMPORT}"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
