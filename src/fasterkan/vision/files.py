"""Finding the image files that an argument of the command line names."""

from __future__ import annotations

import glob
from pathlib import Path

from ..data.splits import IMAGES
from .errors import ImageError


def find_images(word: str | Path) -> list[Path]:
    """Return the files that an argument stands for, sorted by name.

    Args:
        word: a file, a folder, or a glob such as "scans/**/*.png". A folder stands for the images directly in it. They
            are recognised by their suffix, and hidden files are ignored. A file that is given by its path may have any
            name.

    Raises:
        ImageError: the file does not exist, the folder contains no image, or the glob matches no file.

    Example:
        >>> find_images("scans")  # doctest: +SKIP
        [PosixPath('scans/four.jpg'), PosixPath('scans/seven.png')]
    """
    path = Path(word)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if _looks_like_image(p))
        if not found:
            raise ImageError(f"{path} is a folder without images; looked for {', '.join(IMAGES)}")
        return found
    if path.exists():
        return [path]
    if not glob.has_magic(str(word)):
        raise ImageError(f"{path}: no such file")
    matches = glob.glob(str(word), recursive=True)  # noqa: PTH207 - Path.glob does not take an absolute pattern
    found = sorted(p for match in matches if (p := Path(match)).is_file())
    if not found:
        raise ImageError(f"{word} matches no file")
    return found


def _looks_like_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGES and not path.name.startswith(".") and path.is_file()
