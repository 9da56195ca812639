"""KAN: a stack of KANLinear layers."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .._check import whole_number
from ..bases import Basis, basis_from_config
from ..nn import (
    Calibratable,
    GridCare,
    KANLinear,
    LayerNorm,
    LayerSpec,
    Norm,
    RMSNorm,
    norm_from_config,
    resolve_norm,
)
from ..nn.base_branch import Base, BaseInput
from ..nn.edge_layer import check_names
from ..nn.norm import NormDescription
from .pretrained import Pretrained

K = TypeVar("K", bound="KAN")


class KAN(Calibratable, GridCare, Pretrained):
    """A Kolmogorov-Arnold network: KANLinear layers with one basis, norm and base branch, one after the other.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs], at least two.
        basis: the functions on the edges; default RSWAF().
        norm: of every layer, as in `KANLinear` ("layer", "rms", "feature", None or a description), or a list with one
            for each layer. A module serves one layer only, so it is refused here when there are several.
        base: base branch of every layer, as in `KANLinear`.
        base_input: input of the base branches, as in `KANLinear`.
        bias: add a bias in every layer.
        after: what follows every layer, the last one included, as in `KANLinear`.
        first_affine: with False, the LayerNorm or RMSNorm of the first layer has no learned gain and bias. Its backward
            is then one matrix product cheaper, since only the gain and bias need the gradient of the network's
            normalised input.
        device, dtype, generator: as in `KANLinear`.

    Shapes: x [..., layers_hidden[0]] -> y [..., layers_hidden[-1]].

    Attributes:
        layers: the layers. All other properties of the network are read from them.

    Raises:
        TypeError, ValueError: the widths, norm or base cannot be used.

    Source: Liu et al., KAN (arXiv 2404.19756).

    Example:
        >>> KAN([784, 256, 10], first_affine=False)(torch.randn(64, 784)).shape
        torch.Size([64, 10])
    """

    def __init__(
        self,
        layers_hidden: Sequence[int],
        basis: Basis | None = None,
        *,
        norm: Norm | Sequence[Norm] = "layer",
        base: Base = None,
        base_input: BaseInput | None = None,
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
        if not first_affine and isinstance(norms[0], LayerNorm | RMSNorm):
            norms[0] = dataclasses.replace(norms[0], affine=False)
        self.layers = nn.ModuleList(
            KANLinear(
                inputs,
                outputs,
                basis,
                norm=layer_norm,
                base=copy.deepcopy(base),  # each layer gets its own module, such as PReLU
                base_input=base_input,
                bias=bias,
                after=after,
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

    def kan_layers(self) -> list[KANLinear]:
        """Return the layers in order."""
        return [layer for layer in self.layers if isinstance(layer, KANLinear)]

    @property
    def layers_hidden(self) -> tuple[int, ...]:
        """The widths: the number of columns of x, and of outputs of each layer."""
        layers = self.kan_layers()
        return (layers[0].input_width, *(layer.out_features for layer in layers))

    @property
    def basis(self) -> Basis:
        """The basis of the first layer."""
        return self.kan_layers()[0].basis

    @property
    def norm(self) -> NormDescription | nn.Module | list[NormDescription | nn.Module | None] | None:
        """The description of the layers' norm, or a list with one description for each layer if they differ."""
        norms = [layer.spec.norm for layer in self.kan_layers()]
        return norms[0] if all(norm == norms[0] for norm in norms) else norms

    @property
    def base(self) -> Base:
        """The activation of the first layer's base branch, by name if it has one; None without a branch."""
        return self.kan_layers()[0].spec.base

    @property
    def base_input(self) -> BaseInput:
        """The input of the first layer's base branch."""
        return self.kan_layers()[0].base_input

    @property
    def bias(self) -> bool:
        """Whether the first layer has a bias."""
        return self.kan_layers()[0].bias is not None

    @property
    def after(self) -> str | None:
        """The name of the `After` module of the first layer, or None."""
        return self.kan_layers()[0].spec.after

    @property
    def kept_inputs(self) -> Tensor | None:
        """The columns of x that the first layer takes, [I'], if `fk.prune` removed others; else None."""
        return self.kan_layers()[0].kept_inputs

    @property
    def input_names(self) -> tuple[str, ...] | None:
        """The names of the columns of x, or None (`set_names`)."""
        return self.kan_layers()[0].input_names

    @property
    def output_names(self) -> tuple[str, ...] | None:
        """The names of the outputs, or None (`set_names`)."""
        return self.kan_layers()[-1].output_names

    def set_names(self, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None) -> None:
        """Name the columns of x and the outputs; None gives no names. The names are saved with the network.

        Raises:
            TypeError, ValueError: a name is not a string, or the number of names is wrong.
        """
        layers = self.kan_layers()
        check_names(type(self).__name__, "inputs", inputs, self.layers_hidden[0])
        check_names(type(self).__name__, "outputs", outputs, self.layers_hidden[-1])
        layers[0].set_names(inputs, layers[0].output_names if len(layers) > 1 else outputs)
        if len(layers) > 1:
            layers[-1].set_names(layers[-1].input_names, outputs)

    def take_inputs(self, columns: Tensor, width: int) -> None:
        """Let the first layer use only some columns of x; x then has `width` columns, which is `layers_hidden[0]`.

        Args:
            columns: the numbers of the columns in increasing order, integers; there must be in_features of the first
                layer.
            width: number of columns of x.

        Raises:
            ValueError: the numbers do not increase, lie outside 0 ... width - 1, or are too many or too few.
        """
        self.kan_layers()[0].take_inputs(columns, width)

    def to_config(self) -> dict[str, Any]:
        return {"layers": [layer.spec.to_config() for layer in self.kan_layers()]}

    @classmethod
    def from_config(cls: type[K], config: Mapping[str, Any], **factory: Any) -> K:
        if unknown := sorted(set(config) - {"layers"}):
            raise ValueError(f"{cls.__name__}: unknown arguments {unknown}; it has ['layers']")
        if not isinstance(config["layers"], list) or not all(isinstance(layer, dict) for layer in config["layers"]):
            raise TypeError(f"{cls.__name__}: layers must be a list of descriptions, got {config['layers']!r}")
        return cls.from_specs([LayerSpec.from_config(layer) for layer in config["layers"]], **factory)

    @classmethod
    def from_specs(cls: type[K], specs: Sequence[LayerSpec], **factory: Any) -> K:
        """Return a new network with the described layers, one after the other.

        Args:
            specs: at least one description; each layer takes as many inputs as the layer before has outputs.
            factory: device, dtype and generator, as in `KANLinear`.

        Raises:
            ValueError: there is no description, or the widths of two layers do not match.
        """
        if not specs:
            raise ValueError(f"{cls.__name__}: a network needs at least one layer, got none")
        for n, (before, after) in enumerate(pairwise(specs)):
            takes = after.in_features if after.input_width is None else after.input_width
            if before.out_features != takes:
                raise ValueError(
                    f"{cls.__name__}: layer {n} has {before.out_features} outputs, layer {n + 1} takes {takes}"
                )
        net = cls(**cls._plain_arguments(specs), **factory)
        net.layers = nn.ModuleList(KANLinear.from_spec(spec, **factory) for spec in specs)
        return net

    @classmethod
    def _plain_arguments(cls, specs: Sequence[LayerSpec]) -> dict[str, Any]:
        """Arguments for the constructor, whose layers are then replaced by the described ones."""
        return {"layers_hidden": [specs[0].in_features, *(spec.out_features for spec in specs)], "norm": None}

    @classmethod
    def from_format_1(
        cls, config: Mapping[str, Any], state: dict[str, Tensor]
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        fields, state = dict(config), dict(state)
        several, norm = fields.pop("basis"), fields.pop("norm")
        bases = [basis_from_config(each) for each in (several if isinstance(several, list) else [several])]
        norms = [norm_from_config(n) for n in norm] if isinstance(norm, list) else norm_from_config(norm)
        kept, widths = fields.pop("kept_inputs", None), fields.pop("layers_hidden")
        inner = widths if kept is None else [kept, *widths[1:]]
        net = cls(inner, basis=bases[0], norm=norms, **{"base_input": "x", **fields}, device="meta")
        layers = net.kan_layers()
        if len(bases) not in (1, len(layers)):
            raise ValueError(f"{cls.__name__}: {len(bases)} bases for {len(layers)} layers; give one for each")
        specs = [layer.spec for layer in layers]
        if len(bases) > 1:
            specs = [dataclasses.replace(spec, basis=basis) for spec, basis in zip(specs, bases, strict=True)]
        if kept is not None:
            columns = tuple(state.pop("kept_inputs").tolist())
            specs[0] = dataclasses.replace(specs[0], kept_inputs=columns, input_width=widths[0])
        return {"layers": [spec.to_config() for spec in specs]}, state


def _one_each(owner: str, norm: Norm | Sequence[Norm], count: int) -> list[NormDescription | nn.Module | None]:
    """Return the norms of `count` layers; one module cannot be used in two layers."""
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
            "fk.LayerNorm(affine=False), from which each layer makes its own norm"
        )
    return norms


def check_widths(owner: str, layers_hidden: object) -> tuple[int, ...]:
    """Return the widths as ints, two or more, each at least 1.

    Raises:
        TypeError, ValueError: layers_hidden is not a sequence of whole numbers, or has too few of them.
    """
    if not isinstance(layers_hidden, list | tuple):
        raise TypeError(
            f"{owner}: layers_hidden must be a list of widths such as [784, 256, 10], got {layers_hidden!r}"
        )
    if len(layers_hidden) < 2:
        raise ValueError(
            f"{owner}: layers_hidden needs inputs and outputs, such as [784, 256, 10]; got {layers_hidden}"
        )
    return tuple(whole_number(owner, f"layers_hidden[{i}]", w, 1) for i, w in enumerate(layers_hidden))
