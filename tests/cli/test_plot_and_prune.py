"""`fasterkan plot` and `fasterkan prune`: the files they leave, and what they refuse."""

from __future__ import annotations

import json

import pytest
import torch

import fasterkan as fk
from fasterkan.cli.table import read_table


@pytest.fixture
def table(tmp_path):
    """A saved network to read, and the table it was fitted to: y hangs on a and c, not on b."""
    x = torch.rand(300, 3, dtype=torch.float64) * 2 - 1
    y = torch.sin(2 * x[:, :1]) + x[:, 2:] ** 2 + 0.02 * torch.randn(300, 1)
    net = fk.KAN([3, 4, 1], fk.RSWAF(5), norm="feature", base="silu", dtype=torch.float64)
    net.calibrate(x)
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    net.save_pretrained(tmp_path / "model")
    rows = [",".join(map(str, [*row, target])) for row, target in zip(x.tolist(), y.flatten().tolist(), strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["a, b, c, y", *rows]) + "\n")
    return tmp_path / "model", ("--table", tmp_path / "data.csv", "--target", "y")


def test_pictures_of_a_network_to_read(call, table):
    model, words = table
    said = call("plot", model, *words)
    assert said.code == 0, said.err
    folder = model.with_name("model-pictures")
    assert sorted(p.name for p in folder.iterdir()) == [
        "importance.png",
        "importance.svg",
        "network.png",
        "network.svg",
    ]
    assert b"<!-- c -->" in (folder / "network.svg").read_bytes()


def test_pictures_of_a_run(call, trained, tmp_path):
    said = call("plot", trained[0], "--out", tmp_path, "--rows", 200)
    assert said.code == 0, said.err
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{n}.{k}" for n in ("training", "importance") for k in ("png", "svg")
    }
    assert "no picture of the edges" in said.out


def test_prune_a_network_to_read(call, table):
    model, words = table
    said = call("prune", model, *words)
    assert said.code == 0, said.err
    folder = model.with_name("model-pruned")
    report = json.loads((folder / "report.json").read_text())
    assert report["removed_inputs"] == [1]
    assert report["after"]["edges"] < report["before"]["edges"] == 16
    assert (folder / "report.txt").read_text() in said.out
    assert "inputs gone b" in said.out
    x, y, _ = read_table(model.with_name("data.csv"), ["y"])
    small = fk.from_pretrained(folder)
    assert float((small(x) - y).square().mean().detach()) < 0.01
    again = call("prune", model, *words)
    assert (again.code, again.out) == (2, "")
    assert (
        "is not empty (it holds config.json, model.safetensors, report.json, report.txt); choose another" in again.err
    )
    assert call("prune", model, *words, "--overwrite").code == 0


def test_prune_a_run(call, trained, tmp_path):
    options = ("--keep", 0.5, "--epochs", 1, "--rounds", 1, "--rows", 200, "--tolerance", 0.2)
    said = call("prune", trained[0], "--out", tmp_path, *options)
    assert said.code == 0, said.err
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["after"]["edges"] <= 0.5 * report["before"]["edges"]
    assert report["loss_after"] <= report["loss_allowed"]
    evaluated = json.loads(call("eval", tmp_path, "--dataset", "mnist", "--json", "--split", "validation").out)
    assert 1 - evaluated["accuracy"] == pytest.approx(report["loss_after"], abs=1e-3)
    assert json.loads(call("info", tmp_path, "--json").out)["edges"] == report["after"]["edges"]


@pytest.mark.parametrize("command", ["plot", "prune"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name the data set, --data mnist, or a --table data.csv"),
        (("--table", "nowhere.csv", "--target", "y"), "nowhere.csv: no such file"),
        (("--table", "nowhere.csv"), "--table needs --target"),
        (("--data", "mnist"), "do not fit mnist"),
    ],
    ids=["nothing", "missing", "target", "images"],
)
def test_bad_data_is_one_message(call, table, command, words, message):
    said = call(command, table[0], *words)
    assert said.code == 2
    assert message in said.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,2\n3\n", r"line 3: 1 fields, expected 2"),
        ("a,y\n1,2\n3,x\n", r"line 3, column y: 'x' is no number"),
        ("a,y\n1,nan\n", r"line 2, column y: nan is not finite"),
        ("a,a\n1,2\n", r"two columns have the same name"),
        ("a,b\n1,2\n", r"has no column 'y'; it has a, b"),
        ("a,y\n", r"has 1 lines, expected"),
        ("", r"has 0 lines, expected"),
    ],
    ids=["short", "word", "nan", "twice", "target", "no-rows", "empty"],
)
def test_bad_tables(tmp_path, text, message):
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "data.csv", ["y"])


def test_a_table_has_inputs_targets_and_names(tmp_path):
    (tmp_path / "data.csv").write_text("\ufeffb, y,a\n1,2,3\n\n4,5,6e-1\n")
    x, y, names = read_table(tmp_path / "data.csv", ["y"])
    assert (x.tolist(), y.tolist(), names) == ([[1, 3], [4, 0.6]], [[2], [5]], ["b", "a"])
