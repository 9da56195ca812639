"""MLP: the network with which KANs are compared, also with an equal number of parameters."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..nn.base_branch import Base, base_name, resolve_base
from ..nn.draw import uniform_
from .kan import KAN, check_widths
from .pretrained import Pretrained


class MLP(Pretrained):
    """A multilayer perceptron: y = A_L act(... act(A_1 x + b_1) ...) + b_L.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs], at least two.
        activation: activation between the layers: "silu" (or "gelu", "relu", "tanh", "identity"), a callable, or None
            for no activation.
        bias: add a bias in every layer.
        device, dtype: as in `nn.Linear`.
        generator: draws the weights, as `nn.Linear` does; default torch's global one.

    Shapes: x [..., layers_hidden[0]] -> y [..., layers_hidden[-1]].

    Raises:
        TypeError, ValueError: the widths or the activation cannot be used.

    Example:
        >>> MLP([784, 256, 10])(torch.randn(64, 784)).shape
        torch.Size([64, 10])
    """

    activation: Base

    @torch.inference_mode(False)
    def __init__(
        self,
        layers_hidden: Sequence[int],
        activation: Base = "silu",
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = check_widths(type(self).__name__, layers_hidden)
        self.layers_hidden, self.bias = widths, bias
        self.__dict__["activation"] = activation  # not registered here: a module is registered between the layers
        function = resolve_base(activation)
        self.layers = nn.ModuleList(
            nn.Linear(inputs, outputs, bias=bias, device=device, dtype=dtype) for inputs, outputs in pairwise(widths)
        )
        between = len(widths) - 2
        self.activations = [copy.deepcopy(function) for _ in range(between)]  # each layer gets its own PReLU
        if isinstance(function, nn.Module):
            self.activation_modules = nn.ModuleList(f for f in self.activations if isinstance(f, nn.Module))
        for layer in self.layers:
            self._draw(layer, generator)

    @staticmethod
    def _draw(layer: nn.Module, generator: torch.Generator | None) -> None:
        assert isinstance(layer, nn.Linear)
        bound = 1 / math.sqrt(layer.in_features)
        uniform_(layer.weight, bound, generator)
        if layer.bias is not None:
            uniform_(layer.bias, bound, generator)

    @classmethod
    def like(cls, model_or_layers: KAN | Sequence[int], activation: Base = "silu", **options: Any) -> MLP:
        """Return an MLP of the same depth, inputs and outputs as a KAN, with nearly the same number of parameters.

        Its hidden widths are those of the KAN times one factor, rounded. If the KAN has no hidden layer, the MLP gets
        one. With one hidden layer of H units, the difference is at most half the cost of one unit, (inputs + outputs +
        1) / 2 with biases, unless H = 1 already has too many parameters. All parameters in `parameters()` count,
        trained or frozen.

        Args:
            model_or_layers: a KAN of any kind, or widths, which stand for `KAN(widths)` with its defaults.
            activation: as in the constructor.
            options: bias, device, dtype, generator, as in the constructor.

        Raises:
            TypeError, ValueError: the model is not a KAN, or the widths cannot be used.

        Example:
            >>> import fasterkan as fk
            >>> kan = fk.KAN([784, 64, 10])
            >>> mlp = fk.MLP.like(kan)
            >>> abs(sum(p.numel() for p in mlp.parameters()) - sum(p.numel() for p in kan.parameters())) <= 795 / 2
            True
        """
        if not isinstance(model_or_layers, KAN | list | tuple):
            raise TypeError(
                f"MLP.like: a KAN or a list of widths was expected, got {type(model_or_layers).__name__}; for another "
                "network choose the widths yourself: fk.MLP([784, 256, 10])"
            )
        model = model_or_layers if isinstance(model_or_layers, KAN) else KAN(model_or_layers, device="meta")
        wanted = sum(p.numel() for p in model.parameters())
        return cls(like_widths(model.layers_hidden, wanted, bool(options.get("bias", True))), activation, **options)

    def forward(self, x: Tensor) -> Tensor:
        for layer, function in zip(self.layers, self.activations, strict=False):
            x = layer(x) if function is None else function(layer(x))
        return self.layers[-1](x)

    def to_config(self) -> dict[str, Any]:
        return {
            "layers_hidden": list(self.layers_hidden),
            "activation": base_name(self.activation),
            "bias": self.bias,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], **factory: Any) -> MLP:
        return cls(**config, **factory)


def like_widths(layers_hidden: Sequence[int], wanted: int, bias: bool = True) -> list[int]:
    """Return [inputs, hidden ..., outputs] of the MLP whose number of parameters is nearest to `wanted`.

    Args:
        layers_hidden: the inputs and outputs, which are kept, and the hidden widths, whose proportions are kept. If
            there is no hidden width, one is added.
        wanted: the desired number of parameters.
        bias: whether the MLP has biases.
    """
    first, *hidden, last = layers_hidden
    hidden = hidden or [1]

    def widths(factor: float) -> list[int]:
        return [first, *(max(1, round(factor * h)) for h in hidden), last]

    low, high = 0.0, 1.0
    while _count(widths(high), bias) < wanted:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _count(widths(middle), bias) < wanted else (low, middle)
    return min((widths(low), widths(high)), key=lambda w: abs(_count(w, bias) - wanted))


def _count(widths: Sequence[int], bias: bool) -> int:
    return sum((inputs + bias) * outputs for inputs, outputs in pairwise(widths))
