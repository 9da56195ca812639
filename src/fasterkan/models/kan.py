"""KAN: a stack of KANLinear layers of one kind."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._check import whole_number
from ..bases import RSWAF, Basis, basis_from_config
from ..nn import (
    Calibratable,
    FeatureNorm,
    GridCare,
    KANLinear,
    LayerNorm,
    Norm,
    RMSNorm,
    norm_from_config,
    norm_to_config,
    resolve_norm,
)
from ..nn.base_branch import Base, base_name
from ..nn.norm import NormDescription
from .pretrained import Pretrained


class KAN(Calibratable, GridCare, Pretrained):
    """A Kolmogorov-Arnold network: KANLinear layers with one basis, norm and base branch, one after the other.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs], at least two.
        basis: the functions on the edges; default RSWAF().
        norm: of every layer, as in `KANLinear` ("layer", "rms", "feature", None or a description), or a list with one
            for each layer. A module serves one layer only, so it is refused here when there are several.
        base: base branch of every layer, as in `KANLinear`.
        bias: add a bias in every layer.
        after: what follows every layer, the last one included, as in `KANLinear`.
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

    norm: NormDescription | nn.Module | list[NormDescription | nn.Module | None] | None
    base: Base
    bias: bool
    after: str | None
    basis: Basis
    kept_inputs: Tensor | None
    """Which columns of x the first layer takes, [I'], after `fk.prune` removed others; else None: all of them."""
    edges: ClassVar[Callable[..., list[Any]]]
    """`net.edges(X)` is `fasterkan.edges(net, X)`; `fasterkan.interpret` puts it here."""

    def __init__(
        self,
        layers_hidden: Sequence[int],
        basis: Basis | None = None,
        *,
        norm: Norm | Sequence[Norm] = "layer",
        base: Base = None,
        bias: bool = True,
        after: str | None = None,
        first_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = check_widths(type(self).__name__, layers_hidden)
        norms = _one_each(type(self).__name__, norm, len(widths) - 1)
        # Not as attributes: a module would be registered a second time here.
        several = isinstance(norm, Sequence) and not isinstance(norm, str)
        self.__dict__.update(norm=list(norms) if several else norms[0], base=base, bias=bias)
        if not first_affine and isinstance(norms[0], LayerNorm | RMSNorm):
            norms[0] = dataclasses.replace(norms[0], affine=False)
        self.layers_hidden, self.first_affine = widths, first_affine
        self.basis, self.after = RSWAF() if basis is None else basis, after
        self.register_buffer("kept_inputs", None)
        self.layers = nn.ModuleList(
            KANLinear(
                inputs,
                outputs,
                self.basis,
                norm=layer_norm,
                base=copy.deepcopy(base),  # a module with parameters, PReLU say, is each layer's own
                bias=bias,
                after=after,
                device=device,
                dtype=dtype,
                generator=generator,
            )
            for inputs, outputs, layer_norm in zip(widths, widths[1:], norms, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.kept_inputs is not None:
            x = x[..., self.kept_inputs]
        for layer in self.layers:
            x = layer(x)
        return x

    def fold(self) -> None:
        super().fold()
        left = [None if isinstance(n, FeatureNorm) else n for n in self.norm] if isinstance(self.norm, list) else None
        self.__dict__.update(norm=left, basis=self.kan_layers()[0].basis)

    def update_grid(self, x: Tensor, mix: float = 0.02, margin: float = 0.01) -> float:
        error = super().update_grid(x, mix, margin)
        self.basis = self.kan_layers()[0].basis
        return error

    def refine(self, num: int) -> float:
        error = super().refine(num)
        self.basis = self.kan_layers()[0].basis
        return error

    def kan_layers(self) -> list[KANLinear]:
        """Return the layers in order."""
        return [layer for layer in self.layers if isinstance(layer, KANLinear)]

    def take_inputs(self, columns: Tensor, width: int) -> None:
        """Let the first layer see some columns of x only; x then has `width` of them, as `layers_hidden[0]` says.

        Args:
            columns: their numbers in increasing order, as many as the first layer has in_features, whole numbers.
            width: how many columns x has.

        Raises:
            ValueError: numbers that do not increase within 0 ... width - 1, or too many or too few of them.
        """
        found = columns.tolist()
        if found != sorted({c for c in found if 0 <= c < width}) or len(found) != self.kan_layers()[0].in_features:
            raise ValueError(
                f"{type(self).__name__}.take_inputs: columns must be {self.kan_layers()[0].in_features} increasing "
                f"numbers within 0 ... {width - 1}, got {found[:10]}"
            )
        self.kept_inputs = columns.to(self.kan_layers()[0].weight.device, torch.int64, copy=True)
        self.layers_hidden = (width, *self.layers_hidden[1:])

    def to_config(self) -> dict[str, Any]:
        kept = {} if self.kept_inputs is None else {"kept_inputs": len(self.kept_inputs)}
        bases = [layer.basis.to_config() for layer in self.kan_layers()]  # several after grids followed their data
        return kept | {
            "layers_hidden": list(self.layers_hidden),
            "basis": bases[0] if all(basis == bases[0] for basis in bases) else bases,
            "norm": [norm_to_config(n) for n in self.norm]
            if isinstance(self.norm, list)
            else norm_to_config(self.norm),
            "base": base_name(self.base),
            "bias": self.bias,
            "after": self.after,
            "first_affine": self.first_affine,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], **factory: Any) -> KAN:
        fields = dict(config)
        several, norm = fields.pop("basis"), fields.pop("norm")
        bases = [basis_from_config(each) for each in (several if isinstance(several, list) else [several])]
        norms = [norm_from_config(n) for n in norm] if isinstance(norm, list) else norm_from_config(norm)
        kept, widths = fields.pop("kept_inputs", None), fields.pop("layers_hidden")
        inner = widths if kept is None else [kept, *widths[1:]]
        net = cls(inner, basis=bases[0], norm=norms, **fields, **factory)
        if isinstance(several, list):
            net._take_bases(bases)
        if kept is not None:
            device = net.kan_layers()[0].weight.device
            net.kept_inputs = torch.arange(kept, device=device)  # what the state holds comes later
            net.layers_hidden = tuple(widths)
        return net

    def _take_bases(self, bases: Sequence[Basis]) -> None:
        """Give each layer a basis of its own, with weights that are still to be loaded."""
        layers = self.kan_layers()
        if len(bases) != len(layers):
            raise ValueError(f"{type(self).__name__}: {len(bases)} bases for {len(layers)} layers; give one for each")
        for layer, basis in zip(layers, bases, strict=True):
            weight = layer.weight.new_zeros(*layer.weight.shape[:2], basis.num_basis)
            tensors = basis.init(layer.in_features, layer.out_features, weight.device, weight.dtype)
            layer.set_basis(basis, tensors)
            layer.weight = nn.Parameter(weight)


def _one_each(owner: str, norm: Norm | Sequence[Norm], count: int) -> list[NormDescription | nn.Module | None]:
    """Return the norms of `count` layers; no module serves two."""
    if isinstance(norm, Sequence) and not isinstance(norm, str):
        if len(norm) != count:
            raise ValueError(
                f"{owner}: norm is a list of {len(norm)}, there are {count} layers; give one norm for each layer, or "
                "one for all"
            )
        norms = [resolve_norm(each) for each in norm]
    else:
        norms = [resolve_norm(norm)] * count
    modules = [id(each) for each in norms if isinstance(each, nn.Module)]
    if len(set(modules)) < len(modules):
        raise ValueError(
            f"{owner}: norm is one module, there are {count} layers; give a description such as "
            "fk.LayerNorm(affine=False), from which each layer makes its own"
        )
    return norms


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
