"""A network layer by layer on given data: the basis of every part of this package."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .._arrays import array_of, rounded
from ..models import KAN
from ..nn import FeatureScaling, KANLinear
from ..nn.computed import check_readable


@dataclasses.dataclass(frozen=True)
class Step:
    """One layer with the inputs of its edges, x [N, I], and its outputs, y [N, O]."""

    layer: KANLinear
    x: Tensor
    y: Tensor


def layers_of(caller: str, net: nn.Module) -> list[KANLinear]:
    """Return the layers of a network in order.

    Raises:
        TypeError: net is not a KAN or a KANLinear, or it has its own forward.
        ValueError: a layer has `after`, so its nodes are not the sums of their edges.
        RuntimeError: a hook computes a weight before each forward, or a weight is sharded.
    """
    if not isinstance(net, KAN | KANLinear):
        raise TypeError(
            f"{caller}: net must be a KAN or a KANLinear, got {type(net).__name__}; of a larger network give "
            "only the KAN (such as model.head) and the features that are its input"
        )
    layers = net.kan_layers() if isinstance(net, KAN) else [net]
    for part in (net, *layers):
        if type(part).forward not in (KAN.forward, KANLinear.forward):
            raise TypeError(
                f"{caller}: {type(part).__name__} has its own forward, and operations other than the edges would be "
                "left out; keep the forward of KAN and KANLinear, put the rest into a module around the network, and "
                "give only the KAN, with its features and targets"
            )
    check_readable(caller, net)
    if (odd := next((n for n, layer in enumerate(layers) if layer.after is not None), None)) is not None:
        raise ValueError(
            f"{caller}: {layers[odd].after} follows layer {odd}, so its nodes are not sums of their edges; make the "
            "network with after=None"
        )
    return layers


def rows_of(caller: str, net: nn.Module, X: Any) -> Tensor:
    """Return data as rows [N, I] on the network's device and in its dtype.

    Raises:
        TypeError, ValueError: X is not a table of finite numbers with one column for each input, or has fewer than two
            rows.
    """
    layer = layers_of(caller, net)[0]
    x = array_of(caller, "X", X).to(layer.weight.device)
    if x.dim() != 2 or x.shape[1] != layer.input_width:
        raise ValueError(f"{caller}: X is {list(x.shape)}, expected [rows, {layer.input_width}]")
    if len(x) < 2:
        raise ValueError(f"{caller}: X has {len(x)} rows, at least 2 are needed")
    return rounded(caller, "X", x, layer.weight.dtype)


@contextlib.contextmanager
def as_evaluated(net: nn.Module) -> Iterator[None]:
    """Set evaluation mode inside the context; afterwards each module has its own mode again."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def walk(net: nn.Module, x: Tensor) -> list[Step]:
    """Return the layers of a checked network with their inputs and outputs; x comes from `rows_of`."""
    steps = []
    for layer in layers_of("walk", net):
        y = layer(x)
        steps.append(Step(layer, layer.selected(x), y))
        x = y
    return steps


def varying_columns(y: Tensor) -> Tensor:
    """Return which columns of y [N, O] vary over the rows by more than rounding, [O]."""
    exact = y.detach().double()
    size = exact.abs().amax(0)
    return (exact / torch.where(size > 0, size, 1)).std(0, correction=0) > 32 * torch.finfo(y.dtype).eps


def one_variable(caller: str, net: nn.Module) -> list[KANLinear]:
    """Return the layers of a network whose edges are functions of one variable.

    Raises:
        TypeError, ValueError: as in `layers_of`; or a norm mixes the features of a row, or may do so.
        RuntimeError: a feature norm is not calibrated.
    """
    layers = layers_of(caller, net)
    for number, layer in enumerate(layers):
        if layer.norm is not None and not isinstance(layer.norm, FeatureScaling):
            kind = type(getattr(layer.norm, "description", layer.norm)).__name__
            raise ValueError(
                f"{caller}: layer {number} has {kind}, so every edge depends on all inputs of a row, and the edges "
                'are not functions of one variable; make the network with norm="feature" (calibrated by '
                "net.calibrate(X)) and train it again"
            )
        if isinstance(layer.norm, FeatureScaling) and not layer.norm.calibrated:
            raise RuntimeError(f"{caller}: layer {number} is not calibrated; call net.calibrate(X) first")
    return layers
