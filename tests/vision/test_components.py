"""Connected parts, against a flood fill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fasterkan.vision.components import label


def flood(mask):
    """The same by walking from pixel to pixel."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        count += 1
        stack = [start]
        while stack:
            y, x = stack.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not labels[y, x]:
                labels[y, x] = count
                stack += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return labels


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_random_masks(mask):
    assert label(mask).tolist() == flood(mask).tolist()


@pytest.mark.parametrize("mask", [np.zeros((3, 4), bool), np.ones((3, 4), bool), np.ones((1, 1), bool)])
def test_empty_and_full(mask):
    assert label(mask).tolist() == mask.astype(int).tolist()


def test_a_long_snake_is_one_part():
    snake = np.zeros((201, 201), bool)
    snake[::2] = True
    snake[1::4, -1] = snake[3::4, 0] = True
    assert label(snake).max() == 1


def test_diagonal_neighbours_belong_together():
    assert label(np.eye(50, dtype=bool)).max() == 1
    assert label(np.fliplr(np.eye(50, dtype=bool))).max() == 1
