"""The program as a whole: version, help, errors and exit codes, as a process of its own too."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import fasterkan as fk
from fasterkan.cli.program import Program
from fasterkan.train import TrainingError
from fasterkan.train.config import TrainConfig


def raising(error):
    """A program like ours whose command `fail` raises."""
    app = typer.Typer(cls=Program)

    @app.callback()
    def options(debug: bool = typer.Option(False, envvar="FASTERKAN_DEBUG")) -> None: ...

    @app.command()
    def fail() -> None:
        error()

    return app


def throw(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (throw(KeyboardInterrupt()), 130, "interrupted; nothing was saved"),
        (throw(TrainingError("the loss is nan")), 1, "the loss is nan"),
        (throw(OSError(28, "No space left on device", "/full/run")), 1, "No space left on device: /full/run"),
        (throw(OSError("the pipe broke")), 1, "the pipe broke"),
        (throw(ImportError("pip install pillow")), 2, "pip install pillow"),
        (lambda: TrainConfig(epochs=0), 2, "TrainConfig: epochs must be at least 1, got 0"),
    ],
    ids=["interrupted", "training", "disk", "os", "extra", "input"],
)
@pytest.mark.parametrize("debug", ["", "flag", "environment"])
def test_errors_with_a_message(error, code, message, debug, monkeypatch):
    monkeypatch.delenv("FASTERKAN_DEBUG", raising=False)
    if debug == "environment":
        monkeypatch.setenv("FASTERKAN_DEBUG", "1")
    done = CliRunner().invoke(raising(error), [*(["--debug"] if debug == "flag" else []), "fail"])
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.endswith(f"error: {message}\n")
    assert ("Traceback" in done.stderr) == bool(debug)
    assert debug or done.stderr.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("somebody else's"), RuntimeError("a bug"), ZeroDivisionError()])
def test_errors_that_nobody_foresaw_keep_their_traceback(error):
    done = CliRunner().invoke(raising(throw(error)), ["fail"])
    assert done.exception is error


def test_version(call):
    said = call("--version")
    assert said.code == 0
    assert said.out.startswith(f"fasterkan {fk.__version__} (PyTorch ")


def test_help_shows_commands_examples_and_exit_codes(call):
    text = call("--help").out
    flat = " ".join(text.split())
    assert "  fasterkan train mnist --recipe mnist-cpu --seed 0 --out runs/first\n" in text
    assert "Exit codes: 0 done; 1 the run failed; 2 bad usage or input; 130 interrupted (Ctrl-C)." in flat
    for command in ("train", "eval", "info"):
        assert f"  {command} " in text
        assert "Examples:" in call(command, "--help").out


def test_as_a_process(tmp_path):
    command = [sys.executable, "-m", "fasterkan", "info", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"error: {tmp_path / 'nowhere'} is not a folder; give one that `fasterkan train` or `save_pretrained` wrote\n"
    )


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    fk.FasterKAN([4, 3]).save_pretrained(tmp_path)
    command = f"{sys.executable} -m fasterkan info {tmp_path} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "1"}  # 0 where the text was gone before the reader
