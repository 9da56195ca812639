"""The real data: what stands in the repository, and Fashion-MNIST where it is at hand."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import pytest
import torch

from fasterkan.data import DataError, ImageDataset, fashion_mnist, mnist, places
from fasterkan.data.sources import FASHION_MNIST, MNIST

FOLDER = Path(__file__).parents[2] / "data" / "mnist"
SOURCES = pytest.mark.parametrize("source", [MNIST, FASHION_MNIST], ids=lambda source: source.name)


@pytest.fixture(scope="module")
def train() -> ImageDataset:
    return mnist("train", FOLDER)


@pytest.fixture(scope="module")
def test() -> ImageDataset:
    return mnist("test", FOLDER)


def test_mnist_is_found_from_any_directory(train: ImageDataset, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTERKAN_DATA", raising=False)
    assert torch.equal(mnist("test", download=False).labels, mnist("test", FOLDER).labels)


def test_mnist_train(train: ImageDataset) -> None:
    assert repr(train) == "ImageDataset(mnist, train: 60,000 images of 28 x 28, 10 classes)"
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.classes == tuple("0123456789")


def test_mnist_test(test: ImageDataset) -> None:
    assert repr(test) == "ImageDataset(mnist, test: 10,000 images of 28 x 28, 10 classes)"
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_pixels(train: ImageDataset) -> None:
    pixels = train.as_float().double()
    assert pixels.shape == (60_000, 784)
    assert (round(pixels.mean().item(), 4), round(pixels.std().item(), 4)) == (0.1307, 0.3081)
    assert (pixels.min().item(), pixels.max().item()) == (0.0, 1.0)


def test_mnist_image_stands_upright(train: ImageDataset) -> None:
    """The first image, a 5: its rows 5 and 23 begin and end the ink, and its bounding box is 20 by 20."""
    ink = train.images[0] > 0
    rows, columns = ink.any(1).nonzero().flatten(), ink.any(0).nonzero().flatten()
    assert (rows[0].item(), rows[-1].item(), columns[0].item(), columns[-1].item()) == (5, 24, 4, 23)


def test_mnist_loads_fast() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        mnist("train", FOLDER)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 2


def test_each_call_gives_tensors_of_its_own(test: ImageDataset) -> None:
    mine = mnist("test", FOLDER)
    mine.images.zero_()
    assert test.images.sum().item() > 0


@pytest.mark.parametrize("pattern", ["*.gz", "*-ubyte"])
def test_the_repository_and_its_readme_agree(pattern: str) -> None:
    """README's two tables: the gzipped files as they lie here, and their content as the code knows it."""
    listed = dict(
        re.findall(r"\| `(\S+-ubyte(?:\.gz)?)` \|.*\| `([0-9a-f]{64})` \|", (FOLDER / "README.md").read_text())
    )
    if pattern == "*.gz":
        expected = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob(pattern)}
    else:
        expected = {file.name: file.sha256 for file in (*MNIST.train, *MNIST.test)}
    assert len(expected) == 4
    assert {name: digest for name, digest in listed.items() if Path(name).match(pattern)} == expected


@SOURCES
def test_sources_have_mirrors_and_checksums(source) -> None:
    files = (*source.train, *source.test)
    assert len({file.sha256 for file in files}) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in files)
    assert [file.nbytes for file in files] == [47_040_016, 60_008, 7_840_016, 10_008]
    assert len(source.mirrors) >= 2
    assert all(re.fullmatch(r"https?://\S+/", mirror) for mirror in source.mirrors)
    assert len(source.classes) == 10


def test_fashion_mnist_loads_whole_or_says_how_to_get_it() -> None:
    """With Debian's package, or the files elsewhere on this machine, the data; without, the message."""
    folders = places.search_folders("fashion-mnist", "FashionMNIST/raw")
    if any((folder / "train-images-idx3-ubyte.gz").is_file() for folder in folders):
        data = fashion_mnist("train", download=False)
        assert data.labels[:5].tolist() == [9, 0, 0, 3, 0]
        assert data.labels.bincount().tolist() == [6000] * 10
        assert round(data.as_float().double().mean().item(), 4) == 0.2860
        assert data.classes[9] == "Ankle boot"
        assert fashion_mnist("test", download=False).labels.bincount().tolist() == [1000] * 10
    else:
        with pytest.raises(DataError, match="`apt-get install dataset-fashion-mnist`") as caught:
            fashion_mnist("train", download=False)
        assert "/usr/share/datasets/fashion-mnist" in str(caught.value)


def test_mnist_is_not_taken_for_fashion_mnist() -> None:
    with pytest.raises(DataError, match="or a file of another data set with the same name"):
        fashion_mnist("test", FOLDER)
