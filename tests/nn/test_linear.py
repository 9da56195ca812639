"""KANLinear: what it holds, what it refuses, and how it lives with the rest of torch."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan.nn import FeatureScaling, RowNorm


def keys(layer: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(t.shape) for name, t in layer.state_dict().items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"weight": (4, 6, 8), "bias": (4,), "norm.weight": (6,), "norm.bias": (6,)}),
        ({"norm": "rms", "bias": False}, {"weight": (4, 6, 8), "norm.weight": (6,)}),
        ({"norm": None, "base": "silu"}, {"weight": (4, 6, 8), "base_weight": (4, 6), "bias": (4,)}),
        ({"norm": fk.LayerNorm(affine=False)}, {"weight": (4, 6, 8), "bias": (4,), "norm.weight": (6,)}),
        (
            {"norm": "feature"},
            {"weight": (4, 6, 8), "bias": (4,), "norm.center": (6,), "norm.scale": (6,), "norm.status": ()},
        ),
        ({"norm": nn.Identity()}, {"weight": (4, 6, 8), "bias": (4,)}),
    ],
    ids=str,
)
def test_state_dict(options: dict, expected: dict) -> None:
    assert keys(fk.KANLinear(6, 4, **options)) == {**expected, "grid": (8,), "inv_denominator": (1,)}


def test_learned_basis_tensors_are_parameters() -> None:
    layer = fk.KANLinear(6, 4, fk.RSWAF(train_grid=True))
    assert "grid" in dict(layer.named_parameters())
    assert "inv_denominator" in dict(layer.named_buffers())


def test_layers_share_no_tensor() -> None:
    net = fk.KAN([3, 3, 3])
    pointers = [t.data_ptr() for t in net.state_dict().values()]
    assert len(set(pointers)) == len(pointers)


def test_non_affine_norm_has_no_parameter_and_gives_x_its_gradient() -> None:
    layer = fk.KANLinear(6, 4, norm=fk.LayerNorm(affine=False))
    assert not list(layer.norm.parameters())
    x = torch.randn(3, 6, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_base_acts_on_x_and_not_on_z() -> None:
    layer = fk.KANLinear(3, 2, base=torch.sin, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.zero_()
    x = torch.randn(5, 3, dtype=torch.float64) * 7
    torch.testing.assert_close(layer(x), torch.sin(x) @ layer.base_weight.T)


def test_module_norm_is_used_as_it_is() -> None:
    norm = nn.BatchNorm1d(6)
    layer = fk.KANLinear(6, 4, norm=norm)
    assert layer.norm is norm
    assert layer(torch.randn(9, 6)).shape == (9, 4)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((0, 4), {}, ValueError, "in_features must be at least 1, got 0"),
        ((6, -1), {}, ValueError, "out_features must be at least 1, got -1"),
        (("6", 4), {}, TypeError, "in_features must be a whole number, got '6'"),
        ((6.0, 4), {}, TypeError, "in_features must be a whole number, got 6.0"),
        ((6, 4, "rswaf"), {}, TypeError, r"basis must be a Basis such as fk.RSWAF\(num_grids=8\), got 'rswaf'"),
        (
            (6, 4),
            {"norm": "batch"},
            ValueError,
            'norm must be "layer", "rms", "feature", "batch_range", None, .* got \'batch\'',
        ),
        ((6, 4), {"norm": 3}, TypeError, r"such as fk.LayerNorm\(affine=False\), or a module; got 3"),
        ((6, 4), {"base": "swish"}, ValueError, "one of silu, gelu, relu, tanh, identity; got 'swish'"),
        ((6, 4), {"base": nn.SiLU}, TypeError, "base must be None, a callable"),
        ((6, 4), {"dtype": torch.int64}, TypeError, "dtype must be a floating-point dtype, got torch.int64"),
        ((1, 4), {}, ValueError, 'LayerNorm of one feature is 0 whatever the input: use norm="feature"'),
        ((1, 4), {"norm": "rms"}, ValueError, 'RMSNorm of one feature is its sign, .* norm="feature"'),
    ],
    ids=lambda v: str(v) if isinstance(v, tuple | dict) else "",
)
def test_refused_arguments(arguments: tuple, options: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fk.KANLinear(*arguments, **options)


def test_layer_norm_of_two_features_warns() -> None:
    with pytest.warns(UserWarning, match=r'LayerNorm of two features is \+-1.*norm="feature"'):
        fk.KANLinear(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fk.KANLinear(2, 3, norm="rms")
        fk.KANLinear(3, 2)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (torch.zeros(2, 63), ValueError, r"KANLinear: x has 63 features, in_features is 64 \(x is \(2, 63\)\)"),
        (torch.zeros(()), ValueError, "x has no dimension, in_features is 64"),
        (torch.zeros(2, 64, dtype=torch.int64), TypeError, r"x is torch.int64, .*convert it with x.float\(\)"),
        (torch.zeros(2, 64, dtype=torch.complex64), TypeError, "x is torch.complex64"),
        (
            torch.zeros(2, 64, dtype=torch.float64),
            TypeError,
            r"x is torch.float64, the weights are torch.float32; use x.to",
        ),
        ([[0.0] * 64], TypeError, r"x must be a tensor, got list; convert it with torch.as_tensor\(x\)"),
    ],
    ids=["width", "scalar", "integer", "complex", "float64", "list"],
)
def test_refused_inputs(x: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fk.KANLinear(64, 3)(x)


def test_infinite_input_without_norm_gives_the_bias_and_no_gradient() -> None:
    layer = fk.KANLinear(2, 3, norm=None)
    x = torch.tensor([[float("inf"), -float("inf")]], requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert torch.equal(y, layer.bias.expand(1, 3))
    assert torch.equal(x.grad, torch.zeros(1, 2))


@pytest.mark.parametrize("norm", [None, "feature"], ids=str)
@pytest.mark.parametrize("value", [1e-45, -1e-38, 1e20, -3.4e38])
def test_every_finite_input_gives_finite_numbers(norm: str | None, value: float) -> None:
    layer = fk.KANLinear(3, 2, fk.RSWAF(train_grid=True, train_inv_denominator=True), norm=norm)
    if norm:
        layer.calibrate(torch.randn(50, 3))
        layer.eval()
    x = torch.full((4, 3), value, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert all(bool(torch.isfinite(t).all()) for t in (y, x.grad, *(p.grad for p in layer.parameters())))


def test_float16_training_with_gradient_scaling_lowers_the_loss_as_float32_does() -> None:
    net, x = fk.KAN([8, 16, 2]), torch.randn(256, 8)
    labels = (x[:, 0] * x[:, 1] > 0).long()
    losses: dict[torch.dtype, list[float]] = {torch.float16: [], torch.float32: []}
    for dtype, found in losses.items():
        twin = copy.deepcopy(net)
        optimizer = torch.optim.AdamW(fk.param_groups(twin), lr=1e-2)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for _ in range(40):
            with torch.autocast("cpu", torch.float16, enabled=dtype == torch.float16):
                y = twin(x)
                assert y.dtype == dtype
                loss = nn.functional.cross_entropy(y.float(), labels)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            found.append(loss.item())
    assert losses[torch.float16][-1] < 0.6 * losses[torch.float16][0]
    assert losses[torch.float16][-1] == pytest.approx(losses[torch.float32][-1], rel=0.05)


def test_conversions_keep_the_function() -> None:
    layer, x = fk.KANLinear(6, 4), torch.randn(9, 6)
    y = layer(x)
    torch.testing.assert_close(layer.double()(x.double()).float(), y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer.bfloat16()(x.bfloat16()).float(), y, rtol=0.1, atol=0.1)


def test_deepcopy_of_a_model_shares_nothing() -> None:
    import copy

    net = fk.KAN([4, 3, 2], norm="feature")
    net.calibrate(torch.randn(20, 4))
    twin = copy.deepcopy(net)
    ours = {t.data_ptr() for t in net.state_dict().values()}
    assert not ours & {t.data_ptr() for t in twin.state_dict().values()}


def test_export_gives_the_same_numbers() -> None:
    net, x = fk.KAN([6, 5, 2]), torch.randn(7, 6)
    program = torch.export.export(net, (x,))
    torch.testing.assert_close(program.module()(x), net(x), rtol=1e-5, atol=1e-6)


def test_compile_with_inductor_under_autocast() -> None:
    torch._dynamo.reset()
    net, x = fk.KAN([5, 4, 2]), torch.randn(3, 5)
    compiled = torch.compile(net, fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = compiled(x)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    torch.testing.assert_close(y.float(), net(x), rtol=0.1, atol=0.1)


def test_repr_tells_the_layer() -> None:
    text = repr(fk.KANLinear(6, 4, base="silu"))
    assert "6, 4, basis=RSWAF(num_grids=8" in text
    assert "base=silu" in text
    assert isinstance(fk.KANLinear(6, 4).norm, RowNorm)
    assert isinstance(fk.KANLinear(6, 4, norm="feature").norm, FeatureScaling)


def test_a_basis_that_names_a_tensor_like_an_attribute_is_refused() -> None:
    class Clash(fk.RSWAF):
        def init(self, *args, **kwargs):
            return {"weight": super().init(*args, **kwargs)["grid"]}

    with pytest.raises(ValueError, match="has an attribute 'weight' already"):
        fk.KANLinear(3, 2, Clash())


def test_reset_parameters_restores_a_deferred_layer() -> None:
    for norm in ("layer", "rms", "feature"):
        layer = fk.KANLinear(4, 3, norm=norm, device="meta").to_empty(device="cpu")
        for t in (*layer.parameters(), *layer.buffers()):
            t.data.fill_(123)
        for module in layer.modules():
            module.reset_parameters()
        fresh = fk.KANLinear(4, 3, norm=norm)
        for name, t in layer.state_dict().items():
            if name != "weight":
                assert torch.equal(t, fresh.state_dict()[name]), name
        assert 0 < layer.weight.std() < 1


def test_default_device_does_not_disturb_feature_norms() -> None:
    with torch.device("meta"):
        layer = fk.KANLinear(4, 3, norm="feature")
    layer.to_empty(device="cpu").reset_parameters()
    layer.norm.reset_parameters()
    assert torch.isfinite(layer.train()(torch.randn(9, 4))).all()


def test_forward_and_double_backward_run_on_meta() -> None:
    layer, x = fk.KANLinear(4, 3, device="meta"), torch.empty(5, 4, device="meta", requires_grad=True)
    (grad,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    grad.sum().backward()
    assert x.grad.shape == (5, 4)


def test_base_modules_of_a_feature_width_are_accepted() -> None:
    layer = fk.KANLinear(64, 3, base=nn.PReLU(64))
    assert layer(torch.randn(2, 64)).shape == (2, 3)


def test_every_layer_of_a_model_has_its_own_base_module() -> None:
    net = fk.KAN([4, 3, 2], base=nn.PReLU())
    names = [name for name, _ in net.named_parameters() if "base" in name]
    assert names == ["layers.0.base_weight", "layers.0.base.weight", "layers.1.base_weight", "layers.1.base.weight"]


def test_norm_module_that_changes_the_width_is_named() -> None:
    with pytest.raises(ValueError, match=r"the norm made \(2, 16\) of \(2, 4\); it must keep the shape"):
        fk.KANLinear(4, 3, norm=nn.Linear(4, 16))(torch.randn(2, 4))


def test_bfloat16_layer_without_norm_evaluates_its_basis_in_float32() -> None:
    layer, x = fk.KANLinear(4, 3, norm=None, dtype=torch.bfloat16), torch.randn(50, 4, dtype=torch.bfloat16)
    nn.init.normal_(layer.bias)
    fine = layer.basis.evaluate(x.float(), {k: t.float() for k, t in layer.basis_tensors().items()}).bfloat16()
    coarse, y = layer.basis.evaluate(x, layer.basis_tensors()), layer(x).double()
    for phi, expected in ((fine, True), (coarse, False)):
        product = nn.functional.linear(phi.double().flatten(1), layer.weight.double().flatten(1))
        exact = product + layer.bias.double()
        bound = 2**-8 * (product.abs() + exact.abs())  # product and sum rounded to bfloat16, which errs by 2^-9 at most
        assert bool(((y - exact).abs() <= bound).all()) is expected


def test_tiny_eps_is_refused() -> None:
    with pytest.raises(ValueError, match="eps must be at least 1e-20, float32 loses smaller ones; got 1e-31"):
        fk.LayerNorm(eps=1e-31)
