"""Affine maps of images against plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from fasterkan.train.augment import Augmentation, warp

from ..seeds import seed_of


def warp_by_loops(image, matrix):
    """One image [H, W] mapped pixel by pixel: bilinear interpolation of the four neighbours, 0 outside."""
    height, width = image.shape
    out = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            x, y = column - (width - 1) / 2, row - (height - 1) / 2
            from_x = matrix[0][0] * x + matrix[0][1] * y + matrix[0][2] + (width - 1) / 2
            from_y = matrix[1][0] * x + matrix[1][1] * y + matrix[1][2] + (height - 1) / 2
            left, top = math.floor(from_x), math.floor(from_y)
            for j in (top, top + 1):
                for i in (left, left + 1):
                    if 0 <= i < width and 0 <= j < height:
                        out[row, column] += (1 - abs(from_x - i)) * (1 - abs(from_y - j)) * image[j, i]
    return out


def shift_by_loops(image, right, down):
    """One image whose pixel (row, column) is that of (row + down, column + right), 0 outside."""
    height, width = image.shape
    out = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            if 0 <= row + down < height and 0 <= column + right < width:
                out[row, column] = image[row + down, column + right]
    return out


@pytest.mark.parametrize(("height", "width"), [(7, 5), (6, 6), (1, 4)])
def test_warp(height, width):
    images = torch.rand(4, height, width, dtype=torch.float64)
    matrices = Augmentation(shift=1.5, rotate=30, scale=0.3, shear=0.3).draw(
        4, torch.Generator().manual_seed(seed_of(1))
    )
    expected = torch.stack([warp_by_loops(i, m) for i, m in zip(images, matrices.double().tolist(), strict=True)])
    torch.testing.assert_close(warp(images, matrices), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (2, 0), (0, -1), (-3, 2)])
def test_whole_pixels(right, down):
    images = torch.rand(2, 6, 7)
    matrices = torch.tensor([[1.0, 0.0, right], [0.0, 1.0, down]]).expand(2, 2, 3)
    expected = torch.stack([shift_by_loops(image, right, down) for image in images])
    torch.testing.assert_close(warp(images, matrices), expected, rtol=0, atol=1e-5)


def test_draw_stays_within_its_limits():
    matrices = Augmentation(shift=1.5).draw(1000, torch.Generator().manual_seed(seed_of(0)))
    assert torch.equal(matrices[:, :, :2], torch.eye(2).expand(1000, 2, 2))
    moves = matrices[:, :, 2]
    assert 1.45 < moves.abs().max() <= 1.5
    assert moves.mean(0).abs().max() < 0.1
    assert moves.min() < -1.4

    turns = Augmentation(rotate=90.0).draw(1000, torch.Generator().manual_seed(seed_of(0)))
    torch.testing.assert_close(turns[:, :, :2].det(), torch.ones(1000))
    assert 0.0 <= turns[:, 0, 0].min() < 0.01

    stretches = Augmentation(scale=0.1).draw(1000, torch.Generator().manual_seed(seed_of(0)))[:, 0, 0]
    assert math.exp(-0.1) <= stretches.min() < 0.91 < 1.1 < stretches.max() <= math.exp(0.1)

    slants = Augmentation(shear=0.2).draw(1000, torch.Generator().manual_seed(seed_of(0)))
    assert 0.19 < slants[:, 0, 1].max() <= 0.2
    assert torch.equal(slants[:, 1, 1], torch.ones(1000))


def test_truth_value():
    assert not Augmentation()
    assert Augmentation(shear=0.1)


def test_channels_move_together():
    images = torch.rand(3, 2, 6, 5, dtype=torch.float64)
    moves = Augmentation(shift=1.0, rotate=20.0, elastic=1.0)
    moved = moves.apply(images, torch.Generator().manual_seed(seed_of(0)))
    assert moved.shape == images.shape
    for channel in range(2):
        alone = moves.apply(images[:, channel], torch.Generator().manual_seed(seed_of(0)))
        torch.testing.assert_close(moved[:, channel], alone, rtol=0, atol=1e-12)


def test_bends_are_smooth_and_stay_near_their_limit():
    images = torch.zeros(500, 28, 28)
    bends = Augmentation(elastic=2.0).draw_bends(images, torch.Generator().manual_seed(seed_of(0)))
    assert bends.shape == (500, 2, 28, 28)
    assert 1.9 < bends.abs().max() < 2.0 * 1.6  # a cubic passes its nodes by some
    assert bends.mean(0).abs().max() < 0.2
    steps = torch.cat([bends.diff(dim=-1).flatten(), bends.diff(dim=-2).flatten()])
    assert steps.abs().max() < 1.2
    assert 0.5 < bends.std() < 1.3
    assert torch.equal(bends, Augmentation(elastic=2.0).draw_bends(images, torch.Generator().manual_seed(seed_of(0))))


def test_bends_move_pixels():
    images = torch.rand(1, 6, 7)
    bends = torch.zeros(1, 2, 6, 7)
    bends[:, 0], bends[:, 1] = 2.0, -1.0
    matrices = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    torch.testing.assert_close(warp(images, matrices, bends)[0], shift_by_loops(images[0], 2, -1), rtol=0, atol=1e-5)
