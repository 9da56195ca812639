"""The folder of a run: what it holds, how it is begun, written and read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from .._files import write_atomically
from ..models import KAN
from .config import TrainConfig
from .errors import RunFolderError


class RunFolder:
    """A folder with `config.json`, `metrics.jsonl`, `model/` (as `save_pretrained` writes it) and `result.json`.

    Args:
        path: the folder; nothing is read or written yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.jsonl"
        self.model = self.path / "model"
        self.result = self.path / "result.json"

    def check_free(self, *, overwrite: bool = False) -> None:
        """Refuse a path that holds something already; with `overwrite`, only if that is not a run.

        Raises:
            RunFolderError: a file, or a folder that is not empty.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is a file; give a folder for the run")
        found = sorted(p.name for p in self.path.iterdir()) if self.path.is_dir() else []
        if found and not overwrite:
            raise RunFolderError(
                f"{self.path} is not empty (it holds {', '.join(found[:5])}); choose another folder, or overwrite=True "
                "(--overwrite) to replace the run in it"
            )
        strange = [name for name in found if self.path / name not in self._parts()]
        if strange:
            raise RunFolderError(
                f"{self.path} holds {', '.join(strange[:5])}, which no run wrote; nothing was replaced"
            )

    def begin(self, config: TrainConfig) -> None:
        """Make the folder, remove what an older run left in it, and write the configuration."""
        self.path.mkdir(parents=True, exist_ok=True)
        for part in self._parts():
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)
        self._write(self.config, config.to_dict())

    def save_model(self, model: KAN) -> None:
        """Write `model/`."""
        model.save_pretrained(self.model)

    def save_result(self, result: dict[str, Any]) -> None:
        """Write `result.json`."""
        self._write(self.result, result)

    def load_config(self) -> TrainConfig:
        """Return the configuration of the run.

        Raises:
            RunFolderError: the file is missing or damaged, or holds what is no configuration.
        """
        fields = self._read(self.config)
        try:
            return TrainConfig.from_dict(fields)
        except (TypeError, ValueError) as error:
            raise RunFolderError(f"{self.config}: {error}") from error

    def load_result(self) -> dict[str, Any] | None:
        """Return what `result.json` holds, None where the run did not come to its end.

        Raises:
            RunFolderError: the file is damaged.
        """
        return self._read(self.result) if self.result.exists() else None

    def load_model(self) -> KAN:
        """Return the model of the run.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        return KAN.from_pretrained(self.model)

    def is_run(self) -> bool:
        """Whether the folder looks like one of a run: it has `metrics.jsonl` or `model/` beside a `config.json`."""
        return self.config.is_file() and (self.metrics.is_file() or self.model.is_dir())

    def _parts(self) -> tuple[Path, ...]:
        return (self.config, self.metrics, self.model, self.result)

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
            raise RunFolderError(f"{path} holds a {type(content).__name__}, an object was expected; train again")
        return content
