from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fasterkan.data import DataError, image_folder, load, train_validation_test

SPLITS = ("train", "validation", "test")


def paint(path: Path, value: int = 0, size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (size[1], size[0]), value).save(path)
    return path


def fill(folder: Path, classes: dict[str, int], suffix: str = "png") -> Path:
    for name, count in classes.items():
        for i in range(count):
            paint(folder / name / f"{i}.{suffix}", 10 * i)
    return folder


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return fill(tmp_path / "pets", {"dog": 20, "cat": 10})


def test_classes_are_sorted_and_images_resized(pets: Path) -> None:
    data = image_folder(pets)
    assert repr(data) == "ImageDataset(pets, train: 24 images of 28 x 28, 2 classes)"
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [0] * 8 + [1] * 16
    assert (data.images.flatten(1).min(1).values == data.images.flatten(1).max(1).values).all()


def test_the_split_is_a_partition_and_does_not_move(pets: Path) -> None:
    parts = [image_folder(pets, split, size=None) for split in SPLITS]
    assert [len(part) for part in parts] == [24, 3, 3]
    for label, count in ((0, 10), (1, 20)):
        values = torch.cat([part.images[part.labels == label, 0, 0] for part in parts])
        assert sorted(values.tolist()) == [10 * i for i in range(count)]
    assert [part.images[:, 0, 0].tolist() for part in parts[1:]] == [[60, 0, 60], [0, 180, 80]]


def test_sub_folders_are_the_splits(tmp_path: Path) -> None:
    for folder, count in (("train", 5), ("val", 3), ("test", 2)):
        fill(tmp_path / folder, {"a": count, "b": 1})
    assert [len(image_folder(tmp_path, split)) for split in SPLITS] == [6, 4, 3]


@pytest.mark.parametrize(
    ("folders", "counts"),
    [
        (["train", "test"], [18, 2, 20]),
        (["train", "validation"], [18, 20, 2]),
        (["train"], [16, 2, 2]),
    ],
    ids=lambda value: "-".join(map(str, value)),
)
def test_absent_splits_are_held_out_of_train(tmp_path: Path, folders: list[str], counts: list[int]) -> None:
    for folder in folders:
        fill(tmp_path / folder, {"a": 10, "b": 10})
    assert [len(image_folder(tmp_path, split)) for split in SPLITS] == counts


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert image_folder(fill(tmp_path, {"train": 3, "car": 3})).classes == ("car", "train")


def test_a_split_of_other_classes(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 2, "b": 2})
    fill(tmp_path / "test", {"a": 2, "c": 2})
    with pytest.raises(DataError, match=r"test: has the classes a, c, but .*train has a, b"):
        image_folder(tmp_path, "test")


def test_hidden_files_and_loops_are_left_out(pets: Path) -> None:
    (pets / ".git").mkdir()
    (pets / "cat" / ".DS_Store").write_bytes(b"x")
    (pets / "cat" / ".thumbs").mkdir()
    (pets / "cat" / ".thumbs" / "a.png").write_bytes(b"x")
    (pets / "cat" / "loop").symlink_to(pets)
    (pets / "again").symlink_to(pets)
    (pets / "README.txt").write_text("words")
    assert sum(len(image_folder(pets, split)) for split in SPLITS) == 30


def test_sub_folders_of_a_class_belong_to_it(pets: Path) -> None:
    paint(pets / "cat" / "tabby" / "deep" / "0.png", 255)
    assert sum(len(image_folder(pets, split)) for split in SPLITS) == 31


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({}, "has no class folder; expected at least two folders, one for each class, with its images"),
        ({"cat": 3}, "has only one class, 'cat'; expected at least two"),
        ({"cat": 3, "dog": 0, "eel": 0}, "there is no image in dog, eel; put images into it, or remove the folder"),
        ({"cat": 3, "dog": 2}, "2 images are too few to divide into train, validation, test; at least 3 are needed"),
    ],
    ids=["none", "one-class", "empty-class", "too-few"],
)
def test_refuses_a_folder(tmp_path: Path, classes: dict[str, int], message: str) -> None:
    for name in classes:
        (tmp_path / name).mkdir()
    with pytest.raises(DataError) as caught:
        image_folder(fill(tmp_path, classes))
    assert message in str(caught.value)


@pytest.mark.parametrize("root", ["nowhere", "", "x" * 300, "a\0b"], ids=["missing", "empty", "long", "nul"])
def test_refuses_a_root(root: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"there is no such folder|has no class folder"):
        image_folder(root)


@pytest.mark.parametrize("size", [28, (28,), (0, 28), (28.0, 28), (5000, 1), "28x28", (True, 3)], ids=repr)
def test_refuses_a_size(pets: Path, size: object) -> None:
    with pytest.raises(DataError) as caught:
        image_folder(pets, size=size)  # type: ignore[arg-type]
    assert str(caught.value).startswith(
        f"image_folder: size is {size!r}, expected (height, width), each from 1 to 4096"
    )


@pytest.mark.parametrize("channels", [0, 2, 4, "3", True, None], ids=repr)
def test_refuses_channels(pets: Path, channels: object) -> None:
    with pytest.raises(DataError, match="expected 1"):
        image_folder(pets, channels=channels)  # type: ignore[arg-type]


def test_refuses_a_split(pets: Path) -> None:
    with pytest.raises(DataError, match="split is 'val', expected 'train', 'validation', 'test'"):
        image_folder(pets, "val")


def test_mixed_sizes_need_a_size(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    for i in range(3):
        paint(tmp_path / "b" / f"{i}.png", size=(5, 4))
    with pytest.raises(DataError, match=r"b/\d.png: is 5 x 4, .*a/\d.png is 6 x 4; give size=\(height, width\)"):
        image_folder(tmp_path, size=None)
    assert image_folder(tmp_path, size=(3, 2)).images.shape == (2, 3, 2)


def png_header(height: int, width: int) -> bytes:
    """The beginning of a PNG file that announces a size."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + body
        + struct.pack(">I", zlib.crc32(body))
        + struct.pack(">I", 99)
        + b"IDAT\0\0"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is not an image that Pillow knows", id="empty"),
        pytest.param(b"words", "is not an image that Pillow knows", id="text"),
        pytest.param(png_header(8_000, 8_000), "is 8,000 x 8,000 pixels, at most 50,000,000", id="large"),
        pytest.param(png_header(20_000, 20_000), "is far larger than 50,000,000 pixels", id="huge"),
        pytest.param(png_header(20, 20), "cannot be decoded|is not an image", id="cut"),
    ],
)
def test_a_bad_image_is_named(pets: Path, content: bytes, message: str) -> None:
    bad = pets / "cat" / "bad.png"
    bad.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        train_validation_test(pets)
    assert str(caught.value).startswith(f"{bad}: ")


@pytest.mark.parametrize("kind", ["pipe", "dangling", "circle"])
def test_what_is_no_file_is_named(pets: Path, kind: str) -> None:
    odd = pets / "cat" / "odd.png"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to(odd if kind == "circle" else pets / "nothing")
    with pytest.raises(DataError, match=r"odd.png: is not a regular file"):
        train_validation_test(pets)


def one(tmp_path: Path, image: Image.Image, name: str, channels: int = 1, **save: object) -> torch.Tensor:
    """The image as a class folder gives it."""
    fill(tmp_path, {"b": 3})
    for i in range(3):
        (tmp_path / "a").mkdir(exist_ok=True)
        image.save(tmp_path / "a" / f"{i}-{name}", **save)
    fill(tmp_path, {"b": 3})
    for i in range(3):
        paint(tmp_path / "b" / f"{i}.png", size=(2, 3))
    return image_folder(tmp_path, size=None, channels=channels).images[0]


def test_colour_and_grey(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10)
    colour = one(tmp_path, image, "rgb.png", channels=3)
    assert torch.equal(colour, torch.arange(18, dtype=torch.uint8).reshape(2, 3, 3).permute(2, 0, 1) * 10)
    assert one(tmp_path, image, "rgb.png").shape == (2, 3)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    assert one(tmp_path, Image.new("RGBA", (3, 2), (0, 0, 0, 0)), "clear.png").unique().tolist() == [255]


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    values = np.array([[0, 257, 514], [25700, 65535, 128]], dtype=np.uint16)
    assert one(tmp_path, Image.fromarray(values), "deep.png").tolist() == [[0, 1, 2], [100, 255, 0]]


def test_rotation_is_undone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    upright = one(tmp_path, Image.fromarray(np.array([[9, 8], [9, 8], [9, 8]], np.uint8)), "turned.png", exif=exif)
    assert upright.tolist() == [[9, 9, 9], [8, 8, 8]]


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("L", (3, 2), value) for value in (40, 200)]
    found = one(tmp_path, frames[0], "film.gif", save_all=True, append_images=frames[1:])
    assert found.unique().tolist() == [40]


def test_without_pillow_the_error_says_what_to_install(pets: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError) as caught:
        image_folder(pets)
    assert str(caught.value) == 'reading image files needs Pillow: pip install "fasterkan[vision]"'


def test_load_takes_a_path(pets: Path, monkeypatch) -> None:
    monkeypatch.chdir(pets.parent)
    for name, root in (
        (pets, None),
        (str(pets), "elsewhere"),
        ("pets", None),
        ("pets", pets.parent),
        ("./pets/", None),
    ):
        assert len(load(name, "validation", root)) == 3
    parts = train_validation_test(pets, size=(4, 5), channels=3)
    assert [part.images.shape for part in parts] == [(24, 3, 4, 5), (3, 3, 4, 5), (3, 3, 4, 5)]
    assert [part.split for part in parts] == list(SPLITS)
