"""From the words of a command line to image files."""

from __future__ import annotations

import glob
from pathlib import Path

from .errors import ImageError

SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Of the files that count as images in a folder; a file named by itself may have any name."""


def find_images(word: str | Path) -> list[Path]:
    """Return the files that a word stands for, sorted by name.

    Args:
        word: a file; a folder, for the images directly in it (by their suffix; hidden files do not count); or a glob
            such as "scans/**/*.png".

    Raises:
        ImageError: there is no such file, the folder holds no image, or the glob matches nothing.

    Example:
        >>> find_images("scans")  # doctest: +SKIP
        [PosixPath('scans/four.jpg'), PosixPath('scans/seven.png')]
    """
    path = Path(word)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if _looks_like_image(p))
        if not found:
            raise ImageError(f"{path} is a folder without images; looked for {', '.join(SUFFIXES)}")
        return found
    if path.exists():
        return [path]
    if not glob.has_magic(str(word)):
        raise ImageError(f"{path}: no such file")
    matches = glob.glob(str(word), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = sorted(p for match in matches if (p := Path(match)).is_file())
    if not found:
        raise ImageError(f"{word} matches no file")
    return found


def _looks_like_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
