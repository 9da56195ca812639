"""What is said when a loss is not finite."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn

from fasterkan.train import Checkpoints, Observer, TrainConfig, TrainingError, run, train
from fasterkan.train.divergence import bad_weights, first_bad_module
from fasterkan.train.optimizer import Stepper

CONFIG = TrainConfig(layers=(64, 8, 4), lr=1e-2, batch_size=50, epochs=3, device="cpu")


class Division(nn.Module):
    """x / 0 after so many calls."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def forward(self, x):
        self.calls -= 1
        return x / (0.0 if self.calls < 0 else 1.0)


def test_it_names_step_module_and_checkpoint(corners, tmp_path):
    model = nn.Sequential(nn.Linear(64, 8), nn.Sequential(nn.ReLU(), Division(19)), nn.Linear(8, 4))
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(TrainingError) as caught:  # 8 steps, 1 evaluation, 8 steps, 1 evaluation, and 2 calls more
        train(model, corners(), corners(seed=1), CONFIG, checkpoints=checkpoints)
    text = str(caught.value)
    assert text.startswith(
        "train: the loss is nan after 17 of 24 steps; the first output that is not finite is that of"
    )
    assert "is that of 1.1 (Division); try a lower lr" in text
    assert text.endswith(f"; the last good checkpoint is {tmp_path / 'step-00000016'}")
    assert checkpoints.newest().step == 16


def test_weights_come_first():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert bad_weights(model) is None
    model[1].running_mean[1] = math.inf
    assert bad_weights(model) == "the model's 1.running_mean is no longer finite"


def test_a_loss_that_overflows_by_itself():
    model = nn.Linear(2, 2)
    stepper = Stepper(model, CONFIG, 1, torch.device("cpu"))
    assert first_bad_module(stepper, torch.rand(3, 2)) == "the output of every module is finite, but the loss is not"
    assert not model._forward_hooks


def test_a_failed_run_can_be_taken_up_before_the_failure(tmp_path, corners, monkeypatch):
    class Spoil(Observer):
        def on_step(self, step, loss):
            if step == 20:
                raise TrainingError("made up")

    parts = corners(), corners(seed=1), corners(seed=2)
    monkeypatch.setattr("fasterkan.train.runs.train_validation_test", lambda name, root, **options: parts)
    config = dataclasses.replace(CONFIG, num_grids=4)
    with pytest.raises(TrainingError):
        run(config, tmp_path, [Spoil()])
    assert run(config, tmp_path, resume=True).resumed_from == (16,)
