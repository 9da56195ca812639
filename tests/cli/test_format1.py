"""Runs of `fasterkan fit` and `fasterkan prune` that fasterkan 0.1.0 wrote can still be used."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import pytest
import torch

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["table", "pruned-table"])
def test_predictions_are_those_of_then(name, call, tmp_path):
    with zipfile.ZipFile(GOLDEN / f"{name}.zip") as archive:
        archive.extractall(tmp_path / name)
    with (tmp_path / name / "predictions.csv").open(newline="") as file:
        then = list(csv.DictReader(file))[:20]
    x = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) * 4 - 2  # the table that both were fitted to
    lines = [",".join(f"{value:.6f}" for value in x[int(row["line"]) - 2].tolist()) for row in then]
    (tmp_path / "new.csv").write_text("\n".join(["a,b,c", *lines]) + "\n")
    said = call("predict", tmp_path / name, tmp_path / "new.csv")
    assert said.code == 0, said.err
    now = list(csv.DictReader(said.out.splitlines()))
    for one, other in zip(now, then, strict=True):
        assert float(one["y predicted"]) == pytest.approx(float(other["y predicted"]), rel=1e-4, abs=1e-4)
    assert call("info", tmp_path / name).code == 0
