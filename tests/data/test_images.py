from __future__ import annotations

import copy
import pickle

import pytest
import torch

from fasterkan.data import DataError, ImageDataset

IMAGES = torch.arange(5 * 2 * 3, dtype=torch.uint8).reshape(5, 2, 3) * 8
LABELS = torch.tensor([0, 2, 1, 0, 2])


def make(images: torch.Tensor = IMAGES, labels: torch.Tensor = LABELS) -> ImageDataset:
    return ImageDataset(images, labels, ("a", "b", "c"), "letters", "train")


def test_says_what_it_is() -> None:
    data = make()
    assert (len(data), data.num_classes, data.name, data.split) == (5, 3, "letters", "train")
    assert repr(data) == "ImageDataset(letters, train: 5 images of 2 x 3, 3 classes)"


@pytest.mark.parametrize(("flat", "shape"), [(True, (5, 6)), (False, (5, 1, 2, 3))], ids=["flat", "channel"])
def test_as_float_divides_by_255(flat: bool, shape: tuple[int, ...]) -> None:
    scaled = make().as_float(flat=flat)
    assert scaled.dtype == torch.float32
    assert torch.equal(scaled, (IMAGES.float() / 255).reshape(shape))
    assert make(torch.full((5, 1, 1), 255, dtype=torch.uint8)).as_float().tolist() == [[1.0]] * 5


def test_colour_has_a_dimension_of_channels() -> None:
    data = make(torch.arange(5 * 12, dtype=torch.uint8).reshape(5, 3, 2, 2))
    assert (data.channels, make().channels) == (3, 1)
    assert repr(data) == "ImageDataset(letters, train: 5 images of 3 x 2 x 2, 3 classes)"
    assert torch.equal(data.as_float(), torch.arange(60).reshape(5, 12) / 255)
    assert torch.equal(data.as_float(flat=False), torch.arange(60).reshape(5, 3, 2, 2) / 255)
    assert [part.images.shape for part in data.hold_out(2)] == [(3, 3, 2, 2), (2, 3, 2, 2)]
    assert data[1][0].shape == (3, 2, 2)


def test_hold_out_takes_the_last_rows() -> None:
    train, validation = make().hold_out(2)
    assert torch.equal(train.images, IMAGES[:3])
    assert torch.equal(validation.images, IMAGES[3:])
    assert (train.labels.tolist(), validation.labels.tolist()) == ([0, 2, 1], [0, 2])
    assert (train.split, validation.split) == ("train", "validation")
    assert (train.classes, validation.name) == (("a", "b", "c"), "letters")


@pytest.mark.parametrize("rows", [0, -1, 5, 2.0, "2", None, True], ids=repr)
def test_hold_out_refuses(rows: object) -> None:
    with pytest.raises(DataError) as caught:
        make().hold_out(rows)  # type: ignore[arg-type]
    assert str(caught.value) == f"hold_out: rows is {rows!r}, expected a whole number from 1 to 4"


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        pytest.param(IMAGES.float(), LABELS, "images is torch.float32 [5, 2, 3], expected", id="float-images"),
        pytest.param(
            IMAGES[0],
            LABELS,
            "images is torch.uint8 [2, 3], expected torch.uint8 [N, H, W] or [N, C, H, W]",
            id="one-image",
        ),
        pytest.param(IMAGES, LABELS.int(), "labels is torch.int32 [5], expected torch.int64 [5]", id="int32-labels"),
        pytest.param(IMAGES, LABELS[:4], "labels is torch.int64 [4], expected torch.int64 [5]", id="too-few-labels"),
        pytest.param(IMAGES, LABELS[:, None], "labels is torch.int64 [5, 1]", id="labels-of-two-dimensions"),
        pytest.param(IMAGES, LABELS + 1, "labels run from 1 to 3, expected 0 to 2 for 3 classes", id="label-too-large"),
        pytest.param(IMAGES, LABELS - 1, "labels run from -1 to 1, expected 0 to 2", id="label-negative"),
    ],
)
def test_refuses(images: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError) as caught:
        make(images, labels)
    assert message in str(caught.value)


def test_no_rows_are_a_data_set_too() -> None:
    assert make(IMAGES[:0], LABELS[:0]).as_float().shape == (0, 6)


def test_a_data_loader_takes_it() -> None:
    images, labels = zip(*torch.utils.data.DataLoader(make(), batch_size=2), strict=True)
    assert torch.equal(torch.cat(images), IMAGES)
    assert torch.equal(torch.cat(labels), LABELS)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))], ids=["copy", "pickle"]
)
def test_survives(duplicate) -> None:
    again = duplicate(make())
    assert torch.equal(again.images, IMAGES)
    assert repr(again) == repr(make())
