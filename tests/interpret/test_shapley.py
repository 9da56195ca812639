"""Shares of a variance against their definition, subset by subset and order by order."""

from __future__ import annotations

import itertools

import pytest
import torch

from fasterkan.interpret import _shapley
from fasterkan.interpret._cancelling import cancelling_groups
from fasterkan.interpret._shapley import explained_shares

from ..seeds import seed_of


def covariance_of(parts):
    centred = parts - parts.mean(0)
    return centred.t() @ centred / len(parts)


def by_definition(parts):
    """The mean gain over all orders of the largest explained variance of all subsets, over the variance of the sum."""
    count, whole = parts.shape[1], parts.sum(1)
    value = {}
    for size in range(count + 1):
        for members in itertools.combinations(range(count), size):
            own = whole.var(correction=0) - (whole - parts[:, list(members)].sum(1)).var(correction=0)
            smaller = [value[tuple(m for m in members if m != left)] for left in members]
            value[members] = max([float(own), *smaller])
    gains = torch.zeros(count, dtype=torch.float64)
    orders = list(itertools.permutations(range(count)))
    for order in orders:
        for place, new in enumerate(order):
            gains[new] += value[tuple(sorted(order[: place + 1]))] - value[tuple(sorted(order[:place]))]
    return gains / len(orders) / whole.var(correction=0)


def shares_of(parts):
    covariance = covariance_of(parts)
    return explained_shares(covariance, cancelling_groups(covariance), torch.Generator().manual_seed(0))


def drawn_parts(count, seed=0, rows=400):
    generator = torch.Generator().manual_seed(seed_of(seed))
    return torch.randn(rows, count, generator=generator, dtype=torch.float64)


def test_shares_are_those_of_the_definition():
    parts = drawn_parts(6) * torch.tensor([1, 2, 0.5, 3, 1, 0.1])
    parts[:, 3] += 2 * parts[:, 1]
    parts[:, 4] -= 5 * parts[:, 0]  # covariances alone would give negative shares
    covariance = covariance_of(parts)
    assert float((covariance.sum(1) / covariance.sum()).min()) < 0
    shares, errors = shares_of(parts)
    torch.testing.assert_close(shares, by_definition(parts), rtol=1e-9, atol=1e-12)
    assert not bool(errors.any())


def test_uncorrelated_parts_have_their_variances():
    parts = drawn_parts(5) * torch.tensor([1.0, 1, 1, 1, 0])
    whitened = torch.linalg.qr(parts[:, :4] - parts[:, :4].mean(0))[0] * torch.tensor(
        [1.0, 2, 3, 0.1], dtype=torch.float64
    )
    shares, _ = shares_of(torch.cat([whitened, parts[:, 4:]], 1))
    squares = torch.tensor([1.0, 4, 9, 0.01, 0], dtype=torch.float64)
    torch.testing.assert_close(shares, squares / squares.sum(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("copies", [2, 3, 20], ids=lambda n: f"{n}-copies")
def test_equal_parts_share_equally(copies):
    """Of 20 copies the shares are drawn, with their standard error."""
    shares, errors = shares_of(drawn_parts(1).expand(-1, copies))
    bound = 6 * errors + 1e-9
    assert bool(((shares - 1 / copies).abs() <= bound).all()) and float(shares.sum()) == pytest.approx(1)


def test_parts_that_cancel_share_what_they_explain_together():
    """1000 a and e - 1000 a explain nothing alone, and e together."""
    a, e, y = torch.linalg.qr(drawn_parts(3) - drawn_parts(3).mean(0))[0].unbind(1)
    shares, _ = shares_of(torch.stack([1000 * a, 0.5 * e - 1000 * a, y], 1))
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.1, 0.8], dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("seed", range(3))
def test_drawn_orders_agree_with_all_subsets(seed, monkeypatch):
    """15 parts of which two pairs and a triple cancel; local search finds their sums."""
    parts = drawn_parts(15, seed)
    parts[:, 1] = 0.2 * parts[:, 1] - 4 * parts[:, 0]
    parts[:, 0] *= 4
    parts[:, 3] = 0.1 * parts[:, 3] - 2 * parts[:, 2]
    parts[:, 2] *= 2
    parts[:, 6] -= 3 * (parts[:, 4] + parts[:, 5])
    parts[:, 4:6] *= 3
    exact, _ = shares_of(parts)
    monkeypatch.setattr(_shapley, "EXACT", 0)
    drawn, errors = shares_of(parts)
    assert float(drawn.sum()) == pytest.approx(1) and float(drawn.min()) >= 0
    assert bool(((drawn - exact).abs() <= 6 * errors + 0.01).all())
    assert 0 < float(errors.max()) < 0.02


def test_no_variance_no_shares():
    for covariance in (torch.zeros(3, 3), torch.tensor([[1.0, -1.0], [-1.0, 1.0]])):
        shares, errors = explained_shares(covariance.double(), [], torch.Generator())
        assert not bool(shares.any()) and not bool(errors.any())


@pytest.mark.parametrize(
    ("parts", "groups"),
    [
        (lambda a, b, c: (10 * a, b - 10 * a, c), [[0, 1]]),
        (lambda a, b, c: (5 * a, c, 5 * a + b, -10 * a), [[0, 2, 3]]),
        (lambda a, b, c: (5 * a, -5 * a + b, 8 * c, b - 8 * c), [[0, 1], [2, 3]]),
        (lambda a, b, c: (a, b, c), []),
        (lambda a, b, c: (a, a, -0.05 * a), []),
        (lambda a, b, c: (10 * a, 0.2 * b - 10 * a, -0.5 * b), [[0, 1]]),
        (lambda a, b, c: (0.1 * a, -0.1 * a, b), []),
    ],
    ids=[
        "pair",
        "triple",
        "two-pairs",
        "independent",
        "small-beside-large",
        "rest-beside-another",
        "too-small-to-name",
    ],
)
def test_parts_that_cancel_are_found(parts, groups):
    assert cancelling_groups(covariance_of(torch.stack(parts(*drawn_parts(3).unbind(1)), 1))) == groups
