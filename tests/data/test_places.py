from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from fasterkan.data.places import cache_folder, search_folders


def test_order(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTERKAN_DATA", str(machine / "sets"))
    assert search_folders("mini", "Mini/raw") == (
        machine / "sets" / "mini",
        machine / "sets" / "Mini" / "raw",
        machine / "checkout" / "data" / "mini",
        Path("data/mini"),
        machine / "cache" / "fasterkan" / "mini",
        machine / "system" / "mini",
    )


def test_an_installed_package_has_no_checkout(machine: Path) -> None:
    (machine / "checkout" / "pyproject.toml").unlink()
    assert machine / "checkout" / "data" / "mini" not in search_folders("mini", "Mini/raw")


def test_a_root_is_the_only_place(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTERKAN_DATA", str(machine / "sets"))
    root = machine / "mine"
    assert search_folders("mini", "Mini/raw", root) == (root / "mini", root / "Mini" / "raw", root)


def test_tilde_is_the_home(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(machine))
    assert search_folders("mini", "Mini/raw", "~/mine")[-1] == machine / "mine"
    assert search_folders("mini", "Mini/raw", "~nobody-of-that-name/mine")[-1] == Path("~nobody-of-that-name/mine")


@pytest.mark.parametrize("value", [None, "", "relative/path"], ids=["unset", "empty", "relative"])
def test_cache_is_in_the_home(machine: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("HOME", str(machine))
    monkeypatch.delenv("XDG_CACHE_HOME")
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_folder() == machine / ".cache" / "fasterkan"


def test_cache_without_a_home_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert cache_folder() == Path(tempfile.gettempdir()) / "fasterkan"
