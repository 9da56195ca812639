from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fasterkan.data import DataError, load, mnist, names, train_validation_test

FOLDER = Path(__file__).parents[2] / "data" / "mnist"


def test_names() -> None:
    assert names() == ("mnist", "fashion-mnist")


@pytest.mark.parametrize("name", ["mnist", "MNIST", "Mnist"])
def test_load(name: str) -> None:
    data = load(name, "test", FOLDER)
    assert (data.name, data.split, len(data)) == ("mnist", "test", 10_000)


@pytest.mark.parametrize("name", ["fashion-mnist", "fashion_mnist", "Fashion_MNIST"])
def test_load_accepts_underscores(name: str, machine: Path) -> None:
    with pytest.raises(DataError, match="fashion-mnist: found neither"):
        load(name, "test", machine, download=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minst", "unknown dataset 'minst'; did you mean 'mnist'? known: mnist, fashion-mnist"),
        ("fashionmnist", "unknown dataset 'fashionmnist'; did you mean 'fashion-mnist'? known: mnist, fashion-mnist"),
        ("xyz", "unknown dataset 'xyz'; known: mnist, fashion-mnist"),
        ("", "unknown dataset ''; known: mnist, fashion-mnist"),
        (None, "unknown dataset None; known: mnist, fashion-mnist"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load(name)
    assert str(caught.value) == message


def test_train_validation_test() -> None:
    train, validation, test = train_validation_test("mnist", FOLDER)
    whole = mnist("train", FOLDER)
    assert (len(train), len(validation), len(test)) == (55_000, 5_000, 10_000)
    assert (train.split, validation.split, test.split) == ("train", "validation", "test")
    assert torch.equal(torch.cat([train.images, validation.images]), whole.images)
    assert torch.equal(torch.cat([train.labels, validation.labels]), whole.labels)
    assert torch.equal(test.labels, mnist("test", FOLDER).labels)


def test_validation_is_checked() -> None:
    with pytest.raises(DataError, match="rows is 60000, expected a whole number from 1 to 59999"):
        train_validation_test("mnist", FOLDER, validation=60_000)
