from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fasterkan.data import DataError, load, mnist, names, train_validation_test

FOLDER = Path(__file__).parents[2] / "data" / "mnist"


def test_names() -> None:
    assert names() == ("mnist", "fashion-mnist", "cifar10")


@pytest.mark.parametrize("name", ["mnist", "MNIST", "Mnist"])
def test_load(name: str) -> None:
    data = load(name, "test", FOLDER)
    assert (data.name, data.split, len(data)) == ("mnist", "test", 10_000)


@pytest.mark.parametrize("name", ["fashion-mnist", "fashion_mnist", "Fashion_MNIST"])
def test_load_accepts_underscores(name: str, machine: Path) -> None:
    with pytest.raises(DataError, match="fashion-mnist: found neither"):
        load(name, "test", machine, download=False)


KNOWN = "known: mnist, fashion-mnist, cifar10, or the path of a folder of images"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minst", f"unknown dataset 'minst'; did you mean 'mnist'? {KNOWN}"),
        ("fashionmnist", f"unknown dataset 'fashionmnist'; did you mean 'fashion-mnist'? {KNOWN}"),
        ("cifar", f"unknown dataset 'cifar'; did you mean 'cifar10'? {KNOWN}"),
        ("xyz", f"unknown dataset 'xyz'; {KNOWN}"),
        ("a/b\0", f"unknown dataset 'a/b\\x00'; {KNOWN}"),
        ("", f"unknown dataset ''; {KNOWN}"),
        (None, f"unknown dataset None; {KNOWN}"),
    ],
    ids=lambda value: repr(value)[:12],
)
@pytest.mark.parametrize("root", [None, "nowhere"])
def test_unknown_names(name: str, message: str, root: str | None) -> None:
    for call in (load, train_validation_test):
        with pytest.raises(DataError) as caught:
            call(name, root=root)
        assert str(caught.value) == message


@pytest.mark.parametrize("name", ["cifar10", "cifar-10", "CIFAR_10", "CIFAR10"])
def test_cifar_has_many_spellings(name: str, machine: Path) -> None:
    with pytest.raises(DataError, match="cifar10: found neither cifar-10-binary"):
        load(name, "test", machine, download=False)


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
