"""Where data sets lie on this machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[3]
_SYSTEM = Path("/usr/share/datasets")  # Debian's packages named dataset-*


def search_folders(name: str, torchvision: str, root: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
    """List the folders in which the files of a data set are looked for, first to last.

    Args:
        name: the data set's own folder, such as "mnist".
        torchvision: the folder in which torchvision keeps the same files, such as "MNIST/raw".
        root: a folder of the user's. If given, only it: its `name`, its `torchvision` folder, itself.

    Returns:
        Without `root`: those two folders of the environment variable FASTERKAN_DATA; then the folder `name` in `data`
        of this repository, when the package runs from a checkout; in `data` of the current directory; in the cache;
        and in /usr/share/datasets.
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
    """Return the folder of downloads: `fasterkan` in XDG_CACHE_HOME, in ~/.cache or, without a home, in /tmp."""
    for base in (Path(os.environ.get("XDG_CACHE_HOME", "")), _expand("~/.cache")):
        if base.is_absolute():  # the XDG specification has relative paths ignored
            return base / "fasterkan"
    return Path(tempfile.gettempdir()) / "fasterkan"


def _expand(path: str | os.PathLike[str]) -> Path:
    """Resolve a leading ~, which stays where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
