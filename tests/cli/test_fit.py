"""`fasterkan fit` and what reads its runs: the files it leaves, what it makes of tables, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys

import pytest
import torch

import fasterkan as fk
from fasterkan.interpret import plot

from ..seeds import seed_of

QUICK = ("--width", "none", "--grid", "3", "--degree", "3")


def write(path, head, rows, separator=","):
    lines = [head, *rows]
    path.write_text("".join(separator.join(str(field) for field in line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def numbers(call, tmp_path_factory):
    """A run on numbers (y = sin 2a + c^2 and twice a, b plays no part, one missing value), its table and its words."""
    folder = tmp_path_factory.mktemp("numbers")
    x = torch.rand(150, 3, generator=torch.Generator().manual_seed(seed_of(0)), dtype=torch.float64) * 2 - 1
    y = torch.sin(2 * x[:, 0]) + x[:, 2] ** 2
    rows = [[*map(str, row), str(float(t)), str(2 * row[0])] for row, t in zip(x.tolist(), y, strict=True)]
    rows[7][1] = "NA"
    table = write(folder / "data.csv", ["a", "b", "c", "y", "twice"], rows)
    said = call("fit", table, "--target", "y,twice", *QUICK, "--out", folder / "run")
    return folder / "run", table, said


@pytest.fixture(scope="module")
def labels(call, tmp_path_factory):
    """A run on three labels from one number and a column of categories, and its table."""
    folder = tmp_path_factory.mktemp("labels")
    generator = torch.Generator().manual_seed(seed_of(0))
    x = torch.rand(160, generator=generator) * 3
    rows = []
    for value in x.tolist():
        colour = ("red", "green", "blue")[len(rows) % 3]
        label = "low" if value < 1 else "high" if value > 2 else "middle"
        rows.append([f"{value:.4f}", colour, label])
    table = write(folder / "kinds.csv", ["size", "colour", "kind"], rows)
    said = call("fit", table, "--target", "kind", *QUICK, "--out", folder / "run")
    return folder / "run", table, said


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_files_of_a_fit(numbers):
    folder, _, said = numbers
    assert said.code == 0, said.err
    pictures = {"network.png", "network.svg", "training.svg"}
    assert {path.name for path in folder.iterdir()} == pictures | {
        "config.json", "model.safetensors", "fit.json", "report.txt", "predictions.csv",
    }  # fmt: skip
    report = (folder / "report.txt").read_text()
    assert report in said.out
    assert "150 rows, 119 fitted, 30 for the test" in report
    assert "1 of 150 rows" in report and "missing values: b 1" in report
    assert "note: 1 of 150 rows" in said.err
    for word in ("stopped  ", "how far off it is", "what the inputs are worth", "course of the fit"):
        assert word in report
    worth = report.partition("what the inputs are worth")[2].splitlines()[1:4]
    assert [line.split()[0] for line in worth] == ["a", "c", "b"]
    for name in ("a", "twice"):
        assert f"<!-- {name} -->".encode() in (folder / "network.svg").read_bytes()


def test_the_model_and_its_predictions_agree(numbers):
    folder, table, _ = numbers
    net = fk.from_pretrained(folder)
    rows = dict(enumerate(read(table.read_text()), 2))
    found = read((folder / "predictions.csv").read_text())
    assert [row["rows"] for row in found] == ["test"] * 30 + ["fitted"] * 119
    assert "9" not in {row["line"] for row in found}  # the line with the missing value
    for row in found:
        line = rows[int(row["line"])]
        x = torch.tensor([[float(line[name]) for name in "abc"]], dtype=torch.float64)
        said = net(x)[0].tolist()
        for value, target in zip(said, ("y", "twice"), strict=True):
            assert float(row[target]) == pytest.approx(float(line[target]), abs=1e-8)
            assert float(row[f"{target} predicted"]) == pytest.approx(value, abs=1e-7)
            assert float(row[f"{target} residual"]) == pytest.approx(float(line[target]) - value, abs=1e-7)
    saved = json.loads((folder / "fit.json").read_text())
    off = [float(row["twice residual"]) for row in found if row["rows"] == "test"]
    size = (sum(r * r for r in off) / len(off)) ** 0.5
    assert saved["result"]["errors"]["test"]["twice"] == pytest.approx(size, rel=1e-4)
    assert saved["result"]["errors"]["test"]["y"] < 0.02


def test_labels(labels):
    folder, table, said = labels
    assert said.code == 0, said.err
    assert "how often it is right" in said.out and "colour: blue, green, red" in said.out
    saved = json.loads((folder / "fit.json").read_text())
    assert saved["loss"] == "logistic"
    assert saved["result"]["errors"]["test"]["kind"] < 0.15
    net = fk.from_pretrained(folder)
    assert net.layers_hidden == (3, 3)  # size, colour=green, colour=red -> high, low, middle
    lines = read(table.read_text())
    for row in read((folder / "predictions.csv").read_text()):
        line = lines[int(row["line"]) - 2]
        x = [float(line["size"]), float(line["colour"] == "green"), float(line["colour"] == "red")]
        p = torch.sigmoid(net(torch.tensor([x], dtype=torch.float64))[0])
        p = (p / p.sum()).tolist()
        assert [float(row[f"P({label})"]) for label in ("high", "low", "middle")] == pytest.approx(p, abs=1e-4)
        assert row["kind predicted"] == ("high", "low", "middle")[p.index(max(p))]
        assert (row["kind"], row["right"]) == (line["kind"], "yes" if row["kind predicted"] == line["kind"] else "no")


def test_predict_gives_the_table_back_with_what_it_says(call, numbers, tmp_path):
    folder, table, _ = numbers
    new = write(tmp_path / "new.csv", ["c", "name", "a", "b"], [[0.5, "x", 0.25, 0], ["", "y", 0, 0], [9, "z", 0, 0]])
    said = call("predict", folder, new)
    assert said.code == 1
    assert f"error: {new}, line 3, c: missing\n" in said.err
    assert "note: c lies outside" in said.err and "in 1 rows" in said.err
    found = read(said.out)
    assert [row["name"] for row in found] == ["x", "y", "z"]
    assert found[1]["y predicted"] == found[1]["twice predicted"] == ""
    assert float(found[0]["y predicted"]) == pytest.approx(0.25 + 0.479, abs=0.03)
    assert float(found[0]["twice predicted"]) == pytest.approx(0.5, abs=0.01)
    said = call("predict", folder, new, "--json")
    values = [json.loads(line) for line in said.out.splitlines()]
    assert [value["line"] for value in values] == [2, 4]
    assert values[0]["twice predicted"] == float(found[0]["twice predicted"])
    said = call("predict", folder, new, "--out", tmp_path / "deep" / "out.csv")
    assert said.out == ""
    assert read((tmp_path / "deep" / "out.csv").read_text()) == found
    said = call("predict", folder, table)
    assert "twice: RMSE" in said.err and "on 149 rows" in said.err


def test_predict_labels(call, labels, tmp_path):
    new = write(tmp_path / "new.csv", ["size", "colour"], [[0.2, "red"], [2.9, "pink"]])
    said = call("predict", labels[0], new, "--json")
    assert said.code == 1
    assert "line 3, colour: 'pink' is none of blue, green, red" in said.err
    (row,) = map(json.loads, said.out.splitlines())
    assert row["kind predicted"] == "low"
    assert row["P(low)"] > 0.8
    assert sum(row[f"P({label})"] for label in ("high", "low", "middle")) == pytest.approx(1, abs=2e-4)
    assert "kind: right" in call("predict", labels[0], labels[1]).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{table}", "{table}"), "give one CSV file with its columns, got 2 files"),
        (("nowhere.csv",), "nowhere.csv: no such file"),
        (("{other}",), "has no column 'a', which the network needs; it takes a, b, c"),
        (("{bad}",), "line 2, a: 'x' is no number"),
    ],
    ids=["two", "missing", "columns", "no-row"],
)
def test_predict_refuses(call, numbers, tmp_path, words, message):
    places = {
        "table": numbers[1],
        "other": write(tmp_path / "other.csv", ["q"], [["1"]]),
        "bad": write(tmp_path / "bad.csv", ["a", "b", "c"], [["x", "1", "1"]]),
    }
    said = call("predict", numbers[0], *(word.format(**places) for word in words))
    assert (said.code, said.out) == (2, "")
    assert message in said.err


def test_plot_prune_and_info_know_the_columns(call, numbers, tmp_path):
    folder = numbers[0]
    said = call("plot", folder, "--out", tmp_path / "pictures")
    assert said.code == 0, said.err
    assert b"<!-- twice -->" in (tmp_path / "pictures" / "network.svg").read_bytes()
    said = call("prune", folder, "--out", tmp_path / "small")
    assert said.code == 0, said.err
    assert "inputs gone b" in said.out
    assert "test        y: RMSE" in said.out and "test        twice: RMSE" in said.out
    report = json.loads((tmp_path / "small" / "report.json").read_text())
    assert (report["removed_inputs"], report["after"]["edges"]) == ([1], 3)
    again = call("predict", tmp_path / "small", numbers[1])
    assert len(read(again.out)) == 150
    assert "from a, b, c" in call("info", folder).out
    said = call("eval", folder)
    assert said.code == 2 and "was fitted to a table, but this command needs images" in said.err


PRUNED = {"config.json", "model.safetensors", "fit.json", "report.txt", "report.json", "predictions.csv"}


def test_what_prune_leaves_is_of_the_smaller_network(call, numbers, tmp_path):
    """Over the run itself, in a copy of it: nothing of the larger network stays."""
    run = shutil.copytree(numbers[0], tmp_path / "run")
    refused = call("prune", run, "--out", run)
    assert refused.code == 2 and "is not empty" in refused.err and "--overwrite" in refused.err
    said = call("prune", run, "--out", run, "--overwrite", "--epochs", 0)
    assert said.code == 0, said.err
    assert {path.name for path in run.iterdir()} == PRUNED | {"network.png", "network.svg"}
    saved, former = (json.loads((folder / "fit.json").read_text()) for folder in (run, numbers[0]))
    assert saved["result"]["edges"] == 3 and saved["result"]["widths"] == [3, 2] == former["result"]["widths"]
    assert "stopped" not in saved["result"] and saved["result"]["sha256"] == former["result"]["sha256"]
    net = fk.from_pretrained(run)
    rows = dict(enumerate(read(numbers[1].read_text()), 2))
    found = read((run / "predictions.csv").read_text())
    for row in found:
        x = torch.tensor([[float(rows[int(row["line"])][name]) for name in "abc"]], dtype=torch.float64)
        assert float(row["y predicted"]) == pytest.approx(net(x)[0, 0].item(), abs=1e-7)
    off = [float(row["y residual"]) for row in found if row["rows"] == "test"]
    size = (sum(r * r for r in off) / len(off)) ** 0.5
    assert saved["result"]["errors"]["test"]["y"] == pytest.approx(size, rel=1e-4)
    assert call("plot", run, "--out", tmp_path / "pictures").code == 0
    (run / "mine.txt").write_text("keep me")
    assert "holds mine.txt, which no fit wrote" in call("prune", run, "--out", run, "--overwrite").err


def test_prune_with_another_table_takes_that_one(call, numbers, tmp_path):
    table = shutil.copy(numbers[1], tmp_path / "moved.csv")
    said = call("prune", numbers[0], "--out", tmp_path / "small", "--table", table, "--epochs", 0)
    assert said.code == 0, said.err
    saved = json.loads((tmp_path / "small" / "fit.json").read_text())
    assert (saved["data"], saved["test_share"], saved["result"]["rows"]) == (str(table), 0, 149)
    assert call("plot", tmp_path / "small").code == 0


def test_prune_keeps_the_loss_of_the_fit(call, tmp_path):
    """A twentieth of the rows lie 200 off: the squared error would let everything go."""
    generator = torch.Generator().manual_seed(seed_of(0))
    x = torch.rand(300, 3, generator=generator, dtype=torch.float64) * 2 - 1
    y = torch.sin(3 * x[:, 0]) + x[:, 1] ** 2
    y[::20] += 200 * (torch.rand(15, generator=generator) - 0.5).sign()
    table = write(tmp_path / "d.csv", ["a", "b", "c", "y"], torch.cat([x, y[:, None]], 1).tolist())
    said = call("fit", table, "-t", "y", *QUICK, "--loss", "huber", "--sparsity", 1e-4, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert "median |error|" in said.out
    saved = json.loads((tmp_path / "run" / "fit.json").read_text())
    assert 0.02 < saved["delta"] < 0.5 and saved["sparsity"] == 1e-4
    assert saved["result"]["median_absolute_errors"]["test"]["y"] < 0.05
    said = call("prune", tmp_path / "run")
    assert said.code == 0, said.err
    assert "median absolute error" in said.out
    small = json.loads((tmp_path / "run-pruned" / "fit.json").read_text())
    assert (small["delta"], small["sparsity"]) == (saved["delta"], 1e-4)
    report = json.loads((tmp_path / "run-pruned" / "report.json").read_text())
    assert (report["removed_inputs"], report["after"]["edges"]) == ([2], 2)
    assert small["result"]["median_absolute_errors"]["test"]["y"] < 0.05


def test_a_picture_that_fails_loses_nothing_else(call, numbers, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no such\n glyph")

    monkeypatch.setattr(plot, "network", broken)
    said = call("fit", numbers[1], "--target", "y", *QUICK, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert "note: no network.png and network.svg (no such glyph); all other files are written" in said.err
    assert "how far off it is" in said.out
    assert {path.name for path in (tmp_path / "run").iterdir()} == PRUNED - {"report.json"} | {"training.svg"}


def test_prune_labels(call, labels, tmp_path):
    said = call("prune", labels[0], "--out", tmp_path, "--tolerance", "0.05")
    assert said.code == 0, said.err
    assert "wrong labels, share" in said.out
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["removed_inputs"]) == {1, 2}


def test_another_table_and_one_that_changed(call, numbers, tmp_path):
    run = shutil.copytree(numbers[0], tmp_path / "run")
    saved = json.loads((run / "fit.json").read_text())
    table = tmp_path / "data.csv"
    table.write_text(numbers[1].read_text() + "1,1,1,1,1\n" * 9)
    (run / "fit.json").write_text(json.dumps({**saved, "data": str(table)}))
    assert "has changed since the fit: 126 rows to fit instead of 119" in call("plot", run).err
    (run / "fit.json").write_text(json.dumps({**saved, "data": str(tmp_path / "gone.csv")}))
    assert "gone.csv, which the network was fitted to, is gone; name the table with --table" in call("prune", run).err
    assert call("plot", run, "--table", table).code == 0
    (run / "fit.json").write_text("{}")
    said = call("predict", run, table)
    assert (said.code, said.out) == (2, "")
    assert "fit.json is damaged (KeyError: 'format'); fit again" in said.err


def test_a_messy_table(call, tmp_path):
    """Semicolons, decimal commas, an index without a name, an identifier, a constant, an empty line."""
    rows = [
        [n, f"P{n:03d}", f"{n / 10:.1f}".replace(".", ","), "m" if n % 3 else "f", "Site 1", "" if n % 5 else "1",
         f"{n / 5 + (n % 3 > 0):.1f}".replace(".", ",")]
        for n in range(60)
    ]  # fmt: skip
    head = ["", "id", "dose", "sex", "site", "old", '"sum, all"']
    table = write(tmp_path / "messy.csv", head, [*rows, [""] * 7], separator=";")
    said = call("fit", table, "--target", "sum, all", *QUICK, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    for note in (
        "column 1 is left out: it has no name",
        "column id is left out: it has 60 different texts",
        "column site is left out: it has one value only",
        "column old is left out: 48 of 60 values are missing",
    ):
        assert note in said.err
    saved = json.loads((tmp_path / "run" / "fit.json").read_text())
    assert [(c["name"], c["words"], c["high"]) for c in saved["inputs"]] == [
        ("dose", None, 5.9),
        ("sex", ["f", "m"], 0),
    ]
    assert saved["result"]["errors"]["test"]["sum, all"] < 0.01


def test_a_table_for_the_test_and_the_choice_of_inputs(call, numbers, tmp_path):
    rows = read(numbers[1].read_text())[:40]
    test = write(tmp_path / "test.csv", ["y", "a", "c"], [[row["y"], row["a"], row["c"]] for row in rows])
    said = call(
        "fit", numbers[1], "--target", "y", "--inputs", "a,c", *QUICK, "--test", test, "--out", tmp_path / "run",
        "--loss", "huber", "--basis", "bspline", "--seconds", "60",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "150 rows, 150 fitted, 40 rows of test.csv for the test" in said.out
    found = read((tmp_path / "run" / "predictions.csv").read_text())
    assert [row["line"] for row in found[:40]] == [str(n) for n in range(2, 42)]
    net = fk.from_pretrained(tmp_path / "run")
    assert net.layers_hidden == (2, 1)


def test_the_clock_cuts_and_nothing_is_replaced_unasked(call, numbers, tmp_path):
    words = ("fit", numbers[1], "--target", "y", "--inputs", "a", "--test-share", 0, "--out", tmp_path / "run")
    said = call(*words, "--width", "2", "--seconds", 0.01)
    assert said.code == 0, said.err
    assert "time: --seconds ran out" in said.out and "150 fitted, no test" in said.out
    again = call(*words)
    assert again.code == 2
    assert "is not empty" in again.err and "--overwrite" in again.err
    assert call(*words, *QUICK, "--overwrite").code == 0
    (tmp_path / "run" / "mine.txt").write_text("keep me")
    said = call(*words, *QUICK, "--overwrite")
    assert said.code == 2 and "holds mine.txt, which no fit wrote" in said.err


def test_shapes_are_tried(call, numbers, labels, tmp_path):
    said = call(
        "fit", numbers[1], "--target", "twice", "--inputs", "a,b", "--grid", 2, "--degree", 2, "--out", tmp_path / "a",
        "--seconds", 30,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "shapes that were tried" in said.out and "[2, 1] " in said.out
    assert fk.from_pretrained(tmp_path / "a").layers_hidden == (2, 1)
    said = call(
        "fit", labels[1], "--target", "kind", "--inputs", "size", "--grid", 2, "--degree", 2, "--out", tmp_path / "b",
        "--seconds", 30,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "[1, 3, 2, 3]" in said.out


def test_without_matplotlib(call, numbers, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = call("fit", numbers[1], "--target", "y", *QUICK, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert "note: no pictures: " in said.err and 'pip install "fasterkan[plot]"' in said.err
    assert not list((tmp_path / "run").glob("*.svg"))
    assert (tmp_path / "run" / "report.txt").is_file()


BASE = [[f"{n / 10}", n % 7, f"{n / 10 * (n % 7):.2f}"] for n in range(40)]


@pytest.mark.parametrize(
    ("head", "rows", "message"),
    [
        (None, None, "has 0 lines, expected a line of names"),
        ("a,a,y", BASE, "two columns have the same name, 'a': a, a, y; rename one"),
        ("0.5,1,2", BASE, "the first line, 0.5, 1, 2, has numbers; put a line of names above it"),
        ("a,b,z", BASE, "has no column 'y'; it has a, b, z"),
        ("a,b,y", [*BASE, [1, 2, "inf"]], "line 42, column y: inf is not finite"),
        ("a,b,y", [*BASE, [1, 2, "tall"]], "line 42, column y: 'tall' is no number, the column's other values are"),
        ("a,b,y", [*BASE, ["-inf", 2, 3]], "line 42, column a: -inf is not finite"),
        ("a,b,y", [*BASE, [1, 2]], "line 42: 2 fields, expected 3 as in the line of names"),
        ("a,b,y", BASE[:9], "7 rows to fit (9 in the file, 0 left out, 2 held back for the test); at least 10 are"),
        ("a,b,y", [[*row[:2], 3.5] for row in BASE], "the target 'y' has one value only, '3.5'"),
        ("a,b,y", [[1, 2, row[2]] for row in BASE], "has no column to predict from; column a is left out: it has one"),
        ("a,b,y", [[n, "", "" if n else "1"] for n in range(40)], "the target 'y' has one value only"),
        ("a,b,y", [[n, n, f"name {n}"] for n in range(40)], "'y' has 40 different labels in 40 rows, at most 20"),
    ],
    ids=[
        "empty", "twice", "no-names", "target", "infinite", "word", "infinite-input", "short", "few", "one-value",
        "no-input", "missing-target", "labels",
    ],
)  # fmt: skip
def test_bad_tables_are_one_message(call, tmp_path, head, rows, message):
    table = tmp_path / "data.csv"
    table.write_text("") if head is None else write(table, [head], rows)
    said = call("fit", table, "--target", "y", *QUICK, "--out", tmp_path / "run")
    assert (said.code, said.out) == (2, "")
    assert message in said.err and said.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_files_that_are_no_text(call, tmp_path):
    table = tmp_path / "data.csv"
    table.write_bytes("größe,y\n1,2\n".encode("latin-1"))
    assert "is not UTF-8 text (byte 2); save it again" in call("fit", table, "--target", "y").err
    assert "nowhere.csv: no such file" in call("fit", tmp_path / "nowhere.csv", "--target", "y").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--inputs", "a,q"), "has no column 'q'"),
        (("--inputs", "a,y"), "'y' is a target; it cannot be an input too"),
        (("--inputs", "one"), "column 'one' cannot be an input: it has one value only; leave it out of --inputs"),
        (("--width", "0"), "--width: '0'; give whole numbers above 0"),
        (("--width", "big"), "--width: 'big' is not a whole number"),
        (("--grid", "6,3"), "--grid: '6,3'; give a whole number from 2 on"),
        (("--basis", "cubic"), "--basis: unknown 'cubic'; known: bspline, rswaf, gaussian, hat"),
        (("--basis", "hat", "--degree", "2"), "--degree is of --basis bspline, not of hat"),
        (("--loss", "rmse"), "--loss: unknown 'rmse'; known: squared, huber, logistic"),
        (("--seconds", "0"), "--seconds must be above 0"),
        (("--loss", "logistic"), "different labels in 40 rows"),
        (("--target", "kind"), "'kind' holds labels; labels are predicted alone"),
        (("--test", "nowhere.csv"), "nowhere.csv: no such file"),
    ],
    ids=[
        "column", "target-too", "constant", "width", "width-word", "grid", "basis", "degree", "loss", "seconds",
        "logistic", "labels", "test",
    ],
)  # fmt: skip
def test_bad_options_are_one_message(call, tmp_path, words, message):
    rows = [[*row, 1, "ab"[n % 2]] for n, row in enumerate(BASE)]
    table = write(tmp_path / "data.csv", ["a", "b", "y", "one", "kind"], rows)
    said = call("fit", table, "--target", "y", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err and said.err.count("\n") == 1
