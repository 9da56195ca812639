"""Muon on weights of any shape, against torch's on matrices."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan.train import TrainConfig
from fasterkan.train.muon import MatrixMuon
from fasterkan.train.optimizer import Stepper


@pytest.mark.parametrize(
    ("shape", "last"), [((6, 8), False), ((5, 3, 4), False), ((4, 3, 2, 2), False), ((4, 3, 2, 2), True)]
)
def test_it_is_torchs_on_the_flattened_weight(shape, last):
    weight = nn.Parameter(torch.randn(shape))
    if last:
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    flat = nn.Parameter(weight.detach().clone().flatten(1))
    ours = MatrixMuon([weight], lr=0.1, weight_decay=0.3, momentum=0.8)
    theirs = torch.optim.Muon([flat], lr=0.1, weight_decay=0.3, momentum=0.8, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        weight.grad = torch.randn(shape)
        flat.grad = weight.grad.flatten(1)
        ours.step()
        theirs.step()
    torch.testing.assert_close(weight.flatten(1), flat, rtol=0.05, atol=0.005)  # its products are in bfloat16
    assert last or torch.equal(weight.flatten(1), flat)


def test_adamw_moves_the_rest():
    model = fk.FasterKAN([6, 5, 3], num_grids=4, train_grid=True)
    config = TrainConfig(optimizer="muon", lr=0.01, weight_decay=0.2, betas=(0.7, 0.9), warmup=0)
    stepper = Stepper(model, config, 10, torch.device("cpu"))
    muon, adamw = stepper.optimizers
    assert [tuple(p.shape) for p in muon.param_groups[0]["params"]] == [(5, 24), (3, 20)]
    assert (muon.param_groups[0]["momentum"], muon.param_groups[0]["weight_decay"]) == (0.7, 0.2)
    assert {g["name"]: g["weight_decay"] for g in adamw.param_groups} == {"basis": 0.0, "other": 0.0}
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    stepper.gradient(torch.rand(8, 6), torch.randint(3, (8,)))
    stepper.move()
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert stepper.lr == muon.param_groups[0]["lr"] == adamw.param_groups[0]["lr"] == 0.01


def test_without_a_matrix_adamw_moves_everything():
    stepper = Stepper(nn.BatchNorm1d(3), TrainConfig(optimizer="muon"), 10, torch.device("cpu"))
    assert [type(optimizer) for optimizer in stepper.optimizers] == [torch.optim.AdamW]
