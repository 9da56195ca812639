"""The search of pruning: it tries to remove parts, the least important first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...models import KAN
from ...nn import KANLinear
from ..edge_list import worth_of
from ..importance_result import Importance
from .compact import compact
from .loss import Criterion
from .masks import Masked, Masks, Means, close, full_masks, means_of
from .merging import merge
from .report import size_of
from .residuals import Residuals

SINGLES = 1000
"""Networks with at most this number of edges are also searched part by part, after removing many parts at once."""
ROWS = 2000
"""Number of rows that are used for the importances and means of a round."""
LIMITS = {"inputs": 0.1, "nodes": 0.5, "edges": 1.0}
"""Share of the allowed rise of the loss that is used up after each kind; whole inputs may use only a little."""

Data = tuple[Tensor, Tensor]


class Part(NamedTuple):
    """A part that can be removed: an edge, or nodes (inputs of their layer) with all their edges."""

    score: float
    layer: int
    inputs: tuple[int, ...]
    output: int | None = None


class PruningSearch:
    """The data and settings of one call of `prune`.

    Args:
        train: rows and targets for importances, means and merged layers.
        held: rows and targets for the loss.
        criterion: computes the losses [C] from outputs and targets.
        kinds: which of "inputs", "nodes", "edges" may be removed.
        seen: whether the network was trained on the held rows; the losses are then final prediction errors.
    """

    before: Tensor
    """The losses of the given network, [C]: one, or one for each output."""
    rise: Tensor
    """The allowed rise of each loss, [C]."""

    def __init__(
        self,
        train: Data,
        held: Data,
        criterion: Criterion,
        kinds: Sequence[str],
        *,
        seen: bool,
    ) -> None:
        self.train, self.held, self.criterion = train, held, criterion
        self.kinds, self.seen = kinds, seen
        self.rows = train[0][:ROWS]

    @torch.no_grad()
    def loss_of(self, net: torch.nn.Module) -> Tensor:
        """Return the losses on the held rows, [C]; for training rows, Akaike's final prediction error.

        This error is the mean square times 1 + 2 P / N, with P weights of edges that are on and N numbers in y. It
        corrects for the noise of these rows that the weights have fitted.
        """
        x, y = self.held
        outputs = net(x)
        found = self.criterion(outputs, y).double()
        if self.seen and isinstance(self.criterion, Residuals):
            found = found + 2 * _weights(net) / y.numel() * self.criterion.optimism(outputs, y)
        return found

    def allows(self, net: torch.nn.Module, share: float = 1.0) -> bool:
        """Return whether no loss of a network rises by more than `share` of its allowed rise."""
        return bool((self.loss_of(net) <= self.before + share * self.rise).all())  # False for NaN

    def allowed(self, net: KAN, least: int) -> KAN:
        """Return the network without the parts that the loss does not need; at least `least` edges stay."""
        masks, means, worth = self._look(net)
        for kind in self.kinds:
            parts = _parts(net, worth, masks, kind)
            masks = self._as_many(net, masks, means, parts, kind, least)
        return self._made(net, masks, means)

    def forced(self, net: KAN, goal: int, *, whole: bool) -> KAN | None:
        """Return the network with at most `goal` edges, or as few edges as removing nodes and inputs allows.

        With `whole`, half of the reduction (as a factor) removes whole nodes and inputs; otherwise only single edges
        are removed. Return None if the needed kind may not be removed.
        """
        groups = [kind for kind in self.kinds if kind != "edges"] if whole else []
        if not groups and (whole or "edges" not in self.kinds):
            return None
        masks, means, worth = self._look(net)
        now = _count(masks)
        if groups and now > goal:
            between = math.floor((now * goal) ** 0.5) if "edges" in self.kinds else goal
            parts = [part for kind in groups for part in _parts(net, worth, masks, kind)]
            masks = _down_to(masks, sorted(parts, key=lambda p: p.score / max(1, _edges_of(masks, p))), between)
        if "edges" in self.kinds:
            masks = _down_to(masks, _parts(net, worth, masks, "edges"), goal)
        return self._made(net, masks, means)

    def merged(self, net: KAN, least: int) -> KAN:
        """Return the network with layers merged if the loss allows it."""
        layer = 0
        while layer < len(net.kan_layers()) - 1 and size_of(net).edges > least:
            fewer = merge(net, layer, self.train[0])
            if fewer is not None and self.allows(fewer):
                net = fewer
            else:
                layer += 1
        return net

    def _look(self, net: KAN) -> tuple[Masks, Means, Importance | None]:
        return full_masks(net), means_of(net, self.rows), worth_of(net, self.rows)

    def _made(self, net: KAN, masks: Masks, means: Means) -> KAN:
        return compact(Masked(net, close(masks), means), self.rows)

    def _as_many(self, net: KAN, masks: Masks, means: Means, parts: list[Part], kind: str, least: int) -> Masks:
        """Remove as many of the first parts as the limit of the kind allows; then, in small networks, single parts."""

        def fits(candidate: Masks) -> bool:
            return _count(candidate) >= least and self.allows(Masked(net, candidate, means), LIMITS[kind])

        low, high = 0, len(parts)
        while low < high:
            middle = (low + high + 1) // 2
            if fits(_without(masks, parts[:middle])):
                low = middle
            else:
                high = middle - 1
        masks = _without(masks, parts[:low])
        if _count(masks) > SINGLES:
            return masks
        tried = [each for part in parts[low:] for each in (part, *_members(part))]
        while True:
            failed = []
            for part in tried:
                if _edges_of(masks, part):
                    if fits(candidate := _without(masks, [part])):
                        masks = candidate
                    else:
                        failed.append(part)
            # An input or a node may be removable once another one is gone; for edges, another pass costs too much.
            if kind == "edges" or len(failed) == len(tried):
                break
            tried = failed
        return masks


def _parts(net: KAN, worth: Importance | None, masks: Masks, kind: str) -> list[Part]:
    """The candidates of a kind that still have edges, the least important first.

    Nodes that cancel are one candidate with their joint share; alone each of them would change the outputs much.
    """
    found = []
    for layer, mask in enumerate(masks):
        if kind == "edges":
            scores = torch.zeros(mask.shape, device="cpu") if worth is None else worth.edges[layer]
            places = zip(scores[mask.cpu()].tolist(), mask.nonzero().tolist(), strict=True)
            found += [Part(score, layer, (i,), o) for score, (o, i) in places]
        elif (layer == 0) == (kind == "inputs"):
            scores = torch.zeros(mask.shape[1], device="cpu") if worth is None else worth.nodes[layer]
            left = set(mask.any(0).nonzero().flatten().tolist())
            for group in [] if worth is None else _cancelling(net, worth, layer):
                if left.issuperset(group):
                    found.append(Part(float(scores[list(group)].sum()), layer, group))
                    left -= set(group)
            found += [Part(float(scores[i]), layer, (i,)) for i in sorted(left)]
    return sorted(found, key=lambda part: part.score)


def _cancelling(net: KAN, worth: Importance, layer: int) -> list[tuple[int, ...]]:
    """The numbers of the nodes in each group that cancels, among the inputs of a layer."""
    groups = [group.nodes for group in worth.cancelling if group.layer == layer]
    if layer or net.kept_inputs is None:
        return groups
    place = {column: i for i, column in enumerate(net.kept_inputs.tolist())}
    return [tuple(place[column] for column in group) for group in groups]


def _members(part: Part) -> list[Part]:
    """The single nodes of a group, as candidates of their own; a single node or an edge has none."""
    if len(part.inputs) == 1:
        return []
    return [Part(part.score, part.layer, (i,)) for i in part.inputs]


def _without(masks: Masks, parts: Sequence[Part]) -> Masks:
    """The closed masks without the parts."""
    masks = [mask.clone() for mask in masks]
    for layer, mask in enumerate(masks):
        here = [part for part in parts if part.layer == layer]
        nodes = [i for part in here if part.output is None for i in part.inputs]
        edges = [(part.output, part.inputs[0]) for part in here if part.output is not None]
        mask[:, nodes] = False
        if edges:
            rows, columns = zip(*edges, strict=True)
            mask[list(rows), list(columns)] = False
    return close(masks)


def _down_to(masks: Masks, parts: list[Part], goal: int) -> Masks:
    """Remove parts in order, until at most `goal` edges are left."""
    low, high = 0, len(parts)
    while low < high:
        middle = (low + high) // 2
        if _count(_without(masks, parts[:middle])) <= goal:
            high = middle
        else:
            low = middle + 1
    return _without(masks, parts[:low])


def _edges_of(masks: Masks, part: Part) -> int:
    """The number of edges that are removed with a part; for nodes, their outgoing and incoming edges."""
    if part.output is not None:
        return int(masks[part.layer][part.output, part.inputs[0]])
    nodes = list(part.inputs)
    count = int(masks[part.layer][:, nodes].sum())
    return count + (int(masks[part.layer - 1][nodes].sum()) if part.layer else 0)


def _weights(net: torch.nn.Module) -> int:
    """The number of weights of the edges that are on."""
    layers = [module for module in net.modules() if isinstance(module, KANLinear)]
    each = [layer.weight.shape[2] + int(layer.base_weight is not None) for layer in layers]
    return sum(size_of(layer).edges * width for layer, width in zip(layers, each, strict=True))


def _count(masks: Masks) -> int:
    return sum(int(mask.sum()) for mask in masks)
