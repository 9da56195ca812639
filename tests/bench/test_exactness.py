"""Right networks pass, wrong values and wrong gradients are marked."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan.bench import Task
from fasterkan.bench.exactness import exactness
from fasterkan.bench.work import Data

TASK = Task("small", (6, 5, 3), 20)


class Doubled(torch.autograd.Function):
    """The identity with twice its gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, dy):
        return 2 * dy


class WrongInputGradient(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, x):
        return self.inner(Doubled.apply(x))


class WrongWeightGradient(WrongInputGradient):
    def forward(self, x):
        return nn.functional.linear(x, Doubled.apply(self.inner.weight), self.inner.bias)


class Cancels(nn.Module):
    """Loses its digits in float32."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, x):
        return (self.inner(x) + 1e6) - 1e6


class OnlySingle(nn.Module):
    def forward(self, x):
        if x.dtype != torch.float32:
            raise RuntimeError("float32 only\nand more")
        return x[:, :3]


@pytest.mark.parametrize("norm", ["layer", None])
def test_right_networks_pass(norm):
    found = exactness(fk.KAN([6, 5, 3], norm=norm), Data.of(TASK))
    assert found.values < 1e-5 and found.input_gradient < 1e-6 and found.parameter_gradient < 1e-6
    assert not found.wrong


def test_wrong_input_gradient():
    found = exactness(WrongInputGradient(), Data.of(TASK))
    assert found.wrong and found.input_gradient > 0.05 and found.values < 1e-5


def test_wrong_parameter_gradient():
    found = exactness(WrongWeightGradient(), Data.of(TASK))
    assert found.wrong and found.parameter_gradient > 0.05 and found.input_gradient < 1e-6


def test_wrong_values():
    found = exactness(Cancels(), Data.of(TASK))
    assert found.wrong and found.values > 1e-3


def test_a_network_that_cannot_be_asked_is_not_marked():
    found = exactness(OnlySingle(), Data.of(TASK))
    assert (found.values, found.wrong, found.reason) == (None, False, "RuntimeError: float32 only")


def test_not_a_number_is_wrong():
    class Broken(WrongInputGradient):
        def forward(self, x):
            return self.inner(x) * torch.nan

    assert exactness(Broken(), Data.of(TASK)).wrong


def test_the_model_is_left_alone():
    net = fk.KAN([6, 5, 3])
    before = {k: v.clone() for k, v in net.state_dict().items()}
    exactness(net, Data.of(TASK))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_a_constant_network_is_told():
    found = exactness(nn.Sequential(nn.Linear(6, 1), nn.LayerNorm(1)), Data.of(Task("one", (6, 1), 20)))
    assert (found.values, found.input_gradient, found.wrong) == (0.0, 0.0, False)
    assert found.reason == "its output does not depend on its input"
