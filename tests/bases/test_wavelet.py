"""Wavelets against their definitions, with a translation and a scale of its own on every edge."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fasterkan import KAN, KANLinear, Wavelet, from_pretrained
from fasterkan.testing import BasisBattery

KINDS = ("mexican_hat", "morlet", "shannon", "dog")
EVERYTHING = frozenset({"z", "translation", "scale"})


def mother(kind: str, u: Tensor) -> Tensor:
    if kind == "mexican_hat":
        return 2 / (math.sqrt(3) * math.pi**0.25) * (u**2 - 1) * torch.exp(-(u**2) / 2)
    if kind == "morlet":
        return torch.cos(5 * u) * torch.exp(-(u**2) / 2)
    if kind == "dog":
        return -u * torch.exp(-(u**2) / 2)
    window = 0.54 - 0.46 * torch.cos(2 * math.pi * (u + 4 * math.pi) / (8 * math.pi))
    return torch.sinc(u / math.pi) * window * (u.abs() < 4 * math.pi)


class WaveletBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        return mother(self.basis.kind, (z.unsqueeze(-2) - params["translation"]) / params["scale"]).unsqueeze(-1)

    def params(self, dtype: torch.dtype = torch.float64, learn: bool = False) -> dict[str, Tensor]:
        """Every edge at another place and with another width, one of them mirrored."""
        made = self.basis.init(3, 2, dtype=dtype)
        made["translation"] += torch.tensor([[0.3, -1.1, 0.0], [2.0, 0.1, -0.4]], dtype=dtype)
        made["scale"] *= torch.tensor([[0.8, 1.3, 1.0], [2.1, -0.9, 0.7]], dtype=dtype)
        return {k: t.requires_grad_(learn and k in self.basis.trainable) for k, t in made.items()}


class TestMexicanHat(WaveletBattery):
    basis = Wavelet()


class TestMorlet(WaveletBattery):
    basis = Wavelet("morlet", train_translation=False)


class TestShannon(WaveletBattery):
    basis = Wavelet("shannon")


class TestDerivativeOfGaussian(WaveletBattery):
    basis = Wavelet("dog", train_scale=False)


def value_and_gradients(basis: Wavelet, z: Tensor, params: dict[str, Tensor], *, lean: bool) -> dict[str, Tensor]:
    """phi and the gradients of its sum by the formula, or as the lean operation gets them."""
    if lean:
        with torch.no_grad():
            phi, saved = basis.evaluate_for_vjp(z, params)
            dz, found = basis.vjp(z, params, phi, saved, torch.ones_like(phi), EVERYTHING)
        return {"phi": phi, "z": dz, **found}
    leaves = {k: t.clone().requires_grad_() for k, t in {"z": z, **params}.items()}
    phi = basis.evaluate(leaves["z"], {k: leaves[k] for k in params})
    return {"phi": phi.detach(), **dict(zip(leaves, torch.autograd.grad(phi.sum(), leaves.values()), strict=True))}


def edge(translation: float, scale: float, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    return {k: torch.full((1, 1), v, dtype=dtype) for k, v in (("translation", translation), ("scale", scale))}


@pytest.mark.parametrize(
    ("kind", "at_0", "at_1"),
    [
        ("mexican_hat", -0.8673250705840776, 0.0),
        ("morlet", 1.0, 0.172049812484538),
        ("dog", 0.0, -0.6065306597126334),
        ("shannon", 1.0, 0.8294377090534159),
    ],
)
def test_known_values(kind: str, at_0: float, at_1: float) -> None:
    phi = Wavelet(kind).evaluate(torch.tensor([[1.0], [3.0]], dtype=torch.float64), edge(1.0, 2.0))
    assert phi.flatten().tolist() == pytest.approx([at_0, at_1], abs=1e-15)


def test_edges_start_at_0_and_as_wide_as_z_and_share_no_memory() -> None:
    made = Wavelet().init(3, 2)
    assert torch.equal(made["translation"], torch.zeros(2, 3)) and torch.equal(made["scale"], torch.ones(2, 3))
    assert all(t.is_contiguous() and t.untyped_storage().nbytes() == 2 * 3 * 4 for t in made.values())
    assert made["scale"].data_ptr() != Wavelet().init(3, 2)["scale"].data_ptr()


@pytest.mark.parametrize("lean", [True, False], ids=["lean", "formula"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_finite_number_gives_finite_numbers(dtype: torch.dtype, kind: str, lean: bool) -> None:
    large = torch.finfo(dtype).max
    values = [0.0, -0.0, 1e-40, 1e-6, 9e-4, 1e-3, -0.5, 1.0, 40.0, 1e18, large, -large]
    for translation in values:
        for scale in values:
            z = torch.tensor(values, dtype=dtype).unsqueeze(-1)
            found = value_and_gradients(Wavelet(kind), z, edge(translation, scale, dtype), lean=lean)
            bad = [name for name, t in found.items() if not torch.isfinite(t).all()]
            assert not bad, f"translation {translation}, scale {scale}: {bad}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [2e-3, 1e-3, 5e-4, 1e-5, 0.0, -1e-5, -2e-3])
def test_scales_near_0_have_the_gradient_of_the_scale_in_effect(kind: str, scale: float) -> None:
    basis, z = Wavelet(kind), torch.linspace(-2e-3, 2e-3, 9, dtype=torch.float64).unsqueeze(-1)
    width = abs(scale) if abs(scale) >= 1e-3 else (scale**2 + 1e-6) / 2e-3
    expected = mother(kind, (z - 1e-9) / math.copysign(width, scale))
    got = [value_and_gradients(basis, z, edge(1e-9, scale), lean=lean) for lean in (True, False)]
    for name, value in got[0].items():
        torch.testing.assert_close(value, got[1][name], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(got[0]["phi"].flatten(), expected.flatten(), rtol=1e-9, atol=1e-12)
    if scale:
        step = 1e-9
        up, down = (basis.evaluate(z, edge(1e-9, scale + d)).sum().item() for d in (step, -step))
        assert got[0]["scale"].item() == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_infinite_inputs_give_zero_and_zero_gradients(kind: str) -> None:
    z = torch.tensor([[math.inf], [-math.inf]])
    for lean in (True, False):
        found = value_and_gradients(Wavelet(kind), z, edge(0.5, 0.7, torch.float32), lean=lean)
        assert all(torch.equal(t, torch.zeros_like(t)) for t in found.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [60.0, 1e6, 1e15, -1e30])
def test_derivatives_of_every_order_are_0_far_out(value: float, kind: str) -> None:
    z = torch.tensor([[value]], requires_grad=True)
    slope = Wavelet(kind).evaluate(z, edge(0.5, 0.7, torch.float32)).sum()
    for _ in range(4):
        (grad,) = torch.autograd.grad(slope, z, create_graph=True, materialize_grads=True)
        slope = grad.sum()
        assert slope == 0


def test_all_derivatives_of_shannon_are_right_at_its_centre() -> None:
    """sin(u) / u = 1 - u^2/6 + u^4/120 and cos(u / 4) = 1 - u^2/32 + u^4/6144 give phi'' and phi''''."""
    z = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    value, found = Wavelet("shannon").evaluate(z, edge(0.0, 1.0)).sum(), []
    for _ in range(4):
        (grad,) = torch.autograd.grad(value, z, create_graph=True)
        value = grad.sum()
        found.append(value.item())
    second = 2 * (-1 / 6 - 0.46 / 32)
    fourth = 24 * (1 / 120 + 0.46 / 6144 + 0.46 / 192)
    assert found == pytest.approx([0, second, 0, fourth], abs=1e-14)


def test_shannon_is_continuous_where_its_window_ends() -> None:
    z = torch.tensor([[4 * math.pi - 1e-7], [4 * math.pi + 1e-7]], dtype=torch.float64)
    inside, outside = Wavelet("shannon").evaluate(z, edge(0.0, 1.0)).flatten().tolist()
    assert outside == 0 and 0 < abs(inside) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_fold_is_exact(kind: str) -> None:
    basis = Wavelet(kind)
    params = {"translation": torch.randn(2, 3).double(), "scale": torch.randn(2, 3).double()}
    params["scale"][0, 1] = 2e-4
    center, scale = torch.randn(3, dtype=torch.float64), torch.tensor([0.5, 1e5, 3.0], dtype=torch.float64)
    folded, tensors = basis.fold(params, center, scale)
    x = torch.randn(50, 3, dtype=torch.float64) / scale + center + params["translation"][0] / scale
    torch.testing.assert_close(folded.evaluate(x, tensors), basis.evaluate((x - center) * scale, params))
    assert folded.kind == kind and set(tensors) == {*params, "low", "high"}


def test_a_layer_folds_its_feature_norm() -> None:
    layer = KANLinear(3, 2, Wavelet("morlet"), norm="feature", dtype=torch.float64)
    x = torch.randn(100, 3, dtype=torch.float64) * 30 + 5
    layer.calibrate(x)
    before = layer(x)
    layer.fold()
    torch.testing.assert_close(layer(x), before, rtol=1e-10, atol=1e-10)
    assert layer.norm is None and layer.scale.requires_grad


@pytest.mark.parametrize("min_scale", [1e-9, 0.9], ids=["exact", "by least squares"])
def test_functions_stay_when_the_norm_moves(min_scale: float) -> None:
    layer = KANLinear(3, 2, Wavelet("dog", min_scale=min_scale), norm="feature", dtype=torch.float64)
    x = torch.randn(200, 3, dtype=torch.float64)
    layer.calibrate(x)
    with torch.no_grad():
        layer.translation.add_(torch.randn(2, 3))
        layer.scale.add_(0.1 * torch.rand(2, 3))
    scale, before = layer.scale, layer(x)
    error = layer.calibrate(1.4 * x + 0.3)[""]
    assert layer.scale is scale
    exact = min_scale < 0.5  # else the scales in the new units fall below it
    assert error == 0 if exact else 0 < error < 1
    assert not exact or torch.allclose(layer(x), before, rtol=1e-12, atol=1e-12)


def test_outputs_of_a_new_layer_have_variance_one() -> None:
    layer = KANLinear(64, 400, Wavelet(), norm="feature", bias=False)
    with torch.no_grad():
        assert layer(torch.randn(400, 64)).var().item() == pytest.approx(1, abs=0.15)


def test_reset_brings_the_start_back() -> None:
    layer = KANLinear(3, 2, Wavelet(), norm=None)
    with torch.no_grad():
        layer.scale.add_(1)
        layer.translation.add_(1)
    layer.reset_parameters()
    assert torch.equal(layer.scale, torch.ones(2, 3)) and torch.equal(layer.translation, torch.zeros(2, 3))


def test_saved_networks_come_back(tmp_path) -> None:
    model = KAN([3, 4, 2], Wavelet("dog", train_scale=False), norm="layer")
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))
    model.save_pretrained(tmp_path / "model")
    again, x = from_pretrained(tmp_path / "model"), torch.randn(5, 3)
    assert again.layers[0].basis == model.layers[0].basis
    assert torch.equal(again(x), model(x))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"kind": "mexican"}, ValueError, "kind must be one of 'mexican_hat', .*, got 'mexican'; did you mean 'mexic"),
        ({"kind": "haar"}, ValueError, "got 'haar'$"),
        ({"kind": 3}, ValueError, "got 3$"),
        ({"train_scale": 1}, TypeError, "train_scale must be True or False, got 1"),
        ({"train_translation": "no"}, TypeError, "train_translation must be True or False, got 'no'"),
        ({"min_scale": 0}, ValueError, "min_scale must be above 0, got 0"),
        ({"min_scale": math.nan}, ValueError, "min_scale must be finite"),
        ({"min_scale": "small"}, TypeError, "min_scale must be a number, got 'small'"),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)
def test_bad_arguments(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Wavelet(**arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_width_has_the_sign_bit_of_the_scale(dtype):
    basis = Wavelet("dog", min_scale=0.25)
    tiny = torch.finfo(dtype).tiny
    scale = torch.tensor(
        [0.0, -0.0, tiny, -tiny, 0.1, -0.1, 0.25, -0.25, 7.0, -7.0, torch.inf, -torch.inf, torch.nan], dtype=dtype
    ).requires_grad_()
    width = basis._width(scale)
    s, m = scale.detach(), 0.25
    size = torch.where(s.abs() < m, (s.double() ** 2 + m * m) / (2 * m), s.abs().double())
    expected = torch.copysign(size, s.double()).to(dtype)
    torch.testing.assert_close(width.detach(), expected, rtol=4 * torch.finfo(dtype).eps, atol=0, equal_nan=True)
    assert torch.signbit(width.detach()[:-1]).tolist() == torch.signbit(s[:-1]).tolist()
    width[:10].sum().backward()
    slope = (s[:10].abs() / m).clamp(max=1)
    torch.testing.assert_close(scale.grad[:10], slope, rtol=4 * torch.finfo(dtype).eps, atol=0)
