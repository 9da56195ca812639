"""Small labelled images, coloured corners, which any network learns in a few steps; and small disks."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import torch

from fasterkan.data import ImageDataset

from ..seeds import seed_of


def draw_corners(rows: int = 400, seed: int = 0, classes: int = 4, *, fixed: bool = False) -> ImageDataset:
    """Make a data set: 8 x 8 images of noise with one bright corner, whose number is the label.

    With `fixed` it does not follow the tests' seed.
    """
    generator = torch.Generator().manual_seed(seed if fixed else seed_of(seed))
    labels = torch.randint(classes, (rows,), generator=generator)
    images = torch.randint(0, 100, (rows, 8, 8), generator=generator, dtype=torch.uint8)
    for corner, (down, right) in enumerate(((0, 0), (0, 5), (5, 0), (5, 5))[:classes]):
        images[labels == corner, down : down + 3, right : right + 3] += 120
    return ImageDataset(images, labels, tuple("abcd"[:classes]), "corners")


@pytest.fixture(scope="session")
def corners():
    """The function that makes a data set."""
    return draw_corners


@pytest.fixture
def mount(tmp_path):
    """Mount a small file system (512 KiB unless an option says otherwise); needs the right to, as root has on Linux.

    Where it is missing the same faults are tested with patched system calls alone.
    """
    place = tmp_path / "disk"
    place.mkdir()

    def mounted(*options):
        settings = options if any(o.startswith("size=") for o in options) else ("size=512k", *options)
        command = ["mount", "-t", "tmpfs", "-o", ",".join(settings), "tmpfs", str(place)]
        if shutil.which("mount") is None:
            pytest.skip("a real full disk needs the command mount; the patched tests stand in")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(
                f"a real full disk needs the right to mount one: {done.stderr.strip()}; the patched tests stand in"
            )
        return place

    yield mounted
    subprocess.run(["umount", str(place)], capture_output=True, check=False)
