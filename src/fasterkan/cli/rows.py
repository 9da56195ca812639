"""The data that a saved network is looked at with: images of its run, or a table."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from ..data import ImageDataset, train_validation_test
from ..models import KAN
from ..train import check_fit
from .fitted import Encoded, Fitted, is_fitted, load_fitted
from .saved import SavedModel, load, white_of
from .table import read_table, read_text


@dataclasses.dataclass(frozen=True)
class NetworkData:
    """Inputs and targets, in the network's dtype, for training and for the test."""

    saved: SavedModel
    net: KAN
    train: tuple[Tensor, Tensor]
    held: tuple[Tensor, Tensor] | None
    """None of a table: its rows serve for both. Of a run of `fasterkan fit` the rows of the test, if there are any."""
    inputs: list[str] | None
    """Names of the columns, None for pixels."""
    outputs: list[str]
    image: tuple[int, int] | None
    """Height and width of grey images."""
    images: tuple[ImageDataset, ImageDataset] | None = None
    """Training and validation images."""
    fitted: Fitted | None = None
    """The columns of a network of `fasterkan fit`."""
    encoded: tuple[Encoded, Encoded] | None = None
    """Its rows that were fitted and those of the test, maybe none, float64."""


def load_network_data(
    path: Path, data: str | None, data_root: str | None, table: Path | None, target: str | None, most: int
) -> NetworkData:
    """Return a saved network with what it is to be shown.

    Args:
        path: folder of a run or of a saved model.
        data: an image data set by name, None for the run's.
        data_root: the folder of its files, None for the run's.
        table: a CSV file instead of images.
        target: names of its columns to predict, separated by commas.
        most: how many training images are taken at most.

    Raises:
        ValueError: the network is no KAN, or the data does not fit it.
    """
    saved = load(path)
    if not isinstance(saved.model, KAN):
        raise ValueError(f"{path} holds a {type(saved.model).__name__}; only a KAN can be looked into by its edges")
    dtype = next(saved.model.parameters()).dtype
    if is_fitted(path):
        if data is not None:
            raise ValueError(f"{path} was fitted to a table, not to {data}; leave --data out")
        return _of_fit(saved, saved.model, load_fitted(path), table)
    if table is not None:
        if target is None:
            raise ValueError("--table needs --target, the name of the column to predict")
        outputs = target.split(",")
        x, y, names = read_table(table, outputs)
        widths = saved.model.layers_hidden
        if (x.shape[1], y.shape[1]) != (widths[0], widths[-1]):
            raise ValueError(
                f"{table} has {x.shape[1]} inputs and {y.shape[1]} targets, the network {widths[0]} and {widths[-1]}"
            )
        return NetworkData(saved, saved.model, (x.to(dtype), y.to(dtype)), None, names, outputs, None)
    if saved.config is not None:
        data, data_root = data or saved.config.dataset, data_root or saved.config.data_root
    if data is None:
        raise ValueError(f"{path} is a model without a run; name the data set, --data mnist, or a --table data.csv")
    train, validation, _ = train_validation_test(data, data_root, white=white_of(saved.config, data))
    check_fit(saved.model, train)
    chosen = torch.arange(min(most, len(train)), device="cpu") * len(train) // min(most, len(train))
    part = ImageDataset(train.images[chosen], train.labels[chosen], train.classes)
    flat = [(each.as_float().to(dtype), each.labels) for each in (part, validation)]
    grey = (train.images.shape[1], train.images.shape[2]) if train.images.dim() == 3 else None
    return NetworkData(saved, saved.model, flat[0], flat[1], None, list(train.classes), grey, (train, validation))


def _of_fit(saved: SavedModel, net: KAN, fitted: Fitted, table: Path | None) -> NetworkData:
    """The rows of a fit, or of another table with its columns."""
    if table is None:
        train, test = fitted.load()
    else:
        fitted = dataclasses.replace(fitted, data=table.resolve(), test=None, test_share=0.0)
        train, test = fitted.split(fitted.encode(read_text(table)))
    if len(train.rows) < 2:
        raise ValueError(f"{table} has {len(train.rows)} rows that the network can take, at least 2 are needed")
    dtype = next(net.parameters()).dtype

    def pair(found: Encoded) -> tuple[Tensor, Tensor]:
        return found.x.to(dtype), found.y.to(dtype)

    held = pair(test) if test.rows else None
    names = fitted.input_names, fitted.output_names
    return NetworkData(saved, net, pair(train), held, *names, None, fitted=fitted, encoded=(train, test))
