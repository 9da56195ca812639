"""One small run on real MNIST, made by the program itself, for the tests that read one."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from fasterkan.cli import app

QUICK = ("--layers", "784,10", "--num-grids", "2", "--batch-size", "2000", "--epochs", "2", "--lr", "0.02")


class Outcome(NamedTuple):
    """What a call of the program gave."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def call():
    """Call the program in this process."""

    def run(*words: object) -> Outcome:
        done = CliRunner().invoke(app, [str(word) for word in words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Outcome(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def trained(call, tmp_path_factory):
    """The folder of a small run on MNIST, and what the program said."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    return folder, call("train", "mnist", *QUICK, "--out", folder)
