"""Shares of a sum's variance for its parts: Shapley values of the variance that the parts explain."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

EXACT = 15
"""Largest number of parts for which all subsets are computed; for more parts, orders are drawn."""
ORDERS = 64
"""Number of orders that are drawn; every second one is the reverse of the one before."""


def explained_shares(
    covariance: Tensor, groups: Sequence[Sequence[int]], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the shares [I] of parts g_i in the variance of their sum g, and their standard errors [I].

    The parts of a set S explain e(S) = Var g - Var(g - sum_S g_i), and the value of S is the largest e(T) of all T in
    S. So a value never falls when a part joins, and no share is negative. The shares are the Shapley values divided by
    Var g; their sum is 1. The errors are 0 if all subsets were computed.

    Args:
        covariance: covariance matrix of the parts, [I, I], float64.
        groups: parts that cancel; they are also tried together if orders are drawn.
        generator: draws the orders.
    """
    shares, errors = torch.zeros_like(covariance[0]), torch.zeros_like(covariance[0])
    alive = covariance.diagonal() > 0
    whole = float(covariance.sum())
    if not bool(alive.any()) or not whole > 0:
        return shares, errors
    places = alive.nonzero().flatten()
    inner = covariance[places][:, places] / whole
    if len(places) <= EXACT:
        shares[places] = _exact(inner)
        return shares, errors
    together = torch.zeros_like(covariance, dtype=torch.bool)
    for group in groups:
        index = torch.tensor(list(group), device=covariance.device)
        together[index.unsqueeze(1), index] = True
    shares[places], errors[places] = _sampled(inner, together[places][:, places], generator)
    return shares, errors


def subsets(count: int) -> Tensor:
    """Return all subsets of `count` parts as rows of 0 and 1, [2^count, count]; row s holds the bits of s."""
    return (torch.arange(2**count, device="cpu").unsqueeze(1) >> torch.arange(count, device="cpu") & 1).double()


def shapley_weights(count: int) -> Tensor:
    """Return the weights W [count, 2^count] that give the Shapley values W v of a table v of all subsets."""
    members = subsets(count)
    size = members.sum(1)
    one = [math.factorial(s) * math.factorial(max(0, count - s - 1)) / math.factorial(count) for s in range(count + 1)]
    without = (size.unsqueeze(1) - members).long()  # the size without the part
    weight = torch.tensor(one, dtype=torch.float64, device="cpu")[without]
    return ((2 * members - 1) * weight).t()


def _exact(covariance: Tensor) -> Tensor:
    count = len(covariance)
    members = subsets(count).to(covariance.device)
    value = (members * (2 * covariance.sum(1) - members @ covariance)).sum(1)  # [2^I]
    for i in range(count):
        pair = value.view(-1, 2, 2**i)  # without and with part i
        torch.maximum(pair[:, 1], pair[:, 0], out=pair[:, 1])
    return (shapley_weights(count).to(covariance.device) @ value).clamp_min(0)


def _sampled(covariance: Tensor, together: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The mean gains of value, and their standard errors, if the parts join in drawn orders.

    The best subset of the parts that have joined is followed by local changes: the new part alone, with one other part
    that joins or leaves, with its group, or all parts.
    """
    count, device = len(covariance), covariance.device
    drawn = torch.stack([torch.randperm(count, generator=generator, device="cpu") for _ in range(ORDERS // 2)])
    orders = torch.stack([drawn, drawn.flip(1)], 1).flatten(0, 1).to(device)  # [M, I]
    row, grouped = torch.arange(len(orders), device=device), together.any(1)
    target, own = covariance.sum(1), covariance.diagonal()
    joined = torch.zeros(orders.shape, dtype=torch.float64, device=device)  # 1 for the parts that have joined
    best, gained = torch.zeros_like(joined), torch.zeros_like(joined)  # best: 1 for the parts of the best subset
    reach, whole_reach = torch.zeros_like(joined), torch.zeros_like(joined)  # best @ covariance, joined @ covariance
    value, whole = torch.zeros(2, len(orders), dtype=torch.float64, device=device)
    for new in orders.t():
        with_new = covariance[new]  # [M, I]
        whole = whole + 2 * (target[new] - whole_reach[row, new]) - own[new]
        whole_reach += with_new
        joined[row, new] = 1
        sign = 1 - 2 * best
        flip = 2 * sign * (target - reach) - own  # gain of value if a part joins or leaves the best subset
        alone = flip[row, new].unsqueeze(1)
        pair = torch.where(joined > 0, alone + flip - 2 * sign * with_new, -torch.inf).scatter(
            1, new.unsqueeze(1), alone
        )
        gain, other = pair.max(1)
        accepted = (gain > 0).double()
        two = accepted * (other != new)
        best[row, new] += accepted
        reach += accepted.unsqueeze(1) * with_new
        reach += (two * sign[row, other]).unsqueeze(1) * covariance[other]
        best[row, other] += two * sign[row, other]
        found = value + gain.clamp_min(0)
        if bool((here := grouped[new]).any()):
            several = torch.maximum(best[here], together[new[here]] * joined[here])
            _take_if_better(covariance, best, reach, found, here.nonzero().flatten(), several)
        if bool((here := whole > found).any()):
            _take_if_better(covariance, best, reach, found, here.nonzero().flatten(), joined[here])
        gained[row, new] = found - value
        value = found
    pairs = gained.view(-1, 2, count).mean(1)
    return gained.mean(0), pairs.std(0) / len(pairs) ** 0.5


def _take_if_better(
    covariance: Tensor, best: Tensor, reach: Tensor, value: Tensor, rows: Tensor, members: Tensor
) -> None:
    """Put other subsets [R, I] into some rows of the search, in place, where they explain more."""
    other_reach = members @ covariance
    other = (members * (2 * covariance.sum(1) - other_reach)).sum(1)
    better = other > value[rows]
    rows = rows[better]
    best[rows], reach[rows], value[rows] = members[better], other_reach[better], other[better]
