"""KANLinear inside modules of torch that would rather read its weight than call it."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fasterkan as fk
from fasterkan.nn.called import MustBeCalled

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")


def encoder_layer(*, norm_first=False, where=("linear1", "linear2"), kind=fk.KANLinear):
    layer = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.0, batch_first=True, norm_first=norm_first)
    for name in where:
        old = getattr(layer, name)
        widths = old.in_features, old.out_features
        setattr(layer, name, kind(*widths) if kind is fk.KANLinear else kind(widths))
    return layer.eval()


def by_hand(layer, x):
    """The formula of an encoder layer: attention and the two linear layers, each with its residual and norm."""
    if layer.norm_first:
        x = x + layer.self_attn(*3 * [layer.norm1(x)])[0]
        return x + layer.linear2(F.relu(layer.linear1(layer.norm2(x))))
    x = layer.norm1(x + layer.self_attn(x, x, x)[0])
    return layer.norm2(x + layer.linear2(F.relu(layer.linear1(x))))


@pytest.mark.parametrize("norm_first", [False, True], ids=["norm last", "norm first"])
@pytest.mark.parametrize("where", [("linear1", "linear2"), ("linear2",)], ids=["both", "linear2"])
@pytest.mark.parametrize("kind", [fk.KANLinear, fk.KAN], ids=["KANLinear", "KAN"])
def test_an_encoder_layer_computes_the_same_in_every_mode(norm_first, where, kind):
    layer, x = encoder_layer(norm_first=norm_first, where=where, kind=kind), torch.randn(3, 5, 16)
    expected = by_hand(layer, x)
    torch.testing.assert_close(layer(x), expected)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(layer(x), expected)


def test_an_encoder_layer_trains_and_evaluates():
    layer, x = encoder_layer(), torch.randn(3, 5, 16)
    layer.train()
    layer(x).sum().backward()
    assert layer.linear1.weight.grad.abs().sum() > 0
    layer.eval()
    with torch.no_grad():
        assert torch.isfinite(layer(x)).all()


def test_an_encoder_with_padding_computes_each_row_as_alone():
    encoder = nn.TransformerEncoder(encoder_layer(), 2).eval()
    x, lengths = torch.randn(3, 5, 16), (5, 2, 4)
    padding = torch.arange(5).expand(3, 5) >= torch.tensor(lengths).unsqueeze(1)
    with torch.no_grad():
        y = encoder(x, src_key_padding_mask=padding)
        for row, alone, count in zip(y, x, lengths, strict=True):
            torch.testing.assert_close(row[:count], encoder(alone[None, :count])[0])


def test_a_decoder_layer_and_a_whole_transformer():
    decoder = nn.TransformerDecoderLayer(16, 2, 24, dropout=0.0, batch_first=True)
    decoder.linear1, decoder.linear2 = fk.KANLinear(16, 24), fk.KANLinear(24, 16)
    encoder = nn.TransformerEncoder(encoder_layer(), 1)
    whole = nn.Transformer(16, 2, custom_encoder=encoder, custom_decoder=decoder, batch_first=True).eval()
    x, memory = torch.randn(3, 5, 16), torch.randn(3, 7, 16)
    expected = decoder(x, memory)
    with torch.no_grad():
        torch.testing.assert_close(decoder(x, memory), expected)
        torch.testing.assert_close(whole(memory, x), decoder(x, encoder(memory)))


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged], ids=str)
@pytest.mark.parametrize("options", [{}, {"norm": "rms", "base": "silu"}], ids=["plain", "rms and base"])
def test_nested_tensors_are_computed_part_by_part(layout, options):
    layer = fk.KANLinear(4, 3, **options)
    parts = [torch.randn(n, 4) for n in (2, 5, 1)]
    x = torch.nested.nested_tensor(parts, layout=layout)
    y = layer(x)
    assert y.layout == layout
    for mine, part in zip(y.unbind(), parts, strict=True):
        torch.testing.assert_close(mine, layer(part))
    sum(part.square().sum() for part in y.unbind()).backward()
    mine = layer.weight.grad.clone()
    layer.zero_grad()
    sum(layer(part).square().sum() for part in parts).backward()
    torch.testing.assert_close(mine, layer.weight.grad)


def test_the_sign_is_not_seen_and_never_called():
    layer = fk.KANLinear(4, 3)
    assert isinstance(layer.must_be_called, MustBeCalled)
    assert sorted(layer.state_dict()) == ["bias", "grid", "inv_denominator", "norm.bias", "norm.weight", "weight"]
    assert "MustBeCalled" not in repr(layer)
    assert "(norm): RowNorm" in repr(layer)
    layer.must_be_called.register_forward_pre_hook(lambda *_: pytest.fail("called"))
    layer(torch.randn(2, 4))


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["deepcopy", "pickle"]
)
def test_copies_keep_the_sign(again):
    layer, x = again(encoder_layer()), torch.randn(3, 5, 16)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), by_hand(layer, x))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_traced_layer_computes_the_same():
    layer, x = fk.KANLinear(4, 3).eval(), torch.randn(5, 4)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.trace(layer, (x,))(x), layer(x))


def test_code_that_reads_shapes():
    weight = fk.KANLinear(5, 3).weight
    assert weight.shape[:2] == (3, 5)  # as nn.Linear: outputs, then inputs
