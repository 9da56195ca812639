"""The folder of a run: its files, and how they are written and read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._files import write_atomically
from ..models.pretrained import Pretrained, from_pretrained
from .config import TrainConfig
from .errors import RunFolderError
from .lock import locked


class RunFolder:
    """A folder with `config.json`, `metrics.jsonl`, `model/` (from `save_pretrained`) and `result.json`.

    During the run, and after an interruption, it also has `checkpoints/`.

    Args:
        path: the folder. The constructor does not read or write it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.jsonl"
        self.model = self.path / "model"
        self.result = self.path / "result.json"
        self.checkpoints = self.path / "checkpoints"
        self.lock = self.path / ".lock"
        self.tensorboard = self.path / "tensorboard"

    def check_free(self, *, overwrite: bool = False) -> None:
        """Refuse a path that is not free; with `overwrite`, a folder with nothing but a run is accepted.

        Raises:
            RunFolderError: the path is a file, or a folder that is not empty.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is a file; give a folder for the run")
        found = sorted(p.name for p in self.path.iterdir() if p != self.lock) if self.path.is_dir() else []
        if found and not overwrite:
            raise RunFolderError(
                f"{self.path} is not empty (it has {', '.join(found[:5])}); choose another folder, or use "
                "overwrite=True (--overwrite) to replace the run in it"
            )
        strange = [name for name in found if self.path / name not in self._parts()]
        if strange:
            raise RunFolderError(
                f"{self.path} has files that no run wrote ({', '.join(strange[:5])}); nothing was replaced"
            )

    def check_resumable(self, config: TrainConfig) -> None:
        """Refuse a folder whose run is finished, or was started with another configuration.

        Raises:
            RunFolderError: the run is finished; `config.json` is missing or damaged; or fields differ that change the
                results of the run.
        """
        own = self.load_config()
        if self.result.exists():
            raise RunFolderError(f"{self.path} has a finished run; there is nothing to resume")
        if names := own.differences(config):
            said = ", ".join(f"{n} is {getattr(own, n)!r} in the run, not {getattr(config, n)!r}" for n in names)
            raise RunFolderError(f"{self.path} cannot be resumed with options that change its results: {said}")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Make the folder if it does not exist, and lock it against other processes.

        Raises:
            RunFolderError: another process trains in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.lock):
            yield

    def begin(self, config: TrainConfig) -> None:
        """Remove the files of an older run from the folder, and write the configuration."""
        for part in self._parts():
            if part == self.lock:
                continue
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)
        self._write(self.config, config.to_dict())

    def save_model(self, model: Pretrained) -> None:
        """Write `model/`."""
        model.save_pretrained(self.model)

    def save_result(self, result: dict[str, Any]) -> None:
        """Write `result.json`."""
        self._write(self.result, result)

    def load_config(self) -> TrainConfig:
        """Return the configuration of the run.

        Raises:
            RunFolderError: the file is missing or damaged, or it is not a configuration.
        """
        fields = self._read(self.config)
        try:
            return TrainConfig.from_dict(fields)
        except (TypeError, ValueError) as error:
            raise RunFolderError(f"{self.config}: {error}") from error

    def load_result(self) -> dict[str, Any] | None:
        """Return the content of `result.json`, or None if the run is not finished.

        Raises:
            RunFolderError: the file is damaged.
        """
        return self._read(self.result) if self.result.exists() else None

    def load_model(self) -> Pretrained:
        """Return the model of the run.

        Raises:
            CheckpointError: the model is missing or damaged.
        """
        return from_pretrained(self.model)

    def is_run(self) -> bool:
        """Whether the folder is that of a run: it has `config.json`, and `metrics.jsonl` or `model/`."""
        return self.config.is_file() and (self.metrics.is_file() or self.model.is_dir())

    def _parts(self) -> tuple[Path, ...]:
        return (
            self.config,
            self.metrics,
            self.model,
            self.result,
            self.checkpoints,
            self.tensorboard,
            self.lock,
        )

    @staticmethod
    def _write(path: Path, content: dict[str, Any]) -> None:
        write_atomically({path: (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()})

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunFolderError(f"{path} is missing; give a folder that `fasterkan train` wrote") from error
        except ValueError as error:
            raise RunFolderError(f"{path} is not JSON: {error}; restore it or train again") from error
        if not isinstance(content, dict):
            raise RunFolderError(f"{path} has a {type(content).__name__}, expected an object; train again")
        return content
