"""Edges that are switched off: no part in outputs and gradients, and still off after training and saving."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk

MASK = torch.tensor([[True, False, True], [False, False, True]])


@pytest.mark.parametrize("base", [None, "silu"])
@pytest.mark.parametrize("basis", [fk.RSWAF(4), fk.Wavelet("mexican_hat")], ids=["rswaf", "wavelet"])
def test_masked_edges_play_no_part(base, basis):
    layer, x = fk.KANLinear(3, 2, basis, norm=None, base=base), torch.rand(20, 3)
    layer.set_mask(MASK)
    other = x.clone()
    other[:, 1] = torch.rand(20)
    assert torch.equal(layer(x), layer(other))
    other[:, 0] = torch.rand(20)
    changed = (layer(x) != layer(other)).any(0)
    assert changed.tolist() == [True, False]


def test_masked_weights_stay_0_in_training():
    layer, x = fk.KANLinear(3, 2, norm=None, base="silu"), torch.rand(50, 3)
    layer.set_mask(MASK)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        layer(x).square().mean().backward()
        optimizer.step()
    assert layer.weight[~MASK].abs().sum() == 0 == layer.base_weight[~MASK].abs().sum()
    assert bool((layer.weight[MASK] != 0).any())


def test_new_weights_respect_the_mask():
    layer = fk.KANLinear(3, 2, base="silu")
    layer.set_mask(MASK)
    layer.reset_parameters()
    assert layer.weight[~MASK].abs().sum() == 0 == layer.base_weight[~MASK].abs().sum()
    assert bool((layer.weight[MASK] != 0).all())


def test_without_a_mask_nothing_is_stored():
    layer = fk.KANLinear(3, 2)
    assert "mask" not in layer.state_dict()
    layer.set_mask(MASK)
    assert torch.equal(layer.state_dict()["mask"], MASK)
    layer.set_mask(None)
    assert "mask" not in layer.state_dict()


@pytest.mark.parametrize("model", [fk.KAN, fk.FasterKAN])
def test_masks_are_saved_with_every_model(model, tmp_path):
    net, x = model([3, 2]).eval(), torch.randn(10, 3)
    net.layers[0].set_mask(MASK)
    net.save_pretrained(tmp_path)
    loaded = fk.from_pretrained(tmp_path)
    assert torch.equal(loaded.layers[0].mask, MASK)
    assert torch.equal(loaded(x), net(x))


def test_a_layer_does_not_share_the_mask_it_was_given():
    mask = MASK.clone()
    layer = fk.KANLinear(3, 2)
    layer.set_mask(mask)
    mask[:] = True
    assert torch.equal(layer.mask, MASK)


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (MASK.float(), TypeError, "tensor of booleans, got torch.float32"),
        ([[True]], TypeError, "got list"),
        (MASK.t(), ValueError, r"mask is \(3, 2\), expected \[O, I\] = \(2, 3\)"),
    ],
    ids=["numbers", "list", "shape"],
)
def test_bad_masks(mask, error, words):
    with pytest.raises(error, match=words):
        fk.KANLinear(3, 2).set_mask(mask)


def test_take_inputs():
    net, x = fk.KAN([2, 1], norm=None), torch.rand(5, 4)
    expected = net(x[:, [1, 3]])
    net.take_inputs(torch.tensor([1, 3]), 4)
    assert net.layers_hidden == (4, 1)
    assert torch.equal(net(x), expected)
    for wrong in ([3, 1], [1], [1, 4], [-1, 2]):
        with pytest.raises(ValueError, match=r"columns must be 2 increasing numbers within 0 \.\.\. 3"):
            net.take_inputs(torch.tensor(wrong), 4)
