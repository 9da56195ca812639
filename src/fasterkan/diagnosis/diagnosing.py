"""`diagnose`, the function of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from .._check import whole_number
from ..data import ImageDataset
from ..nn import KANLinear
from .advice import findings
from .batches import batches
from .measure import measure
from .observe import observe
from .report import Diagnosis


def diagnose(
    model: nn.Module,
    data: Tensor | tuple[Tensor, Tensor] | Iterable[Any] | ImageDataset,
    *,
    rows: int = 2048,
    loss: Callable[[Any, Any], Tensor] | None = None,
) -> Diagnosis:
    """Send data through a model, and report what is wrong with its KANLinear layers and what to change.

    The model is run in evaluation mode and not changed: modes, gradients, hooks, buffers and random state stay the
    same.

    Args:
        model: a layer, a KAN, a FasterKANvolver, or any module that contains KANLinear layers.
        data: inputs [N, ...] as one tensor, array, table or list of rows; a pair (x, y) of these; an iterable of
            batches, each x or (x, y), such as a DataLoader (an iterator is advanced by the batches that are read); or
            an ImageDataset. The images are flattened unless the model has convolutions. Whole numbers are taken as
            numbers, except by a model with an `nn.Embedding`.
        rows: number of rows to use. From arrays and data sets they are taken at even distances; from an iterable, the
            first rows are taken.
        loss: a function loss(output, y) -> scalar, the mean over rows, whose gradients are measured. y is None without
            targets. Default: cross-entropy for labels, mean squared error for targets with the shape of the outputs
            ([N] for one output), and mean square of the outputs without targets.

    Returns:
        A report with one entry per layer and findings with advice. `str(report)` is a table, `report.to_dict()` is for
        JSON. The thresholds and their reasons are in `fasterkan.diagnosis.thresholds`.

    Raises:
        TypeError: the model is not a module, or the data or the loss is not of these kinds.
        ValueError: the model has no KANLinear layer, the data has no row, or labels do not fit the outputs.

    Example:
        >>> import fasterkan as fk, torch
        >>> fk.diagnose(fk.KAN([8, 16, 3]), torch.randn(512, 8)).healthy
        True
    """
    rows = whole_number("diagnose", "rows", rows, 1)
    if not isinstance(model, nn.Module):
        raise TypeError(f"diagnose: model must be a module with KANLinear layers, got {type(model).__name__}")
    if not any(isinstance(module, KANLinear) for module in model.modules()):
        raise ValueError(f"diagnose: {type(model).__name__} has no KANLinear layer")
    if loss is not None and not callable(loss):
        raise TypeError(f"diagnose: loss must be a function of (output, y), got {loss!r}")
    seen = observe(model, lambda: batches(data, rows, model), loss)
    if not seen.rows:
        raise ValueError("diagnose: the data has no row; give at least one row")
    order = [*seen.reached, *(name for name in seen.seen if name not in seen.reached)]
    layers = [measure(name, seen.seen[name], seen.rows) for name in order]
    ratio = None
    if layers[0].output_grad and layers[-1].output_grad is not None:
        ratio = layers[-1].output_grad / layers[0].output_grad
    where = None if seen.nonfinite is None else seen.nonfinite[0] or "the data"
    return Diagnosis(tuple(layers), findings(seen, layers, ratio), seen.rows, seen.loss, ratio, where)
