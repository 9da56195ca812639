"""Drawings to read: one digit-like shape, on a canvas of any kind."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw


def seven(width=200, height=300, ground=255, ink=20, line=14) -> Image.Image:
    """A 7 in the middle of the canvas, two thirds of its longer side high at most."""
    image = Image.new("L", (width, height), ground)
    x, y, size = width * 0.3, height * 0.3, min(width, height) * 0.5
    corners = [(x, y), (x + 0.6 * size, y), (x + 0.2 * size, y + size)]
    ImageDraw.Draw(image).line(corners, fill=ink, width=line, joint="curve")
    return image


@pytest.fixture(scope="session")
def drawing():
    """Dark ink on white."""
    return seven()


@pytest.fixture(scope="session")
def light_drawing():
    """The same, light ink on black."""
    return Image.fromarray(255 - np.asarray(seven()))


@pytest.fixture
def save(tmp_path):
    """Write an image, or bytes, to a file and return its path."""

    def write(content, name="image.png", **options):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content.save(path, **options)
        return path

    return write
