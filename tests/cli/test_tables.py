"""Tables as people have them: what `fasterkan fit` reads in them, what it refuses, and what comes back."""

from __future__ import annotations

import csv
import json
import math
import random

import pytest

from fasterkan.cli.columns import survey, survey_target
from fasterkan.cli.fit_columns import choose
from fasterkan.cli.table import read_text

from ..seeds import seed_of

QUICK = ("--width", "none", "--grid", "3", "--degree", "3")
DRAWN = random.Random(seed_of(0))
XY = [(round(DRAWN.uniform(-2, 2), 4), round(DRAWN.uniform(0, 9), 4)) for _ in range(60)]


def write(path, head, rows, separator=","):
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter=separator, lineterminator="\n")
        table.writerows([head, *rows])
    return path


@pytest.mark.parametrize("mark", ["\u2028", "\u0085", "\v", "\f", "\x1c"], ids=["u2028", "u0085", "vt", "ff", "fs"])
def test_only_line_ends_end_a_row(tmp_path, mark):
    found = read_text(write(tmp_path / "data.csv", ["a", "b"], [[f"p{mark}q", 1], ["r", 2]]))
    assert found.rows == ((f"p{mark}q", "1"), ("r", "2"))
    assert found.lines == (2, 3)


@pytest.mark.parametrize(
    ("text", "separator", "names"),
    [
        ("price (USD;EUR;GBP),b\n1,2\n", ",", ("price (USD;EUR;GBP)", "b")),
        ('"a;b;c;d",y\n1,2\n', ",", ("a;b;c;d", "y")),
        ("a, long; b\n1,5;2,5\n", ";", ("a, long", "b")),
        ("a;b;c\n1,5;2,5;3,5\n", ";", ("a", "b", "c")),
        ("a,b\tc\n1,5\t2,5\n", "\t", ("a,b", "c")),
        ("a\r\n1\r\n2\r\n", ",", ("a",)),
        ("a,b\r1,2\r", ",", ("a", "b")),
        ('"two\nlines",b\n1,2\n', ",", ("two\nlines", "b")),
    ],
    ids=["header", "quoted", "commas-in-header", "decimals", "tab", "one-column", "cr", "line-end-in-quotes"],
)
def test_the_separator_cuts_all_lines_alike(tmp_path, text, separator, names):
    (tmp_path / "data.csv").write_bytes(text.encode())
    found = read_text(tmp_path / "data.csv")
    assert (found.separator, found.names) == (separator, names)


def test_what_is_no_csv_names_the_line(tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n1,2\n" + "x" * 200_000 + ",3\n")
    with pytest.raises(ValueError, match=r"data.csv, line 3: field larger than .*; it is no CSV file"):
        read_text(tmp_path / "data.csv")


def test_blank_rows_are_skipped_and_counted(tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n1,2\n , \n\n3,4\n   \n\t\n")
    found = read_text(tmp_path / "data.csv")
    assert (found.rows, found.lines, found.blank) == ((("1", "2"), ("3", "4")), (2, 5), 1)


def test_words_for_missing_values_hang_on_the_column(tmp_path):
    rows = [["-+"[n % 2], ("none", "mild", "severe")[n % 3], n, n or "-", n] for n in range(12)]
    rows[3][2], rows[4][2], rows[5][1] = "none", ".", "NA"
    table = read_text(write(tmp_path / "data.csv", ["sign", "severity", "a", "b", "y"], rows))
    assert survey(table, "sign").words == ("+", "-")
    assert survey(table, "severity").words == ("mild", "none", "severe")
    assert survey(table, "a").words is None and survey(table, "b").words is None
    assert [survey(table, "a").encode(table, word) for word in ("none", "-", ".", "NA")] == ["missing"] * 4
    assert survey(table, "severity").encode(table, "NA") == "missing"
    assert survey_target(table, "sign", labels=False).words == ("+", "-")


def test_missing_words_are_named(call, tmp_path):
    rows = [[x, b, x * x] for x, b in XY]
    rows[3][1], rows[4][1] = "none", ""
    said = call("fit", write(tmp_path / "d.csv", ["a", "b", "y"], rows), "-t", "y", *QUICK, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert "2 of 60 rows of" in said.err and "(missing values: b 2; taken as missing: none)" in said.err


@pytest.mark.parametrize("separator", [",", ";"])
def test_two_spellings_of_a_number_are_one_label(tmp_path, separator):
    spelled = ["1", "1.0", "0", "0.0", "1e0"] if separator == "," else ["1", "1,0", "0", "0,0", "1,00"]
    table = read_text(write(tmp_path / "data.csv", ["a", "y"], [[n, spelled[n % 5]] for n in range(20)], separator))
    found = survey_target(table, "y", labels=True)
    assert found.words == ("0", "1")
    assert [found.encode(table, word) for word in spelled] == [[1], [1], [0], [0], [1]]
    assert found.encode(table, "2") == "'2' is none of 0, 1"


def lost(label, rows):
    """A table whose rows of one label have no b."""
    table = [[x, "" if x > 0 else b, label if x > 0 else "neg"] for x, b in rows]
    return ["a", "b", "y"], table


def test_a_label_without_rows_is_refused(call, tmp_path):
    head, rows = lost("pos", XY)
    table = write(tmp_path / "d.csv", head, [*rows, *([x, b, "neg"] for x, b in XY)])
    said = call("fit", table, "-t", "y", *QUICK, "--out", tmp_path / "run")
    assert said.code == 2
    count = sum(x > 0 for x, _ in XY)
    assert f"no row to fit has the label 'pos' of 'y': {count} rows are left out for missing values in 'b'" in said.err
    assert "leave this column out with --inputs" in said.err


def test_a_label_that_the_test_took_is_refused(tmp_path):
    rows = [[x, b, "rare" if n == 7 else "neg" if x < 0 else "pos"] for n, (x, b) in enumerate(XY)]
    table = write(tmp_path / "d.csv", ["a", "b", "y"], rows)
    said = []
    for seed in range(9):
        try:
            found = choose(table, ["y"], None, None, None, 0.5, seed)
            assert 7 in found.rows.rows
        except ValueError as error:
            said.append(str(error))
    assert 0 < len(said) < 9
    assert all("'rare' of 'y'; all its rows are held back for the test: another --seed" in each for each in said)


def test_a_target_that_is_constant_where_it_counts_is_refused(call, tmp_path):
    rows = [[x, "" if x > 0.5 else b, x if x > 0.5 else 5] for x, b in XY]
    said = call("fit", write(tmp_path / "d.csv", ["a", "b", "y"], rows), "-t", "y", *QUICK, "--out", tmp_path / "run")
    assert said.code == 2
    assert "the target 'y' has one value only, 5, in the rows to fit: " in said.err and "values in 'b'" in said.err


def test_a_column_that_is_constant_where_it_counts_is_left_out(call, tmp_path):
    rows = [[x, "" if x > 1 else b, 7 if x <= 1 else b, x] for x, b in XY]
    table = write(tmp_path / "d.csv", ["a", "b", "c", "y"], rows)
    said = call("fit", table, "-t", "y", *QUICK, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert "column c is left out: it has one value only in the rows without missing values" in said.err
    assert [c["name"] for c in json.loads((tmp_path / "run" / "fit.json").read_text())["inputs"]] == ["a", "b"]
    said = call("fit", table, "-t", "y", "--inputs", "a,b,c", *QUICK, "--out", tmp_path / "other")
    assert said.code == 2 and "column 'c' cannot be an input: it has one value only in the rows" in said.err


@pytest.fixture(scope="module")
def squares(call, tmp_path_factory):
    """A run on y = a^2 from a table with semicolons and decimal commas, and the table."""
    folder = tmp_path_factory.mktemp("squares")
    rows = [[str(round(value, 4)).replace(".", ",") for value in (x, x * x)] for x, _ in XY]
    table = write(folder / "data.csv", ["a", "y"], rows, ";")
    said = call("fit", table, "-t", "y", *QUICK, "--out", folder / "run")
    assert said.code == 0, said.err
    return folder / "run", table


def test_predictions_are_spelled_as_the_table(call, squares, tmp_path):
    run, table = squares
    said = call("predict", run, table, "--out", tmp_path / "first.csv")
    assert said.code == 0, said.err
    first = list(csv.reader((tmp_path / "first.csv").read_text().splitlines(), delimiter=";"))
    assert first[0] == ["a", "y", "y predicted"]
    for a, _, y in first[1:]:
        assert math.isclose(float(y.replace(",", ".")), float(a.replace(",", ".")) ** 2, abs_tol=0.05)
    again = call("predict", run, tmp_path / "first.csv")
    assert again.out == (tmp_path / "first.csv").read_text()


def test_an_input_with_a_predictions_name_is_kept(call, tmp_path):
    table = write(tmp_path / "d.csv", ["y predicted", "line", "y"], [[x, b, x + b] for x, b in XY])
    assert call("fit", table, "-t", "y", *QUICK, "--out", tmp_path / "run").code == 0
    found = call("predict", tmp_path / "run", table).out.splitlines()
    assert found[0] == "y predicted,line,y,y predicted (new)"
    assert found[1].startswith(f"{XY[0][0]},{XY[0][1]},")


def test_rows_without_values_are_counted(call, squares, tmp_path):
    (tmp_path / "new.csv").write_text("a;b\n1,5;\n;\n ; \n;x\n")
    said = call("predict", squares[0], tmp_path / "new.csv")
    assert said.code == 1
    assert "note: 2 rows without any value are left out" in said.err and "line 5, a: missing" in said.err
    assert [line.split(";")[:2] for line in said.out.splitlines()] == [["a", "b"], ["1,5", ""], ["", "x"]]
    assert said.out.splitlines()[2] == ";x;"


def test_a_table_with_other_values_is_noticed(call, squares, tmp_path):
    run, table = squares
    before = table.read_text()
    try:
        table.write_text(before.replace(table.read_text().splitlines()[9], "0,5;0,25"))
        said = call("plot", run, "--out", tmp_path / "pictures")
        assert said.code == 2
        assert "data.csv has changed since the fit: other values in its rows; name the table with --table" in said.err
        assert call("plot", run, "--out", tmp_path / "pictures", "--table", table).code == 0
    finally:
        table.write_text(before)
    table.write_text(before + ";\n")
    assert call("plot", run, "--out", tmp_path / "pictures").code == 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("test_share", "much", "could not convert string to float: 'much'"),
        ("test_share", 7, "test_share 7.0 is outside"),
        ("seed", 2**70, f"seed {2**70} is outside"),
        ("seed", "x", "invalid literal for int()"),
        ("inputs", [{"name": "a", "words": None, "low": "x", "high": 1, "target": False}], "float: 'x'"),
        ("inputs", [], "inputs 0 is outside"),
        ("loss", "rmse", "loss 'rmse' is outside"),
        ("delta", -1, "delta -1.0 is outside"),
        ("result", {"rows": 1e999, "sha256": ""}, "OverflowError"),
        ("delta", "wide", "float: 'wide'"),
    ],
    ids=[
        "share-word",
        "share",
        "seed",
        "seed-word",
        "range",
        "no-inputs",
        "loss",
        "negative-delta",
        "infinite",
        "delta",
    ],
)
def test_bad_numbers_in_a_fit_are_one_message(call, squares, tmp_path, key, value, message):
    saved = json.loads((squares[0] / "fit.json").read_text())
    (tmp_path / "fit.json").write_text(json.dumps({**saved, key: value}))
    said = call("predict", tmp_path, squares[1])
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert f"{tmp_path / 'fit.json'} is damaged (" in said.err and message in said.err


def test_seeds(call, squares, tmp_path):
    said = call("fit", squares[1], "-t", "y", *QUICK, "--out", tmp_path / "run", "--seed", 2**32 - 1)
    assert said.code == 0, said.err
    said = call("fit", squares[1], "-t", "y", *QUICK, "--out", tmp_path / "other", "--seed", 2**64)
    assert said.code == 2 and "--seed" in said.err and not (tmp_path / "other").exists()
