"""The progress bar, drawn on a terminal that is not there."""

from __future__ import annotations

import io
import re

from rich.console import Console

from fasterkan.cli import progress
from fasterkan.train import EpochMetrics, TrainConfig, TrainResult


def epoch(number):
    return EpochMetrics(number, 10 * number, 0.5, 1e-3, 0.4, 0.9123, 61.5, 1.0 * number, 1.2 * number)


def test_bar_on_a_terminal(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda: console)
    with progress.watch() as bar:
        bar.on_start(TrainConfig(epochs=2), 20)
        for step in range(1, 11):
            bar.on_step(step, 0.75)
        bar.on_epoch(epoch(1))
        bar.on_step(11, 0.75)
        task = bar.progress.tasks[0]
        assert (task.completed, task.total) == (11, 20)
        assert task.fields["loss"] == "0.7500"
        assert (task.fields["epoch"], task.fields["validation"]) == ("2/2", "91.23 %")
    last = screen.getvalue().splitlines()[-2].rpartition("\r")[2]
    assert re.fullmatch(
        r"(\x1b\[2K)?epoch 2/2 ━+[╸╺]? +\S+ it/s · loss 0\.7500 · validation 91\.23 % · \d:\d\d:\d\d left", last
    )
    assert screen.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_lines_elsewhere(capsys):
    with progress.watch() as lines:
        lines.on_start(TrainConfig(epochs=2), 20)
        lines.on_epoch(epoch(1))
        lines.on_epoch(epoch(2))
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1/2  61.5 it/s  loss 0.5000  validation 91.23 %  1.2 s, 1 s left",
        "epoch 2/2  61.5 it/s  loss 0.5000  validation 91.23 %  2.4 s, 0 s left",
    ]


def test_bar_of_a_run_that_goes_on(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda: console)
    with progress.watch() as bar:
        bar.on_start(TrainConfig(epochs=2), 20)
        bar.on_resume((3, 13), TrainResult((epoch(1),)))
        task = bar.progress.tasks[0]
        assert (task.completed, task.fields["epoch"], task.fields["validation"]) == (13, "2/2", "91.23 %")
        bar.on_step(14, 0.75)
        assert task.fields["loss"] == "0.7500"


def test_line_of_a_run_that_goes_on(capsys):
    with progress.watch() as lines:
        lines.on_start(TrainConfig(epochs=2), 20)
        lines.on_resume((3, 13), TrainResult((epoch(1),)))
    assert capsys.readouterr().out == "resumed after 13 steps, 1 of 2 epochs done\n"
