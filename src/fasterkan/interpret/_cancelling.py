"""Parts of a sum that cancel: they are large, and their sum is small."""

from __future__ import annotations

import torch
from torch import Tensor

OPPOSED = -0.7
"""Largest correlation of two parts that are put into one group."""
SMALL = 0.01
"""Parts with less than this share of the largest variance in a group do not belong to it."""
LEFT = 0.25
"""Parts cancel if the variance of their sum is at most this share of the sum of their variances."""
NOTABLE = 0.1
"""The variances of cancelling parts sum to at least this share of the whole variance; smaller groups are not named."""


def cancelling_groups(covariance: Tensor) -> list[list[int]]:
    """Return groups of parts that cancel, each with at least two numbers in increasing order.

    The two groups whose sum removes most variance are joined, as long as their correlation is below `OPPOSED`; each
    part is a group of its own at first.

    Args:
        covariance: covariance matrix of the parts, [I, I], float64.
    """
    inner = covariance.clone()
    members = [[i] for i in range(len(inner))]
    while True:
        own = inner.diagonal()
        small, large = torch.minimum(own, own.unsqueeze(1)), torch.maximum(own, own.unsqueeze(1))
        opposed = (inner < OPPOSED * (small * large).sqrt()) & (small > SMALL * large)
        if not bool(opposed.any()):
            break
        a, b = divmod(int(torch.where(opposed, inner, 0).argmin()), len(inner))
        inner[a] += inner[b]
        inner[:, a] += inner[:, b]
        inner[b] = 0
        inner[:, b] = 0
        members[a] += members[b]
        members[b] = []
    whole, own = float(covariance.sum()), covariance.diagonal()
    found = []
    for joined in members:
        group = [i for i in joined if own[i] > SMALL * own[joined].max()]
        parts = float(own[group].sum())
        rest = float(covariance[group][:, group].sum())
        if len(group) > 1 and rest <= LEFT * parts and parts >= NOTABLE * whole:
            found.append(sorted(group))
    return sorted(found)
