"""Checkpoints of the original: the outputs it gave, to 1e-5, or one message that says what is wrong with the file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

import fasterkan as fk
from fasterkan import CheckpointError, import_checkpoint

from .checkpoints import GOLDEN, State, changed, filled, golden, make, refused, without, write

FILES = sorted(GOLDEN.glob("*.safetensors"))
ORIGINAL = "3bcabc25c1ed5bceb04d58a8c73756a9fe54e81b"


@pytest.fixture
def state() -> State:
    return golden(GOLDEN / "fasterkan-12-7-5.safetensors")[0]


@pytest.fixture(scope="module")
def volver() -> State:
    return golden(GOLDEN / "volver-10.safetensors")[0]


def test_golden_files_are_small_and_say_where_they_come_from() -> None:
    names = {file.stem for file in FILES}
    assert names == set(make.FASTERKAN) | set(make.VOLVER)
    assert max(file.stat().st_size for file in FILES) < 200_000
    assert sum(file.stat().st_size for file in FILES) < 1_000_000
    for file in FILES:
        with safetensors.safe_open(file, "pt") as opened:
            about = opened.metadata()
        assert (about["repository"], about["commit"]) == (make.REPOSITORY, ORIGINAL)
        assert json.loads(about["arguments"]) == {**make.FASTERKAN, **make.VOLVER}[file.stem]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_outputs_are_the_originals(file: Path, suffix: str, tmp_path: Path) -> None:
    state, x, y, arguments, options = golden(file)
    rng = torch.get_rng_state()
    net = import_checkpoint(write(tmp_path / f"model{suffix}", state), **options)
    assert torch.equal(torch.get_rng_state(), rng), "random numbers were drawn"
    assert not net.training
    assert type(net) is (fk.FasterKANvolver if "view" in arguments else fk.FasterKAN)
    assert list(net.layers_hidden) == arguments["layers_hidden"]
    assert all(p.dtype == torch.float32 and p.is_leaf for p in net.parameters())
    got = net(x)
    assert got.shape == y.shape
    assert ((got - y).abs().max() / y.abs().max()).item() < 1e-5


def test_the_trained_model_has_centres_that_moved(tmp_path: Path) -> None:
    state, *_ = golden(GOLDEN / "fasterkan-trained.safetensors")
    grid, inverse = state["layers.0.rbf.grid"], state["layers.0.rbf.inv_denominator"]
    assert (grid.diff() - grid.diff().mean()).abs().max() > 0.1
    assert (grid.diff() < 0).any(), "they are not even in order"
    assert (inverse - 0.5).abs() > 0.01
    net = import_checkpoint(write(tmp_path / "a.pt", state), train_grid=True, train_inv_denominator=True)
    assert torch.equal(net.layers[0].grid, grid)
    assert not torch.equal(net.layers[1].grid, grid)
    assert net.layers[0].inv_denominator.item() == 1.0
    net.train()(torch.randn(5, 10)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


def test_sizes_and_grid_are_read_from_the_file(tmp_path: Path) -> None:
    state, *_ = golden(GOLDEN / "volver-odd.safetensors")
    net = import_checkpoint(write(tmp_path / "a.pt", state))
    same = fk.FasterKANvolver([7, 5], -2.0, 0.2, 5, in_channels=2, image_size=28)
    assert net.to_config() == same.to_config()
    assert (
        net.features.block2.norm1.num_batches_tracked
        == state["feature_extractor.initial_layers.11.bn1.num_batches_tracked"]
    )


@pytest.mark.parametrize("inverse", [1 / 0.33, 2.0])
def test_earlier_versions_used_their_width(inverse: float, state: State, tmp_path: Path) -> None:
    old = {name: tensor for name, tensor in state.items() if "inv_denominator" not in name}
    path = write(tmp_path / "old.pt", old)
    net = import_checkpoint(path, inv_denominator=inverse)
    x = y = make.uniform((4, 12), 0, -2, 2).double()
    for n in range(2):
        w = {k.removeprefix(f"layers.{n}."): t.double() for k, t in old.items() if k.startswith(f"layers.{n}.")}
        z = nn.functional.layer_norm(y, y.shape[-1:], w["layernorm.weight"], w["layernorm.bias"])
        phi = 1 - torch.tanh((z[..., None] - w["rbf.grid"]) * inverse) ** 2
        y = phi.flatten(1) @ w["spline_linear.weight"].T
    torch.testing.assert_close(net(x.float()), y.float())
    assert refused(path) == (
        "lacks rbf.inv_denominator, as files of before 17 May 2024 do, so it does not tell 1/h; give it: "
        "import_checkpoint(path, inv_denominator=1 / 0.33) is that version's default. A FastKAN without base branch "
        "looks the same: for one, give source='fast-kan'"
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_the_files_dtype_stays(dtype: torch.dtype, volver: State, tmp_path: Path) -> None:
    cast = {name: t.to(dtype) if t.is_floating_point() else t for name, t in volver.items()}
    net = import_checkpoint(write(tmp_path / "a.pt", cast))
    assert {t.dtype for t in net.state_dict().values()} == {dtype, torch.int64}
    assert (
        net.features.stem_norm.num_batches_tracked == volver["feature_extractor.initial_layers.2.num_batches_tracked"]
    )
    assert net(torch.rand(2, 784, dtype=dtype)).dtype == dtype


def test_an_import_can_be_saved_and_read(volver: State, tmp_path: Path) -> None:
    net = import_checkpoint(write(tmp_path / "a.pt", volver), image_size=32)
    x = torch.rand(2, 1, 32, 32)
    again = fk.from_pretrained(net.save_pretrained(tmp_path / "ours"))
    assert torch.equal(again(x), net(x))


NAMES = "expected were some like layers.0.spline_linear.weight or faster_kan_layers.0.spline_linear.weight"
HOSTILE: dict[str, tuple[Callable[[State], Any], str]] = {
    "empty": (lambda s: {}, f"holds no FasterKAN or FasterKANvolver of faster-kan: its names are none, {NAMES}"),
    "another-project": (
        lambda s: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 2), nn.Linear(2, 2)).state_dict(),
        "holds no FasterKAN or FasterKANvolver of faster-kan: its names are 0.bias, 0.weight, 1.bias, 1.weight and "
        f"2 more, {NAMES}",
    ),
    "efficient-kan": (
        lambda s: {f"layers.0.{part}": torch.ones(2, 3) for part in ("base_weight", "spline_weight", "spline_scaler")},
        "holds no FasterKAN or FasterKANvolver of faster-kan: its names are layers.0.base_weight, ",
    ),
    "fastkan": (
        changed(layers__0__base_linear__weight=torch.ones(7, 12), layers__0__base_linear__bias=torch.ones(7)),
        "holds more than a FasterKAN: layers.0.base_linear.bias, layers.0.base_linear.weight",
    ),
    "ours": (lambda s: fk.FasterKAN([3, 2]).state_dict(), "holds no FasterKAN or FasterKANvolver of faster-kan"),
    "both": (
        lambda s: {**s, **{f"faster_kan_{name}": t for name, t in s.items()}},
        "holds no FasterKAN or FasterKANvolver of faster-kan: its names are faster_kan_layers.0.layernorm.bias, ",
    ),
    "no-layer-0": (
        lambda s: {name: t for name, t in s.items() if not name.startswith("layers.0.")},
        "lacks a layer: it has the numbers [1] in names like layers.0.spline_linear.weight",
    ),
    "no-grid": (without("layers.1.rbf.grid"), "lacks layers.1.rbf.grid; it has layers.0.layernorm.bias, "),
    "no-bias": (without("layers.1.layernorm.bias"), "lacks layers.1.layernorm.bias"),
    "no-second-width": (without("layers.1.rbf.inv_denominator"), "lacks layers.1.rbf.inv_denominator"),
    "flat-weight": (
        changed(layers__1__spline_linear__weight=torch.ones(140)),
        "is not a FasterKAN: layers.1.spline_linear.weight has shape (140), expected (any, 28)",
    ),
    "scalar-grid": (
        changed(layers__0__rbf__grid=torch.ones(())),
        "is not a FasterKAN: layers.0.rbf.grid has shape (), expected (any)",
    ),
    "inputs": (
        changed(layers__0__spline_linear__weight=torch.ones(7, 50)),
        "is not a FasterKAN: layers.0.spline_linear.weight has shape (7, 50), expected (any, 48)",
    ),
    "outputs": (
        changed(layers__0__spline_linear__weight=torch.ones(6, 48)),
        "is not a FasterKAN: layers.1.layernorm.weight has shape (7), expected (6)",
    ),
    "other-grid": (
        changed(layers__1__rbf__grid=torch.ones(5)),
        "is not a FasterKAN: layers.1.rbf.grid has shape (5), expected (4)",
    ),
    "wide-width": (
        changed(layers__1__rbf__inv_denominator=torch.ones(1)),
        "is not a FasterKAN: layers.1.rbf.inv_denominator has shape (1), expected ()",
    ),
    "mixed-dtypes": (
        changed(layers__1__rbf__grid=torch.ones(4).double()),
        "holds torch.float64 numbers in layers.1.rbf.grid, expected float32",
    ),
    "whole-numbers": (
        lambda s: {name: t.long() for name, t in s.items()},
        "holds torch.int64 numbers in layers.0.rbf.inv_denominator, expected float64, float32, bfloat16 or float16",
    ),
    "complex": (
        lambda s: {name: t.cfloat() for name, t in s.items()},
        "holds torch.complex64 numbers in layers.0.rbf.inv_",
    ),
    "one-centre": (
        lambda s: {name: t[:1] if "grid" in name else t[:, ::4] if "spline" in name else t for name, t in s.items()},
        "holds a model that cannot be used: RSWAF: num_grids must be at least 2, got 1",
    ),
    "no-centre": (
        lambda s: {name: t[:0] if "grid" in name else t for name, t in s.items()},
        "is not a FasterKAN: layers.0.rbf.grid has shape (0), expected (any)",
    ),
    "one-feature": (
        lambda s: make.formula_state(
            {
                "layers.0.layernorm.weight": (1,),
                "layers.0.layernorm.bias": (1,),
                "layers.0.rbf.grid": (4,),
                "layers.0.rbf.inv_denominator": (),
                "layers.0.spline_linear.weight": (2, 4),
            }
        ),
        "holds a model that cannot be used: LayerNorm of one feature is 0 whatever the input",
    ),
    "nan": (
        filled("layers.1.spline_linear.weight", math.nan),
        "holds NaN or infinity in layers.1.spline_linear.weight; use an earlier checkpoint",
    ),
    "infinity": (filled("layers.0.layernorm.bias", -math.inf), "holds NaN or infinity in layers.0.layernorm.bias"),
    "nan-grid": (filled("layers.0.rbf.grid", math.nan), "holds NaN or infinity in layers.0.rbf.grid"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_are_no_fasterkan(name: str, state: State, tmp_path: Path) -> None:
    make_content, words = HOSTILE[name]
    assert refused(write(tmp_path / "a.pt", make_content(state))).startswith(words)


STEM = "feature_extractor.initial_layers"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without(f"{STEM}.0.weight"), f"lacks {STEM}.0.weight; it has faster_kan_layers.0.layernorm.bias, "),
        (without(f"{STEM}.5.bn1.running_var"), f"lacks {STEM}.5.bn1.running_var"),
        (
            lambda s: {**s, f"{STEM}.5.conv1.weight": torch.ones(32, 32, 3, 3)},
            f"is not a FasterKANvolver: {STEM}.5.conv1.weight has shape (32, 32, 3, 3), expected (64, 32, 3, 3)",
        ),
        (
            lambda s: {**s, f"{STEM}.2.num_batches_tracked": torch.tensor(3.0)},
            f"is not a FasterKANvolver: {STEM}.2.num_batches_tracked is torch.float32 (), expected a whole number",
        ),
        (filled(f"{STEM}.2.running_var", math.inf), f"holds NaN or infinity in {STEM}.2.running_var"),
        (
            lambda s: {**s, "faster_kan_layers.0.layernorm.weight": torch.ones(128)},
            "is not a FasterKANvolver: faster_kan_layers.0.layernorm.weight has shape (128), expected (256)",
        ),
        (
            lambda s: {n: t for n, t in s.items() if not n.startswith("feature")},
            f"lacks {STEM}.0.weight; it has faster_kan_layers.0.layernorm.bias, ",
        ),
    ],
    ids=["no-stem", "no-buffer", "block", "counter", "variance", "head", "head-alone"],
)
def test_contents_that_are_no_fasterkanvolver(
    change: Callable[[State], Any], words: str, volver: State, tmp_path: Path
) -> None:
    assert refused(write(tmp_path / "a.pt", change(volver))).startswith(words)


def test_options_that_do_not_suit_the_file(state: State, volver: State, tmp_path: Path) -> None:
    kan, images = write(tmp_path / "kan.pt", state), write(tmp_path / "images.pt", volver)
    old = write(tmp_path / "old.pt", without("layers.0.rbf.inv_denominator", "layers.1.rbf.inv_denominator")(state))
    for path, options, words in (
        (kan, {"image_size": 28}, f"import_checkpoint: image_size is for a FasterKANvolver, {kan} holds a FasterKAN"),
        (
            kan,
            {"inv_denominator": 0.5},
            f"import_checkpoint: {kan} holds layers.0.rbf.inv_denominator, which the original ignored: it computed "
            "with 1.0; leave inv_denominator out",
        ),
        (old, {"inv_denominator": -1.0}, "import_checkpoint: inv_denominator must be above 0, got -1.0"),
        (
            images,
            {"image_size": 8},
            "FasterKANvolver: an image of 8 x 8 is too small, nothing would be left after the poolings",
        ),
    ):
        with pytest.raises(ValueError) as caught:
            import_checkpoint(path, **options)
        assert not isinstance(caught.value, CheckpointError)
        assert str(caught.value).startswith(words)
