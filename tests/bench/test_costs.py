"""Parameters, operations and memory against what can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fasterkan.bench import costs


def test_parameters_are_those_that_learn():
    net = nn.Linear(7, 3)
    net.bias.requires_grad_(False)
    assert costs.parameters(net) == 21


def test_operations_of_a_product():
    net, x = nn.Linear(7, 3), torch.randn(5, 7)
    assert costs.flops(lambda: net(x)) == 2 * 5 * 7 * 3
    assert costs.flops(lambda: net(x).sum().backward()) == 2 * (2 * 5 * 7 * 3)  # x needs no gradient


def test_peak_of_two_tensors_that_live_together():
    def run():
        a = torch.ones(1 << 18)  # 1 MiB
        b = a + 1
        del a
        c = b + 1
        return c

    assert costs.peak_mib(run, "cpu") == pytest.approx(2, abs=0.1)
