"""What is said and drawn of the results of studies/which_basis.py: numbers computed by hand from a made file."""

from __future__ import annotations

import math

import pytest

ERRORS = {
    ("A", "RSWAF"): [0.1, 0.2, 0.3],
    ("A", "Hat"): [0.2, 0.25, 0.4],
    ("A", "MLP like RSWAF"): [0.05, 0.05, 0.9],
    ("B", "RSWAF"): [0.8, 0.4, 0.6],
    ("B", "Hat"): [0.3, None, 0.2],
    ("B", "MLP like RSWAF"): [1.0, 1.0, 1.0],
    ("C", "RSWAF"): [0.9, 1.2, 0.9],
    ("C", "Hat"): [0.9, 0.9, 1.3],
    ("C", "MLP like RSWAF"): [1.5, 0.5, 1.5],
}
GROUPS = {"A": "tables", "B": "tables", "C": "noise"}
CONSTANT = {"A": [1.0, 0.95, 1.1], "B": [1.1, 1.1, 1.1], "C": [1.0, 1.0, 1.0]}
STEPS = {"A": 1.0, "B": 4.0, "C": 3.0}


def rows():
    for (task, network), errors in ERRORS.items():
        head = {"task": task, "network": network}
        for seed, error in enumerate(errors):
            yield {
                **head,
                "kind": "run",
                "group": GROUPS[task],
                "seed": seed,
                "threads": 1,
                "error": error,
                "constant_error": CONSTANT[task][seed],
                "parameters": 50 if task == "A" else 200,
                "functions": None if network.startswith("MLP") else 8,
            }
        if network != "Hat":
            time = STEPS[task] * (0.5 if network.startswith("MLP") else 1)
            yield {**head, "kind": "step", "threads": 1, "median_ms": time, "p20_ms": time / 2, "p80_ms": 2 * time}


@pytest.fixture(scope="module")
def results(script):
    return script("_which_basis").Results(rows())


@pytest.fixture(scope="module")
def text(script):
    return script("_which_basis_text")


def test_medians_and_ranges(results):
    assert results.cells["A"]["RSWAF"][:4] == (0.2, 0.1, 0.3, 50)
    assert results.cells["B"]["Hat"][:3] == (0.3, 0.2, math.inf)
    assert results.cells["A"]["Hat"].step is None
    assert (results.bases, results.mlps) == (["RSWAF", "Hat"], ["MLP like RSWAF"])


def test_the_best_and_who_is_level(results):
    assert [results.best(task) for task in "ABC"] == ["RSWAF", "Hat", "RSWAF"]
    assert results.level("A") == ["RSWAF", "Hat"]  # 0.25 is within 0.1 to 0.3


def test_an_mlp_takes_no_basis_place(results):
    assert results.ranks("A") == {"RSWAF": 1, "Hat": 2, "MLP like RSWAF": 1}
    assert results.ranks("B") == {"RSWAF": 2, "Hat": 1, "MLP like RSWAF": 3}


def test_a_task_on_which_nothing_beats_the_constant_is_in_no_average(results):
    assert (results.telling, results.groups) == (["A", "B"], {"tables": ["A", "B"]})
    assert results.constant("A") == 1.0


def test_average_places(results):
    found = results.average_place()  # seeds: RSWAF 1.5, 1, 1.5; Hat 1.5, 2, 1.5; MLP 2, 1.5, 3
    assert list(found) == ["RSWAF", "Hat", "MLP like RSWAF"]
    assert found["RSWAF"] == pytest.approx((4 / 3, 1.0, 1.5))
    assert found["Hat"] == pytest.approx((5 / 3, 1.5, 2.0))
    assert found["MLP like RSWAF"] == pytest.approx((6.5 / 3, 1.5, 3.0))


def test_a_groups_errors_and_costs(results):
    found = results.group_errors("tables")  # by 0.2 on A and 0.3 on B
    assert found["RSWAF"] == pytest.approx((math.sqrt(4 / 3), math.sqrt(4 / 3), math.sqrt(3)))
    assert found["Hat"] == pytest.approx((math.sqrt(4 / 3), 1.0, math.inf))
    assert results.group_cost("tables", "step") == pytest.approx({"RSWAF": 2.0, "MLP like RSWAF": 1.0})
    assert results.group_cost("tables", "parameters")["Hat"] == pytest.approx(100)


def test_divergence_is_counted(results):
    assert results.diverged() == {("B", "Hat"): 1}


def test_a_file_with_a_missing_run(script):
    some = [row for row in rows() if (row["task"], row["network"], row.get("seed")) != ("B", "Hat", 2)]
    with pytest.raises(ValueError, match=r"runs are missing, \('B', 'Hat', 2\) for one"):
        script("_which_basis").Results(some)


def test_the_answer(results, text):
    said = text.answer(results)
    assert "`RSWAF` has the best average place among the 2 bases: 1.3 (with single seeds 1.0 to 1.5)" in said
    assert "It is the best basis on 1 of these tasks. No other basis is within that range." in said
    assert (
        "- For tables: `RSWAF`, level with `Hat`. The error of the MLP like RSWAF is 0.79 times that of `RSWAF`."
        in said
    )
    assert "better than every basis on A, and better than `RSWAF` on A. Its average place" in said
    assert "would be 2.2. Its step takes 0.50 to 0.50 times as long as that of `RSWAF`." in said


def test_the_answer_when_the_default_is_not_the_best(script, text):
    swapped = {"RSWAF": "Hat", "Hat": "RSWAF"}
    renamed = [{**row, "network": swapped.get(row["network"], row["network"])} for row in rows()]
    said = text.answer(script("_which_basis").Results(renamed))
    assert "`Hat` has the best average place" in said
    assert "The default, `RSWAF`, is 2nd: its average place is 1.7." in said
    assert "better than every basis on A, and better than `RSWAF` on A." in said


def test_warnings(results, text):
    assert text.warnings(results).splitlines() == [
        "- B: in at least one seed, these are not better than a constant output (error 1.1): `Hat`.",
        "- C: no network is better than a constant output (error 1) in all seeds. The averages leave this task out.",
        "- B: `Hat` diverged in 1 of 3 seeds.",
    ]


def test_tables(results, text):
    _, best, _ = text.best(results)
    assert best[0] == ["A", "tables", "`RSWAF` 0.2", "`Hat`", "`RSWAF`", "0.2", "0.05"]
    _, losses, _ = text.losses(results)
    assert losses == [["B", "2", "`Hat`", "2.00 times", "yes", ""]]
    lines = text.everything(results).splitlines()
    assert "| `Hat` | 0.3 (0.2 to diverged) |  | 200 | 8 |" in lines
    assert "| `RSWAF` | 0.2 (0.1 to 0.3) | 1.00 (0.50 to 2.00) | 50 | 8 |" in lines
    _, places, note = text.ranks(results)
    assert note.endswith("Not in the average: C.")
    assert places[0] == ["`RSWAF`", "1.3 (1.0 to 1.5)", "1", "2", "1"]


def marks(axes):
    """The median points of a panel: x, y of each line that has a mark."""
    lines = [line for line in axes.get_lines() if line.get_marker() not in ("None", None)]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


def test_the_picture_of_errors(script, results):
    figure = script("which_basis_figure").errors_by_task(results)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["A", "B", "C"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["RSWAF", "Hat", "MLP like RSWAF"]
    assert marks(panels[0]) == [(0.2, 0.0), (0.25, 1.0), (0.05, 2.0)]


def test_the_picture_of_costs(script, results):
    figure = script("which_basis_figure").errors_by_cost(results)
    step, parameters = figure.axes
    (x, y), (slow_x, slow_y) = sorted(marks(step))
    assert (x, y) == pytest.approx((1.0, math.sqrt(0.25 / 0.3)))  # the MLP: 0.91, 0.91, 3.9
    assert (slow_x, slow_y) == pytest.approx((2.0, math.sqrt(4 / 3)))
    assert len(marks(parameters)) == 3


def test_every_network_of_the_study_has_a_style(script):
    assert set(script("which_basis_figure").STYLES) == set(script("which_basis").NETWORKS)
    styles = list(script("which_basis_figure").STYLES.values())
    assert len(set(styles)) == len(styles)
