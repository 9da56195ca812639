"""What runs inside `torch.inference_mode()` leaves tensors that can be trained afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fasterkan as fk

X = torch.rand(80, 2)
Y = (3 * X[:, :1]).sin() * X[:, 1:]
IMAGES = torch.rand(2, 1, 28, 28)


def assert_trains(net, x):
    """No tensor of the network is an inference tensor, and a step of an optimiser changes its output."""
    tensors = [*net.named_parameters(), *net.named_buffers()]
    assert not [name for name, tensor in tensors if tensor.is_inference()]
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = net(x)
    before.square().mean().backward()
    optimizer.step()
    assert not torch.equal(net(x), before)


def network(norm="feature"):
    return fk.KAN([2, 3, 1], fk.BSpline(grid_size=4), norm=norm, base="silu")


def calibrated():
    net = network()
    net.calibrate(X)
    return net


def changed(change):
    """An operation on a calibrated network, in place."""

    def run(folder):
        net = calibrated()
        with torch.inference_mode():
            change(net, X + 0)  # data that was made in inference mode
        return net

    return run


def created(create):
    """An operation that returns a network."""

    def run(folder):
        net = calibrated()
        net.save_pretrained(folder)
        with torch.inference_mode():
            return create(net, X + 0, folder)

    return run


OPERATIONS = {
    "refine": changed(lambda net, x: net.refine(8)),
    "update_grid": changed(lambda net, x: net.update_grid(x)),
    "fold": changed(lambda net, x: net.fold()),
    "calibrate": changed(lambda net, x: net.calibrate(3 * x)),
    "unfreeze and update_norms": changed(lambda net, x: (net.train()(2 * x), fk.update_norms(net))),
    "freeze": changed(lambda net, x: net.freeze()),
    "set_mask": changed(lambda net, x: net.layers[0].set_mask(torch.tensor([[True, False]] * 3))),
    "take_inputs": changed(lambda net, x: net.layers[1].take_inputs([0, 2, 3], 4)),
    "fit_to": changed(lambda net, x: net.layers[0].fit_to(calibrated().layers[0], x)),
    "set_functions": changed(
        lambda net, x: net.layers[0].set_functions(
            net.basis, net.layers[0].basis_tensors(), net.layers[0].weight * torch.ones(3, 2, 1)
        )
    ),
    "reset_parameters": changed(lambda net, x: net.layers[0].reset_parameters()),
    "fit": changed(lambda net, x: fk.fit(net, x, Y + 0, starts=1, iterations=3, polish=False, progress=False)),
    "constructor": created(lambda net, x, folder: network("rms")),
    "from_spec": created(lambda net, x, folder: fk.KAN.from_specs([layer.spec for layer in net.layers])),
    "from_pretrained": created(lambda net, x, folder: fk.from_pretrained(folder)),
    "prune": created(lambda net, x, folder: fk.prune(net, x, net(x).clone(), tolerance=0.1).net),
}


@pytest.mark.parametrize("operation", [pytest.param(run, id=name) for name, run in OPERATIONS.items()])
def test_networks_can_be_trained_afterwards(operation, tmp_path, request):
    net = operation(tmp_path)
    if "take_inputs" in request.node.name:
        assert_trains(net.layers[1], torch.rand(9, 4))
        return
    if "from_spec" in request.node.name:
        net.calibrate(X)
    assert_trains(net, X)


@pytest.mark.parametrize(
    ("model", "arguments", "x"),
    [(name, [3, 4, 2], torch.rand(80, 3)) for name in ("FasterKAN", "KAN", "MLP", "EfficientKAN", "WavKAN", "KALNet")]
    + [(name, [8, 2], IMAGES) for name in ("FasterKANvolver", "KANvolver", "ResKANNet")],
)
def test_models_made_in_inference_mode_can_be_trained(model, arguments, x):
    with torch.inference_mode():
        net = fk.create_model(model, arguments)
    assert_trains(net, x)


def test_convolutions_made_in_inference_mode_can_be_trained():
    with torch.inference_mode():
        layer = fk.KANConv2d(1, 2, 3, norm=None)
        layer.reset_parameters()
    assert_trains(layer, IMAGES)


def test_a_layer_of_inference_tensors_becomes_trainable_when_it_is_written():
    layer = fk.KANLinear(2, 3, norm=None)
    with torch.inference_mode():
        layer.load_state_dict({name: tensor + 0 for name, tensor in layer.state_dict().items()}, assign=True)
        assert layer.weight.is_inference()
        layer.set_functions(layer.basis, layer.basis_tensors(), layer.weight)
        layer.bias = nn.Parameter(layer.bias)
    layer.reset_parameters()
    assert_trains(layer, X)


def test_the_grid_moves_to_the_same_place_in_both_modes():
    one, other = calibrated(), calibrated()
    other.load_state_dict(one.state_dict())
    one.update_grid(X)
    with torch.inference_mode():
        other.update_grid(X)
    for name, tensor in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
