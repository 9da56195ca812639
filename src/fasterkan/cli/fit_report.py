"""The report of `fasterkan fit`: what was fitted, how far off it is, why it stopped, and what its inputs are worth."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from ..bases import BSpline
from ..interpret.edge_list import worth_of
from ..models import KAN
from ..nn import KANLinear
from .answers import Error
from .columns import Column
from .fit_columns import ChosenTable
from .fit_network import FittedNetwork
from .fitted import Fitted
from .text import percent

WHY = {
    "converged": "the loss falls no further",
    "held-out error stopped falling": "finer grids were no better on rows held out; the best grid was kept",
    "time": "--seconds ran out; the best so far was kept, and another run may end elsewhere",
    "iterations": "the last phase used all its iterations",
}
_MOST = 20
"""Inputs that the report lists."""


def report_text(
    chosen: ChosenTable,
    fitted: Fitted,
    made: FittedNetwork,
    off: Mapping[str, Sequence[Error]],
    losses: Mapping[str, float],
) -> str:
    """Return the report.

    Args:
        chosen: columns and rows.
        fitted: the same with the result.
        made: the network and its fit.
        off: errors on the rows that were fitted, and on those of the test if there are any.
        losses: of labels, the log loss on the same rows.
    """
    sections = [
        _table(chosen, fitted),
        _network(made, len(chosen.rows.rows)),
        _errors(fitted, made, off, losses),
        _worth(made, chosen, fitted),
        "course of the fit\n" + textwrap.indent(str(made.outcome), "  "),
    ]
    if made.widths is not None:
        sections.append("shapes that were tried\n" + textwrap.indent(str(made.widths), "  "))
    return "\n\n".join(sections)


def _table(chosen: ChosenTable, fitted: Fitted) -> str:
    count = len(chosen.test.rows)
    where = "" if fitted.test is None else f" rows of {fitted.test.name}"
    test = f"{count}{where} for the test" if count else "no test"
    lines = [
        f"{fitted.data.name}: {len(chosen.table.rows)} rows, {len(chosen.rows.rows)} fitted, {test}",
        *(f"{'target' if n == 0 else '':<9}{_described(column)}" for n, column in enumerate(fitted.targets)),
        *(f"{'inputs' if n == 0 else '':<9}{_described(column)}" for n, column in enumerate(fitted.inputs[:_MOST])),
    ]
    if len(fitted.inputs) > _MOST:
        lines.append(f"{'':<9}and {len(fitted.inputs) - _MOST} more")
    return "\n".join([*lines, *(f"{'note':<9}{note}" for note in chosen.notes)])


def _described(column: Column) -> str:
    if column.words is None:
        return f"{column.name}: {column.low:.6g} to {column.high:.6g}"
    return f"{column.name}: {', '.join(column.words[:8])}" + (" ..." if len(column.words) > 8 else "")


def _network(made: FittedNetwork, rows: int) -> str:
    net = made.net
    parameters = sum(p.numel() for p in net.parameters())
    edges = sum(layer.weight[..., 0].numel() for layer in net.modules() if isinstance(layer, KANLinear))
    lines = [
        f"network  {list(net.layers_hidden)}, {described_basis(net)}",
        f"{'':<9}{edges} edges, {parameters:,} parameters, {made.outcome.seconds:.1f} s",
        f"stopped  {made.outcome.stopped}: {WHY[made.outcome.stopped]}",
    ]
    if parameters > rows:
        lines.append(f"{'note':<9}more parameters than rows; a smaller --width or --grid may do as well")
    return "\n".join(lines)


def described_basis(net: KAN) -> str:
    """Return the family of a network's functions and what they are made of."""
    basis = net.basis
    degree = f" of degree {basis.degree}" if isinstance(basis, BSpline) else ""
    return f"{type(basis).__name__}{degree}, {basis.num_basis} functions an edge"


def _errors(
    fitted: Fitted, made: FittedNetwork, off: Mapping[str, Sequence[Error]], losses: Mapping[str, float]
) -> str:
    held = made.outcome.held_out
    if fitted.labels is not None:
        lines = [f"{'':<11}{'right':>10}{'log loss':>11}{'rows':>7}{'most frequent label':>22}"]
        lines += [
            f"{word:<11}{percent(1 - e.error):>10}{losses[word]:>11.3g}{e.rows:>7}{percent(1 - e.plain):>22}"
            for word, (e, *_) in off.items()
        ]
        return "\n".join(["how often it is right", *(f"  {line}" for line in lines)])
    lines = []
    huber = fitted.loss == "huber"
    for number, target in enumerate(fitted.targets):
        middle = f"{'median |error|':>17}" if huber else ""
        lines.append(f"{target.name:<14}{'RMSE':>11}{'of the sd':>11}{'R2':>10}{'rows':>7}{middle}")
        for word, found in off.items():
            e = found[number]
            share = percent(e.error / e.plain) if e.plain > 0 else "-"
            middle = f"{e.median:>17.4g}" if huber else ""
            lines.append(f"{word:<14}{e.error:>11.4g}{share:>11}{e.explained:>10.5f}{e.rows:>7}{middle}")
    text = "\n".join(["how far off it is", *(f"  {line}" for line in lines)])
    if held is None:
        return f"{text}\n  too few different rows to hold some out for the choices of the fit"
    kind = "RMSE" if fitted.loss == "squared" else "root of twice the loss"
    whole = " of all targets" if len(fitted.targets) > 1 else ""
    return f"{text}\n  {kind}{whole} on rows that the fit held out to choose start, smoothness and grid: {held:.4g}"


def _worth(made: FittedNetwork, chosen: ChosenTable, fitted: Fitted) -> str:
    worth = worth_of(made.net, chosen.rows.x)
    if worth is None:
        return "what the inputs are worth: nothing, the network's output is constant"
    what = "variance of its outputs" if fitted.labels is None else "variance of its logits"
    table = textwrap.indent(worth.text(fitted.input_names), "  ")
    return f"what the inputs are worth (their shares of the {what})\n{table}"
