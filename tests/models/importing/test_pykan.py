"""Checkpoints of pykan: the outputs they gave, to 1e-4, or one message."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan import CheckpointError, import_checkpoint

from .checkpoints import State, changed, peers, without

NAMES = list(peers.ORIGINALS["pykan"][3])


def write(prefix: Path, state: Any, config: str | None) -> Path:
    """What model.saveckpt(prefix) leaves."""
    torch.save(state, f"{prefix}_state")
    torch.save(torch.ones(3, 2), f"{prefix}_cache_data")
    if config is not None:
        Path(f"{prefix}_config.yml").write_text(config)
    return prefix


def written(name: str, prefix: Path) -> Path:
    golden = peers.read(name)
    return write(prefix, golden.state, golden.about["config.yml"])


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_the_originals(name: str, tmp_path: Path) -> None:
    golden = peers.read(name)
    rng = torch.get_rng_state()
    net = import_checkpoint(written(name, tmp_path / "mark"), "pykan")
    assert torch.equal(torch.get_rng_state(), rng), "random numbers were drawn"
    assert not net.training
    got = net(golden.x)
    assert ((got - golden.y).abs().max() / golden.y.abs().max()).item() < 1e-5
    again = fk.from_pretrained(net.save_pretrained(tmp_path / "ours"))
    assert torch.equal(again(golden.x), got)


def test_the_golden_models_have_what_an_import_must_fold() -> None:
    pruned, updated = peers.read("pykan-3-4-2-pruned"), peers.read("pykan-4-3-2-updated")
    assert int((pruned.state["act_fun.0.mask"] == 0).sum()) == 1
    assert int((pruned.state["act_fun.1.mask"] == 0).sum()) == 1
    for kind in ("node_bias", "node_scale", "subnode_bias", "subnode_scale"):
        assert (updated.state[f"{kind}_0"] - updated.state[f"{kind}_0"].round()).abs().min() > 1e-3
    assert (updated.state["act_fun.0.scale_sp"].diff()).abs().max() > 0.1
    knots = updated.state["act_fun.0.grid"]
    assert (knots.diff() - knots.diff().mean(1, keepdim=True)).abs().max() > 0.1
    low, high = updated.state["act_fun.0.grid"].aminmax(dim=1)
    assert ((updated.x < low) | (updated.x > high)).sum() > 3


def test_what_is_imported(tmp_path: Path) -> None:
    net = import_checkpoint(str(written("pykan-2-5-1", tmp_path / "mark")), "pykan")
    assert net.to_config() == fk.PyKAN([2, 5, 1], 5).to_config()
    updated = import_checkpoint(written("pykan-4-3-2-updated", tmp_path / "b"), "pykan")
    assert (updated.base, updated.basis.degree, updated.layers[0].bias is not None) == ("identity", 2, True)
    assert torch.equal(updated.layers[1].knots, peers.read("pykan-4-3-2-updated").state["act_fun.1.grid"])
    pruned = import_checkpoint(written("pykan-3-4-2-pruned", tmp_path / "c"), "pykan")
    assert (pruned.base, pruned.bias) == (None, False)
    assert not pruned.layers[0].weight[2, 1].any()
    assert int((pruned.layers[0].weight != 0).any(-1).sum()) == 11
    config = peers.read("pykan-4-3-1-inputs-cut").about["config.yml"]
    assert "!!python/object:torch.nn.modules.activation.SiLU" in config
    cut = import_checkpoint(written("pykan-4-3-1-inputs-cut", tmp_path / "d"), "pykan")
    assert (cut.layers_hidden, cut.base) == ((2, 3, 1), "silu")


def test_pruned_edges_stay_off_in_training(tmp_path: Path) -> None:
    net = import_checkpoint(written("pykan-3-4-2-pruned", tmp_path / "c"), "pykan").train()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    net(torch.rand(9, 3)).square().sum().backward()
    optimizer.step()
    assert not net.layers[0].weight[2, 1].any()
    again = fk.from_pretrained(net.save_pretrained(tmp_path / "ours"))
    assert torch.equal(again.layers[0].mask, peers.read("pykan-3-4-2-pruned").state["act_fun.0.mask"].t() != 0)
    assert import_checkpoint(written("pykan-2-5-1", tmp_path / "d"), "pykan").layers[0].mask is None


def test_masks_between_0_and_1_are_factors(tmp_path: Path) -> None:
    golden = peers.read("pykan-2-5-1")
    half = {k: t / 2 if k.startswith("act_fun.0.scale") else t for k, t in golden.state.items()}
    masked = {**golden.state, "act_fun.0.mask": torch.full((2, 5), 0.5)}
    nets = [import_checkpoint(write(tmp_path / "m", s, golden.about["config.yml"]), "pykan") for s in (half, masked)]
    torch.testing.assert_close(nets[0](golden.x), nets[1](golden.x))
    assert (nets[0](golden.x) - golden.y).abs().max() > 1e-2


def test_the_cache_is_not_needed_and_the_rest_of_the_configuration_not_read(tmp_path: Path) -> None:
    golden = peers.read("pykan-2-5-1")
    trap = f"grid_range: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'trap'}]\n"
    kept = [line for line in golden.about["config.yml"].splitlines() if line.startswith(("base_fun", "symbolic_en"))]
    assert len(kept) == 2
    prefix = write(tmp_path / "mark", golden.state, trap + "\n".join(kept) + "\n")
    (tmp_path / "mark_cache_data").unlink()
    torch.testing.assert_close(import_checkpoint(prefix, "pykan")(golden.x), golden.y)
    assert not (tmp_path / "trap").exists()


def test_a_symbolic_part_that_is_switched_off_does_not_matter(tmp_path: Path) -> None:
    golden = peers.read("pykan-2-5-1")
    state = {**golden.state, "symbolic_fun.0.mask": torch.ones(5, 2)}
    config = golden.about["config.yml"].replace("symbolic_enabled: true", "symbolic_enabled: false")
    torch.testing.assert_close(import_checkpoint(write(tmp_path / "m", state, config), "pykan")(golden.x), golden.y)


def refused(prefix: Path, words: str, ending: str = "") -> None:
    with pytest.raises(CheckpointError) as caught:
        import_checkpoint(f"{prefix}{ending}", "pykan")
    message = str(caught.value)
    assert message.startswith(f"{prefix}{words}"), message
    assert "\n" not in message


SYMBOLIC = torch.zeros(5, 2)
SYMBOLIC[3, 1] = SYMBOLIC[4, 0] = 1
HOSTILE: dict[str, tuple[Callable[[State], Any], str]] = {
    "symbolic": (
        changed(symbolic_fun__0__mask=SYMBOLIC),
        "has 2 symbolic functions in layer 0, the first from input 1 to output 3; only splines can be imported: "
        "model.unfix_symbolic(0, 1, 3) in pykan takes one back",
    ),
    "multiplication": (
        changed(node_scale_0=torch.ones(4), node_bias_0=torch.zeros(4)),
        "has multiplication nodes: layer 0 makes 4 nodes of 5 sums; only sums can be imported",
    ),
    "version-0.0": (
        lambda s: {k: t for k, t in s.items() if "node" not in k},
        "is not a MultKAN of pykan 0.2: it lacks node_bias_0, as files of pykan before 0.2 do; save it again there",
    ),
    "another": (lambda s: nn.Linear(2, 3).state_dict(), "holds no MultKAN of pykan 0.2: its names are bias, wei"),
    "missing": (without("act_fun.1.scale_sp"), "lacks act_fun.1.scale_sp; it has act_fun.0.coef, "),
    "missing-symbolic": (without("symbolic_fun.1.affine"), "lacks symbolic_fun.1.affine; it has act_fun.0.coef, "),
    "extra": (changed(act_fun__0__more=torch.ones(2)), "holds more than a MultKAN of pykan 0.2: act_fun.0.more"),
    "shape": (
        changed(act_fun__0__mask=torch.ones(5, 2)),
        "is not a MultKAN of pykan 0.2: act_fun.0.mask has shape (5, 2), expected (2, 5)",
    ),
    "chain": (
        changed(act_fun__1__coef=torch.ones(4, 1, 8)),
        "is not a MultKAN of pykan 0.2: act_fun.1.coef has shape (4, 1, 8), expected (5, any, 8)",
    ),
    "grids": (
        changed(act_fun__1__grid=torch.arange(14.0).expand(5, 14)),
        "has 12 knots in layer 0 and 14 in layer 1: layers of different grids cannot be imported; refine the coarser",
    ),
    "degenerate": (
        lambda s: {**s, "act_fun.0.grid": torch.stack([s["act_fun.0.grid"][0], torch.zeros(12)])},
        "holds knots in act_fun.0.grid that do not increase (row 1), as a grid update on a constant feature",
    ),
    "nan": (
        lambda s: {**s, "act_fun.0.coef": s["act_fun.0.coef"] * math.nan},
        "holds NaN or infinity in act_fun.0.coef; use an earlier checkpoint",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_states_that_cannot_be_imported(name: str, tmp_path: Path) -> None:
    change, words = HOSTILE[name]
    golden = peers.read("pykan-2-5-1")
    refused(write(tmp_path / "m", change(golden.state), golden.about["config.yml"]), f"_state {words}")


def test_any_missing_or_broken_tensor_is_refused(tmp_path: Path) -> None:
    golden = peers.read("pykan-4-3-2-updated")
    for key, tensor in golden.state.items():
        for state in (
            without(key)(golden.state),
            {**golden.state, key: torch.full_like(tensor, math.inf)},
            {**golden.state, key: tensor.unsqueeze(0)},
        ):
            refused(write(tmp_path / "m", state, golden.about["config.yml"]), "_state ")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("base_fun_name: silu", "base_fun_name: sin", " says base_fun_name is 'sin', expected one of 'silu', "),
        ("base_fun_name: silu", "base_fun_name: !!python/name:a.b ''", ' says base_fun_name is "!!python/name:'),
        ("base_fun_name: silu\n", "", " says base_fun_name is None, expected one of 'silu', 'identity', 'zero'"),
    ],
    ids=["unknown", "python", "missing"],
)
def test_configurations_that_cannot_be_read(old: str, new: str, words: str, tmp_path: Path) -> None:
    golden = peers.read("pykan-2-5-1")
    assert old in golden.about["config.yml"]
    config = golden.about["config.yml"].replace(old, new)
    refused(write(tmp_path / "m", golden.state, config), f"_config.yml{words}")


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    prefix = tmp_path / "mark"
    refused(prefix, " is not a checkpoint of pykan: mark_config.yml and mark_state missing beside it; give the path")
    written("pykan-2-5-1", prefix)
    (tmp_path / "mark_config.yml").unlink()
    for ending in ("", "_state", "_cache_data"):
        refused(prefix, " is not a checkpoint of pykan: mark_config.yml missing beside it", ending)
    (tmp_path / "mark_config.yml").write_bytes(b"\xff\xfe\x00")
    refused(prefix, "_config.yml is not a text file: ")
    written("pykan-2-5-1", prefix)
    (tmp_path / "mark_state").write_bytes((tmp_path / "mark_state").read_bytes()[:200])
    refused(prefix, "_state (200 bytes) is not a complete file that torch.save wrote")
    torch.save(nn.Linear(2, 2), tmp_path / "mark_state")
    refused(prefix, "_state holds the Python object torch.nn.modules.linear.Linear: reading that means running code")


@pytest.mark.parametrize("ending", ["_state", "_config.yml", "_cache_data"])
def test_each_file_of_a_checkpoint_names_it(ending: str, tmp_path: Path) -> None:
    golden = peers.read("pykan-2-5-1")
    net = import_checkpoint(f"{written('pykan-2-5-1', tmp_path / 'mark')}{ending}", "pykan")
    torch.testing.assert_close(net(golden.x), golden.y)


def test_a_checkpoint_whose_own_name_ends_like_a_file(tmp_path: Path) -> None:
    golden = peers.read("pykan-2-5-1")
    net = import_checkpoint(written("pykan-2-5-1", tmp_path / "best_state"), "pykan")
    torch.testing.assert_close(net(golden.x), golden.y)


OBJECT = "base_fun_name: !!python/object:{}\n  _modules: {{}}\n  {}\n  training: true"
OBJECTS = {
    "SiLU": (OBJECT.format("torch.nn.modules.activation.SiLU", "inplace: false"), "silu"),
    "Identity": (OBJECT.format("torch.nn.modules.linear.Identity", "_buffers: {}"), "identity"),
    "Tanh": (OBJECT.format("torch.nn.modules.activation.Tanh", "_buffers: {}"), "tanh"),
    "GELU": (OBJECT.format("torch.nn.modules.activation.GELU", "approximate: none"), "gelu"),
    "zero": ("base_fun_name: !!python/name:kan.MultKAN.%3Clambda%3E ''", None),
    "F.silu": ("base_fun_name: !!python/name:torch.nn.functional.silu ''", "silu"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_base_functions_that_are_written_as_python_objects(name: str, tmp_path: Path) -> None:
    entry, base = OBJECTS[name]
    golden = peers.read("pykan-2-5-1")
    config = golden.about["config.yml"].replace("base_fun_name: silu", entry)
    assert import_checkpoint(write(tmp_path / "m", golden.state, config), "pykan").base == base


def test_other_python_objects_are_refused_unread(tmp_path: Path) -> None:
    golden = peers.read("pykan-2-5-1")
    for entry in (
        OBJECT.format("torch.nn.modules.activation.GELU", "approximate: tanh"),
        OBJECT.format("torch.nn.modules.activation.ELU", "alpha: 1.0"),
        "base_fun_name: !!python/name:__main__.%3Clambda%3E ''",
        f"base_fun_name: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'trap'}]",
    ):
        config = golden.about["config.yml"].replace("base_fun_name: silu", entry)
        refused(write(tmp_path / "m", golden.state, config), "_config.yml says base_fun_name is ")
    assert not (tmp_path / "trap").exists()
