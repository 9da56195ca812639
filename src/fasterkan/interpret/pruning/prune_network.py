"""Pruning of edges, nodes, inputs and layers, as long as the held-out loss allows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..._check import real_number, whole_number
from ..._device import with_float64
from ...models import KAN
from ...nn.computed import check_not_computed
from .._walk import as_evaluated, layers_of, rows_of
from .compact import with_biases
from .loss import Loss, allowance, check_loss, constant, criterion_of, hold_out, is_of_numbers, targets
from .report import PruneReport, columns_of, size_of
from .search import SINGLES, PruningSearch

Refit = Callable[[KAN], object]
_RATIO = 0.7
"""Share of the edges that a round with a refit keeps."""


@torch.inference_mode(False)
def prune(
    net: KAN,
    X: Tensor,
    y: Tensor,
    *,
    tolerance: float = 1e-3,
    validation: float | tuple[Tensor, Tensor] | None = None,
    loss: Loss = "auto",
    delta: float | None = None,
    keep: float = 0.0,
    refit: Refit | None = None,
    rounds: int = 10,
    inputs: bool = True,
    nodes: bool = True,
    edges: bool = True,
    layers: bool = True,
    seed: int = 0,
) -> PruneReport:
    """Return a report with a smaller network, without the inputs, nodes, edges and layers that the loss does not need.

    A removed part is replaced by its mean over the data, which is added to the biases of the next nodes: only its
    variation is lost. Candidates are tried from the least important on (`importance`), in this order: whole inputs,
    hidden nodes, single edges, hidden layers (two layers are replaced by one, which is fitted to them by least
    squares). A removal is kept if the held-out loss is at most

        loss of net + tolerance * (loss of the best constant output - loss of net).

    Inputs may use up a tenth of this rise, and nodes half. For numbers, each output has its own loss, divided by the
    variance of its target, and its own limit. All limits must hold, so outputs with small numbers are protected as well
    as outputs with large numbers. Many parts are removed at once if the limits allow it, otherwise one by one. The
    rounds end when a round removes nothing.

    Args:
        net: a KAN with any norm; it does not change.
        X: rows [N, I], from which importances and means are computed.
        y: targets of X: numbers [N] or [N, O], or labels [N].
        tolerance: the share, 0 to 1, of what the network explains that may be lost; for numbers, separately for each
            output. For the mean squared error this is about a share of the target's variance. A part that explains less
            may be removed. For a constant target, the square of its size is used instead of its variance.
        validation: rows for the test. Best is a pair (X, y) of rows that were not used for training. A number is the
            share of X and y that is held out for the test, drawn with the seed. With None, X and y are taken as the
            training rows. The squared and the Huber loss then use all rows, with Akaike's final prediction error: the
            mean square times 1 + 2 P / N with P weights and N numbers in y. It corrects for the noise that the network
            has fitted. For other losses a quarter of the rows is held out.
        loss: "squared" (mean squared error), "huber" or "logistic" (y holds probabilities, or 0 and 1; outputs are
            logits) as in `fit`; "error" (share of wrong labels); "auto" ("squared" for floating-point y, cross-entropy
            for labels); or a function loss(outputs, y) -> scalar. Use the loss with which the network was fitted.
        delta: the delta of "huber", in units of y; default a tenth of the interquartile range of y, as in `fit`. For
            several outputs, the range is that of all outputs together, each scaled to variance 1.
        keep: stop when at most this share of the edges is left, 0 to 1.
        refit: refit(net) trains the smaller network in place after each round; its masks stay. With a refit, each round
            removes more than the loss allows: it keeps 70 % of the edges (with `keep`, it goes there in equal ratios,
            in at most `rounds` rounds). The round is accepted if the loss is allowed after the refit. In this way wide
            networks become much smaller. Half of the reduction removes whole inputs and nodes, which makes the network
            faster; with edges=False all of it does. If this raises the loss too much, the round removes single edges
            only. If that is also too much, the result is what was removed without a refit. Train with the same loss
            (for `fit`: with starts=0, and the same delta and sparsity).
        rounds: largest number of rounds.
        inputs: whether whole inputs may be removed.
        nodes: whether hidden nodes may be removed.
        edges: whether single edges may be removed.
        layers: whether hidden layers may be removed.
        seed: seed of the held-out rows.

    Returns:
        A `PruneReport`. `.net` takes the same X (all columns) and gives the same kind of outputs. It is a new KAN with
        narrower layers and a bias in each layer. Masks switch off removed edges between kept nodes. It is saved and
        loaded like any other KAN.

    Raises:
        TypeError, ValueError: net, X or y cannot be used, or an argument is outside its domain.
        RuntimeError: a hook computes a weight before each forward, or a norm is parametrised. (Parametrised weights
            are read; the smaller network has plain weights.)

    Source: replacing by the mean and testing on held-out rows is the classical sensitivity analysis of networks (Moody
    and Utans, 1992); the final prediction error is Akaike's (1969); pruning by scores of nodes and edges as in Liu et
    al., KAN 2.0 (arXiv 2408.10205).

    Example:
        >>> net = KAN([3, 2, 1], norm=None)
        >>> x = torch.rand(100, 3)
        >>> prune(net, x, net(x).detach(), tolerance=1.0).after.edges
        0
    """
    if not isinstance(net, KAN):
        raise TypeError(f"prune: net must be a KAN, got {type(net).__name__}")
    for layer in layers_of("prune", net):
        if layer.norm is not None:
            check_not_computed("prune (norm)", layer.norm)
    for name, number in (("tolerance", tolerance), ("keep", keep)):
        if not 0 <= real_number("prune", name, number) <= 1:
            raise ValueError(f"prune: {name} must be within 0 ... 1, got {number}")
    rounds = whole_number("prune", "rounds", rounds, 1)
    check_loss("prune", loss, delta)
    home = next(net.parameters()).device
    small = with_biases(with_float64(net))
    train = _table(small, X, y, loss)
    seen = validation is None and is_of_numbers(loss, train[1])
    share = 0.25 if validation is None else validation
    train, held = (train, train) if seen else _split(small, *train, share, seed, loss)
    criterion = criterion_of(loss, delta, held[1])
    kinds = tuple(kind for kind, on in (("inputs", inputs), ("nodes", nodes), ("edges", edges)) if on)
    search = PruningSearch(train, held, criterion, kinds, seen=seen)
    before = search.loss_of(small)
    if not bool(torch.isfinite(before).all()):
        raise ValueError(f"prune: the loss of net is {float(before.mean())}; check it with fk.diagnose(net, X)")
    fixed = constant(train[1], small.layers_hidden[-1], criterion).to(held[0]).expand(len(held[0]), -1)
    best = criterion(fixed, held[1]).double()
    search.before, search.rise = before, allowance(tolerance, before, best, criterion)
    least = math.ceil(keep * size_of(small).edges)
    for number in range(rounds):
        # Wide networks are refitted after forced removals. The free search runs once, because it computes many losses.
        free = number == 0 or refit is None or size_of(small).edges <= SINGLES
        smaller = search.allowed(small, least) if free else small
        if layers:
            smaller = search.merged(smaller, least)
        if refit is not None:
            ratio = keep ** (1 / rounds) if keep else _RATIO
            goal = max(least, math.floor(ratio * size_of(small).edges))
            forced = _refitted(search, smaller, goal, refit, home)
            if forced is None:
                small = smaller
                break
            smaller = forced
        changed = size_of(smaller) != size_of(small)
        small = smaller
        if not changed or size_of(small).edges <= least:
            break
    after, loss_after = size_of(small), float(search.loss_of(small).mean())
    return PruneReport(
        net=small.to(home),
        before=size_of(net),
        after=after,
        loss_before=float(before.mean()),
        loss_after=loss_after,
        loss_allowed=float((before + search.rise).mean()),
        removed_inputs=tuple(sorted(set(columns_of(net)) - set(columns_of(small)))),
        widths_before=tuple(net.layers_hidden),
        widths_after=tuple(small.layers_hidden),
        rows=len(held[0]),
    )


def _refitted(search: PruningSearch, net: KAN, goal: int, refit: Refit, home: torch.device) -> KAN | None:
    """The network reduced to `goal` edges and refitted, first with whole nodes; None if its loss stays too high."""
    for whole in (True, False):
        if forced := search.forced(net, goal, whole=whole):
            refit(forced.to(home))
            forced = with_float64(forced).eval()
            if search.allows(forced):
                return forced
    return None


@torch.no_grad()
def _table(net: KAN, X: Any, y: Any, loss: Loss) -> tuple[Tensor, Tensor]:
    """Checked rows and targets."""
    x = rows_of("prune", net, X)
    with as_evaluated(net):
        return x, targets("prune", y, net(x[:1]).expand(len(x), -1), loss)


def _split(
    net: KAN, x: Tensor, y: Tensor, validation: float | tuple[Tensor, Tensor], seed: int, loss: Loss
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The rows for importances and the rows for the test."""
    if isinstance(validation, tuple):
        return (x, y), _table(net, *validation, loss)
    if not 0 < real_number("prune", "validation", validation) < 1:
        raise ValueError(f"prune: validation must be a share within 0 ... 1, or a pair (X, y), got {validation}")
    if len(x) < 4:
        raise ValueError(f"prune: X has {len(x)} rows, at least 4 are needed to hold some out")
    kept, held = hold_out(len(x), float(validation), seed)
    return (x[kept], y[kept]), (x[held], y[held])
