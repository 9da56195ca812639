"""Runs on a disk that fills up, and in a folder that cannot be written."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path

import pytest

from fasterkan.train import Observer, RunFolder, TrainConfig, TrainingError, run

CONFIG = TrainConfig(
    dataset="corners", layers=(64, 8, 4), num_grids=4, lr=1e-2, batch_size=50, epochs=4, device="cpu", keep="last"
)


@pytest.fixture(autouse=True)
def parts(corners, monkeypatch):
    found = corners(), corners(seed=1), corners(seed=2)
    monkeypatch.setattr("fasterkan.train.runs.train_validation_test", lambda name, root, **options: found)


class FillUp(Observer):
    """Leave no byte of a disk free after a step."""

    def __init__(self, disk, step):
        self.ballast, self.at = disk / "ballast", step

    def on_step(self, step, loss):
        if step == self.at:
            with pytest.raises(OSError, match="No space left"):
                self.fill()

    def fill(self):
        with self.ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 100)


def test_a_disk_that_fills_up(tmp_path, mount, caplog):
    disk = mount()
    run(CONFIG, tmp_path / "through")
    config = dataclasses.replace(CONFIG, checkpoint_minutes=1e-9)
    with pytest.raises(TrainingError) as caught:
        run(config, disk / "run", [FillUp(disk, 19)])
    good = disk / "run" / "checkpoints" / "step-00000018"
    assert str(caught.value) == (
        f"{disk / 'run'} cannot be written: [Errno 28] No space left on device; the last good checkpoint is {good}; "
        "fix this, then continue with resume=True (--resume)"
    )
    assert "step-00000019 was not written ([Errno 28] No space left on device" in caplog.text
    (disk / "ballast").unlink()
    assert run(config, disk / "run", resume=True).resumed_from == (18,)
    for name in ("model/model.safetensors",):
        assert (disk / "run" / name).read_bytes() == (tmp_path / "through" / name).read_bytes()
    lines = (disk / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 4


def test_a_file_system_that_cannot_be_written(mount):
    disk = mount("ro")
    with pytest.raises(OSError, match="Read-only file system") as caught:
        run(CONFIG, disk / "run")
    assert caught.value.errno == errno.EROFS


def test_a_folder_that_becomes_read_only(tmp_path, monkeypatch):
    class Close(Observer):
        def on_step(self, step, loss):
            if step == 11:
                monkeypatch.setattr(Path, "open", refuse)

    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    with monkeypatch.context() as monkeypatch, pytest.raises(TrainingError, match=r"cannot be written: .*Permission"):
        run(CONFIG, tmp_path, [Close()])
    assert run(CONFIG, tmp_path, resume=True).resumed_from == (8,)
    assert RunFolder(tmp_path).load_result()["epochs"] == 4
