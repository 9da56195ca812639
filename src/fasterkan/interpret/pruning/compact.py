"""Making a masked network smaller: columns and nodes without edges are removed."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from ...models import KAN
from ...nn import FeatureScaling, KANLinear, RowNorm
from .._walk import as_evaluated, walk
from .masks import Masked, full_masks


def with_biases(net: KAN) -> KAN:
    """Return a copy as a KAN, with a bias in each layer, in evaluation mode."""
    layers = net.kan_layers()
    whole = [torch.ones(layer.in_features, dtype=torch.bool, device="cpu") for layer in layers]
    unused = [torch.zeros(layer.in_features, device="cpu") for layer in layers]
    return _rebuilt(net, [*whole, torch.ones(layers[-1].out_features, dtype=torch.bool, device="cpu")], unused)


@torch.no_grad()
def compact(masked: Masked, x: Tensor) -> KAN:
    """Return a smaller network with the same outputs as the masked one, without unused columns and nodes.

    Removed edges between kept nodes stay in a mask. Each layer keeps at least one node, whatever the masks are.
    """
    net = masked.net
    masks = full_masks(net)
    kept = [mask.any(0).cpu() for mask in masks]
    for alive in kept:
        if not bool(alive.any()):
            alive[0] = True
    with as_evaluated(net):
        steps = walk(net, masked.fixed(x))
        constants = [net.kan_layers()[0].selected(masked.columns), *(step.y[0] for step in steps[:-1])]
    return _rebuilt(net, [*kept, torch.ones(masks[-1].shape[0], dtype=torch.bool, device="cpu")], constants)


def _rebuilt(net: KAN, kept: list[Tensor], constants: list[Tensor]) -> KAN:
    """A network of the kept nodes; `constants` are the values of the other nodes, which row norms still count."""
    layers = net.kan_layers()
    specs = [
        dataclasses.replace(
            layer.spec,
            in_features=int(before.sum()),
            out_features=int(after.sum()),
            norm=_norm_description(layer, before),
            bias=True,
            mask=False,
            kept_inputs=None if number else _kept_columns(layer, before),
            input_width=None if number else layer.input_width,
            input_names=_kept_names(layer.input_names, before) if number else layer.input_names,
            output_names=_kept_names(layer.output_names, after),
        )
        for number, (layer, before, after) in enumerate(zip(layers, kept[:-1], kept[1:], strict=True))
    ]
    like = layers[0].weight
    drawn = torch.Generator("cpu")  # the drawn weights are replaced; torch's random state must not change
    made = KAN.from_specs(specs, device=like.device, dtype=like.dtype, generator=drawn)
    for new, old, before, after, fixed in zip(made.kan_layers(), layers, kept[:-1], kept[1:], constants, strict=True):
        _copy_layer(new, old, after.to(like.device), before.to(like.device), fixed.to(like.device))
    return made.eval()


def _kept_columns(layer: KANLinear, alive: Tensor) -> tuple[int, ...] | None:
    """The columns of x that a layer with these inputs takes; None means all."""
    columns = torch.arange(layer.in_features, device="cpu") if layer.kept_inputs is None else layer.kept_inputs.cpu()
    return None if len(columns) == layer.input_width and bool(alive.all()) else tuple(columns[alive].tolist())


def _kept_names(names: tuple[str, ...] | None, alive: Tensor) -> tuple[str, ...] | None:
    return None if names is None else tuple(name for name, kept in zip(names, alive.tolist(), strict=True) if kept)


def _norm_description(layer: KANLinear, alive: Tensor) -> Any:
    if layer.norm is None:
        return None
    description = getattr(layer.norm, "description", None)
    if isinstance(layer.norm, RowNorm):
        absent = layer.norm.description.absent + int((~alive).sum())
        return dataclasses.replace(layer.norm.description, absent=absent)
    if description is None or not isinstance(layer.norm, FeatureScaling):
        raise ValueError(
            f"prune: the norm {layer.norm} cannot be made smaller; make the network with one of LayerNorm, RMSNorm, "
            "FeatureNorm, or None"
        )
    return description


def _copy_layer(new: KANLinear, old: KANLinear, after: Tensor, before: Tensor, fixed: Tensor) -> None:
    """Copy the kept part of a layer: outputs `after` [O] and inputs `before` [I], both booleans."""
    new.set_functions(old.basis, cut_tensors(old, after, before), old.weight[after][:, before])
    with torch.no_grad():
        if new.base_weight is not None and old.base_weight is not None:
            new.base_weight.copy_(old.base_weight[after][:, before])
        if new.bias is not None:
            new.bias.copy_(torch.zeros_like(new.bias) if old.bias is None else old.bias[after])
    new.path = old.path
    if new.base_norm is not None and old.base_norm is not None:
        new.base_norm.set_to(old.base_norm.center[before], old.base_norm.scale[before])
    if isinstance(new.norm, nn.Module) and isinstance(old.norm, nn.Module):
        state = {k: t[before] if t.dim() else t for k, t in old.norm.state_dict().items() if k != "absent_values"}
        if isinstance(old.norm, RowNorm) and new.norm.absent_values is not None:
            gone = fixed[~before].to(new.weight.dtype)
            state["absent_values"] = (
                gone if old.norm.absent_values is None else torch.cat([old.norm.absent_values, gone])
            )
        new.norm.load_state_dict(state)
        for theirs, ours in zip(old.norm.parameters(), new.norm.parameters(), strict=True):
            ours.requires_grad_(theirs.requires_grad)
    if old.mask is not None and not bool((mask := old.mask[after][:, before]).all()):
        new.set_mask(mask)


def cut_tensors(layer: KANLinear, after: Tensor, before: Tensor) -> dict[str, Tensor]:
    """Return the basis' tensors for the outputs `after` and the inputs `before`, copied.

    To find which dimensions are inputs and outputs, the basis makes its tensors for other widths.

    Raises:
        ValueError: the basis shares its tensors in groups of inputs, and pruning would split these groups.
    """
    inputs, outputs, basis = layer.in_features, layer.out_features, layer.basis
    if getattr(basis, "groups", 1) != 1 and not bool(before.all()):
        raise ValueError(
            f"prune: {basis} shares its tensors among groups of inputs, so none can be removed; use groups=1, or prune "
            "with inputs=False, nodes=False"
        )
    wide, high = basis.init(2 * inputs, outputs, "meta"), basis.init(inputs, 2 * outputs, "meta")
    cut = {}
    for name, tensor in layer.basis_tensors().items():
        found = tensor.detach()
        for dim, size in enumerate(tensor.shape):
            if wide[name].shape[dim] == 2 * size:
                found = found.index_select(dim, before.nonzero().flatten())
            elif high[name].shape[dim] == 2 * size:
                found = found.index_select(dim, after.nonzero().flatten())
        cut[name] = found.clone()
    return cut
