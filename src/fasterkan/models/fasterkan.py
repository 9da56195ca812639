"""FasterKAN: the model of the original with its signature; every argument has an effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from .._check import positive_number
from ..bases import RSWAF
from ..nn import LayerNorm, LayerSpec
from ..nn.base_branch import Base
from ._namesake import check_own
from .kan import KAN

F = TypeVar("F", bound="FasterKAN")


class FasterKAN(KAN):
    """The network of the FasterKAN project: each layer has LayerNorm, the RSWAF basis and a bias-free product.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs].
        grid_min, grid_max: first and last centre of the grid, in units of the normalised input.
        num_grids: centres K.
        exponent: p in 1 - |tanh((z - u) / h)|^p.
        inv_denominator: 1/h, or "auto". The original ignores this argument and always uses 1.0, which is the default
            here. Its documented default, 0.5, gives a lower accuracy.
        train_grid, train_inv_denominator: whether to learn the centres, and 1/h.
        base_activation: None, or the activation of the base branch (a name such as "silu", or a callable), which acts
            on the layer's input.
        spline_weight_init_scale: factor of the Xavier-uniform weights.
        norm_gain: initial gain of the LayerNorms; in the original it is 1. With "auto", gradients keep their size;
            `inv_denominator="auto"` needs this.
        device, dtype, generator: as in `KANLinear`.

    Shapes: x [..., layers_hidden[0]] -> y [..., layers_hidden[-1]].

    Raises:
        TypeError, ValueError: an argument lies outside its domain, or a layer has one input only, which LayerNorm turns
            into a constant (use `KAN(..., norm="feature")`).

    Source: A. Delis, FasterKAN (2024).

    Example:
        >>> sum(p.numel() for p in FasterKAN([784, 256, 10], num_grids=4).parameters())
        815136
    """

    def __init__(
        self,
        layers_hidden: Sequence[int],
        grid_min: float = -1.2,
        grid_max: float = 1.2,
        num_grids: int = 8,
        exponent: float = 2,
        inv_denominator: float | Literal["auto"] = 1.0,
        train_grid: bool = False,
        train_inv_denominator: bool = False,
        base_activation: Base | Callable[[Tensor], Tensor] = None,
        spline_weight_init_scale: float = 1.0,
        *,
        norm_gain: float | Literal["auto"] = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        gain = positive_number("FasterKAN", "spline_weight_init_scale", spline_weight_init_scale)
        basis = RSWAF(
            num_grids=num_grids,
            grid_range=(grid_min, grid_max),
            inv_denominator=inv_denominator,
            exponent=exponent,
            train_grid=train_grid,
            train_inv_denominator=train_inv_denominator,
        )
        super().__init__(
            layers_hidden,
            basis,
            norm=LayerNorm(gain=norm_gain),
            base=base_activation,
            bias=False,
            device=device,
            dtype=dtype,
            generator=generator,
        )
        for layer in self.kan_layers():
            layer.xavier_gain = gain
            layer.reset_parameters(generator)

    @property
    def spline_weight_init_scale(self) -> float | None:
        """The factor of the Xavier-uniform weights that `reset_parameters` draws."""
        return self.kan_layers()[0].xavier_gain

    @classmethod
    def from_specs(cls: type[F], specs: Sequence[LayerSpec], **factory: Any) -> F:
        for n, spec in enumerate(specs):
            if not (isinstance(spec.basis, RSWAF) and isinstance(spec.norm, LayerNorm)) or spec.bias:
                raise ValueError(
                    f"{cls.__name__}: its layers have the basis RSWAF, LayerNorm and no bias; layer {n} has "
                    f"{spec.basis}, {spec.norm}, bias={spec.bias}"
                )
        return super().from_specs(specs, **factory)

    @classmethod
    def _plain_arguments(cls, specs: Sequence[LayerSpec]) -> dict[str, Any]:
        return {"layers_hidden": [specs[0].in_features, *(spec.out_features for spec in specs)]}

    @classmethod
    def from_format_1(
        cls, config: Mapping[str, Any], state: dict[str, Tensor]
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return cls(**config, device="meta").to_config(), state

    def __setstate__(self, state: dict[str, Any]) -> None:
        layers = state.get("_modules", {}).get("layers", ())
        check_own("FasterKAN", {type(layer).__name__: layer for layer in layers}, "KANLinear")
        super().__setstate__(state)
