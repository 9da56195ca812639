"""Removing what a network does not need: edges, nodes, inputs and layers, while the held-out loss allows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..._check import real_number, whole_number
from ...models import KAN
from .._walk import as_evaluated, layers_of, rows_of
from .compact import with_biases
from .loss import Loss, allowance, check_loss, constant, criterion_of, hold_out, is_of_numbers, targets
from .report import PruneReport, columns_of, size_of
from .search import SINGLES, PruningSearch

Refit = Callable[[KAN], object]
_RATIO = 0.7
"""Share of the edges that a round with a refit leaves."""


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
    """Return a report with a smaller network: without the inputs, nodes, edges and layers that the loss does not need.

    What is removed is replaced by its mean over the data, which goes into the biases of the nodes behind: only its
    variation is lost. Candidates are tried from the least important on (`importance`), in this order: whole inputs,
    hidden nodes, single edges, hidden layers (two layers become one that is fitted to them by least squares). A removal
    stays where the held-out loss is at most

        loss of net + tolerance * (loss of the best constant answer - loss of net),

    of which inputs may use up a tenth and nodes half. Of numbers each output has a loss of its own, in shares of its
    target's variance, and all of them must hold: an output of small numbers is as safe as one of large numbers. Many
    are removed at once where that is allowed, else one by one. Rounds go on until one removes nothing.

    Args:
        net: a KAN, of any norm; it is left as it is.
        X: rows [N, I] that importances and means are taken from.
        y: targets of X: numbers [N] or [N, O], or labels [N].
        tolerance: how much of what the network explains may be lost, 0 to 1, for numbers of each output by itself: for
            the mean squared error about the share of the target's variance. A part that explains less than that may
            go. Of a constant target the square of its size stands for its variance.
        validation: a pair (X, y) of rows that the network was not trained on, which is best; or the share of X and y
            that is held out for the test, drawn by the seed. None takes X and y to be the rows of the training: for
            the squared and the Huber loss they are all tested on, and the loss is Akaike's final prediction error, the
            mean square times 1 + 2 P / N with P weights and N numbers in y, so that what the network took from the
            noise of these rows is no reason to keep it; for other losses a quarter is held out.
        loss: "squared" (mean squared error), "huber" or "logistic" (y are probabilities or 0 and 1, outputs are
            logits) as in `fit`; "error" (share of wrong labels); "auto": "squared" for floating-point y, cross-entropy
            for labels; or loss(outputs, y) -> scalar. Take the loss that the network was fitted with.
        delta: of "huber", in units of y; default a tenth of y's interquartile range, as in `fit` (of several outputs
            that of all, each brought to variance 1).
        keep: stop when no more than this share of the edges is left, 0 to 1.
        refit: refit(net) trains the smaller network in place after each round; its masks hold. Each round then goes
            further than the loss allows, to 70 % of the edges (with `keep`, towards it in equal ratios, at most
            `rounds` of them), and stays if the loss is allowed after the refit; that is how wide networks become much
            smaller. Half of the reduction is in whole inputs and nodes, which makes the network faster, and with
            edges=False all of it; where that is too much, all of it is in single edges, and if that is too much too,
            the result is what went without it. Let it train with the same loss (of `fit` with starts=0, and with the
            same delta and sparsity).
        rounds: at most so many.
        inputs: whether whole inputs may be removed.
        nodes: whether hidden nodes may be.
        edges: whether single edges may be.
        layers: whether hidden layers may be.
        seed: of the rows that are held out.

    Returns:
        A `PruneReport`: `.net` takes the same X (all columns) and gives the same kind of outputs; it is a new KAN with
        narrower layers, a bias in each, and masks for the edges that are off between nodes that stay. It is saved and
        read as any other.

    Raises:
        TypeError, ValueError: net, X or y cannot be used, or an argument is outside its domain.

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
    layers_of("prune", net)
    for name, number in (("tolerance", tolerance), ("keep", keep)):
        if not 0 <= real_number("prune", name, number) <= 1:
            raise ValueError(f"prune: {name} must be within 0 ... 1, got {number}")
    rounds = whole_number("prune", "rounds", rounds, 1)
    check_loss("prune", loss, delta)
    small = with_biases(net)
    train = _table(small, X, y, loss)
    seen = validation is None and is_of_numbers(loss, train[1])
    share = 0.25 if validation is None else validation
    train, held = (train, train) if seen else _split(small, *train, share, seed, loss)
    criterion = criterion_of(loss, delta, held[1])
    kinds = tuple(kind for kind, on in (("inputs", inputs), ("nodes", nodes), ("edges", edges)) if on)
    search = PruningSearch(train, held, criterion, kinds, seen=seen)
    before = search.loss_of(small)
    if not bool(torch.isfinite(before).all()):
        raise ValueError(f"prune: the loss of net is {float(before.mean())}; look with fk.diagnose(net, X)")
    fixed = constant(train[1], small.layers_hidden[-1], criterion).to(held[0]).expand(len(held[0]), -1)
    best = criterion(fixed, held[1]).double()
    search.before, search.rise = before, allowance(tolerance, before, best, criterion)
    least = math.ceil(keep * size_of(small).edges)
    for number in range(rounds):
        # Wide networks are refitted for what is forced; what is free is looked for once, since it takes many losses.
        free = number == 0 or refit is None or size_of(small).edges <= SINGLES
        smaller = search.allowed(small, least) if free else small
        if layers:
            smaller = search.merged(smaller, least)
        if refit is not None:
            ratio = keep ** (1 / rounds) if keep else _RATIO
            goal = max(least, math.floor(ratio * size_of(small).edges))
            forced = _refitted(search, smaller, goal, refit)
            if forced is None:
                small = smaller
                break
            smaller = forced
        changed = size_of(smaller) != size_of(small)
        small = smaller
        if not changed or size_of(small).edges <= least:
            break
    return PruneReport(
        net=small,
        before=size_of(net),
        after=size_of(small),
        loss_before=float(before.mean()),
        loss_after=float(search.loss_of(small).mean()),
        loss_allowed=float((before + search.rise).mean()),
        removed_inputs=tuple(sorted(set(columns_of(net)) - set(columns_of(small)))),
        widths_before=tuple(net.layers_hidden),
        widths_after=tuple(small.layers_hidden),
        rows=len(held[0]),
    )


def _refitted(search: PruningSearch, net: KAN, goal: int, refit: Refit) -> KAN | None:
    """The network forced down to `goal` edges and refitted, first by nodes too; None if its loss stays too high."""
    for whole in (True, False):
        if forced := search.forced(net, goal, whole=whole):
            refit(forced)
            forced.eval()
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
    """The rows to take importances from and those to test on."""
    if isinstance(validation, tuple):
        return (x, y), _table(net, *validation, loss)
    if not 0 < real_number("prune", "validation", validation) < 1:
        raise ValueError(f"prune: validation must be a share within 0 ... 1, or a pair (X, y), got {validation}")
    if len(x) < 4:
        raise ValueError(f"prune: X has {len(x)} rows, at least 4 are needed to hold some out")
    kept, held = hold_out(len(x), float(validation), seed)
    return (x[kept], y[kept]), (x[held], y[held])
