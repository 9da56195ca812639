"""The moving average of weights against its formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fasterkan.train.average import Average


def test_it_is_its_formula_and_the_models_weights_come_back():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average = Average(model, 0.8)
    expected = {name: t.clone() for name, t in model.state_dict().items()}
    for step in range(1, 60):
        with torch.no_grad():
            model[0].weight.add_(torch.randn(4, 3))
        model(torch.rand(5, 3))
        average.update(step)
        for name, tensor in model.state_dict().items():
            d = min(0.8, step / (step + 9))
            expected[name] = d * expected[name] + (1 - d) * tensor if tensor.is_floating_point() else tensor.clone()
    own = {name: t.clone() for name, t in model.state_dict().items()}
    with average.applied():
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())
    assert own["1.num_batches_tracked"] == 59 == average.tensors["1.num_batches_tracked"]


def test_the_models_weights_come_back_after_an_error():
    model = nn.Linear(2, 2)
    own = model.weight.detach().clone()
    average = Average(model, 0.5)
    average.tensors["weight"].zero_()

    def fail():
        with average.applied():
            assert model.weight.abs().sum() == 0
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert torch.equal(model.weight, own)


def test_what_does_not_change_keeps_its_bits():
    model = nn.Linear(50, 50)
    average = Average(model, 0.97)
    for step in range(1, 100):
        average.update(step)
    assert torch.equal(average.tensors["weight"], model.weight)
