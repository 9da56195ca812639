"""FasterKAN: the original's model with the original's signature, every argument effective."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from .._check import positive_number
from ..bases import RSWAF
from ..nn import LayerNorm
from ..nn.base_branch import Base, base_name
from .kan import KAN


class FasterKAN(KAN):
    """The network of the FasterKAN project: LayerNorm, RSWAF basis and one bias-free matrix product a layer.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs].
        grid_min, grid_max: first and last centre of the grid, in units of the normalised input.
        num_grids: centres K.
        exponent: p in 1 - |tanh((z - u) / h)|^p.
        inv_denominator: 1/h, or "auto". The default 1.0 is what the original computes whatever it is told; its own
            default 0.5, taken at its word, costs accuracy.
        train_grid, train_inv_denominator: learn the centres, 1/h.
        base_activation: None, or the base branch's activation (a name such as "silu", or a callable) on the layer's
            input.
        spline_weight_init_scale: factor of the Xavier-uniform weights.
        norm_gain: initial gain of the LayerNorms; the original's is 1. "auto" is the gain at which gradients keep
            their size, which `inv_denominator="auto"` needs.
        device, dtype, generator: as in `KANLinear`.

    Shapes: x [..., layers_hidden[0]] -> y [..., layers_hidden[-1]].

    Raises:
        TypeError, ValueError: an argument outside its domain; a width of 1 in front of a layer, which LayerNorm turns
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
        self.spline_weight_init_scale = positive_number(
            "FasterKAN", "spline_weight_init_scale", spline_weight_init_scale
        )
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
            layer.xavier_gain = self.spline_weight_init_scale
            layer.reset_parameters(generator)

    def to_config(self) -> dict[str, Any]:
        basis = self.basis
        assert isinstance(basis, RSWAF)
        assert isinstance(self.norm, LayerNorm)
        return {
            "layers_hidden": list(self.layers_hidden),
            "grid_min": basis.grid_range[0],
            "grid_max": basis.grid_range[1],
            "num_grids": basis.num_grids,
            "exponent": basis.exponent,
            "inv_denominator": basis.inv_denominator,
            "train_grid": basis.train_grid,
            "train_inv_denominator": basis.train_inv_denominator,
            "base_activation": base_name(self.base),
            "spline_weight_init_scale": self.spline_weight_init_scale,
            "norm_gain": self.norm.gain,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], **factory: Any) -> FasterKAN:
        return cls(**config, **factory)
