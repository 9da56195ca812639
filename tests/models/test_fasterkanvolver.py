"""FasterKANvolver: the original's signature, counts and shapes, every argument effective, and what it refuses."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import fasterkan as fk
from fasterkan.models._features import SMALLEST_IMAGE, AttentionPool, ConvFeatures, SqueezeExcite

from ..seeds import seed_of


def seeded(layers: list[int], *args: Any, seed: int = 0, **options: Any) -> fk.FasterKANvolver:
    return fk.FasterKANvolver(layers, *args, generator=torch.Generator().manual_seed(seed_of(seed)), **options)


def alive(net: fk.FasterKANvolver) -> fk.FasterKANvolver:
    """The network in eval mode with an attention that counts and norms that have seen images."""
    torch.nn.init.constant_(net.features.attention.gamma, 0.5)
    for _ in range(3):
        net.train()(torch.rand(8, net.in_channels, *net.image_size, dtype=net.features.stem.weight.dtype))
    return net.eval()


def test_signature_is_the_originals() -> None:
    positional = [
        (name, p.default)
        for name, p in inspect.signature(fk.FasterKANvolver).parameters.items()
        if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positional == [
        ("layers_hidden", inspect.Parameter.empty),
        ("grid_min", -1.2),
        ("grid_max", 0.2),
        ("num_grids", 8),
        ("exponent", 2),
        ("inv_denominator", 1.0),
        ("train_grid", False),
        ("train_inv_denominator", False),
        ("base_activation", None),
        ("spline_weight_init_scale", 1.0),
        ("view", None),
    ]
    net = fk.FasterKANvolver([10])
    assert (net.in_channels, net.image_size) == (1, (28, 28))


@pytest.mark.parametrize(
    ("layers", "options", "count"),
    [
        ([64, 10], {}, 1_213_888 + 1),
        ([64, 32, 16, 10], {}, 1_230_624 + 1),
        ([64, 10], {"view": [-1, 3, 32, 32]}, 1_213_888 + 1 + 2 * 9 * 32),
        ([64, 10], {"train_grid": True, "train_inv_denominator": True}, 1_213_888 + 1 + 2 * (8 + 1)),
    ],
    ids=str,
)
def test_parameter_counts_are_the_originals(layers: list[int], options: dict[str, Any], count: int) -> None:
    """Its README says 1,213,888 and 1,230,624, its model has one more: the attention's gain."""
    assert sum(p.numel() for p in fk.FasterKANvolver(layers, **options).parameters()) == count


# Images: how they are described and how they come.


@pytest.mark.parametrize(
    ("options", "image"),
    [
        ({}, (1, 28, 28)),
        ({"view": (-1, 3, 32, 40)}, (3, 32, 40)),
        ({"in_channels": 3}, (3, 28, 28)),
        ({"image_size": 32}, (1, 32, 32)),
        ({"in_channels": 4, "image_size": (17, 30)}, (4, 17, 30)),
        ({"view": [-1, 3, 32, 40], "in_channels": 3, "image_size": [32, 40]}, (3, 32, 40)),
        ({"image_size": SMALLEST_IMAGE}, (1, 16, 16)),
    ],
    ids=str,
)
def test_images(options: dict[str, Any], image: tuple[int, int, int]) -> None:
    net = alive(seeded([5], **options))
    assert (net.in_channels, *net.image_size) == image
    x = torch.rand(3, *image)
    y = net(x)
    assert y.shape == (3, 5)
    torch.testing.assert_close(net(x.flatten(1)), y, rtol=0, atol=0)
    assert (y[0] - y[1]).abs().max() > 1e-6


@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3), (0,), (2, 0)], ids=str)
def test_any_leading_shape(leading: tuple[int, ...]) -> None:
    net = alive(seeded([6, 5], in_channels=2, image_size=(16, 20)))
    x = torch.rand(*leading, 2, 16, 20)
    rows = torch.stack([net(image) for image in x.reshape(-1, 2, 16, 20)]) if x.numel() else torch.empty(0, 5)
    for form in (x, x.reshape(*leading, 640)):
        assert net(form).shape == (*leading, 5)
        torch.testing.assert_close(net(form).reshape(-1, 5), rows)


def test_the_smallest_image_is_what_the_poolings_need() -> None:
    features = ConvFeatures(1).eval()
    assert features(torch.rand(2, 1, SMALLEST_IMAGE, SMALLEST_IMAGE)).shape == (2, 256)
    with pytest.raises(RuntimeError):
        features(torch.rand(2, 1, SMALLEST_IMAGE - 1, SMALLEST_IMAGE))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"view": [-1, 1, 28, 28], "in_channels": 3},
            "view=[-1, 1, 28, 28] has 1 channels, in_channels=3; give only one",
        ),
        (
            {"view": [-1, 1, 28, 28], "image_size": 32},
            "view=[-1, 1, 28, 28] is 28 x 28, image_size=(32, 32); give only one",
        ),
        ({"view": [64, 1, 28, 28]}, "view must be [-1, channels, height, width], got [64, 1, 28, 28]"),
        ({"view": [-1, 784]}, "view must be [-1, channels, height, width], got [-1, 784]"),
        ({"view": 28}, "view must be [-1, channels, height, width], got 28"),
        ({"view": [-1, 0, 28, 28]}, "view[1] must be at least 1, got 0"),
        ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
        ({"image_size": (28, 28, 1)}, "image_size must be one number or (height, width), got (28, 28, 1)"),
        (
            {"image_size": (40, 15)},
            "an image of 40 x 15 is too small, nothing would be left after the poolings: at least 16 x 16 is needed; "
            "enlarge or pad the images",
        ),
        ({"view": [-1, 1, 8, 28]}, "an image of 8 x 28 is too small"),
    ],
    ids=str,
)
def test_refused_images(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as caught:
        fk.FasterKANvolver([10], **options)
    assert str(caught.value).startswith(f"FasterKANvolver: {words}")


@pytest.mark.parametrize(
    ("layers", "options", "error", "words"),
    [
        (64, {}, TypeError, "FasterKANvolver: layers_hidden must be a list of widths such as [64, 10], got 64"),
        (
            [],
            {},
            ValueError,
            "FasterKANvolver: layers_hidden needs at least the number of outputs, such as [64, 10]; got []",
        ),
        ([64, 0], {}, ValueError, "FasterKANvolver: layers_hidden[1] must be at least 1, got 0"),
        ([64, 2.5], {}, TypeError, "FasterKANvolver: layers_hidden[1] must be a whole number, got 2.5 (float)"),
        ([1, 10], {}, ValueError, "LayerNorm of one feature is 0 whatever the input"),
        ([10], {"in_channels": 1.0}, TypeError, "FasterKANvolver: in_channels must be a whole number, got 1.0 (float)"),
        ([10], {"image_size": "28"}, TypeError, "FasterKANvolver: image_size must be a whole number, got '28' (str)"),
        ([10], {"num_grids": 1}, ValueError, "RSWAF: num_grids must be at least 2, got 1"),
    ],
    ids=str,
)
def test_refused_arguments(layers: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        fk.FasterKANvolver(layers, **options)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (torch.rand(5, 783), ValueError, "x is (5, 783), expected [..., 784] or [..., 1, 28, 28]"),
        (torch.rand(5, 28, 28), ValueError, "x is (5, 28, 28), expected [..., 784] or [..., 1, 28, 28]"),
        (torch.rand(5, 3, 28, 28), ValueError, "x is (5, 3, 28, 28), expected [..., 784] or [..., 1, 28, 28]"),
        (torch.rand(()), ValueError, "x is (), expected [..., 784] or [..., 1, 28, 28]"),
        ([[0.0] * 784], TypeError, "x must be a tensor, got list; convert it with torch.as_tensor(x)"),
        (
            torch.zeros(2, 784, dtype=torch.uint8),
            TypeError,
            "x is torch.uint8, floating point is needed; for bytes use x.float() / 255",
        ),
        (torch.zeros(2, 784).double(), TypeError, "x is torch.float64, the weights are torch.float32; use x.to(torch."),
        (torch.rand(0, 784), ValueError, "x holds no image, training needs one; skip the batch or use eval()"),
    ],
    ids=["width", "no-channel", "channels", "scalar", "list", "bytes", "double", "empty-in-training"],
)
def test_refused_input(x: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        fk.FasterKANvolver([10])(x)
    assert str(caught.value).startswith(f"FasterKANvolver: {words}")


# What it computes.


def test_attention_is_its_definition() -> None:
    pool = AttentionPool(16, dtype=torch.float64)
    for parameter in pool.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 16, 3, 4, dtype=torch.float64)
    flat = x.flatten(2)  # [N, C, P]
    query, key, value = (
        torch.einsum("oc,ncp->nop", m.weight.flatten(1), flat) + m.bias[:, None]
        for m in (pool.query, pool.key, pool.value)
    )
    weights = torch.einsum("ncp,ncq->npq", query, key).softmax(-1)  # of keys q for the query at p
    attended = torch.einsum("npq,ncq->ncp", weights, value)
    torch.testing.assert_close(pool(x), (pool.gamma * attended + flat).mean(-1))


def test_gate_is_its_definition() -> None:
    gate = SqueezeExcite(32, dtype=torch.float64)
    torch.nn.init.normal_(gate.squeeze.weight)
    torch.nn.init.normal_(gate.excite.weight)
    x = torch.randn(2, 32, 3, 4, dtype=torch.float64)
    hidden = (x.mean((2, 3)) @ gate.squeeze.weight.T).clamp_min(0)
    expected = 1 / (1 + torch.exp(-hidden @ gate.excite.weight.T))
    torch.testing.assert_close(gate(x), expected[:, :, None, None])
    torch.testing.assert_close(gate(x) * F.max_pool2d(x, 2), F.max_pool2d(gate(x) * x, 2), rtol=0, atol=0)


def test_the_head_is_a_fasterkan() -> None:
    net = alive(seeded([6, 5], exponent=3.0, base_activation="silu"))
    assert isinstance(net.head, fk.FasterKAN)
    assert net.head.layers_hidden == (256, 6, 5)
    assert net.kan_layers() == list(net.head.layers)
    x = torch.rand(3, 1, 28, 28)
    assert torch.equal(net(x), net.head(net.features(x)))


@pytest.mark.parametrize(
    "options",
    [
        {"grid_min": -2.0},
        {"grid_max": 1.2},
        {"num_grids": 5},
        {"exponent": 3},
        {"inv_denominator": 0.5},
        {"inv_denominator": "auto"},
        {"base_activation": "silu"},
        {"spline_weight_init_scale": 0.1},
        {"norm_gain": "auto"},
    ],
    ids=str,
)
def test_every_argument_changes_the_output(options: dict[str, Any]) -> None:
    x = torch.rand(2, 784)
    assert (seeded([4], **options).eval()(x) - seeded([4]).eval()(x)).abs().max() > 1e-3


def test_fault_8_learned_grid_and_width_move() -> None:
    net = seeded([8, 4], train_grid=True, train_inv_denominator=True)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    torch.nn.init.constant_(net.features.attention.gamma, 0.5)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.rand(8, 784)).square().sum().backward()
    optimizer.step()
    after = net.head.state_dict()
    assert {"layers.1.grid", "layers.1.inv_denominator"} <= set(after)
    assert [name for name, tensor in after.items() if torch.equal(before[f"head.{name}"], tensor)] == []


def test_training_gathers_statistics_and_drops() -> None:
    net, x = seeded([4]), torch.rand(16, 784)
    assert not torch.equal(net(x), net(x))
    assert net.features.stem_norm.num_batches_tracked == 2
    assert net.features.stem_norm.running_mean.abs().max() > 0
    net.eval()
    assert torch.equal(net(x), net(x))
    torch.testing.assert_close(net(x)[:1], net(x[:1]))  # one image alone is classified as among others


def test_one_image_in_training() -> None:
    net = seeded([4])
    net(torch.rand(1, 784)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


# Initialisation.


def test_the_generator_decides_everything() -> None:
    torch.manual_seed(seed_of(5))
    before = torch.get_rng_state()
    one, two, other = seeded([8, 4]), seeded([8, 4]), seeded([8, 4], seed=1)
    assert torch.equal(torch.get_rng_state(), before), "global random numbers were drawn"
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    drawn = [n for n, p in one.named_parameters() if p.unique().numel() > 1]
    assert len(drawn) == 24  # 12 convolutions, 6 biases, 4 maps of gates, 2 KAN layers
    assert not any(torch.equal(one.get_parameter(n), other.get_parameter(n)) for n in drawn)
    torch.manual_seed(seed_of(5))
    three = fk.FasterKANvolver([8, 4])
    torch.manual_seed(seed_of(5))
    four = fk.FasterKANvolver([8, 4])
    assert all(torch.equal(a, b) for a, b in zip(three.parameters(), four.parameters(), strict=True))


def test_convolutions_start_as_torchs_do() -> None:
    features = ConvFeatures(3, generator=torch.Generator().manual_seed(seed_of(0)))
    for conv, inputs in ((features.stem, 27), (features.depthwise, 9), (features.block2.conv2, 2304)):
        assert conv.weight.abs().max().item() == pytest.approx(inputs**-0.5, rel=0.02)
        assert conv.weight.std().item() == pytest.approx((3 * inputs) ** -0.5, rel=0.05)
    assert torch.equal(features.block1.norm1.weight, torch.ones(64))
    assert torch.equal(features.attention.gamma, torch.zeros(1))


# Where it runs.


def test_compiles_without_a_break() -> None:
    torch._dynamo.reset()
    net, x = alive(seeded([6, 4], image_size=16)), torch.rand(3, 256)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), net(x))
    net.train()
    net.features.dropout.p = 0.0
    compiled(x).sum().backward()
    got = {n: p.grad for n, p in net.named_parameters()}
    net.zero_grad()
    net(x).sum().backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_autocast(training: bool) -> None:
    net, x = alive(seeded([6, 4], image_size=16)).train(training), torch.rand(8, 256)
    net.features.dropout.p = 0.0
    expected = net(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x)
    assert y.dtype == torch.bfloat16
    assert (y - expected).abs().max() < 0.05 * expected.abs().max()
    y.float().sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_dtypes(dtype: torch.dtype) -> None:
    net, x = alive(seeded([6, 4], image_size=16)), torch.rand(3, 256)
    expected = net(x)
    y = net.to(dtype)(x.to(dtype))
    assert y.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float64 else 0.1
    assert (y - expected).abs().max() < tolerance * expected.abs().max()


def test_gradient_of_the_input_is_exact() -> None:
    net = alive(seeded([6, 4], image_size=16, dtype=torch.float64))
    x = torch.rand(2, 256, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(x)

    def along(t: Tensor) -> Tensor:
        return net(x + t * direction)

    assert torch.autograd.gradcheck(along, torch.zeros((), dtype=torch.float64, requires_grad=True))
    jacobian = torch.func.vmap(torch.func.jacrev(net))(x.detach())  # [N, O, 256]
    (expected,) = torch.autograd.grad(net(x)[:, 1].sum(), x)
    torch.testing.assert_close(jacobian[:, 1], expected)


def test_channels_last() -> None:
    net, x = alive(seeded([4], in_channels=3, image_size=16)), torch.rand(5, 3, 16, 16)
    expected = net(x)
    net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    formats = []
    net.features.block2.register_forward_hook(
        lambda _, __, y: formats.append(y.is_contiguous(memory_format=torch.channels_last))
    )
    torch.testing.assert_close(net(x), expected)
    assert formats == [True], "the layout was lost on the way"


# Saving.


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_saved_and_read_bit_for_bit(tmp_path: Any, dtype: torch.dtype) -> None:
    net = seeded(
        *([6, 5], -2.0, 0.5, 5, 3, "auto", True, True, "tanh", 0.5),
        view=[-1, 2, 16, 20],
        norm_gain="auto",
    )
    net = alive(net).to(dtype).to(memory_format=torch.channels_last)
    net.save_pretrained(tmp_path)
    again = fk.FasterKANvolver.from_pretrained(tmp_path)
    assert not again.training
    assert again.to_config() == net.to_config()
    assert again.to_config()["image_size"] == [16, 20]
    state, other = net.state_dict(), again.state_dict()
    assert list(state) == list(other)
    assert all(torch.equal(state[k], other[k]) and state[k].dtype == other[k].dtype for k in state)
    x = torch.rand(3, 640, dtype=dtype)
    torch.testing.assert_close(again(x), net(x))
    with pytest.raises(fk.CheckpointError, match="holds a FasterKANvolver, not a FasterKAN"):
        fk.FasterKAN.from_pretrained(tmp_path)


def test_param_groups_decay_kernels_and_matrices_only() -> None:
    groups = {g["name"]: g for g in fk.param_groups(fk.FasterKANvolver([64, 10], train_grid=True))}
    assert all(p.dim() >= 2 for p in groups["weights"]["params"])
    assert [p.numel() for p in groups["basis"]["params"]] == [8, 8]
    assert all(p.dim() == 1 for p in groups["other"]["params"])
