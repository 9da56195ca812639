"""The folders of a set of images: which are splits, which are classes, and which files belong to them."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from fasterkan.data.errors import DataError

SPLITS = ("train", "validation", "test")
_WORDS = {
    "train": ("train", "training", "trn"),
    "validation": ("val", "valid", "validation", "validate", "validating", "dev", "devel", "development"),
    "test": ("test", "testing", "tst"),
    "": ("eval", "evaluation"),  # the validation images, or the test images if there are others for validation
}
_SPLIT_OF = {word: part for part, words in _WORDS.items() for word in words}
_SYSTEM = ("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs.db", "desktop.ini")
"""Files and folders that operating systems put anywhere, in lower case."""
IMAGES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Suffixes of files that are images, in lower case."""

Classes = dict[str, list[Path]]
"""The files of each class, both sorted."""


def is_folder(name: object) -> bool:
    """Whether a name is the path of an existing folder."""
    if not isinstance(name, str | os.PathLike) or not os.fspath(name):
        return False
    return os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises where a folder may not be entered


def splits_of(root: Path) -> dict[str, Classes]:
    """Return the classes of each split that the folder has; "train" alone if its folders are the classes.

    Raises:
        DataError: the folders are neither splits with equal classes nor classes with images.
        OSError: a folder cannot be read.
    """
    if not is_folder(root):
        raise DataError(
            f"{root}: there is no such folder; expected a folder that contains a folder of images for each class"
        )
    folders = _folders(root, links=True)
    parts = _split_folders(root, folders)
    if not parts:
        return {"train": _classes(root)}
    if others := [name for name in folders if root / name not in parts.values() and _content(root / name) != (0, 0)]:
        raise DataError(
            f"{root}: has the split {_named(parts)}, and beside it {', '.join(others[:5])}, which is no known split "
            f"with class folders; rename it, or move it away. {picture(root)}"
        )
    if "train" not in parts:
        raise DataError(f"{root}: has the split {_named(parts)}, but none for training. {picture(root)}")
    _check_loose(root)
    found = {part: _classes(folder) for part, folder in parts.items()}
    for part, classes in found.items():
        if list(classes) != list(found["train"]):
            raise DataError(
                f"{parts[part]}: has the classes {', '.join(classes)}, but {parts['train']} has "
                f"{', '.join(found['train'])}; all splits need the same class folders"
            )
    return found


def picture(root: Path) -> str:
    """Return a picture of the folders that are expected."""
    name = root.name or "."
    return f"""Expected one of these two:
  {name}/
    CLASS/       a.png b.png ...
    OTHER-CLASS/ c.png d.png ...
or
  {name}/
    train/
      CLASS/       a.png b.png ...
      OTHER-CLASS/ c.png d.png ...
    validation/    (or val, valid, dev; may be absent)
      CLASS/       ...
      OTHER-CLASS/ ...
    test/          (may be absent)
      CLASS/       ...
      OTHER-CLASS/ ..."""


def _split_folders(root: Path, folders: list[str]) -> dict[str, Path]:
    """The folders with the name of a split that hold class folders; nothing if other folders look like classes."""
    named: dict[str, list[str]] = {}
    for name in folders:
        if (part := _split_of(name)) is not None:
            named.setdefault(part, []).append(name)
    nested = {part: [n for n in names if _content(root / n)[0]] for part, names in named.items()}
    if not any(nested.values()):
        if len(folders) > 1 and all(_split_of(name) is not None for name in folders):
            raise DataError(
                f"{root}: {', '.join(folders)} are names of splits, but they hold no class folders. {picture(root)}"
            )
        return {}
    either = named.pop("", [])
    if either:
        part = "test" if "validation" in named and "test" not in named else "validation"
        named[part] = named.get(part, []) + either
    for part, names in named.items():
        if len(names) > 1:
            raise DataError(f"{root}: {' and '.join(names)} are both names of the split {part}; keep one of them")
        inner, loose = _content(root / names[0])
        if not inner:
            what = f"{loose} files, and no class folder" if loose else "nothing in it"
            raise DataError(
                f"{root / names[0]}: is the split {part}, but has {what}; sort its images into class folders, or "
                f"move it away. {picture(root)}"
            )
    return {part: root / named[part][0] for part in SPLITS if part in named}


def _split_of(name: str) -> str | None:
    """The split that a folder's name stands for: in any case, with separators, and with "set" or the like behind."""
    word = re.sub(r"[\W_]+", "", name.casefold())
    return _SPLIT_OF.get(word, _SPLIT_OF.get(re.sub(r"(set|split|data|dataset|images|imgs|img)$", "", word)))


def _classes(folder: Path) -> Classes:
    names = _folders(folder)
    deep = [name for name in names if _content(folder / name)[0] and not _content(folder / name)[1]]
    if deep:
        inner = _folders(folder / deep[0])
        hint = ""
        if all(_split_of(name) is not None for name in inner) and len(names) > 1:
            hint = " Put the splits outside, and the classes into them."
        elif len(deep) == 1:
            hint = f" If these are the classes, give {folder / deep[0]}."
        raise DataError(
            f"{folder}: {_said('class folder', deep)} no images, only folders ({deep[0]} has "
            f"{', '.join(inner[:5])}).{hint} {picture(folder)}"
        )
    classes = {unicodedata.normalize("NFC", name): _files(folder / name) for name in names}
    if len(classes) < 2:
        has = f"only one class, {names[0]!r}" if names else "no class folder"
        raise DataError(
            f"{folder}: has {has}; expected at least two folders, one for each class, with its images. "
            f"{picture(folder)}"
        )
    if empty := [name for name, paths in classes.items() if not paths]:
        raise DataError(f"{folder}: there is no image in {', '.join(empty)}; put images into it, or remove the folder")
    _check_loose(folder)
    return classes


def _check_loose(folder: Path) -> None:
    """Raise DataError if images lie beside the folders of classes or splits."""
    with os.scandir(folder) as entries:
        loose = sorted(e.name for e in entries if _is_seen(e.name) and _is_image(e.name) and not is_folder(e))
    if loose:
        raise DataError(
            f"{folder}: {_said('image', loose)} no class, beside the class folders; put them into a class folder, or "
            "move them away"
        )


def _said(what: str, names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"the {what}{'s' if len(names) > 1 else ''} {', '.join(names[:3])}{more} {'have' if len(names) > 1 else 'has'}"
    )


def _named(parts: dict[str, Path]) -> str:
    return ", ".join(folder.name for folder in parts.values())


def _content(folder: Path) -> tuple[int, int]:
    """The number of folders and of files in a folder, without hidden ones and links to folders."""
    with os.scandir(folder) as entries:
        seen = [entry for entry in entries if _is_seen(entry.name)]
        return sum(e.is_dir(follow_symlinks=False) for e in seen), sum(not is_folder(e) for e in seen)


def _folders(folder: Path, *, links: bool = False) -> list[str]:
    """Sorted names of the folders in a folder, without hidden ones; links to folders only if asked for."""
    with os.scandir(folder) as entries:
        found = (e.name for e in entries if (is_folder(e) if links else e.is_dir(follow_symlinks=False)))
        return sorted(name for name in found if _is_seen(name))


def _files(folder: Path) -> list[Path]:
    """All files below a folder, sorted, without hidden files and without links to folders (which may form a circle)."""
    found = []
    for base, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if _is_seen(name)]
        found += [Path(base, name) for name in names if _is_seen(name)]
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


def _is_seen(name: str) -> bool:
    return not name.startswith(".") and name.casefold() not in _SYSTEM


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGES
