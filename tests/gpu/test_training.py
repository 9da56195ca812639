"""Training on a CUDA device: a run that was stopped and resumed ends at the bits of one that went through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fasterkan.train import Observer, RunFolder, TrainConfig, TrainingInterrupted, run

pytestmark = pytest.mark.gpu

MOVES = {"shift": 2.0, "rotate": 10.0, "elastic": 1.5, "augment_off": 0.4}
CASES: dict[str, dict[str, Any]] = {
    "volver-bf16-ema-augmented": {"model": "fasterkanvolver", "precision": "bf16", "ema": 0.98, **MOVES},
    "volver-float32-muon": {"model": "fasterkanvolver", "optimizer": "muon", "matmul": "high"},
    "plain-fp16-grid": {"precision": "fp16", "train_grid": True, "train_inv_denominator": True, **MOVES},
}
TIMES = {"steps_per_second", "training_seconds", "seconds", "resumed"}


class StopInTheFirstEpoch(Observer):
    """Ctrl-C at the second step that is reported, one in 50 on this device."""

    def on_step(self, step: int, loss: float) -> None:
        if step > 1:
            raise KeyboardInterrupt


def what_is_left(folder: Path) -> tuple[bytes, list[dict[str, Any]]]:
    place = RunFolder(folder)
    lines = [json.loads(line) for line in place.metrics.read_text().splitlines()]
    metrics = [{name: value for name, value in line.items() if name not in TIMES} for line in lines]
    return (place.model / "model.safetensors").read_bytes(), metrics


@pytest.mark.parametrize("case", CASES)
def test_the_same_bits(tmp_path: Path, case: str) -> None:
    config = TrainConfig(batch_size=1000, epochs=2, device="cuda", keep="last", **CASES[case])
    run(config, tmp_path / "through")
    with pytest.raises(TrainingInterrupted):
        run(config, tmp_path / "stopped", [StopInTheFirstEpoch()])
    assert run(config, tmp_path / "stopped", resume=True).resumed_from == (51,)
    assert what_is_left(tmp_path / "stopped") == what_is_left(tmp_path / "through")
