"""Importance of each input, node and edge of a network, as shares of the variance of its outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .._check import whole_number
from ..nn.edge_functions import moments
from ._effects import Effects, gradient_effects, no_effects, of_moderate_size, shuffle_effects
from ._walk import Step, as_evaluated, layers_of, rows_of, varying_columns, walk

Method = Literal["auto", "shuffle", "gradient"]
SHUFFLED = 600
"""Largest number of edges for which "auto" shuffles each edge; for more edges it uses gradients."""


@dataclasses.dataclass(frozen=True)
class Importance:
    """Shares of the variance of a network's outputs; `str` is a table of the inputs.

    Attributes:
        inputs: shares of the columns of X [I]; 0 for columns that `fk.prune` removed.
        nodes: shares of the inputs of each layer, one tensor [I] per layer: first the network's inputs, then the hidden
            nodes.
        edges: shares of the edges, one tensor [O, I] per layer.
        shares: share of each edge in the variance of the node where it ends, [O, I] per layer; each row sums to 1, or
            to 0 for a constant node.
        additive: `shares` multiplied along the paths from the outputs back, [O, I] per layer; each layer sums to at
            most 1.
        method: "shuffle" or "gradient".
        note: the reason why all shares are 0, if no output varies; else empty.
    """

    inputs: Tensor
    nodes: tuple[Tensor, ...]
    edges: tuple[Tensor, ...]
    shares: tuple[Tensor, ...]
    additive: tuple[Tensor, ...]
    method: str
    note: str = ""

    def ranking(self, names: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return (name, share) of the inputs, the most important first.

        Args:
            names: names of the inputs; default x1, x2, ...
        """
        named = input_names("Importance.ranking", names, len(self.inputs))
        order = sorted(range(len(named)), key=lambda i: (-float(self.inputs[i]), i))
        return [(named[i], float(self.inputs[i])) for i in order]

    def __str__(self) -> str:
        shown = self.ranking()[:20]
        lines = [f"{name:<8}{100 * share:7.2f} %" for name, share in shown]
        if len(self.inputs) > len(shown):
            lines.append(f"and {len(self.inputs) - len(shown)} more inputs")
        head = f"share of the outputs' variance ({self.method})"
        return "\n".join([f"{head}; {self.note}" if self.note else head, *lines])


def importance(net: nn.Module, X: Tensor, *, method: Method = "auto", repeats: int = 4, seed: int = 0) -> Importance:
    """Return the share of the outputs' variance that depends on each input, node and edge.

    The total importance of a part with values a(n) over the rows n is

        T = E[(f(n) - f(n; a shuffled))^2] / (2 Var f),

    the mean over the outputs that vary. Only a is shuffled over the rows; everything else keeps its values. For an
    input that is independent of the others, T is Sobol's total index. For an additive function, T is the variance of
    its own term divided by the whole variance. An edge is shuffled where it enters its node. A node is shuffled where
    it leaves, with all its edges together. T is 0 for a part that has no effect. An interaction counts for each part
    that takes part in it, so the totals may sum to more than 1.

    - "shuffle" computes this for every part. Each part costs one pass through the rest of the network.
    - "gradient" treats the network after the node as linear in each row: T = sum of G_op Cov(f_oi, f_pi) over the nodes
      o, p that the part enters, with G = E[df/dy_o df/dy_p] / Var f. It costs one backward pass per output (32 random
      signed sums of the outputs if there are more than 32). It also works for wide networks and for networks with
      LayerNorm.

    If no output varies over X, all shares are 0, and `note` says so.

    Args:
        net: a KAN or a KANLinear.
        X: rows [N, I]; a few hundred to a few thousand are enough.
        method: "auto" (shuffling for up to 600 edges, gradients for more), "shuffle" or "gradient".
        repeats: number of shuffles to average.
        seed: seed of the shuffles and of the random signs.

    Raises:
        TypeError, ValueError: net or X cannot be used, an output is not finite, or the method is unknown.

    Source: M. Jansen, Analysis of variance designs for model output (1999), eq. 12, for T; Sobol and Kucherenko,
    Derivative based global sensitivity measures (2009), for the gradients; `additive` is the attribution of Liu et al.,
    KAN 2.0 (arXiv 2408.10205, section 5.2), with variances instead of standard deviations.

    Example:
        >>> net = KAN([3, 1], norm=None)
        >>> importance(net, torch.rand(100, 3)).inputs.shape
        torch.Size([3])
    """
    if method not in ("auto", "shuffle", "gradient"):
        raise ValueError(f'importance: method must be "auto", "shuffle" or "gradient", got {method!r}')
    repeats = whole_number("importance", "repeats", repeats, 1)
    x = rows_of("importance", net, X)
    with as_evaluated(net):
        steps = walk(net, x)
        if not bool(torch.isfinite(steps[-1].y).all()):
            raise ValueError("importance: the network's outputs are not finite on X; check it with fk.diagnose(net, X)")
        steps = of_moderate_size(steps)
        variance = steps[-1].y.detach().double().var(0, correction=0)  # [O]
        varies = varying_columns(steps[-1].y)
        if method == "auto":
            method = "shuffle" if sum(s.layer.weight[..., 0].numel() for s in steps) <= SHUFFLED else "gradient"
        generator = torch.Generator().manual_seed(seed)
        if not bool(varies.any()):
            found = no_effects(steps)
        elif method == "shuffle":
            found = shuffle_effects(steps, variance, varies, repeats, generator)
        else:
            found = gradient_effects(steps, variance, varies, generator)
        shares, additive = _shares(steps, varies)
    return _assemble(net, found, shares, additive, method, varies)


def _shares(steps: list[Step], varies: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The shares of the edges in their nodes, and in the outputs along all paths; both [O, I] per layer."""
    shares: list[Tensor] = []
    additive: list[Tensor] = []
    node = varies.double() / varies.sum().clamp_min(1)  # [O]
    for step in reversed(steps):
        variance = moments(step.layer, step.x.detach())[1]
        whole = variance.sum(1, keepdim=True)
        share = torch.where(whole > 0, variance / whole.clamp_min(torch.finfo(whole.dtype).tiny), 0)
        shares.insert(0, share)
        additive.insert(0, share * node.unsqueeze(1))
        node = additive[0].sum(0)
    return shares, additive


def _assemble(
    net: nn.Module, found: Effects, shares: list[Tensor], additive: list[Tensor], method: str, varies: Tensor
) -> Importance:
    inputs = found.nodes[0].cpu()
    first = layers_of("importance", net)[0]
    if first.kept_inputs is not None:
        whole = torch.zeros(first.input_width, dtype=inputs.dtype)
        inputs = whole.index_copy(0, first.kept_inputs.cpu(), inputs)
    return Importance(
        inputs=inputs,
        nodes=tuple(t.cpu() for t in found.nodes),
        edges=tuple(t.cpu() for t in found.edges),
        shares=tuple(t.cpu() for t in shares),
        additive=tuple(t.cpu() for t in additive),
        method=method,
        note="" if bool(varies.any()) else "no output varies over X, so all shares are 0",
    )


def input_names(caller: str, names: Sequence[str] | None, count: int, letter: str = "x") -> list[str]:
    """Return one name for each of `count` columns: the given names, or x1, x2, ...

    Raises:
        ValueError: the number of names is wrong.
    """
    if names is None:
        return [f"{letter}{i + 1}" for i in range(count)]
    found = [str(name) for name in names]
    if len(found) != count:
        raise ValueError(f"{caller}: {len(found)} names for {count} columns: {found[:10]}")
    return found
