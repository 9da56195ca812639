"""The folders in which data sets are searched."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[3]
_SYSTEM = Path("/usr/share/datasets")  # Debian's packages named dataset-*


def search_folders(name: str, torchvision: str, root: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
    """List the folders in which the files of a data set are searched, in order.

    Args:
        name: the folder of the data set, such as "mnist".
        torchvision: the folder in which torchvision keeps the same files, such as "MNIST/raw".
        root: a folder of the user. If it is given, only three folders are searched: `name` in it, `torchvision` in it,
            and the folder itself.

    Returns:
        Without `root`: first `name` and `torchvision` in the folder that the environment variable FASTERKAN_DATA names.
        Then the folder `name` in these places: `data` of this repository (if the package runs from a checkout), `data`
        in the current directory, the cache, and /usr/share/datasets.
    """
    if root is not None:
        base = _expand(root)
        return base / name, base / torchvision, base
    folders = []
    if environment := os.environ.get("FASTERKAN_DATA"):
        base = _expand(environment)
        folders += [base / name, base / torchvision]
    if (_CHECKOUT / "pyproject.toml").is_file():
        folders.append(_CHECKOUT / "data" / name)
    return *folders, Path("data") / name, cache_folder() / name, _SYSTEM / name


def cache_folder() -> Path:
    """Return the folder for downloads: `fasterkan` in XDG_CACHE_HOME, in ~/.cache or, without a home, in /tmp."""
    for base in (Path(os.environ.get("XDG_CACHE_HOME", "")), _expand("~/.cache")):
        if base.is_absolute():  # the XDG specification says to ignore relative paths
            return base / "fasterkan"
    return Path(tempfile.gettempdir()) / "fasterkan"


def _expand(path: str | os.PathLike[str]) -> Path:
    """Replace a leading ~ by the home folder; leave it if there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
