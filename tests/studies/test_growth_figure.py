"""The growth figure shows the rows it is given, on the right axis."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib", reason="the figure needs matplotlib, the extra [plot]")


def row(task, subject, ms):
    return {"task": task, "subject": subject, "step": {"median": ms}, "step_flops": 1000 * ms, "peak_mib": 2 * ms}


def test_points_and_floor(script):
    tasks = ("N16", "N256", "N2048", "I32", "I1024", "O32", "O1024", "K16", "K32", "K128")
    rows = [row(f"growth-{t}", s, i + 1.0) for i, t in enumerate(tasks) for s in ("KAN", "MLP, equal parameters")]
    rows[0]["step_flops"] = 5000.0  # the fastest rate: 5000 operations a ms
    styles = {"KAN": ("tab:blue", "-"), "MLP, equal parameters": ("black", "--")}
    figure = script("growth_figure").draw(rows, "growth", styles)
    axes = {a.get_xlabel() + a.get_ylabel(): a for a in figure.axes if a.lines}
    assert len(axes) == 5
    by_inputs = {line.get_label(): line.get_xydata().tolist() for line in axes["inputs Istep, ms"].lines}
    assert by_inputs["KAN"] == [[32, 4], [256, 2], [1024, 5]]
    assert by_inputs["floor: KAN's products alone"] == [[32, 4 / 5], [256, 2 / 5], [1024, 1]]
    memory = axes["rows Nmemory of a step, MiB"].lines[0].get_xydata().tolist()
    assert memory == [[16, 2], [256, 4], [2048, 6]]
