"""The compared systems: their outputs from their weights, their sizes, their starting weights, and what is refused."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fasterkan as fk

from ..seeds import seed_of

MAKE = Path(__file__).parent / "golden" / "make_peers.py"
_spec = importlib.util.spec_from_file_location("golden_make_peers", MAKE)
assert _spec is not None
assert _spec.loader is not None
peers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(peers)
State = dict[str, Tensor]
NET = [784, 256, 10]
EDGES = 784 * 256 + 256 * 10


# The originals' outputs: their weights, moved by hand where no importer does it (see test_importing_peers.py).


def rbf_kan(state: State, arguments: dict[str, Any]) -> tuple[fk.KAN, State]:
    net, ours = fk.RBFKAN(**arguments), {}
    for n, layer in enumerate(net.layers):
        weight = state[f"layers.{n}.rbf_linear.spline_weight"]
        ours[f"layers.{n}.weight"] = weight.T.reshape(layer.weight.shape)
        ours[f"layers.{n}.grid"] = state[f"layers.{n}.rbf_linear.grid"]
        if layer.base is not None:
            ours[f"layers.{n}.base_weight"] = state[f"layers.{n}.base_linear.weight"]
            ours[f"layers.{n}.bias"] = state[f"layers.{n}.base_linear.bias"]
    return net, ours


def wav_kan(state: State, arguments: dict[str, Any]) -> tuple[fk.KAN, State]:
    net, ours = fk.WavKAN(**arguments), {}
    for n in range(len(net.layers)):
        ours[f"layers.{n}.weight"] = state[f"layers.{n}.wavelet_weights"].unsqueeze(-1)
        ours |= {f"layers.{n}.{name}": state[f"layers.{n}.{name}"] for name in ("scale", "translation")}
        norm = {k: t for k, t in state.items() if k.startswith(f"layers.{n}.bn.")}
        ours |= {k.replace(".bn.", ".after.norm."): t for k, t in norm.items()}
    return net, ours


def relu_kan(state: State, arguments: dict[str, Any]) -> tuple[fk.KAN, State]:
    """Its bumps lie as [I, K] in the kernel, whatever that says, and its factor r^2 does not follow e - s."""
    net, ours = fk.ReLUKAN(**arguments), {}
    g, k = arguments["grid"], arguments["k"]
    for n, layer in enumerate(net.layers):
        start, end = (state[f"rk_layers.{n}.phase_{name}"] for name in ("low", "height"))
        kernel = state[f"rk_layers.{n}.equal_size_conv.weight"].reshape(layer.weight.shape)
        ours[f"layers.{n}.weight"] = kernel * ((end - start) ** 2 / 4 * (4 * g * g / (k + 1) ** 2)) ** 2
        ours |= {f"layers.{n}.start": start, f"layers.{n}.end": end}
        ours[f"layers.{n}.bias"] = state[f"rk_layers.{n}.equal_size_conv.bias"]
    return net, ours


def fourier_kan(state: State, arguments: dict[str, Any]) -> tuple[fk.KAN, State]:
    options = {k: v for k, v in arguments.items() if k != "layers"}
    net, ours = fk.FourierKAN(arguments["layers"], **options), {}
    for n in range(len(net.layers)):
        ours[f"layers.{n}.weight"] = state[f"{n}.fouriercoeffs"].permute(1, 2, 3, 0).flatten(2)
        if f"{n}.bias" in state:
            ours[f"layers.{n}.bias"] = state[f"{n}.bias"].flatten()
    return net, ours


BY_HAND = {"rbf-kan": rbf_kan, "wav-kan": wav_kan, "relu-kan": relu_kan, "fourier-kan": fourier_kan}


@pytest.mark.parametrize(("source", "name"), [(s, n) for s in BY_HAND for n in peers.ORIGINALS[s][3]])
def test_outputs_are_the_originals(source: str, name: str) -> None:
    golden = peers.read(name)
    net, state = BY_HAND[source](golden.state, golden.arguments)
    found = net.load_state_dict(state, strict=False)
    assert not found.unexpected_keys
    assert [name for name in found.missing_keys if not name.endswith("denominator")] == []
    got = net.eval()(golden.x)
    assert ((got - golden.y).abs().max() / golden.y.abs().max()).item() < 1e-5


# Sizes.

COUNTS: dict[str, tuple[int, int]] = {
    # the numbers that the original learns, and how many of them an edge are not needed here
    "FastKAN": (1_831_722, 0),
    "RBFKAN": (1_829_642, 0),
    "KALNet": (1_016_852, 0),
    "ChebyKAN": (1_016_832, 0),
    "ReLUKAN": (1_643_018, 0),
    "FourierKAN": (2_032_906, 0),
    "EfficientKAN": (2_032_640, 1),  # spline_scaler, a second factor
    "WavKAN": (813_588, 1),  # weight1, which takes part in nothing
    "PyKAN": (2_439_168, 5),  # scale_sp, a second factor, and four of a symbolic function that is off
}


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_parameters(name: str) -> None:
    net = fk.create_model(name, NET, device="meta")
    theirs, left_out = COUNTS[name]
    assert sum(p.numel() for p in net.parameters()) == theirs - left_out * EDGES


# Starting weights: the spread of each tensor, worked out from the authors' rules for 60 inputs and 50 outputs.

I, O = 60, 50
UNIFORM = 1 / math.sqrt(3)
LINEAR = UNIFORM / math.sqrt(I)
STARTS: dict[str, tuple[Callable[[], fk.KAN], dict[str, float]]] = {
    "fast": (lambda: fk.FastKAN([I, O]), {"weight": 0.1, "base_weight": LINEAR, "bias": LINEAR}),
    "fast-scale": (lambda: fk.FastKAN([I, O], spline_weight_init_scale=0.4), {"weight": 0.4}),
    "rbf": (lambda: fk.RBFKAN([I, O]), {"weight": 0.1, "base_weight": LINEAR, "bias": LINEAR}),
    "kal": (lambda: fk.KALNet([I, O]), {"weight": 1 / math.sqrt(4 * I), "base_weight": 1 / math.sqrt(I)}),
    "cheby": (lambda: fk.ChebyKAN([I, O]), {"weight": 1 / (5 * I)}),
    "wav": (lambda: fk.WavKAN([I, O]), {"weight": LINEAR}),
    "relu": (lambda: fk.ReLUKAN([I, O]), {"weight": UNIFORM / math.sqrt(8 * I), "bias": UNIFORM / math.sqrt(8 * I)}),
    "fourier": (lambda: fk.FourierKAN([I, O], 9), {"weight": 1 / math.sqrt(9 * I)}),
    "efficient": (lambda: fk.EfficientKAN([I, O]), {"base_weight": LINEAR}),
    "efficient-base": (lambda: fk.EfficientKAN([I, O], scale_base=3.0), {"base_weight": 3 * LINEAR}),
    "pykan": (lambda: fk.PyKAN([I, O], scale_base_sigma=2.0), {"base_weight": 2 * LINEAR}),
}


@pytest.mark.parametrize("name", STARTS)
def test_starting_weights(name: str) -> None:
    make, spreads = STARTS[name]
    layer = make().layers[0]
    for tensor, spread in spreads.items():
        got = getattr(layer, tensor)
        assert got.std().item() == pytest.approx(spread, rel=0.25 if got.numel() < 100 else 0.03), tensor
        assert abs(got.mean().item()) < 5 * spread / math.sqrt(got.numel()), tensor


def test_smooth_start_of_fourier_kan() -> None:
    weight = fk.FourierKAN([I, O], 4, smooth_initialization=True).layers[0].weight.unflatten(-1, (4, 2))
    for k in range(4):
        assert weight[:, :, k].std().item() == pytest.approx(1 / math.sqrt(I) / (k + 1) ** 2, rel=0.03)


@pytest.mark.parametrize(
    ("make", "spread"),
    [
        (lambda: fk.EfficientKAN([I, O], 6, scale_noise=0.5, scale_spline=2.0), UNIFORM / 2 * 0.5 / 6 * 2 * LINEAR),
        (lambda: fk.EfficientKAN([I, O], 4, 2, grid_range=[-3.0, 1.0]), UNIFORM / 2 * 0.1 / 4 * LINEAR),
        (lambda: fk.PyKAN([I, O], 6, 2, noise_scale=0.7), UNIFORM / 2 * 0.7 / 6 / math.sqrt(I)),
    ],
    ids=["efficient", "efficient-range", "pykan"],
)
def test_splines_start_as_noise_at_the_knots(make: Callable[[], fk.KAN], spread: float) -> None:
    layer = make().layers[0]
    at = torch.linspace(*layer.basis.grid_range, layer.basis.grid_size + 1).unsqueeze(-1).expand(-1, I)
    functions = torch.einsum("sik,oik->soi", layer.basis.evaluate(at, layer.basis_tensors()), layer.weight)
    for values in functions:
        assert values.std().item() == pytest.approx(spread, rel=0.05)


def test_pykan_base_weights_have_their_mean() -> None:
    weight = fk.PyKAN([I, O], scale_base_mu=3.0).layers[0].base_weight
    assert weight.mean().item() == pytest.approx(3 / math.sqrt(I), rel=0.02)


@pytest.mark.parametrize("name", COUNTS)
def test_generator_and_dtype(name: str) -> None:
    first, second = (
        fk.create_model(name, [4, 3, 2], generator=torch.Generator().manual_seed(seed_of(5)), dtype=torch.float64)
        for _ in range(2)
    )
    for (key, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), key
        assert a.dtype in (torch.float64, torch.int64)


# What each does.


@pytest.mark.parametrize("name", COUNTS)
def test_saved_and_trained_a_step(name: str, tmp_path: Path) -> None:
    net, x = fk.create_model(name, [6, 5, 3]), torch.rand(20, 6)
    net(x).square().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in net.parameters())
    assert sum(bool(p.grad.any()) for p in net.parameters()) >= len(list(net.parameters())) - 1
    again = fk.from_pretrained(net.save_pretrained(tmp_path))
    assert torch.equal(again(x), net.eval()(x))


@pytest.mark.parametrize("name", ["FastKAN", "RBFKAN", "EfficientKAN", "KALNet"])
@pytest.mark.parametrize("given", [nn.GELU, F.gelu, "gelu", nn.GELU()], ids=["class", "function", "name", "module"])
def test_base_activation_as_the_authors_give_it(name: str, given: Any) -> None:
    net = fk.create_model(name, [6, 5, 3], base_activation=given, generator=torch.Generator().manual_seed(seed_of(1)))
    named = fk.create_model(
        name, [6, 5, 3], base_activation="gelu", generator=torch.Generator().manual_seed(seed_of(1))
    )
    silu = fk.create_model(name, [6, 5, 3], generator=torch.Generator().manual_seed(seed_of(1)))
    x = torch.rand(4, 6)
    torch.testing.assert_close(net(x), named(x))
    assert (net(x) - silu(x)).abs().max() > 1e-4


def test_kal_net_looks_at_the_whole_batch_and_survives_a_constant_one() -> None:
    assert "Warning" in (fk.KALNet.__doc__ or "")
    net = fk.KALNet([4, 5, 3]).eval()
    x = torch.rand(6, 4)
    x[3:] *= 4
    assert (net(x)[:3] - net(x[:3])).abs().max() > 1e-2
    assert bool(torch.isfinite(net(torch.ones(5, 4))).all())


def test_cheby_kan_has_gradients_where_tanh_is_1() -> None:
    x = torch.tensor([[30.0, -30.0, 0.0]], requires_grad=True)
    fk.ChebyKAN([3, 2]).layers[0](x).sum().backward()
    assert bool(torch.isfinite(x.grad).all())


def test_cheby_kan_normalises_between_layers_only() -> None:
    assert fk.ChebyKAN([6, 5, 4, 3]).norm == [None, fk.LayerNorm(gain=1.0), fk.LayerNorm(gain=1.0)]
    assert fk.ChebyKAN([6, 1, 3], layernorm=False).norm is None


def test_optional_parts() -> None:
    assert {*fk.FastKAN([6, 3], use_base_update=False).state_dict()} == {
        "layers.0.weight", "layers.0.grid", "layers.0.denominator", "layers.0.norm.weight", "layers.0.norm.bias",
    }  # fmt: skip
    assert fk.FourierKAN([6, 3], addbias=False).layers[0].bias is None
    assert not fk.ReLUKAN([6, 3], train_ab=False).layers[0].basis.trainable
    assert fk.PyKAN([6, 3], base_fun="zero").layers[0].base_weight is None
    assert fk.PyKAN([6, 3], affine_trainable=True).layers[0].bias is not None
    assert fk.PyKAN([[6, 0], [4, 0], 3]).layers_hidden == (6, 4, 3)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "grid_eps": (lambda: fk.EfficientKAN([3, 2], grid_eps=0.1), "EfficientKAN: grid_eps is 0.1; .* layer.update_grid"),
    "grid_range-number": (
        lambda: fk.EfficientKAN([3, 2], grid_range=1.0),
        r"EfficientKAN: grid_range must be two numbers",
    ),
    "grid_range-falls": (lambda: fk.EfficientKAN([3, 2], grid_range=[1.0, -1.0]), "BSpline: grid_range must increase"),
    "grid_size-0": (lambda: fk.EfficientKAN([3, 2], grid_size=0), "BSpline: grid_size must be at least 1, got 0"),
    "order-below-0": (lambda: fk.EfficientKAN([3, 2], spline_order=-1), "BSpline: degree must be at least 0, got -1"),
    "noise-nan": (lambda: fk.EfficientKAN([3, 2], scale_noise=math.nan), "EfficientKAN: scale_noise must be finite"),
    "multiplication": (
        lambda: fk.PyKAN([3, [2, 1], 1]),
        r"PyKAN: width\[1\] is \[2, 1\]: multiplication nodes are not available",
    ),
    "width-0": (lambda: fk.PyKAN([3, 0]), r"PyKAN: layers_hidden\[1\] must be at least 1, got 0"),
    "base_fun": (
        lambda: fk.PyKAN([3, 2], base_fun="sin"),
        "PyKAN: base_fun must be one of 'silu', 'identity', 'zero', got",
    ),
    "scale-0": (
        lambda: fk.FastKAN([3, 2], spline_weight_init_scale=0.0),
        "FastKAN: spline_weight_init_scale must be above 0",
    ),
    "one-centre": (lambda: fk.FastKAN([3, 2], num_grids=1), "Gaussian: num_grids must be at least 2, got 1"),
    "one-feature": (lambda: fk.FastKAN([3, 1, 2]), "LayerNorm of one feature is 0"),
    "meyer": (lambda: fk.WavKAN([3, 2], "meyer"), "Wavelet: kind must be one of .*, got 'meyer'"),
    "degree-below-0": (lambda: fk.ChebyKAN([3, 2], degree=-1), "Chebyshev: degree must be at least 0, got -1"),
    "swish": (
        lambda: fk.KALNet([3, 2], base_activation="swish"),
        "base must be None, a callable or one of .* got 'swish'",
    ),
    "k-0": (lambda: fk.ReLUKAN([3, 2], k=0), "ReLUBump: width must be at least 1, got 0"),
    "gridsize-0": (lambda: fk.FourierKAN([3, 2], 0), "Fourier: num_frequencies must be at least 1, got 0"),
    "one-width": (lambda: fk.ChebyKAN([3]), "ChebyKAN: layers_hidden needs inputs and outputs"),
    "no-list": (lambda: fk.ChebyKAN(784), "ChebyKAN: layers_hidden must be a list"),
    "no-list-pykan": (lambda: fk.PyKAN(784), "PyKAN: layers_hidden must be a list"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        call()
