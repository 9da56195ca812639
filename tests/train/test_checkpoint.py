"""Checkpoints: whole or not there; damage is noticed, and costs nothing that is good."""

from __future__ import annotations

import errno
import json
import logging
import random
from pathlib import Path

import pytest
import torch

from fasterkan._files import sha256_of
from fasterkan.train import Checkpoints, RunFolderError, Snapshot
from fasterkan.train.checkpoint import read

from ..seeds import seed_of


def snapshot(step, size=50):
    generator = torch.Generator().manual_seed(seed_of(step))
    weights = {"a": torch.rand(size, generator=generator), "b.c": torch.tensor([step, 2**40])}
    return Snapshot(step, {"lr": 0.1, "epochs": []}, {"model": weights, "random": {"cpu": torch.get_rng_state()}})


def same(first, second):
    return first.step == second.step and all(
        torch.equal(tensor, second.tensors[file][name])
        for file, tensors in first.tensors.items()
        for name, tensor in tensors.items()
    )


def names(store):
    return [folder.name for folder in store.folders()]


def test_it_comes_back(tmp_path):
    store = Checkpoints(tmp_path / "c")
    assert store.newest() is None
    place = store.save(snapshot(3))
    assert place == store.latest == tmp_path / "c" / "step-00000003"
    assert sorted(p.name for p in place.iterdir()) == ["model.safetensors", "random.safetensors", "state.json"]
    assert same(Checkpoints(tmp_path / "c").newest(), snapshot(3))
    assert read(place).facts["lr"] == 0.1


@pytest.mark.parametrize(("keep", "left"), [(1, [40]), (2, [30, 40]), (9, [10, 20, 30, 40]), (0, [])])
def test_the_newest_are_kept(tmp_path, keep, left):
    store = Checkpoints(tmp_path / "c", keep)
    for step in (10, 20, 30, 40):
        store.save(snapshot(step))
    assert names(store) == [f"step-{step:08d}" for step in left]


def test_due(tmp_path):
    assert not Checkpoints(tmp_path, minutes=1).due()
    assert Checkpoints(tmp_path, minutes=1e-9).due()
    assert not Checkpoints(tmp_path, keep=0, minutes=1e-9).due()


def damage_checkpoint(folder, spoil):
    """Spoil one of the files, chosen by the size of each, so that every byte is as likely; return what heals it."""
    files = sorted(folder.iterdir())
    path = random.choices(files, [file.stat().st_size for file in files])[0]
    good = path.read_bytes()
    path.write_bytes(spoil(good))
    return lambda: path.write_bytes(good)


def cut(data):
    return data[: random.randrange(len(data))]


def flip(data):
    place, bit = random.randrange(len(data)), 1 << random.randrange(8)
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


@pytest.mark.parametrize(("spoil", "times"), [(cut, 50), (flip, 200)])
def test_damage_is_named_and_the_former_one_used(tmp_path, caplog, spoil, times):
    random.seed(seed_of(0))
    store = Checkpoints(tmp_path / "c")
    store.save(snapshot(1))
    place = store.save(snapshot(2))
    for _ in range(times):
        heal = damage_checkpoint(place, spoil)
        caplog.clear()
        assert same(Checkpoints(tmp_path / "c").newest(), snapshot(1))
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert str(place) in caplog.text
        heal()
    assert same(store.newest(), snapshot(2))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ([1], "was changed, or another version wrote it; this version reads format 1"),
        ({"format": 2}, "was changed, or another version wrote it; this version reads format 1"),
        (
            {"format": 1, "step": 1, "files": {"../a.safetensors": "0"}},
            "it names files outside its folder (../a.safetensors)",
        ),
    ],
)
def test_what_is_no_checkpoint_of_ours(tmp_path, facts, message):
    data = (json.dumps(facts, indent=1) + "\n").encode()
    if isinstance(facts, dict):
        data = (json.dumps({**facts, "sha256": sha256_of(data)}, indent=1) + "\n").encode()
    (tmp_path / "state.json").write_bytes(data)
    with pytest.raises(RunFolderError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "state.json"))
    assert message in str(caught.value)


def test_all_are_damaged(tmp_path):
    store = Checkpoints(tmp_path / "c")
    for step in (1, 2):
        (store.save(snapshot(step)) / "model.safetensors").unlink()
    with pytest.raises(RunFolderError, match=r"c has no undamaged checkpoint \(step-00000001, step-00000002 are "):
        Checkpoints(tmp_path / "c").newest()


def test_a_damaged_one_is_written_anew_and_a_good_one_is_not(tmp_path):
    store = Checkpoints(tmp_path / "c")
    place = store.save(snapshot(1))
    before = (place / "state.json").stat().st_ino
    store.save(snapshot(1))
    assert (place / "state.json").stat().st_ino == before
    (place / "model.safetensors").write_bytes(b"")
    store.save(snapshot(1))
    assert same(read(place), snapshot(1))


def test_a_damaged_one_does_not_count_among_those_that_are_kept(tmp_path):
    store = Checkpoints(tmp_path / "c")
    for step in (1, 2):
        store.save(snapshot(step))
    (tmp_path / "c" / "step-00000002" / "state.json").write_text("{}")
    again = Checkpoints(tmp_path / "c")
    assert again.newest().step == 1
    again.save(snapshot(3))
    assert names(again) == ["step-00000001", "step-00000002", "step-00000003"]
    again.save(snapshot(4))
    assert names(again) == ["step-00000003", "step-00000004"]


def test_what_a_crash_left_is_no_checkpoint(tmp_path):
    store = Checkpoints(tmp_path / "c")
    store.save(snapshot(1))
    left_over = tmp_path / "c" / ".step-00000002.tmp"
    left_over.mkdir()
    (left_over / "state.json").write_text("{")
    assert same(Checkpoints(tmp_path / "c").newest(), snapshot(1))
    store.save(snapshot(2))
    assert not left_over.exists()


@pytest.fixture
def small_disk(mount):
    """A file system of 256 KiB."""
    return mount("size=256k")


def check_that_a_full_disk_costs_the_new_one_only(store, caplog):
    assert store.save(snapshot(2, size=100_000)) is None
    assert "was not written ([Errno 28] No space left on device" in caplog.text
    assert caplog.text.rstrip().endswith(
        f"training continues; the last good checkpoint is {store.path / 'step-00000001'}"
    )
    assert [p.name for p in store.path.iterdir()] == ["step-00000001"]
    assert same(Checkpoints(store.path).newest(), snapshot(1))


def test_full_disk(small_disk, caplog):
    store = Checkpoints(small_disk / "c")
    store.save(snapshot(1))
    check_that_a_full_disk_costs_the_new_one_only(store, caplog)


def test_full_disk_where_nothing_can_be_mounted(tmp_path, caplog, monkeypatch):
    store = Checkpoints(tmp_path / "c")
    store.save(snapshot(1))

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    check_that_a_full_disk_costs_the_new_one_only(store, caplog)


def test_a_folder_that_cannot_be_written(tmp_path, caplog, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert Checkpoints(tmp_path / "c").save(snapshot(1)) is None
    assert "Permission denied" in caplog.text
    assert "there is no earlier checkpoint" in caplog.text
