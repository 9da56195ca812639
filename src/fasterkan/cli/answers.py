"""What a network that was fitted to a table says of rows, and how far off it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._device import exact_on_cpu
from .fitted import Encoded, Fitted


@dataclasses.dataclass(frozen=True)
class Error:
    """How far off a network is on some rows, for one target."""

    target: str
    rows: int
    error: float
    """Root mean square for numbers, share of wrong labels for labels."""
    plain: float
    """The same of the best constant answer: the rows' standard deviation, or all but the most frequent label."""
    median: float = float("nan")
    """Of the absolute error, of numbers; outliers hardly move it."""

    @property
    def explained(self) -> float:
        """R^2 for numbers."""
        return 1 - (self.error / self.plain) ** 2 if self.plain > 0 else float("nan")


@torch.no_grad()
def outputs_of(net: nn.Module, x: Tensor) -> Tensor:
    """Return the outputs [N, O] for rows, float64."""
    return torch.cat([exact_on_cpu(net(part.to(next(net.parameters()).dtype))) for part in x.split(4096)])


def probabilities(outputs: Tensor) -> Tensor:
    """Return the probability of each label [N, C] for logits [N, 1] of the second of two labels, or [N, C]."""
    p = torch.sigmoid(outputs)
    if p.shape[1] == 1:
        return torch.cat([1 - p, p], 1)
    return p / p.sum(1, keepdim=True).clamp_min(torch.finfo(p.dtype).tiny)


def answers(fitted: Fitted, outputs: Tensor) -> dict[str, list[str]]:
    """Return the columns of a table of predictions: values, or labels and the probability of each."""
    if fitted.labels is None:
        return {
            f"{target.name} predicted": [number(value) for value in column]
            for target, column in zip(fitted.targets, outputs.T.tolist(), strict=True)
        }
    p = probabilities(outputs)
    said = {f"{fitted.targets[0].name} predicted": [fitted.labels[i] for i in p.argmax(1).tolist()]}
    shares = {f"P({label})": column for label, column in zip(fitted.labels, p.T.tolist(), strict=True)}
    return said | {name: [f"{value:.4f}" for value in column] for name, column in shares.items()}


def errors(fitted: Fitted, outputs: Tensor, y: Tensor) -> list[Error]:
    """Return how far outputs [N, O] are from encoded targets, target by target."""
    if fitted.labels is None:
        off = outputs - y
        return [
            Error(
                column.name, len(y), _size(off[:, i]), _size(y[:, i] - y[:, i].mean()), float(off[:, i].abs().median())
            )
            for i, column in enumerate(fitted.targets)
        ]
    right = labels_of(y)
    wrong = float((probabilities(outputs).argmax(1) != right).double().mean())
    often = float(torch.bincount(right).max()) / len(right)
    return [Error(fitted.targets[0].name, len(y), wrong, 1 - often)]


def labels_of(y: Tensor) -> Tensor:
    """Return the numbers of the labels [N] of encoded targets [N, 1] or [N, C]."""
    return y[:, 0].long() if y.shape[1] == 1 else y.argmax(1)


def log_loss(outputs: Tensor, y: Tensor) -> float:
    """Return the mean of -log P(right label)."""
    p = probabilities(outputs).clamp_min(1e-12)
    return float(F.nll_loss(p.log(), labels_of(y)))


def outside(fitted: Fitted, found: Encoded) -> dict[str, int]:
    """Return how many rows lie outside the range that was fitted, by column; those with none are left out."""
    counts = {}
    place = 0
    for column in fitted.inputs:
        if column.words is None:
            values = found.x[:, place]
            counts[column.name] = int(((values < column.low) | (values > column.high)).sum())
        place += len(column.parts)
    return {name: count for name, count in counts.items() if count}


def number(value: float) -> str:
    """Return a number with nine digits, as tables hold it."""
    return f"{value:.9g}"


def shortened(names: Sequence[str], most: int = 8) -> str:
    """Return names with commas, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _size(values: Tensor) -> float:
    return float(values.square().mean().sqrt()) if len(values) else float("nan")
