"""Whole pickled models of the original: converted without its code, or refused with the remedy, never half of each."""

from __future__ import annotations

import json
import pickle
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

import fasterkan as fk
from fasterkan import import_checkpoint
from fasterkan.fasterkan import FasterKANLayer
from fasterkan.models.importing.whole_models import STAND_INS

from .checkpoints import GOLDEN, State, Touch, as_legacy, as_zip, golden, refused, script, write

whole = script("make_whole")
NAMES = list(whole.MODELS)
ELSEWHERE = (
    "load it in an environment with the original FasterKAN instead of this package (both are called fasterkan), and "
    'save only its tensors: torch.save(model.state_dict(), "weights.pt")'
)


def unpacked(name: str, folder: Path) -> Path:
    """The file that the original wrote."""
    with zipfile.ZipFile(whole.HERE / f"{name}.zip") as packed:
        packed.extractall(folder)
    return folder / "model.pt"


def expected(folder: Path) -> State:
    return safetensors.torch.load_file(folder / "expected.safetensors")


# Files that the original wrote.


def test_golden_files_are_small_and_say_where_they_come_from(tmp_path: Path) -> None:
    assert {file.stem for file in whole.HERE.iterdir()} == set(NAMES)
    assert sum(file.stat().st_size for file in whole.HERE.iterdir()) < 150_000
    for name, model in whole.MODELS.items():
        unpacked(name, tmp_path)
        with safetensors.safe_open(tmp_path / "expected.safetensors", "pt") as opened:
            about = opened.metadata()
        assert (about["repository"], about["commit"]) == (whole.make.REPOSITORY, model.commit)
        assert json.loads(about["arguments"]) == model.arguments


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_the_originals(name: str, tmp_path: Path) -> None:
    path = unpacked(name, tmp_path)
    trusted = set(torch.serialization.get_safe_globals())
    rng = torch.get_rng_state()
    net = import_checkpoint(path)
    assert torch.equal(torch.get_rng_state(), rng), "random numbers were drawn"
    assert set(torch.serialization.get_safe_globals()) == trusted
    assert type(net) is getattr(fk, whole.MODELS[name].name)
    assert not net.training
    x, y = expected(tmp_path).values()
    got = net(x)
    assert ((got - y).abs().max() / y.abs().max()).item() < 1e-5
    assert torch.equal(fk.from_pretrained(net.save_pretrained(tmp_path / "ours"))(x), got)


def test_what_only_a_whole_model_tells(tmp_path: Path) -> None:
    learned, plain, images, first = (
        import_checkpoint(unpacked(name, tmp_path)) for name in ("fasterkan", "one-module", "volver", "first")
    )
    assert (learned.basis.train_grid, learned.basis.train_inv_denominator) == (True, True)
    assert (plain.basis.train_grid, plain.basis.train_inv_denominator) == (False, False)
    assert (images.in_channels, images.image_size) == (2, (18, 20))
    assert first.basis.inv_denominator == 2.0


def test_what_is_said_counts_more(tmp_path: Path) -> None:
    path = unpacked("fasterkan", tmp_path)
    still = import_checkpoint(path, train_grid=False, train_inv_denominator=False)
    assert all(not name.endswith(("grid", "inv_denominator")) for name, _ in still.named_parameters())
    assert import_checkpoint(unpacked("volver", tmp_path), image_size=16).image_size == (16, 16)
    assert import_checkpoint(unpacked("first", tmp_path), inv_denominator=3.0).basis.inv_denominator == 3.0


@pytest.mark.parametrize("name", ["fasterkan", "fasterkan-parallel", "volver", "one-module"])
def test_torch_load_never_makes_half_of_each(name: str, tmp_path: Path) -> None:
    path = unpacked(name, tmp_path)
    with pytest.raises(ImportError) as caught:
        torch.load(path, weights_only=False)
    script, _, pickled = str(caught.value).partition(". For a pickled model: ")
    assert script.startswith("fasterkan has no ")
    assert pickled == f"fk.import_checkpoint(path) reads it and runs nothing of it; if that refuses it, {ELSEWHERE}"


def test_other_sources_are_told_whose_it_is(tmp_path: Path) -> None:
    path = unpacked("fasterkan", tmp_path)
    assert refused(path, "efficient-kan").endswith("import_checkpoint(path, source='faster-kan')")


def test_threads(tmp_path: Path) -> None:
    path = unpacked("fasterkan", tmp_path)
    x, y = expected(tmp_path).values()
    outputs: list[torch.Tensor] = []
    threads = [
        threading.Thread(target=lambda: outputs.extend(import_checkpoint(path)(x) for _ in range(5))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 20
    assert all(torch.allclose(got, y, atol=1e-5) for got in outputs)


def test_classes_that_the_caller_trusts_stay_trusted(tmp_path: Path) -> None:
    path = unpacked("volver", tmp_path)
    x, y = expected(tmp_path).values()
    trusted = [nn.Conv2d, nn.Linear, nn.Sequential, nn.ModuleList, nn.LayerNorm]
    with torch.serialization.safe_globals(trusted):
        torch.testing.assert_close(import_checkpoint(path)(x), y, rtol=1e-5, atol=1e-5)
        assert set(torch.serialization.get_safe_globals()) >= set(trusted)


# Files under the original's names, made here.


@pytest.fixture
def theirs() -> Iterator[type[nn.Module]]:
    """A class that pickles as the original's FasterKAN; nothing of it is in a pickle but the name."""
    module = ModuleType("fasterkan.fasterkan")
    module.FasterKAN = type("FasterKAN", (nn.Module,), {"__module__": module.__name__})  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        yield module.FasterKAN


@pytest.fixture
def state() -> State:
    return golden(GOLDEN / "fasterkan-12-7-5.safetensors")[0]


def tree(state: State, theirs: type[nn.Module]) -> nn.Module:
    """A model that has this state dict."""
    root = theirs()
    for name, tensor in state.items():
        *parts, last = name.split(".")
        module = root
        for part in parts:
            if part not in module._modules:
                module.add_module(part, theirs())
            module = module._modules[part]
        module.register_parameter(last, nn.Parameter(tensor, requires_grad=False))
    return root


def test_one_layer_tells_its_width_too(state: State, theirs: type[nn.Module], tmp_path: Path) -> None:
    first = {k: t for k, t in state.items() if k.startswith("layers.0.") and "inv_denominator" not in k}
    root = tree(first, theirs)
    vars(root.get_submodule("layers.0.rbf"))["inv_denominator"] = 2.0
    net = import_checkpoint(write(tmp_path / "a.pt", root))
    assert (net.layers_hidden, net.basis.inv_denominator) == ((12, 7), 2.0)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_beside_other_things(wrapper: str, state: State, theirs: type[nn.Module], tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", {wrapper: tree(state, theirs), "epoch": 3, "optimizer": {"lr": 0.1}})
    assert import_checkpoint(path).layers_hidden == (12, 7, 5)


class Called:
    """Calls the class of the original with arguments."""

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __reduce__(self) -> tuple[Any, ...]:
        return self.cls, ([3, 2],)


class Stateful:
    """An object of the original with something else for its attributes."""

    def __init__(self, cls: type, state: object) -> None:
        self.cls, self.state = cls, state

    def __reduce__(self) -> tuple[Any, ...]:
        return self.cls, (), self.state


def twice(model: nn.Module) -> nn.Module:
    model._modules["again"] = model._modules["layers"]
    return model


def doubling(model: nn.Module) -> nn.Module:
    """2^60 paths to one part."""
    for _ in range(60):
        above = type(model)()
        above._modules.update(a=model, b=model)
        model = above
    return model


def circular(model: nn.Module) -> nn.Module:
    model._modules["self"] = model
    return model


def with_attribute(name: str, value: object) -> Callable[[nn.Module], nn.Module]:
    def change(model: nn.Module) -> nn.Module:
        vars(model)[name] = value
        return model

    return change


NO_MODULE = "is not a whole model of faster-kan: {} is not one of its modules. If you trust the file, " + ELSEWHERE
HOSTILE: dict[str, tuple[Callable[[nn.Module], Any], str]] = {
    "twice": (twice, NO_MODULE.format("layers")),
    "doubling": (doubling, "is not a whole model of faster-kan: b.b.b."),
    "circular": (circular, NO_MODULE.format("self")),
    "a-part-that-is-none": (with_attribute("_modules", {"layers": "text"}), NO_MODULE.format("layers")),
    "parts-that-are-none": (with_attribute("_modules", [1, 2]), NO_MODULE.format("what it holds")),
    "no-parts": (with_attribute("_modules", None), NO_MODULE.format("what it holds")),
    "no-tensor": (
        with_attribute("_parameters", {"a": "text"}),
        "is not a state dict: under 'a' lies a str, a tensor was",
    ),
    "called": (lambda m: Called(type(m)), "("),
    "attributes-that-are-none": (lambda m: Stateful(type(m), [1]), "("),
    "attributes-without-names": (lambda m: Stateful(type(m), {1: 2}), "("),
    "another-state": (
        lambda m: type(m)(),
        "holds no FasterKAN or FasterKANvolver of faster-kan: its names are none",
    ),
    "list": (lambda m: [m], "holds a list, a state dict was expected"),
    "under-another-name": (
        lambda m: {"net": m},
        "is not a state dict: under 'net' lies a whole model, a tensor was expected",
    ),
    "extra": (
        lambda m: with_attribute("_buffers", {"extra": torch.ones(2)})(m),
        "holds more than a FasterKAN: extra",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_pickles_that_are_no_such_model(name: str, state: State, theirs: type[nn.Module], tmp_path: Path) -> None:
    change, words = HOSTILE[name]
    message = refused(write(tmp_path / "a.pt", change(tree(state, theirs))))
    assert message.startswith(words)
    assert words != "(" or message.endswith("; copy it again")


@pytest.mark.parametrize("view", [[1, 2], ["a", 1, 2, 3], 28, [-1, 1, 28, 2.5]], ids=str)
def test_views_that_are_none(view: object, theirs: type[nn.Module], tmp_path: Path) -> None:
    volver = golden(GOLDEN / "volver-10.safetensors")[0]
    path = write(tmp_path / "a.pt", with_attribute("view", view)(tree(volver, theirs)))
    assert refused(path) == f"is not a FasterKANvolver: view is {view!r}, expected [-1, channels, height, width]"


def test_views_too_small_for_the_convolutions(theirs: type[nn.Module], tmp_path: Path) -> None:
    volver = golden(GOLDEN / "volver-10.safetensors")[0]
    path = write(tmp_path / "a.pt", with_attribute("view", [-1, 1, 8, 8])(tree(volver, theirs)))
    assert refused(path).startswith(
        "holds a model that cannot be used: FasterKANvolver: an image of 8 x 8 is too small"
    )


@pytest.mark.parametrize(
    "form", [as_zip, as_legacy, lambda c: pickle.dumps(c, 2), pickle.dumps], ids=["zip", "legacy", "plain-2", "plain"]
)
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")  # which the old format keeps
@pytest.mark.parametrize("forced", [False, True], ids=["", "with-the-variable-that-turns-weights_only-off"])
def test_code_in_it_is_not_run(
    form: Callable[[Any], bytes],
    forced: bool,
    state: State,
    theirs: type[nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trap, path = tmp_path / "executed", tmp_path / "a.pt"
    path.write_bytes(form(with_attribute("extra", Touch(trap))(tree(state, theirs))))
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    message = refused(path)
    assert (
        "reading that means running code from the file, so it is refused. If you trust it, load it in an env" in message
    )
    assert not trap.exists()


class Foreign(nn.Module):
    """A model of somebody's own around one of the original."""


def test_models_of_ones_own_around_it(state: State, theirs: type[nn.Module], tmp_path: Path) -> None:
    own = Foreign()
    own.kan = tree(state, theirs)
    assert refused(write(tmp_path / "a.pt", own)) == (
        f"holds the Python object {Foreign.__module__}.Foreign: reading that means running code from the file, so it "
        f"is refused. If you trust it, {ELSEWHERE}"
    )


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_forms_that_only_pickle_reads(state: State, theirs: type[nn.Module], tmp_path: Path) -> None:
    path, model = tmp_path / "a.pt", tree(state, theirs)
    path.write_bytes(as_legacy(model))
    assert refused(path) == (
        "holds a whole model, in torch's format of before version 1.6: reading that means running code from the file, "
        f"so it is refused. If you trust it, {ELSEWHERE}"
    )
    path.write_bytes(pickle.dumps(model))
    assert refused(path).startswith("holds pickled Python objects: reading that means running code from the file")
    assert refused(path).endswith(f"If you trust it, {ELSEWHERE}")


def test_our_own_pickles_are_pointed_to_save_pretrained(tmp_path: Path) -> None:
    layer = write(tmp_path / "layer.pt", FasterKANLayer(4, 3))
    assert "so it is refused. It is a model of this package: if you trust it" in refused(layer)
    path = write(tmp_path / "a.pt", fk.FasterKAN([4, 3]))
    assert refused(path) == (
        "holds the Python object fasterkan.models.fasterkan.FasterKAN: reading that means running code from the file, "
        "so it is refused. It is a model of this package: if you trust it, load it as pickles are loaded; "
        'model.save_pretrained("folder") then makes a folder for fk.from_pretrained'
    )


def test_stand_ins_are_for_the_originals_classes_and_the_layers_of_torch_in_them() -> None:
    names = [name for _, name in STAND_INS]
    assert len(set(names)) == len(names)
    for name in names:
        module, _, cls = name.rpartition(".")
        if module.startswith("torch."):
            assert issubclass(getattr(sys.modules[module], cls), nn.Module)
        else:
            assert module.partition(".")[0] in ("fasterkan", "fastkan")
