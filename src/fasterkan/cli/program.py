"""The `fasterkan` program: its commands, and the handling of their errors."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from typer.core import TyperGroup

from .._version import __version__
from ..train import TrainingError
from . import bench, diagnose, evaluate, fit, info, plot, predict, prune, train

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
_PACKAGE = Path(__file__).parent.parent

_HELP = """Train, evaluate and interpret Kolmogorov-Arnold networks.

\b
Examples:
  fasterkan train mnist --recipe mnist-cpu --seed 0 --out runs/first
  fasterkan eval runs/first
  fasterkan info runs/first
"""
_EPILOG = "Exit codes: 0 done; 1 the run failed; 2 bad usage or input; 130 interrupted (Ctrl-C)."


class Program(TyperGroup):
    """The group of commands: an expected error becomes one red line on stderr and an exit code."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command; unexpected errors keep their traceback, and with --debug every error does."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            code = _report(error, "interrupted; nothing was saved", INTERRUPTED, ctx)
        except TrainingError as error:
            code = _report(error, str(error), FAILED, ctx)
        except BrokenPipeError:  # the reader ended, such as `| head`, so there is nothing to report
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = FAILED
        except ImportError as error:
            if "pip install" not in str(error):  # our own message names the missing extra
                raise
            code = _report(error, str(error), BAD_INPUT, ctx)
        except OSError as error:
            code = _report(error, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), FAILED, ctx)
        except ValueError as error:
            if not _is_ours(error):
                raise
            code = _report(error, str(error), BAD_INPUT, ctx)
        raise typer.Exit(code)


def _report(error: BaseException, message: str, code: int, ctx: typer.Context) -> int:
    console = Console(stderr=True, highlight=False)
    if ctx.params.get("debug"):
        console.print("".join(traceback.format_exception(error)), markup=False, soft_wrap=True)
    console.print(f"error: {message}", style="red", markup=False, soft_wrap=True)
    return code


def _is_ours(error: BaseException) -> bool:
    """Whether this package raised the error; a ValueError of another package is a bug, not a message for the user."""
    frames = traceback.extract_tb(error.__traceback__)
    return _PACKAGE in Path(frames[-1].filename).parents


app = typer.Typer(
    cls=Program,
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fasterkan {__version__} (PyTorch {torch.__version__}, Python {platform.python_version()})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="FASTERKAN_DEBUG", help="Show the traceback of every error.")
    ] = False,
) -> None:
    """Options of the program, which come before the command."""


app.command("train", help=train.HELP, epilog=_EPILOG)(train.train_command)
app.command("eval", help=evaluate.HELP, epilog=_EPILOG)(evaluate.evaluate_command)
app.command("info", help=info.HELP, epilog=_EPILOG)(info.info_command)
app.command("diagnose", help=diagnose.HELP, epilog=_EPILOG)(diagnose.diagnose_command)
app.command("bench", help=bench.HELP, epilog=_EPILOG)(bench.bench_command)
app.command("predict", help=predict.HELP, epilog=predict.EPILOG)(predict.predict_command)
app.command("plot", help=plot.HELP, epilog=_EPILOG)(plot.plot_command)
app.command("fit", help=fit.HELP, epilog=_EPILOG)(fit.fit_command)
app.command("prune", help=prune.HELP, epilog=_EPILOG)(prune.prune_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with its code.

    Args:
        arguments: the command line after the name of the program. Default: that of the process.
    """
    app(arguments, prog_name="fasterkan")
