"""The path "triton": which calls it takes, what it keeps, how it is differentiated again, and what it leaves alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import fasterkan as fk

from .cases import BASES, DEVICE, by, layer_of

X = (7, 13)


def draw(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(X, dtype=dtype, device=DEVICE)


def refusal(layer: fk.KANLinear, x: Tensor | None = None) -> str:
    """Why the path refuses a layer."""
    with pytest.raises(RuntimeError, match='path="triton" is impossible here') as caught:
        fk.which_path(layer, draw(layer.weight.dtype) if x is None else x)
    return str(caught.value)


class OwnForward(type(fk.KANLinear(3, 2).norm)):  # type: ignore[misc]
    """A norm with a forward of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def hooked() -> fk.KANLinear:
    layer = layer_of(BASES["RSWAF"])
    layer.norm.register_forward_hook(lambda module, args, output: output * 2)
    return layer


def with_own_forward() -> fk.KANLinear:
    layer = layer_of(BASES["RSWAF"])
    layer.norm.__class__ = OwnForward
    return layer


def with_learned_centre() -> fk.KANLinear:
    layer = layer_of(BASES["RSWAF"], norm="feature")
    layer.norm.center.requires_grad_()
    return layer


def with_absent_features() -> fk.KANLinear:
    return layer_of(BASES["RSWAF"], norm=fk.LayerNorm(absent=2))


class Doubled(fk.RSWAF):
    """A basis of a user, who knows what it computes."""

    def evaluate(self, z: Tensor, params: object) -> Tensor:
        return 2 * super().evaluate(z, params)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: layer_of(BASES["RSWAF"], dtype=torch.float64), "a tensor is torch.float64"),
        (lambda: layer_of(fk.RSWAF(exponent=3.0)), "RSWAF has a kernel only for exponent=2"),
        (lambda: layer_of(fk.Rational(groups=1)), "there is no kernel for Rational"),
        (lambda: layer_of(fk.Wavelet()), "there is no kernel for Wavelet"),
        (lambda: layer_of(Doubled()), "there is no kernel for Doubled"),
        (lambda: layer_of(BASES["RSWAF"], norm=nn.LayerNorm(13, device=DEVICE)), "the norm LayerNorm is known only by"),
        (lambda: layer_of(BASES["RSWAF"], norm="batch_range"), "the norm BatchScaling is known only by its calls"),
        (hooked, "hooks of the norm wait for a call of it"),
        (with_own_forward, "OwnForward has a forward of its own"),
        (with_absent_features, "the norm counts removed features"),
        (with_learned_centre, "a tensor needs a gradient that the kernels do not compute"),
    ],
)
def test_it_refuses(make: Callable[[], fk.KANLinear], reason: str) -> None:
    layer = make()
    assert reason in refusal(layer)
    layer.path = "auto"
    assert layer(draw(layer.weight.dtype)).shape == (7, 5)


def test_it_refuses_other_tensors() -> None:
    class Marked(Tensor):
        pass

    layer = layer_of(BASES["RSWAF"])
    assert "a tensor is a Marked" in refusal(layer, draw().as_subclass(Marked))


def test_it_refuses_to_be_watched() -> None:
    layer = layer_of(BASES["RSWAF"])
    with FlopCounterMode(display=False):
        assert "a mode listens to the operations of torch" in refusal(layer)


def test_it_refuses_transforms_and_compilers() -> None:
    layer, x = layer_of(BASES["RSWAF"]), draw()
    with pytest.raises(RuntimeError, match=r"a torch\.func transform"):
        torch.func.vmap(layer)(x.unsqueeze(0))
    torch.compiler.reset()
    with pytest.raises(Exception, match="is impossible here"):
        torch.compile(layer, backend="eager", fullgraph=True)(x)


@pytest.mark.skipif(DEVICE != "cpu", reason="for the CPU")
def test_on_the_cpu_it_is_only_for_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = layer_of(BASES["RSWAF"]), draw()
    assert fk.which_path(layer, x) == ("triton", "requested")
    layer.path = "auto"
    assert fk.which_path(layer, x)[0] == "recompute"
    layer.path = "triton"
    monkeypatch.delenv("TRITON_INTERPRET")
    assert "only with TRITON_INTERPRET=1" in refusal(layer)


def test_without_triton_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fasterkan.ops.triton.path._missing_for_triton", lambda: "triton is not installed")
    monkeypatch.setattr("fasterkan.ops.triton.path._missing_for_cuda", lambda index: "triton is not installed")
    assert "triton is not installed" in refusal(layer_of(BASES["RSWAF"]))


def test_an_uncalibrated_norm_raises_as_before() -> None:
    layer = fk.KANLinear(13, 5, BASES["RSWAF"], norm="feature", device=DEVICE).eval()
    layer.path = "triton"
    assert fk.which_path(layer, draw())[0] == "triton"
    with pytest.raises(RuntimeError, match="FeatureNorm is not calibrated"):
        layer(draw())
    layer.train()(draw())
    assert layer.norm.calibrated


@pytest.mark.parametrize("norm", ["layer", "rms", "feature", None], ids=str)
def test_the_second_derivative_is_that_of_the_formula(norm: str | None) -> None:
    layer = layer_of(BASES["RSWAF"], norm=norm)
    found = []
    for path in ("triton", "reference"):
        layer.path = path
        x = draw().fill_(0.3).addcmul_(torch.arange(91.0, device=DEVICE).view(X).sin(), torch.ones((), device=DEVICE))
        leaves = [x.requires_grad_(), *layer.parameters()]
        first = torch.autograd.grad(layer(x).square().sum(), leaves, create_graph=True)
        found.append([*first, *torch.autograd.grad(sum(g.square().sum() for g in first), leaves)])
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4 * want.abs().max().item())


def test_a_batched_backward() -> None:
    layer, x = layer_of(BASES["RSWAF"], 4, 2), torch.randn(3, 4, device=DEVICE, requires_grad=True)
    y = layer(x)
    basis = torch.eye(6, device=DEVICE).view(6, 3, 2)
    (rows,) = torch.autograd.grad(y, x, basis, retain_graph=True, is_grads_batched=True)
    looped = torch.stack([torch.autograd.grad(y, x, row, retain_graph=True)[0] for row in basis])
    torch.testing.assert_close(rows, looped)


@pytest.mark.parametrize("lead", [(), (0,), (2, 3), (2, 0, 3)], ids=str)
def test_leading_shape(lead: tuple[int, ...]) -> None:
    layer, x = layer_of(BASES["RSWAF"]), torch.randn(*lead, 13, device=DEVICE, requires_grad=True)
    y = layer(x)
    assert y.shape == (*lead, 5)
    torch.testing.assert_close(y.reshape(-1, 5), layer(x.reshape(-1, 13)))
    y.sum().backward()
    assert x.grad is not None and x.grad.shape == x.shape


@pytest.mark.parametrize("kind", ["transposed", "strided", "expanded"])
def test_input_layout(kind: str) -> None:
    x = {
        "transposed": lambda: torch.randn(13, 7, device=DEVICE).t(),
        "strided": lambda: torch.randn(14, 26, device=DEVICE)[::2, ::2],
        "expanded": lambda: torch.randn(1, 13, device=DEVICE).expand(7, 13),
    }[kind]()
    layer = layer_of(BASES["RSWAF"])
    for name, value in by("triton", layer, x).items():
        torch.testing.assert_close(value, by("triton", layer, x.contiguous())[name], rtol=0, atol=0)


@pytest.mark.parametrize("wanted", ["x", "weight", "bias", "norm.weight", "norm.bias", "grid", "inv_denominator"])
def test_one_gradient_alone(wanted: str) -> None:
    layer, x = layer_of(BASES["RSWAF"]), draw()
    every = by("triton", layer, x)
    leaves = {"x": x, **dict(layer.named_parameters())}
    for name, leaf in leaves.items():
        leaf.requires_grad_(name == wanted)
    y = layer(x)
    weights = torch.autograd.grad(layer(x), leaves[wanted], torch.ones_like(y))[0]
    assert weights.shape == every[wanted].shape
    other = copy.deepcopy(layer)
    other.path = "reference"
    leaf = x if wanted == "x" else dict(other.named_parameters())[wanted]
    torch.testing.assert_close(weights, torch.autograd.grad(other(x).sum(), leaf)[0], rtol=1e-4, atol=1e-5)


def products(layer: fk.KANLinear, x: Tensor) -> int:
    """The number of matrix products of a backward."""
    y = layer(x).sum()
    with FlopCounterMode(display=False) as counter:
        y.backward()
    return counter.get_total_flops() // (2 * 7 * 13 * 8 * 5)


def test_a_first_layer_without_affine_needs_no_gradient_of_the_panel() -> None:
    layer = fk.KANLinear(13, 5, norm=fk.LayerNorm(affine=False), device=DEVICE)
    layer.path = "triton"
    assert products(layer, draw()) == 1
    assert products(layer, draw().requires_grad_()) == 2
    assert products(layer_of(fk.RSWAF()), draw()) == 2


def test_a_panel_is_kept_if_it_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = layer_of(BASES["RSWAF"]), draw()
    kept = by("triton", layer, x)
    from fasterkan.ops.triton import operation

    made, make = [], operation.panel_of
    monkeypatch.setattr(operation, "panel_of", lambda *a, **k: made.append(1) or make(*a, **k))
    for limit, expected in ((7 * 13 * 8 * 4, 1), (7 * 13 * 8 * 4 - 1, 2)):
        monkeypatch.setattr(operation, "KEEP_BYTES", limit)
        made.clear()
        found = by("triton", layer, x)
        assert len(made) == expected
        assert all(torch.equal(found[name], kept[name]) for name in kept)


def test_weights_changed_in_place_before_the_backward_are_noticed() -> None:
    layer = layer_of(BASES["RSWAF"])
    y = layer(draw())
    with torch.no_grad():
        layer.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_activation_checkpointing() -> None:
    layer, x = layer_of(BASES["RSWAF"]), draw().requires_grad_()
    (direct,) = torch.autograd.grad(layer(x).square().sum(), x)
    y = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
    (through,) = torch.autograd.grad(y.square().sum(), x)
    assert torch.equal(direct, through)


def test_without_gradients_nothing_is_saved() -> None:
    layer, x = layer_of(BASES["RSWAF"]), draw()
    with torch.no_grad():
        y = layer(x)
    assert not y.requires_grad
    with torch.inference_mode():
        assert torch.equal(layer(x), y)
