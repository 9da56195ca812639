"""Checkpoints: folders that are whole or not there, whose damage is noticed."""

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
    """Steps taken."""
    facts: dict[str, Any]
    """What JSON can hold: configuration, epochs, times, versions."""
    tensors: dict[str, dict[str, Tensor]]
    """The tensors of each file, by name, on any device."""


class Checkpoints:
    """The folder `checkpoints/` of a run, with the newest states of its training as `step-00001234/`.

    Each has safetensors files and a `state.json` with their checksums and its own. It is written under another name,
    flushed to the disk and renamed, so that a crash leaves the former checkpoints and never half of one.

    Args:
        path: the folder; nothing is read or written yet.
        keep: how many good ones are kept; 0 writes none.
        minutes: time after which another one is `due`.

    Attributes:
        latest: the newest checkpoint that was written or verified here, None before there is one.
    """

    def __init__(self, path: Path, keep: int = 2, minutes: float = 5.0) -> None:
        self.path, self.keep, self.minutes = path, keep, minutes
        self.latest: Path | None = None
        self._damaged: set[Path] = set()
        self._tried = time.monotonic()

    def due(self) -> bool:
        """Whether the last attempt to write one lies back `minutes` or more."""
        return self.keep > 0 and time.monotonic() - self._tried >= 60 * self.minutes

    def folders(self) -> list[Path]:
        """Return the checkpoints that are there, good or not, the oldest first."""
        return sorted(p for p in self.path.glob("step-*") if p.is_dir() and p.name.removeprefix("step-").isdigit())

    def save(self, snapshot: Snapshot) -> Path | None:
        """Write a checkpoint, then remove those that are older than the newest `keep` good ones.

        A disk that is full or cannot be written costs the checkpoint, not the training: it is logged, and the former
        ones stay as they are.

        Returns:
            Its folder, None where it could not be written or none are wanted.
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
            logger.warning("%s was not written (%s); training goes on, %s", place, error, self.last_words())
            return None
        return place

    def newest(self) -> Snapshot | None:
        """Return the newest checkpoint that is whole, None where none was ever written.

        A damaged one is named in a warning and left out.

        Raises:
            RunFolderError: there are some, and all are damaged.
        """
        folders = self.folders()
        for folder in reversed(folders):
            try:
                snapshot = read(folder)
            except (RunFolderError, OSError) as error:
                logger.warning("checkpoint left out: %s", error)
                self._damaged.add(folder)
                continue
            self.latest = folder
            return snapshot
        if folders:
            raise RunFolderError(
                f"{self.path} holds no checkpoint that is whole ({', '.join(f.name for f in folders)} are damaged); "
                "train again with overwrite=True (--overwrite)"
            )
        return None

    def last_words(self) -> str:
        """Return what is to be said of the last good checkpoint when something went wrong."""
        return f"the last good checkpoint is {self.latest}" if self.latest else "there is no earlier checkpoint"

    def remove(self) -> None:
        """Remove them all, once the run has come to its end."""
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
            if place.exists():  # one that is damaged: a good one is never written again
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
    """Return the checkpoint of a folder, every byte of it verified; nothing is executed from the files.

    Raises:
        RunFolderError: a file is missing, torn or altered, or of another version.
    """
    path = folder / STATE
    try:
        data = path.read_bytes()
        facts = json.loads(data)
    except FileNotFoundError as error:
        raise RunFolderError(f"{path} is missing") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} is torn or was altered: {error}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise RunFolderError(f"{path} was altered or is of another version; this one reads format {FORMAT}")
    digest = facts.pop("sha256", None)
    if digest != sha256_of(_encode(facts)) or data != _encode({**facts, "sha256": digest}):
        raise RunFolderError(f"{path} was altered: its sha256 is not {str(digest)[:16]}...")
    if strange := [name for name in facts["files"] if Path(name).name != name]:
        raise RunFolderError(f"{path} was altered: it names files elsewhere ({', '.join(strange)})")
    tensors = {
        name.removesuffix(".safetensors"): _deserialize(folder / name, digest)
        for name, digest in facts["files"].items()
    }
    return Snapshot(facts["step"], facts, tensors)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of files to the disk, where the system can."""
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
            f"{path} ({len(data)} bytes, sha256 {found[:16]}...) is torn or was altered: {STATE} expects "
            f"sha256 {digest[:16]}..."
        )
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError) as error:
        raise RunFolderError(f"{path} is no safetensors file: {error}") from error


def _encode(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=1, allow_nan=False) + "\n").encode()
