"""KAN: a stack of KANLinear layers of one kind."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._check import whole_number
from ..bases import RSWAF, Basis, basis_from_config
from ..nn import Calibratable, KANLinear, LayerNorm, Norm, RMSNorm, norm_from_config, norm_to_config, resolve_norm
from ..nn.base_branch import Base, base_name
from ..nn.norm import NormDescription
from .pretrained import Pretrained


class KAN(Calibratable, Pretrained):
    """A Kolmogorov-Arnold network: KANLinear layers with one basis, norm and base branch, one after the other.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs], at least two.
        basis: the functions on the edges; default RSWAF().
        norm: of every layer, as in `KANLinear` ("layer", "rms", "feature", None or a description). A module serves
            one layer only, so it is refused here when there are several.
        base: base branch of every layer, as in `KANLinear`.
        bias: add a bias in every layer.
        first_affine: False leaves the first layer's LayerNorm or RMSNorm without learned gain and bias: its backward
            is one matrix product cheaper, since nothing but them needs the gradient of the network's input.
        device, dtype, generator: as in `KANLinear`.

    Shapes: x [..., layers_hidden[0]] -> y [..., layers_hidden[-1]].

    Raises:
        TypeError, ValueError: widths, norm or base that cannot be used.

    Source: Liu et al., KAN (arXiv 2404.19756).

    Example:
        >>> KAN([784, 256, 10], first_affine=False)(torch.randn(64, 784)).shape
        torch.Size([64, 10])
    """

    norm: NormDescription | nn.Module | None
    base: Base
    bias: bool
    basis: Basis

    def __init__(
        self,
        layers_hidden: Sequence[int],
        basis: Basis | None = None,
        *,
        norm: Norm = "layer",
        base: Base = None,
        bias: bool = True,
        first_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = check_widths(type(self).__name__, layers_hidden)
        norms = [resolve_norm(norm)] * (len(widths) - 1)
        if isinstance(norms[0], nn.Module) and len(norms) > 1:
            raise ValueError(
                f"{type(self).__name__}: norm is one module, there are {len(norms)} layers; give a description such as "
                "fk.LayerNorm(affine=False), from which each layer makes its own"
            )
        if not first_affine and isinstance(norms[0], LayerNorm | RMSNorm):
            norms[0] = dataclasses.replace(norms[0], affine=False)
        self.layers_hidden, self.first_affine = widths, first_affine
        self.basis = RSWAF() if basis is None else basis
        # Not as attributes: a module would be registered a second time here.
        self.__dict__.update(norm=resolve_norm(norm), base=base, bias=bias)
        self.layers = nn.ModuleList(
            KANLinear(
                inputs,
                outputs,
                self.basis,
                norm=layer_norm,
                base=copy.deepcopy(base),  # a module with parameters, PReLU say, is each layer's own
                bias=bias,
                device=device,
                dtype=dtype,
                generator=generator,
            )
            for inputs, outputs, layer_norm in zip(widths, widths[1:], norms, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x

    def fold(self) -> None:
        super().fold()
        self.__dict__.update(norm=None, basis=self.kan_layers()[0].basis)

    def kan_layers(self) -> list[KANLinear]:
        """Return the layers in order."""
        return [layer for layer in self.layers if isinstance(layer, KANLinear)]

    def to_config(self) -> dict[str, Any]:
        return {
            "layers_hidden": list(self.layers_hidden),
            "basis": self.basis.to_config(),
            "norm": norm_to_config(self.norm),
            "base": base_name(self.base),
            "bias": self.bias,
            "first_affine": self.first_affine,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], **factory: Any) -> KAN:
        fields = dict(config)
        basis = basis_from_config(fields.pop("basis"))
        return cls(basis=basis, norm=norm_from_config(fields.pop("norm")), **fields, **factory)


def check_widths(owner: str, layers_hidden: object) -> tuple[int, ...]:
    """Return the widths as ints, two or more, each at least 1.

    Raises:
        TypeError, ValueError: no sequence of whole numbers, or too few of them.
    """
    if not isinstance(layers_hidden, list | tuple):
        raise TypeError(
            f"{owner}: layers_hidden must be a list of widths such as [784, 256, 10], got {layers_hidden!r}"
        )
    if len(layers_hidden) < 2:
        raise ValueError(f"{owner}: layers_hidden needs inputs and outputs, [784, 256, 10] say; got {layers_hidden}")
    return tuple(whole_number(owner, f"layers_hidden[{i}]", w, 1) for i, w in enumerate(layers_hidden))
