"""Curves for TensorBoard, written by a stand-in, and the word on how to get it."""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec

import pytest

from fasterkan.train import EpochMetrics, TensorBoard, TrainConfig, TrainResult

EPOCH = EpochMetrics(1, 8, 0.5, 1e-3, 0.4, 0.9, 61.5, 1.0, 1.2)


def test_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^TensorBoard is not installed; run: pip install 'fasterkan\[train\]'$"):
        TensorBoard(tmp_path)


def test_what_is_written(tmp_path, monkeypatch):
    written = []

    class Writer:
        def __init__(self, path, purge_step):
            written.append(("open", path, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("close")

    stand_in = types.ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec(name, None))
    board = TensorBoard(tmp_path / "t")
    assert written == []
    board.on_start(TrainConfig(), 16)
    board.on_resume((3, 7), TrainResult(()))
    board.on_step(8, 0.7)
    board.on_epoch(EPOCH)
    board.on_end(TrainResult((EPOCH,)))
    assert written == [
        ("open", str(tmp_path / "t"), None),
        "close",
        ("open", str(tmp_path / "t"), 8),
        ("step/loss", 0.7, 8),
        ("epoch/loss", 0.5, 8),
        ("epoch/lr", 1e-3, 8),
        ("epoch/validation_loss", 0.4, 8),
        ("epoch/validation_accuracy", 0.9, 8),
        ("epoch/steps_per_second", 61.5, 8),
        "close",
    ]
