"""Connected parts of a mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def label(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number the 8-connected parts of a mask.

    In each round, every pixel takes the smallest index among the roots of its neighbours, and paths are halved. The
    rounds end when nothing changes, after O(log) operations on whole arrays.

    Args:
        mask: [H, W].

    Returns:
        [H, W]: 0 outside the mask. Inside, the parts have the numbers 1, 2, ... in the order of their first pixels, row
        by row.

    Example:
        >>> label(np.array([[1, 0, 1], [0, 0, 1]], dtype=bool)).tolist()
        [[1, 0, 2], [0, 0, 2]]
    """
    height, width = mask.shape
    index = np.arange(height * width).reshape(height, width)
    pairs = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        first = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        second = (slice(dy, height), slice(max(0, dx), width - max(0, -dx)))
        both = mask[first] & mask[second]
        pairs.append(np.stack([index[first][both], index[second][both]]))
    one, other = np.concatenate(pairs, axis=1)
    root = index.ravel().copy()
    while True:
        a, b = root[one], root[other]
        apart = a != b
        if not apart.any():
            break
        np.minimum.at(root, np.maximum(a[apart], b[apart]), np.minimum(a[apart], b[apart]))
        while not np.array_equal(above := root[root], root):
            root = above
    labels = np.zeros(height * width, dtype=np.int64)
    inside = mask.ravel()
    labels[inside] = np.unique(root[inside], return_inverse=True)[1].ravel() + 1
    return labels.reshape(height, width)
