"""Checkpoints of fast-kan, efficient-KAN, ChebyKAN and torchkan: the outputs they gave, or one message."""

from __future__ import annotations

import importlib.util
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import fasterkan as fk
from fasterkan import CheckpointError, import_checkpoint

MAKE = Path(__file__).parent.parent / "golden" / "make_peers.py"
_spec = importlib.util.spec_from_file_location("golden_make_peers", MAKE)
assert _spec is not None
assert _spec.loader is not None
peers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(peers)
State = dict[str, Tensor]

SOURCES = ("fast-kan", "efficient-kan", "cheby-kan", "torchkan")
FILES = [(source, name) for source in SOURCES for name in peers.ORIGINALS[source][3]]
VOLVERS = [("torchkan", name) for name in peers.ORIGINALS["torchkan-kanvolver"][3]]
COMMITS = {
    "fast-kan": "17b65401c252334fffb5e63c9852dd8316d29e69",
    "efficient-kan": "7b6ce1c87f18c8bc90c208f6b494042344216b11",
    "cheby-kan": "5f7efdd18e749bcc99481bd87dc90bdeafb920d8",
    "torchkan": "9063e3c552cc02d952289a5951e313a0c4d0eed0",
    "torchkan-kanvolver": "9063e3c552cc02d952289a5951e313a0c4d0eed0",
    "rbf-kan": "4c8b420bccb094f0eb7595b9600d584efdf4d36c",
    "wav-kan": "f7ab5215e69b1a32e9e289159d2fd55d078fa051",
    "relu-kan": "79eab7a27392eb5f33e119710f0e75ec902764c0",
    "fourier-kan": "ef8079129dd08ce8fbe322b758ca29c8420819e4",
    "pykan": "0.2.8",
}


def write(path: Path, state: Any) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


def refused(path: Path, source: str, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        import_checkpoint(path, source, **options)
    message = str(caught.value)
    assert message.startswith(f"{path} ")
    assert "\n" not in message
    return message.removeprefix(f"{path} ")


# The originals' outputs.


def test_golden_files_are_small_and_say_where_they_come_from() -> None:
    made = {name: source for source, original in peers.ORIGINALS.items() for name in original[3]}
    files = sorted(peers.HERE.iterdir())
    assert {file.name for file in files} == {f"{name}.safetensors" for name in made}
    assert sum(file.stat().st_size for file in files) < 150_000
    for name, source in made.items():
        golden = peers.read(name)
        repository, file, _, configurations = peers.ORIGINALS[source]
        assert golden.about["repository"] == repository
        assert (golden.about["commit"], golden.about["file"]) == (COMMITS[source], file)
        assert golden.arguments == configurations[name]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(("source", "name"), FILES + VOLVERS, ids=[name for _, name in FILES + VOLVERS])
def test_outputs_are_the_originals(source: str, name: str, suffix: str, tmp_path: Path) -> None:
    golden = peers.read(name)
    rng = torch.get_rng_state()
    net = import_checkpoint(write(tmp_path / f"a{suffix}", golden.state), source)
    assert torch.equal(torch.get_rng_state(), rng), "random numbers were drawn"
    assert not net.training
    got = net(golden.x)
    assert ((got - golden.y).abs().max() / golden.y.abs().max()).item() < 1e-5
    again = fk.from_pretrained(net.save_pretrained(tmp_path / "ours"))
    assert torch.equal(again(golden.x), got)


def test_inputs_reach_far_outside_the_grid() -> None:
    for source, name in FILES:
        if source == "efficient-kan":
            golden = peers.read(name)
            low, high = golden.state["layers.0.grid"].aminmax(dim=1)
            assert ((golden.x < low) | (golden.x > high)).sum() > 3, name


PRESET: dict[str, Callable[[], fk.KAN]] = {
    "fastkan-12-7-5": lambda: fk.FastKAN([12, 7, 5]),
    "fastkan-9-6-4-3": lambda: fk.FastKAN([9, 6, 4, 3], -1.0, 3.0, 5),
    "fastkan-8-4-no-base": lambda: fk.FastKAN([8, 4], num_grids=3, use_base_update=False),
    "efficient-12-7-5": lambda: fk.EfficientKAN([12, 7, 5]),
    "efficient-6-4-3-degree-2": lambda: fk.EfficientKAN([6, 4, 3], 8, 2, grid_range=[-2.0, 1.0]),
    "cheby-12-7-5-3": lambda: fk.ChebyKAN([12, 7, 5, 3]),
    "cheby-6-4-2": lambda: fk.ChebyKAN([6, 4, 2], 6, layernorm=False),
    "kal-12-7-5": lambda: fk.KALNet([12, 7, 5]),
    "kal-9-6-4-3": lambda: fk.KALNet([9, 6, 4, 3], 5),
}


def test_a_kanvolver(tmp_path: Path) -> None:
    golden = peers.read("kanvolver-12-5")
    path = write(tmp_path / "a.pt", golden.state)
    net = import_checkpoint(path, "torchkan")
    assert net.to_config() == fk.KANvolver([12, 5], 3, last_activation=True).to_config()
    assert net.head.layers[1].after.norm.num_batches_tracked == golden.state["batch_norms.1.num_batches_tracked"]
    assert golden.y.min() == 0 < golden.y.max()  # its last ReLU is at work
    silu = import_checkpoint(path, "torchkan", base_activation="silu")
    assert (silu(golden.x) - golden.y).abs().max() > 0.1


@pytest.mark.parametrize("name", PRESET)
def test_an_import_is_what_the_preset_makes(name: str, tmp_path: Path) -> None:
    source, net = next(s for s, n in FILES if n == name), PRESET[name]()
    imported = import_checkpoint(write(tmp_path / "a.pt", peers.read(name).state), source)
    assert imported.to_config() == net.to_config()
    net.load_state_dict(imported.state_dict())


def test_updated_knots_stay_where_they_are(tmp_path: Path) -> None:
    golden = peers.read("efficient-5-4-3-updated")
    knots = golden.state["layers.0.grid"]
    assert (knots.diff() - knots.diff().mean(1, keepdim=True)).abs().max() > 0.1
    assert (knots - knots[0]).abs().max() > 0.01
    net = import_checkpoint(write(tmp_path / "a.pt", golden.state), "efficient-kan")
    assert torch.equal(net.layers[0].knots, knots)
    assert torch.equal(net.layers[1].knots, golden.state["layers.1.grid"])


def test_without_a_scaler(tmp_path: Path) -> None:
    golden = peers.read("efficient-12-7-5")
    folded = {k: t for k, t in golden.state.items() if "scaler" not in k}
    for n in range(2):
        folded[f"layers.{n}.spline_weight"] = (
            folded[f"layers.{n}.spline_weight"] * golden.state[f"layers.{n}.spline_scaler"][..., None]
        )
    net = import_checkpoint(write(tmp_path / "a.pt", folded), "efficient-kan")
    torch.testing.assert_close(net(golden.x), golden.y)


@pytest.mark.parametrize(
    "names",
    [("chebykan{}", "ln{}"), ("layers.{0}1", "layers.{0}2"), ("net.kan{}", "net.norm{}"), ("{0}0", "{0}5")],
    ids=["notebook", "sequential", "module", "numbers"],
)
def test_names_of_cheby_layers_are_the_users_own(names: tuple[str, str], tmp_path: Path) -> None:
    """Twelve layers, so that 10 comes after 9, not after 1."""
    net = fk.ChebyKAN([5] * 13, 3)
    state = {}
    for n, layer in enumerate(net.layers, 1):
        state[names[0].format(n) + ".cheby_coeffs"] = layer.weight.detach().transpose(0, 1)
        state[names[0].format(n) + ".arange"] = torch.arange(4)
        if n > 1:
            with torch.no_grad():
                layer.norm.weight.mul_(n)
            for tensor in ("weight", "bias"):
                state[f"{names[1].format(n - 1)}.{tensor}"] = getattr(layer.norm, tensor).detach()
    again, x = import_checkpoint(write(tmp_path / "a.pt", state), "cheby-kan"), torch.rand(4, 5)
    torch.testing.assert_close(again(x), net(x))


@pytest.mark.parametrize("source", ["fast-kan", "efficient-kan", "torchkan"])
def test_other_base_activations_are_said(source: str, tmp_path: Path) -> None:
    name = next(n for s, n in FILES if s == source)
    golden = peers.read(name)
    path = write(tmp_path / "a.pt", golden.state)
    silu, relu = import_checkpoint(path, source), import_checkpoint(path, source, base_activation="relu")
    assert (relu.base, silu.base) == ("relu", "silu")
    assert (relu(golden.x) - silu(golden.x)).abs().max() > 1e-3
    assert relu.after == (None if source != "torchkan" else "layernorm_relu")


@pytest.mark.parametrize(("source", "name"), FILES[::2], ids=[name for _, name in FILES[::2]])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_the_files_dtype_stays(source: str, name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    golden = peers.read(name)
    state = {k: t.to(dtype) if t.is_floating_point() else t for k, t in golden.state.items()}
    net = import_checkpoint(write(tmp_path / "a.pt", {"state_dict": state}), source)
    assert {t.dtype for t in net.state_dict().values()} == {dtype}
    rough = 1e-5 if dtype == torch.float64 else 0.1
    torch.testing.assert_close(net(golden.x.to(dtype)).float(), golden.y, rtol=rough, atol=rough)


def test_device(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", peers.read("kal-12-7-5").state)
    assert {t.device.type for t in import_checkpoint(path, "torchkan", device="meta").state_dict().values()} == {"meta"}


# What is refused.


def changed(**tensors: Any) -> Callable[[State], Any]:
    return lambda state: {**state, **{name.replace("__", "."): t for name, t in tensors.items()}}


def without(*names: str) -> Callable[[State], Any]:
    return lambda state: {name: t for name, t in state.items() if name not in names}


def filled(name: str, value: float) -> Callable[[State], Any]:
    return lambda state: {**state, name: torch.full_like(state[name], value)}


HOSTILE: dict[str, tuple[str, str, Callable[[State], Any], str]] = {
    "fast-another": (
        "fast-kan", "fastkan-12-7-5", lambda s: nn.Linear(2, 3).state_dict(),
        "holds no FastKAN of fast-kan: its names are bias, weight, expected were some like layers.0.spline_linear.weig",
    ),
    "fast-empty": ("fast-kan", "fastkan-12-7-5", lambda s: {}, "holds no FastKAN of fast-kan: its names are none"),
    "fast-layer-missing": (
        "fast-kan", "fastkan-12-7-5", lambda s: {k: t for k, t in s.items() if "layers.0" not in k},
        "lacks a layer: it has the numbers [1] in names like layers.0.spline_linear.weight",
    ),
    "fast-missing": (
        "fast-kan", "fastkan-12-7-5", without("layers.1.base_linear.bias"),
        "lacks layers.1.base_linear.bias; it has layers.0.base_linear.bias, ",
    ),
    "fast-extra": (
        "fast-kan", "fastkan-12-7-5", changed(layers__0__gate=torch.ones(3)),
        "holds more than a FastKAN of fast-kan: layers.0.gate",
    ),
    "fast-shape": (
        "fast-kan", "fastkan-12-7-5", changed(layers__0__spline_linear__weight=torch.ones(7, 95)),
        "is no FastKAN of fast-kan: layers.0.spline_linear.weight has shape (7, 95), expected (any, 96)",
    ),
    "fast-chain": (
        "fast-kan", "fastkan-12-7-5", changed(layers__1__layernorm__weight=torch.ones(6)),
        "is no FastKAN of fast-kan: layers.1.layernorm.weight has shape (6), expected (7)",
    ),
    "fast-nan": (
        "fast-kan", "fastkan-12-7-5", filled("layers.1.base_linear.weight", math.nan),
        "holds NaN or infinity in layers.1.base_linear.weight; use an earlier checkpoint",
    ),
    "fast-uneven-grid": (
        "fast-kan", "fastkan-12-7-5", changed(layers__0__rbf__grid=torch.linspace(-1, 1, 8) ** 3),
        "holds a grid in layers.0.rbf.grid that is not uniform, so it does not tell the width of the bumps",
    ),
    "fast-constant-grid": (
        "fast-kan", "fastkan-12-7-5", filled("layers.0.rbf.grid", 1.0),
        "holds a grid in layers.0.rbf.grid that is not uniform",
    ),
    "fast-is-faster": (
        "fast-kan", "fastkan-12-7-5",
        lambda s: {**{k: t for k, t in s.items() if "base" not in k}, "layers.0.rbf.inv_denominator": torch.ones(())},
        "holds more than a FastKAN of fast-kan: layers.0.rbf.inv_denominator",
    ),
    "efficient-no-weights": (
        "efficient-kan", "efficient-12-7-5", without("layers.1.spline_weight"),
        "lacks layers.1.spline_weight; it has layers.0.base_weight, ",
    ),
    "efficient-infinity": (
        "efficient-kan", "efficient-12-7-5", filled("layers.0.spline_scaler", -math.inf),
        "holds NaN or infinity in layers.0.spline_scaler",
    ),
    "efficient-knots-fall": (
        "efficient-kan", "efficient-12-7-5", lambda s: {**s, "layers.1.grid": s["layers.1.grid"].flip(1)},
        "holds knots in layers.1.grid that do not increase (row 0), as a grid update on a constant feature leaves them",
    ),
    "efficient-knots-constant": ("efficient-kan", "efficient-12-7-5", filled("layers.0.grid", 0.5), "holds knots"),
    "efficient-other-degree": (
        "efficient-kan", "efficient-12-7-5",
        changed(layers__0__grid=torch.rand(12, 30), layers__1__grid=torch.rand(7, 30)),
        "is no KAN of efficient-kan: 30 knots and 8 functions fit no degree",
    ),
    "efficient-rows": (
        "efficient-kan", "efficient-12-7-5", changed(layers__0__grid=torch.rand(11, 12)),
        "is no KAN of efficient-kan: layers.0.grid has shape (11, 12), expected (12, any)",
    ),
    "efficient-dtypes": (
        "efficient-kan", "efficient-12-7-5", lambda s: {**s, "layers.1.grid": s["layers.1.grid"].double()},
        "holds torch.float64 numbers in layers.1.grid, expected float32",
    ),
    "efficient-whole-numbers": (
        "efficient-kan", "efficient-12-7-5", lambda s: {k: t.long() for k, t in s.items()},
        "holds torch.int64 numbers in layers.0.base_weight, expected float64, float32, bfloat16 or float16",
    ),
    "cheby-no-layer": (
        "cheby-kan", "cheby-6-4-2", lambda s: {"a.weight": torch.ones(3)},
        "holds no network of ChebyKANLayers: its names are a.weight, expected were some like chebykan1.cheby_coeffs",
    ),
    "cheby-norms": (
        "cheby-kan", "cheby-12-7-5-3", without("ln2.weight", "ln2.bias"),
        "holds 3 layers and 1 norms (ln1); expected was a LayerNorm in front of every layer but the first, or none",
    ),
    "cheby-norm-width": (
        "cheby-kan", "cheby-12-7-5-3", changed(ln1__weight=torch.ones(5)),
        "is no network of ChebyKANLayers: ln1.weight has shape (5), expected (7)",
    ),
    "cheby-degrees": (
        "cheby-kan", "cheby-6-4-2", changed(chebykan2__cheby_coeffs=torch.ones(4, 2, 5)),
        "is no network of ChebyKANLayers: chebykan2.cheby_coeffs has shape (4, 2, 5), expected (4, any, 7)",
    ),
    "cheby-orders": (
        "cheby-kan", "cheby-6-4-2", changed(chebykan1__arange=torch.arange(7) + 1),
        "holds chebykan1.arange = [1, 2, 3, 4, 5, 6, 7], expected 0 .. 6",
    ),
    "cheby-extra": ("cheby-kan", "cheby-6-4-2", changed(head__bias=torch.ones(2)), "holds more than a network"),
    "kal-columns": (
        "torchkan", "kal-12-7-5", changed(poly_weights__0=torch.ones(7, 47)),
        "is no KAL_Net of torchkan: poly_weights.0 has 47 columns, expected a multiple of its 12 inputs",
    ),
    "kal-orders": (
        "torchkan", "kal-12-7-5", changed(poly_weights__1=torch.ones(5, 35)),
        "is no KAL_Net of torchkan: poly_weights.1 has shape (5, 35), expected (5, 28)",
    ),
    "kal-norm": ("torchkan", "kal-12-7-5", without("layer_norms.1.bias"), "lacks layer_norms.1.bias; it has "),
    "kal-zero-size": (
        "torchkan", "kal-12-7-5", changed(base_weights__0=torch.ones(7, 0)),
        "is no KAL_Net of torchkan: base_weights.0 has shape (7, 0), expected (any, any)",
    ),
    "volver-stem": (
        "torchkan",
        "kanvolver-10",
        changed(feature_extractor__3__weight=torch.ones(32, 16, 5, 5)),
        "is no KANvolver of torchkan: feature_extractor.3.weight has shape (32, 16, 5, 5), expected (32, 16, 3, 3)",
    ),
    "volver-counter": (
        "torchkan",
        "kanvolver-10",
        changed(batch_norms__0__num_batches_tracked=torch.ones(())),
        "is no KANvolver of torchkan: batch_norms.0.num_batches_tracked is torch.float32 (), expected a whole number",
    ),
    "volver-no-counter": (
        "torchkan",
        "kanvolver-10",
        without("batch_norms.0.num_batches_tracked"),
        "lacks batch_norms.0.num_batches_tracked; it has base_weights.0.bias, ",
    ),
    "volver-columns": (
        "torchkan",
        "kanvolver-10",
        changed(poly_weights__0__weight=torch.ones(10, 4703)),
        "is no KANvolver of torchkan: poly_weights.0.weight has 4703 columns, expected a multiple of its 1568 inputs",
    ),
    "volver-no-head": (
        "torchkan",
        "kanvolver-10",
        lambda s: {k: t for k, t in s.items() if k.startswith("feature")},
        "holds no KANvolver of torchkan: its names are feature_extractor.0.bias, ",
    ),
    "volver-nan": ("torchkan", "kanvolver-10", filled("batch_norms.0.running_var", math.nan), "holds NaN or inf"),
    "torchkan-splines": (
        "torchkan", "kal-12-7-5", changed(spline_weights__0=torch.ones(7, 12, 8)),
        "holds torchkan's KAN with splines (spline_weights, prelus); only its KAL_Net and KANvolver can be imported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_are_no_such_model(name: str, tmp_path: Path) -> None:
    source, file, change, words = HOSTILE[name]
    assert refused(write(tmp_path / "a.pt", change(peers.read(file).state)), source).startswith(words)


@pytest.mark.parametrize(("source", "name"), FILES[::3], ids=[name for _, name in FILES[::3]])
def test_any_missing_extra_or_broken_tensor_is_refused(source: str, name: str, tmp_path: Path) -> None:
    state = peers.read(name).state
    for key in state:
        if key.endswith((".arange", ".spline_scaler")):  # not needed, or taken for 1
            continue
        refused(write(tmp_path / "a.pt", without(key)(state)), source)
        refused(write(tmp_path / "a.pt", filled(key, math.nan)(state)), source)
        refused(write(tmp_path / "a.pt", {**state, key: state[key].unsqueeze(0)}), source)
        refused(write(tmp_path / "a.pt", {**state, f"{key}.more": state[key]}), source)


@pytest.mark.parametrize("source", SOURCES)
def test_pickles_and_damaged_files(source: str, tmp_path: Path) -> None:
    assert "reading that means running code from the file" in refused(write(tmp_path / "m.pt", nn.Linear(2, 2)), source)
    (tmp_path / "p.pt").write_bytes(pickle.dumps({"a": 1}))
    assert refused(tmp_path / "p.pt", source).startswith("holds pickled Python objects")
    (tmp_path / "t.pt").write_bytes(write(tmp_path / "a.pt", {"a": torch.ones(3)}).read_bytes()[:100])
    assert "is no whole file that torch.save wrote" in refused(tmp_path / "t.pt", source)
    assert refused(tmp_path / "none.pt", source) == "is missing"


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("fast-kan", {"image_size": 28}, "image_size is for faster-kan, source is 'fast-kan'; leave it out"),
        (
            "pykan",
            {"train_grid": True, "inv_denominator": 1.0},
            "inv_denominator, train_grid is for faster-kan, source",
        ),
        (
            "cheby-kan",
            {"base_activation": "silu"},
            "base_activation is for fast-kan, efficient-kan and torchkan, source",
        ),
        (
            "faster-kan",
            {"base_activation": "silu"},
            "base_activation is for fast-kan, efficient-kan and torchkan, source",
        ),
    ],
    ids=["image_size", "two", "cheby", "faster"],
)
def test_arguments_of_other_sources(source: str, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        import_checkpoint(tmp_path / "a.pt", source, **options)
    assert str(caught.value).startswith(f"import_checkpoint: {words}")


def test_unknown_activations(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"base must be None, a callable or one of .* got 'swish'"):
        import_checkpoint(tmp_path / "a.pt", "fast-kan", base_activation="swish")
