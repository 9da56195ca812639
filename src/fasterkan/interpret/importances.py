"""How much each input, node and edge of a network matters, as shares of the variance of its outputs."""

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
"""Up to so many edges "auto" shuffles each one; beyond, it takes gradients."""


@dataclasses.dataclass(frozen=True)
class Importance:
    """Shares of the variance of a network's outputs; `str` is a table of the inputs.

    Attributes:
        inputs: of each column of X [I]; 0 for columns that `fk.prune` removed.
        nodes: of the inputs of each layer, one tensor [I] a layer: the first is that of the inputs, the others are
            those of the hidden nodes.
        edges: of each edge, one tensor [O, I] a layer.
        shares: of each edge in the variance of the node that it ends in, [O, I] a layer; each row sums to 1, or is 0
            for a constant node.
        additive: `shares` handed on from the outputs down, [O, I] a layer; each layer sums to 1 at most.
        method: "shuffle" or "gradient".
        note: why all shares are 0, where no output varies; else empty.
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
            names: of the inputs; default x1, x2, ...
        """
        named = input_names("Importance.ranking", names, len(self.inputs))
        order = sorted(range(len(named)), key=lambda i: (-float(self.inputs[i]), i))
        return [(named[i], float(self.inputs[i])) for i in order]

    def __str__(self) -> str:
        shown = self.ranking()[:20]
        lines = [f"{name:<8}{100 * share:7.2f} %" for name, share in shown]
        if len(self.inputs) > len(shown):
            lines.append(f"and {len(self.inputs) - len(shown)} inputs more")
        head = f"share of the outputs' variance ({self.method})"
        return "\n".join([f"{head}; {self.note}" if self.note else head, *lines])


def importance(net: nn.Module, X: Tensor, *, method: Method = "auto", repeats: int = 4, seed: int = 0) -> Importance:
    """Return how much of the outputs' variance hangs on each input, node and edge.

    The total importance of a part with values a(n) over the rows n is

        T = E[(f(n) - f(n; a shuffled))^2] / (2 Var f),

    the mean over the outputs that vary, a being shuffled over the rows while all else stays. For an input that is
    independent of the others it is Sobol's total index; for additive functions the variance of its own term over the
    whole. An edge is shuffled where it enters its node, a node where it leaves (all its edges together), 0 is a part
    that plays no role. Interactions count for each part that takes part in them, so that totals may sum to more than 1.

    - "shuffle" does that, for every part; its cost is one pass through the rest of the network for each.
    - "gradient" takes the network behind the node as linear in each row: T = sum of G_op Cov(f_oi, f_pi) over the
      nodes o, p that the part enters, G = E[df/dy_o df/dy_p] / Var f. It costs one backward pass an output (32 random
      signed sums of them for more than 32 outputs), and works for wide networks and networks with LayerNorm too.

    Where no output varies over X there is nothing to share out: everything is 0, and `note` says so.

    Args:
        net: a KAN or a KANLinear.
        X: rows [N, I]; some hundred to some thousand are enough.
        method: "auto" shuffles up to 600 edges, and takes gradients for more.
        repeats: how many shuffles are averaged.
        seed: of the shuffles and of the signs.

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
            raise ValueError("importance: the network's outputs are not finite on X; look with fk.diagnose(net, X)")
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
    """The edges' shares of their nodes, and those handed on from the outputs down; [O, I] a layer."""
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
        note="" if bool(varies.any()) else "no output varies over X, so there is nothing to share out",
    )


def input_names(caller: str, names: Sequence[str] | None, count: int, letter: str = "x") -> list[str]:
    """Return one name for each of `count` columns: those given, or x1, x2, ...

    Raises:
        ValueError: another number of names.
    """
    if names is None:
        return [f"{letter}{i + 1}" for i in range(count)]
    found = [str(name) for name in names]
    if len(found) != count:
        raise ValueError(f"{caller}: {len(found)} names for {count} columns: {found[:10]}")
    return found
