"""Checkpoints: folders that are written completely or not at all, and verified when they are read."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from .._files import sha256_of
from .errors import RunFolderError

logger = logging.getLogger("fasterkan")
STATE, FORMAT = "state.json", 1


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The state of a training run between two steps."""

    step: int
    """Number of steps so far."""
    facts: dict[str, Any]
    """The values for JSON: configuration, epochs, times, versions."""
    tensors: dict[str, dict[str, Tensor]]
    """The tensors of each file, by name, on any device."""


class Checkpoints:
    """The folder `checkpoints/` of a run, with the newest states of its training as `step-00001234/`.

    A checkpoint consists of safetensors files and a `state.json` with their checksums and its own. It is written under
    a temporary name, flushed to the disk and then renamed. After a crash the earlier checkpoints are still there, and
    there is never half a checkpoint.

    Args:
        path: the folder. The constructor does not read or write it.
        keep: number of undamaged checkpoints to keep; 0 writes none.
        minutes: time after which the next checkpoint is `due`.

    Attributes:
        latest: the newest checkpoint that this object wrote or verified; None if there is none.
    """

    def __init__(self, path: Path, keep: int = 2, minutes: float = 5.0) -> None:
        self.path, self.keep, self.minutes = path, keep, minutes
        self.latest: Path | None = None
        self._damaged: set[Path] = set()
        self._tried = time.monotonic()

    def due(self) -> bool:
        """Whether at least `minutes` have passed since the last attempt to write a checkpoint."""
        return self.keep > 0 and time.monotonic() - self._tried >= 60 * self.minutes

    def folders(self) -> list[Path]:
        """Return all checkpoints, damaged or not, the oldest first."""
        return sorted(p for p in self.path.glob("step-*") if p.is_dir() and p.name.removeprefix("step-").isdigit())

    def save(self, snapshot: Snapshot) -> Path | None:
        """Write a checkpoint, then remove those that are older than the newest `keep` undamaged ones.

        If the disk is full or cannot be written, the error is logged and not raised. Earlier checkpoints are not
        changed.

        Returns:
            Its folder; None if it could not be written or `keep` is 0.
        """
        self._tried = time.monotonic()
        if self.keep == 0:
            return None
        place = self.path / f"step-{snapshot.step:08d}"
        try:
            if not self._is_good(place):
                self._write(place, snapshot)
            self.latest = place
            self._prune()
        except OSError as error:
            logger.warning("%s was not written (%s); training continues; %s", place, error, self.last_words())
            return None
        return place

    def newest(self) -> Snapshot | None:
        """Return the newest undamaged checkpoint, or None if there is no checkpoint.

        A damaged checkpoint is skipped with a warning.

        Raises:
            RunFolderError: there are checkpoints, but all are damaged.
        """
        folders = self.folders()
        for folder in reversed(folders):
            try:
                snapshot = read(folder)
            except (RunFolderError, OSError) as error:
                logger.warning("checkpoint skipped: %s", error)
                self._damaged.add(folder)
                continue
            self.latest = folder
            return snapshot
        if folders:
            raise RunFolderError(
                f"{self.path} has no undamaged checkpoint ({', '.join(f.name for f in folders)} are damaged); "
                "train again with overwrite=True (--overwrite)"
            )
        return None

    def last_words(self) -> str:
        """Return the part of an error message about the last good checkpoint."""
        return f"the last good checkpoint is {self.latest}" if self.latest else "there is no earlier checkpoint"

    def remove(self) -> None:
        """Remove all checkpoints at the end of the run."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.latest = None

    def _is_good(self, place: Path) -> bool:
        if not place.exists():
            return False
        try:
            read(place)
        except (RunFolderError, OSError):
            return False
        return True

    def _write(self, place: Path, snapshot: Snapshot) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        for left_over in self.path.glob(".*.tmp"):
            shutil.rmtree(left_over, ignore_errors=True)
        beside = place.with_name(f".{place.name}.tmp")
        try:
            beside.mkdir()
            files = {f"{name}.safetensors": _serialize(tensors) for name, tensors in snapshot.tensors.items()}
            facts = {"format": FORMAT, "step": snapshot.step, **snapshot.facts}
            facts["files"] = {name: sha256_of(data) for name, data in files.items()}
            for name, data in {**files, STATE: _encode({**facts, "sha256": sha256_of(_encode(facts))})}.items():
                with (beside / name).open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            sync_folder(beside)
            if place.exists():  # a damaged one, because a good one is never written again
                shutil.rmtree(place)
            beside.rename(place)
            sync_folder(self.path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        self._damaged.discard(place)

    def _prune(self) -> None:
        good = [folder for folder in self.folders() if folder not in self._damaged]
        if len(good) >= self.keep:
            for folder in self.folders():
                if folder < good[-self.keep]:
                    shutil.rmtree(folder)


def read(folder: Path) -> Snapshot:
    """Return the checkpoint in a folder; every byte is verified, and no code from the files is run.

    Raises:
        RunFolderError: a file is missing, incomplete, changed, or of another version.
    """
    path = folder / STATE
    try:
        data = path.read_bytes()
        facts = json.loads(data)
    except FileNotFoundError as error:
        raise RunFolderError(f"{path} is missing") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} is incomplete or was changed: {error}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise RunFolderError(f"{path} was changed, or another version wrote it; this version reads format {FORMAT}")
    digest = facts.pop("sha256", None)
    if digest != sha256_of(_encode(facts)) or data != _encode({**facts, "sha256": digest}):
        raise RunFolderError(f"{path} was changed: its sha256 is not {str(digest)[:16]}...")
    if strange := [name for name in facts["files"] if Path(name).name != name]:
        raise RunFolderError(f"{path} was changed: it names files outside its folder ({', '.join(strange)})")
    tensors = {
        name.removesuffix(".safetensors"): _deserialize(folder / name, digest)
        for name, digest in facts["files"].items()
    }
    return Snapshot(facts["step"], facts, tensors)


def sync_folder(folder: Path) -> None:
    """Flush the list of files of a folder to the disk, if the system supports it."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _serialize(tensors: Mapping[str, Tensor]) -> bytes:
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def _deserialize(path: Path, digest: str) -> dict[str, Tensor]:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise RunFolderError(f"{path} is missing") from error
    if (found := sha256_of(data)) != digest:
        raise RunFolderError(
            f"{path} ({len(data)} bytes, sha256 {found[:16]}...) is incomplete or was changed: {STATE} expects "
            f"sha256 {digest[:16]}..."
        )
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError) as error:
        raise RunFolderError(f"{path} is not a safetensors file: {error}") from error


def _encode(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=1, allow_nan=False) + "\n").encode()
