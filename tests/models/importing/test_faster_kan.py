"""Checkpoints of the original: the outputs it gave, to 1e-5, or one message that says what is wrong with the file."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import pickle
import random
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

import fasterkan as fk
from fasterkan import CheckpointError, import_checkpoint

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = sorted(GOLDEN.glob("*.safetensors"))
ORIGINAL = "3bcabc25c1ed5bceb04d58a8c73756a9fe54e81b"
_spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)
State = dict[str, Tensor]


def golden(file: Path) -> tuple[State, Tensor, Tensor, dict[str, Any], dict[str, Any]]:
    """The original's state dict, inputs, outputs and arguments, and what the import must be told beside the file."""
    with safetensors.safe_open(file, "pt") as opened:
        about, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    arguments = json.loads(about["arguments"])
    if "view" not in arguments:
        state = {name.removeprefix("state."): t for name, t in tensors.items() if name.startswith("state.")}
        return state, tensors["x"], tensors["y"], arguments, {}
    shapes = {name: tuple(shape) for name, shape in json.loads(about["shapes"]).items()}
    ends = arguments.get("grid_min", -1.2), arguments.get("grid_max", 0.2)
    state = make.formula_state(shapes, *ends)
    return state, tensors["x"], tensors["y"], arguments, {"image_size": arguments["view"][2:]}


def write(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path


@pytest.fixture
def state() -> State:
    return golden(GOLDEN / "fasterkan-12-7-5.safetensors")[0]


@pytest.fixture(scope="module")
def volver() -> State:
    return golden(GOLDEN / "volver-10.safetensors")[0]


# The original's outputs.


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
        f"{path} lacks rbf.inv_denominator, as files of before 17 May 2024 (and FastKAN's) do, so it does not tell "
        "1/h; give it: import_checkpoint(path, inv_denominator=1 / 0.33) is that version's default"
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


WRAPPED: dict[str, Callable[[State], Any]] = {
    "ordered": OrderedDict,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"lr": 0.1}},
    "model_state_dict": lambda s: {"epoch": torch.tensor(3), "model_state_dict": s},
    "model": lambda s: {"model": s},
    "model-state_dict": lambda s: {"model": {"state_dict": s}},
    "module": lambda s: {f"module.{name}": t for name, t in s.items()},
    "compiled-module": lambda s: {"model": {f"module._orig_mod.{name}": t for name, t in s.items()}},
    "parameters": lambda s: {name: nn.Parameter(t) for name, t in s.items()},
    "transposed": lambda s: {name: t.t().contiguous().t() if t.dim() == 2 else t for name, t in s.items()},
    "one-storage": lambda s: flat(s),
}


def flat(state: State) -> State:
    """The tensors as views of one storage."""
    parts = torch.cat([t.flatten() for t in state.values()]).split([t.numel() for t in state.values()])
    return {name: part.view(t.shape) for (name, t), part in zip(state.items(), parts, strict=True)}


@pytest.mark.parametrize("name", WRAPPED)
def test_usual_wrappings(name: str, tmp_path: Path) -> None:
    state, x, y, _, _ = golden(GOLDEN / "fasterkan-12-7-5.safetensors")
    net = import_checkpoint(str(write(tmp_path / "a.pth", WRAPPED[name](state))))
    torch.testing.assert_close(net(x), y, rtol=1e-5, atol=1e-6)
    pointers = [t.untyped_storage().data_ptr() for t in net.state_dict().values()]
    assert len(set(pointers)) == len(pointers)


def test_legacy_format(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert import_checkpoint(tmp_path / "a.pt").layers_hidden == (12, 7, 5)


# What is refused.


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        import_checkpoint(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


class Touch:
    """What an attacker pickles: reading it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def _zip(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _legacy(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize("forced", [False, True], ids=["", "with-the-variable-that-turns-weights_only-off"])
@pytest.mark.parametrize(
    "pickled", [_zip, _legacy, pickle.dumps, lambda c: pickle.dumps(c, 2)], ids=["zip", "legacy", "plain", "plain-2"]
)
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "beside-the-weights"])
def test_code_in_a_pickle_is_not_run(
    pickled: Callable[[Any], bytes],
    inside: bool,
    forced: bool,
    state: State,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trap = tmp_path / "executed"
    path = tmp_path / "a.pt"
    path.write_bytes(pickled({**state, "extra": Touch(trap)} if inside else Touch(trap)))
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    refused(path)
    assert not trap.exists()
    with path.open("rb") as file:  # the trap works where it is stepped into
        if pickled is _zip:
            torch.load(file, weights_only=False)
            assert trap.exists()


def test_a_whole_pickled_model_is_refused_with_the_reason_and_the_remedy(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", nn.Linear(3, 2))
    assert refused(path) == (
        f"{path} holds the Python object torch.nn.modules.linear.Linear: reading that means running code from the "
        "file, so it is refused. If you trust it, load the model beside the project that made it and save its tensors "
        'alone: torch.save(model.state_dict(), "weights.pt")'
    )
    path.write_bytes(pickle.dumps({"a": 1}))
    assert refused(path).startswith(f"{path} holds pickled Python objects: reading that means running code from the")


def test_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.pt") == f"{tmp_path / 'a.pt'} is missing"
    assert refused(tmp_path) == f"{tmp_path} is a folder; those of save_pretrained are for fk.from_pretrained"


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ""])
@pytest.mark.parametrize(
    "data", [b"", b"\n", b"hello world", b"\x89PNG\r\n\x1a\n" + bytes(100), b"PK\x03\x04" + bytes(50), bytes(1000)]
)
def test_files_that_are_something_else(data: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    kind = "safetensors file" if suffix == ".safetensors" else "file that torch.save wrote"
    message = refused(path)
    assert message.startswith(f"{path} ({len(data)} bytes) is no whole {kind}: ")
    assert message.endswith("; copy it again")


@pytest.mark.parametrize("form", [_zip, _legacy, safetensors.torch.save], ids=["zip", "legacy", "safetensors"])
def test_truncated_files(form: Callable[[Any], bytes], state: State, tmp_path: Path) -> None:
    data = form(state)
    path = tmp_path / ("a.safetensors" if form is safetensors.torch.save else "a.pt")
    lengths = random.Random(0)
    for _ in range(30):
        path.write_bytes(data[: lengths.randrange(len(data))])
        assert "is no whole" in refused(path)


@pytest.mark.parametrize("form", [_zip, _legacy, safetensors.torch.save], ids=["zip", "legacy", "safetensors"])
def test_altered_files_are_read_or_refused(form: Callable[[Any], bytes], state: State, tmp_path: Path) -> None:
    """There is no checksum in them: what still is a state dict of finite numbers is read."""
    data, path = form(state), tmp_path / ("a.safetensors" if form is safetensors.torch.save else "a.pt")
    places, refusals = random.Random(0), 0
    for _ in range(150):
        altered = bytearray(data)
        altered[places.randrange(len(data))] = places.randrange(256)
        path.write_bytes(altered)
        try:
            assert import_checkpoint(path).layers_hidden == (12, 7, 5)
        except CheckpointError:
            refusals += 1
    assert refusals > 5


def changed(**tensors: Any) -> Callable[[State], Any]:
    return lambda state: {**state, **{name.replace("__", "."): t for name, t in tensors.items()}}


def without(*names: str) -> Callable[[State], Any]:
    return lambda state: {name: t for name, t in state.items() if name not in names}


def with_value(name: str, value: float) -> Callable[[State], Any]:
    return lambda state: {**state, name: torch.full_like(state[name], value)}


NAMES = "expected were some like layers.0.spline_linear.weight or faster_kan_layers.0.spline_linear.weight"
HOSTILE: dict[str, tuple[Callable[[State], Any], str]] = {
    "list": (lambda s: list(s.values()), "holds a list, a state dict was expected. If you trust it, load the model"),
    "number": (lambda s: 3, "holds a int, a state dict was expected"),
    "empty": (lambda s: {}, f"holds no FasterKAN and no FasterKANvolver of faster-kan: its names are none, {NAMES}"),
    "text": (
        lambda s: {**s, "note": "best"},
        "is no state dict: under 'note' lies a str, a tensor was expected; a state dict may also lie under "
        "'state_dict', 'model_state_dict', 'model'",
    ),
    "numbered": (lambda s: {1: s}, "is no state dict: under 1 lies a dict, a tensor was expected"),
    "unusual-wrapper": (lambda s: {"net": s}, "is no state dict: under 'net' lies a dict, a tensor was expected"),
    "another-project": (
        lambda s: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 2), nn.Linear(2, 2)).state_dict(),
        "holds no FasterKAN and no FasterKANvolver of faster-kan: its names are 0.bias, 0.weight, 1.bias, 1.weight and "
        f"2 more, {NAMES}",
    ),
    "efficient-kan": (
        lambda s: {f"layers.0.{part}": torch.ones(2, 3) for part in ("base_weight", "spline_weight", "spline_scaler")},
        "holds no FasterKAN and no FasterKANvolver of faster-kan: its names are layers.0.base_weight, ",
    ),
    "fastkan": (
        changed(layers__0__base_linear__weight=torch.ones(7, 12), layers__0__base_linear__bias=torch.ones(7)),
        "holds more than a FasterKAN: layers.0.base_linear.bias, layers.0.base_linear.weight",
    ),
    "ours": (lambda s: fk.FasterKAN([3, 2]).state_dict(), "holds no FasterKAN and no FasterKANvolver of faster-kan"),
    "both": (
        lambda s: {**s, **{f"faster_kan_{name}": t for name, t in s.items()}},
        "holds no FasterKAN and no FasterKANvolver of faster-kan: its names are faster_kan_layers.0.layernorm.bias, ",
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
        "is no FasterKAN: layers.1.spline_linear.weight has shape (140), expected (any, 28)",
    ),
    "scalar-grid": (
        changed(layers__0__rbf__grid=torch.ones(())),
        "is no FasterKAN: layers.0.rbf.grid has shape (), expected (any)",
    ),
    "inputs": (
        changed(layers__0__spline_linear__weight=torch.ones(7, 50)),
        "is no FasterKAN: layers.0.spline_linear.weight has shape (7, 50), expected (any, 48)",
    ),
    "outputs": (
        changed(layers__0__spline_linear__weight=torch.ones(6, 48)),
        "is no FasterKAN: layers.1.layernorm.weight has shape (7), expected (6)",
    ),
    "other-grid": (
        changed(layers__1__rbf__grid=torch.ones(5)),
        "is no FasterKAN: layers.1.rbf.grid has shape (5), expected (4)",
    ),
    "wide-width": (
        changed(layers__1__rbf__inv_denominator=torch.ones(1)),
        "is no FasterKAN: layers.1.rbf.inv_denominator has shape (1), expected ()",
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
        "is no FasterKAN: layers.0.rbf.grid has shape (0), expected (any)",
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
        with_value("layers.1.spline_linear.weight", math.nan),
        "holds NaN or infinity in layers.1.spline_linear.weight; use an earlier checkpoint",
    ),
    "infinity": (with_value("layers.0.layernorm.bias", -math.inf), "holds NaN or infinity in layers.0.layernorm.bias"),
    "nan-grid": (with_value("layers.0.rbf.grid", math.nan), "holds NaN or infinity in layers.0.rbf.grid"),
    "expanded": (
        changed(layers__0__layernorm__weight=torch.ones(1).expand(10**12)),
        "has 5",
    ),
    "sparse": (
        changed(layers__0__spline_linear__weight=torch.ones(7, 48).to_sparse()),
        "holds layers.0.spline_linear.weight, which is no plain dense tensor (torch.sparse_coo, torch.float32)",
    ),
    "meta": (
        changed(layers__0__rbf__grid=torch.ones(4, device="meta")),
        "holds layers.0.rbf.grid, which is no plain dense tensor",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_are_no_fasterkan(name: str, state: State, tmp_path: Path) -> None:
    make_content, words = HOSTILE[name]
    path = write(tmp_path / "a.pt", make_content(state))
    assert refused(path).startswith(f"{path} {words}")


STEM = "feature_extractor.initial_layers"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without(f"{STEM}.0.weight"), f"lacks {STEM}.0.weight; it has faster_kan_layers.0.layernorm.bias, "),
        (without(f"{STEM}.5.bn1.running_var"), f"lacks {STEM}.5.bn1.running_var"),
        (
            lambda s: {**s, f"{STEM}.5.conv1.weight": torch.ones(32, 32, 3, 3)},
            f"is no FasterKANvolver: {STEM}.5.conv1.weight has shape (32, 32, 3, 3), expected (64, 32, 3, 3)",
        ),
        (
            lambda s: {**s, f"{STEM}.2.num_batches_tracked": torch.tensor(3.0)},
            f"is no FasterKANvolver: {STEM}.2.num_batches_tracked is torch.float32 (), expected a whole number",
        ),
        (with_value(f"{STEM}.2.running_var", math.inf), f"holds NaN or infinity in {STEM}.2.running_var"),
        (
            lambda s: {**s, "faster_kan_layers.0.layernorm.weight": torch.ones(128)},
            "is no FasterKANvolver: faster_kan_layers.0.layernorm.weight has shape (128), expected (256)",
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
    path = write(tmp_path / "a.pt", change(volver))
    assert refused(path).startswith(f"{path} {words}")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("fasterkan", "source 'fasterkan' is unknown; did you mean 'faster-kan'? known: "),
        ("Faster_KAN", "source 'Faster_KAN' is unknown; did you mean 'faster-kan'? known: "),
        ("pytorch", "source 'pytorch' is unknown; did you mean 'torchkan'? known: "),
        (None, "source None is unknown; known: "),
    ],
)
def test_unknown_sources(source: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        import_checkpoint(tmp_path / "a.pt", source)
    sources = "faster-kan, fast-kan, efficient-kan, cheby-kan, torchkan, pykan"
    assert str(caught.value) == f"import_checkpoint: {words}{sources}"


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
            "FasterKANvolver: an image of 8 x 8 is too small, its poolings would leave nothing",
        ),
    ):
        with pytest.raises(ValueError) as caught:
            import_checkpoint(path, **options)
        assert not isinstance(caught.value, CheckpointError)
        assert str(caught.value).startswith(words)


def test_device(volver: State, tmp_path: Path) -> None:
    net = import_checkpoint(write(tmp_path / "a.pt", volver), device="meta")
    assert {t.device.type for t in net.state_dict().values()} == {"meta"}


def test_a_state_dict_instead_of_a_file() -> None:
    with pytest.raises(
        TypeError, match=r"path must be the name of a file, got dict; write a state dict with torch\.save"
    ):
        import_checkpoint({"a": torch.zeros(1)})  # type: ignore[arg-type]
