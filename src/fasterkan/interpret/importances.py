"""Importance of each input, node and edge of a network, as shares of the variance of its outputs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .._check import whole_number
from .._device import with_float64
from ..nn.edge_functions import moments
from ._cancelling import cancelling_groups
from ._names import input_names
from ._parts import (
    Scale,
    exchanged_covariances,
    linear_covariance,
    node_covariances,
    of_moderate_size,
    slopes_behind,
    sum_covariance,
)
from ._shapley import explained_shares
from ._walk import Step, as_evaluated, rows_of, varying_columns, walk
from .importance_result import Cancelling, Importance

Method = Literal["auto", "shuffle", "gradient"]
SHUFFLED = 600
"""Largest number of edges for which "auto" exchanges values; for more edges it uses gradients."""


def importance(
    net: nn.Module, X: Tensor, *, method: Method = "auto", repeats: int | None = None, seed: int = 0
) -> Importance:
    """Return the share of each input, node and edge in the variance of the outputs.

    No share is negative, and the shares of all inputs, or of all nodes of a layer, sum to 1. They come in two steps.

    1. Parts. The outputs of a row n are written as a sum with one part g_i(n) for each node i of a layer, minus a
       constant. For the last layer, and so for all inputs of an additive network, g_i is the sum of the edges that
       leave node i. Else g_i(n) is a Shapley value: the mean change of the output when i gets its value in row n, after
       a random set of the other nodes, while the remaining nodes have their values in another row. Constants do not
       matter: only the variance of a part counts.
    2. Shares. The parts of a set S explain e(S) = Var g - Var(g - sum of g_i over S). The value of S is the largest
       e(T) of all T in S, and the shares are the Shapley values of this game divided by Var g. With several outputs, e
       is the mean over the outputs that vary, each divided by its variance.

    If the inputs are independent, the shares are the Shapley effects: each term of the variance decomposition is
    divided equally among its inputs. In an additive function they are Sobol's indices. If inputs depend on each other,
    Cov(g_i, g) / Var g may be negative or above 1. Taking the best subset prevents that: parts that cancel explain
    nothing alone, and what they explain together is divided among them. Two equal parts have equal shares. A part that
    has no effect on the outputs has the share 0, even if its column is correlated with another one: the shares describe
    the network, not the data alone. `fk.prune` tries to remove the parts in the order of these shares.

    The share of an edge is the share of the node where it ends times its share in this node's variance (step 2, with
    the edges as parts).

    - "shuffle" is this definition. Each layer but the last costs some evaluations of the rest of the network for each
      row, node and repeat. Shares of up to 15 nodes are exact for the given parts; for more nodes, orders are drawn.
    - "gradient" treats the network after a node as linear in each row: g_i is the sum over the nodes o that i enters of
      df/dy_o (f_oi - its mean). The shares are those of the variance of sum g_i. It costs one backward pass per output
      (32 random signed sums of the outputs if there are more than 32), and it is made for wide networks. An edge has a
      share in proportion to E[(df/dy_o)^2] Var f_oi.

    If no output varies over X, all shares are 0, and `note` says so.

    Args:
        net: a KAN or a KANLinear.
        X: rows [N, I]; a few hundred to a few thousand are enough.
        method: "auto" ("shuffle" for up to 600 edges, "gradient" for more), "shuffle" or "gradient".
        repeats: number of other rows that give values to absent nodes, for "shuffle"; default 16 to 256, so that a
            layer costs about half a million evaluations of one row.
        seed: seed of the other rows, of the orders and of the random signs.

    Raises:
        TypeError, ValueError: net or X cannot be used, an output is not finite, or the method is unknown.

    Source: A. Owen, Sobol' indices and Shapley value (2014), and Song, Nelson and Staum (2016), for Shapley effects;
    Lundberg and Lee (2017), for the parts; Covert, Lundberg and Lee (2020), for e(S) with the network's own outputs as
    targets. The largest value of all subsets is the monotonic cover of a game (Peleg and Sudhoelter, Introduction to
    the Theory of Cooperative Games, 2007). `additive` is the attribution of Liu et al., KAN 2.0 (arXiv 2408.10205,
    section 5.2), with these shares instead of standard deviations.

    Example:
        >>> net = KAN([3, 1], norm=None)
        >>> float(importance(net, torch.rand(100, 3)).inputs.sum().round(decimals=6))
        1.0
    """
    if method not in ("auto", "shuffle", "gradient"):
        raise ValueError(f'importance: method must be "auto", "shuffle" or "gradient", got {method!r}')
    if repeats is not None:
        repeats = whole_number("importance", "repeats", repeats, 1)
    net = with_float64(net)
    x = rows_of("importance", net, X)
    with as_evaluated(net):
        steps = walk(net, x)
        if not bool(torch.isfinite(steps[-1].y).all()):
            raise ValueError("importance: the network's outputs are not finite on X; check it with fk.diagnose(net, X)")
        steps = of_moderate_size(steps)
        varies = varying_columns(steps[-1].y)
        if method == "auto":
            method = "shuffle" if sum(s.layer.weight[..., 0].numel() for s in steps) <= SHUFFLED else "gradient"
        generator = torch.Generator("cpu").manual_seed(seed)
        return _Sharing(steps, varies, method, repeats, generator).result()


class _Sharing:
    """The computation of the shares of all layers of a network on given data."""

    def __init__(
        self,
        steps: list[Step],
        varies: Tensor,
        method: str,
        repeats: int | None,
        generator: torch.Generator,
    ) -> None:
        self.steps, self.varies, self.method = steps, varies, method
        self.repeats, self.generator = repeats, generator
        self.scale = Scale.of(steps[-1].y, varies)
        first = steps[0].layer
        every = torch.arange(first.in_features, device="cpu") if first.kept_inputs is None else first.kept_inputs.cpu()
        self.columns, self.width = every, first.input_width

    def result(self) -> Importance:
        own = [self._within(step) for step in self.steps]
        additive = self._along_paths(own)
        if bool(self.varies.any()):
            slopes = slopes_behind(self.steps, self.scale, self.generator) if self.method == "gradient" else []
            found = [self._nodes(number, slopes) for number in range(len(self.steps))]
            nodes, errors, cancelling = [f[0] for f in found], found[0][1], [c for f in found for c in f[2]]
            edges = [self._edges(number, nodes, own, slopes) for number in range(len(self.steps))]
        else:
            nodes = [torch.zeros_like(share[0]) for share in own]
            errors, cancelling, edges = torch.zeros_like(nodes[0]), [], [torch.zeros_like(share) for share in own]
        return Importance(
            inputs=self._of_columns(nodes[0]),
            errors=self._of_columns(errors),
            nodes=tuple(t.cpu() for t in nodes),
            edges=tuple(t.cpu() for t in edges),
            shares=tuple(t.cpu() for t in own),
            additive=tuple(t.cpu() for t in additive),
            cancelling=tuple(cancelling),
            method=self.method,
            names=input_names(self.steps[0].layer),
            note="" if bool(self.varies.any()) else "no output varies over X, so all shares are 0",
        )

    def _nodes(self, number: int, slopes: list[Tensor]) -> tuple[Tensor, Tensor, list[Cancelling]]:
        """Shares and standard errors [I] of the nodes that enter a layer, and those that cancel."""
        step = self.steps[number]
        if number == len(self.steps) - 1:
            covariances = sum_covariance(step, self.scale).unsqueeze(0)
        elif self.method == "gradient":
            covariances = linear_covariance(step, slopes[number]).unsqueeze(0)
        else:
            covariances = exchanged_covariances(self.steps, number, self.scale, self.repeats, self.generator)
        if not bool(torch.isfinite(covariances).all()):
            raise ValueError(
                f"importance: the network's outputs are not finite when nodes of layer {number} get the values of "
                'other rows; use method="gradient", or a basis that is bounded outside its grid'
            )
        whole, *without = covariances
        groups = cancelling_groups(whole)
        shares, drawn = explained_shares(whole, groups, self.generator)
        variance = drawn.square()
        if number == 0 and len(without) > 1:  # the jackknife over the batches of other rows
            others = torch.stack([explained_shares(each, groups, self.generator)[0] for each in without])
            variance = variance + (len(others) - 1) * others.var(0, correction=0)
        total = float(whole.sum())
        named = self.columns if number == 0 else torch.arange(step.layer.in_features, device="cpu")
        found = [
            Cancelling(
                layer=number,
                nodes=tuple(named[group].tolist()),
                parts=tuple((whole.diagonal()[group] / total).tolist()),
                share=float(shares[group].sum()),
            )
            for group in groups
        ]
        return shares, variance.sqrt(), found

    def _within(self, step: Step) -> Tensor:
        """The shares of the edges in the variance of their nodes, [O, I]."""
        if self.method == "gradient":
            variance = moments(step.layer, step.x.detach())[1]
            whole = variance.sum(1, keepdim=True)
            return torch.where(whole > 0, variance / whole.clamp_min(torch.finfo(whole.dtype).tiny), 0)
        found = []
        for covariance, varies in zip(node_covariances(step), varying_columns(step.y), strict=True):
            share = explained_shares(covariance, cancelling_groups(covariance), self.generator)[0]
            found.append(share * varies)
        return torch.stack(found)

    def _along_paths(self, own: list[Tensor]) -> list[Tensor]:
        """The shares multiplied along the paths from the outputs back, [O, I] per layer."""
        node = self.varies.double() / self.varies.sum().clamp_min(1)  # [O]
        found: list[Tensor] = []
        for share in reversed(own):
            found.insert(0, share * node.unsqueeze(1))
            node = found[0].sum(0)
        return found

    def _edges(self, number: int, nodes: list[Tensor], own: list[Tensor], slopes: list[Tensor]) -> Tensor:
        """The shares of the edges of a layer, [O, I]."""
        if number == len(self.steps) - 1:
            return own[-1] * (self.varies.double() / self.varies.sum()).unsqueeze(1)
        if self.method == "shuffle":
            return own[number] * nodes[number + 1].unsqueeze(1)
        steepness = slopes[number].double().square().sum(1).mean(0)  # [O]
        worth = moments(self.steps[number].layer, self.steps[number].x.detach())[1] * steepness.unsqueeze(1)
        return worth / worth.sum().clamp_min(torch.finfo(worth.dtype).tiny)

    def _of_columns(self, values: Tensor) -> Tensor:
        """Values of the first layer's inputs as values of the columns of X."""
        return torch.zeros(self.width, dtype=values.dtype, device="cpu").index_copy(0, self.columns, values.cpu())
