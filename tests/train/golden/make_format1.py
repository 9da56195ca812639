"""Writes the run folders of format 1 that tests read: run with fasterkan 0.1.0 at commit faff47c.

    git checkout faff47c && python tests/train/golden/make_format1.py

`stopped.zip` is a training stopped after step 8 of 24, `finished.zip` the same one when it was through, and
`../../cli/golden/table.zip` and `pruned-table.zip` are runs of `fasterkan fit` and `fasterkan prune`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import torch
from typer.testing import CliRunner

from fasterkan.cli import app
from fasterkan.train import Observer, TrainConfig, TrainingInterrupted, run

HERE = Path(__file__).parent
CONFIG = TrainConfig(
    dataset="corners", layers=(64, 8, 4), num_grids=4, lr=1e-2, batch_size=50, epochs=3, device="cpu", keep="last"
)


class StopAt(Observer):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, step, loss) -> None:
        if step == self.step:
            raise KeyboardInterrupt


def corners():
    spec = importlib.util.spec_from_file_location("corners", HERE.parent / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(module.draw_corners(seed=seed, fixed=True) for seed in range(3))


def table(path: Path) -> None:
    x = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) * 4 - 2
    y = x[:, 0].square() + torch.sin(2 * x[:, 1])
    rows = [f"{a:.6f},{b:.6f},{c:.6f},{d:.6f}" for (a, b, c), d in zip(x.tolist(), y.tolist(), strict=True)]
    path.write_text("\n".join(["a,b,c,y", *rows]) + "\n")


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as temporary,
        patch("fasterkan.train.runs.train_validation_test", lambda name, root, **options: corners()),
        contextlib.chdir(temporary),
    ):
        run(CONFIG, "finished")
        with contextlib.suppress(TrainingInterrupted):
            run(CONFIG, "stopped", [StopAt(8)])
        for name in ("finished", "stopped"):
            shutil.make_archive(str(HERE / name), "zip", name)
        table(Path("data.csv"))
        for words in (
            ["fit", "data.csv", "--target", "y", "--out", "table"],
            ["prune", "table", "--out", "pruned-table"],
        ):
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, done.output
        for name in ("table", "pruned-table"):
            shutil.make_archive(str(HERE.parent.parent / "cli" / "golden" / name), "zip", name)
