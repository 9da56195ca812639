"""How often a digit's photograph is read as the digit itself is.

python benchmarks/predict_photographs.py [RUN]

RUN is a run or a saved model, default runs/mnist-0 as `make mnist` leaves it. Ten times 100 test images of MNIST, each
written as a JPEG of 200 x 300 pixels and read again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from _common import ROOT, write_results
from _photographs import photograph

import fasterkan as fk
from fasterkan.data import mnist
from fasterkan.vision import ImageError, digit_from_image

DRAWS, IMAGES = 10, 100


def prepared(image: np.ndarray, rng: np.random.Generator, folder: Path) -> torch.Tensor | None:
    """Return the pixels [28, 28] of a photograph that went through a file, None where it was refused."""
    path = folder / "photograph.jpg"
    photograph(image, rng).save(path, quality=90)
    try:
        return digit_from_image(path).pixels
    except ImageError:
        return None


@torch.no_grad()
def draw(model: torch.nn.Module, seed: int, folder: Path) -> dict[str, float]:
    test, rng = mnist("test"), np.random.default_rng(seed)
    rows = torch.from_numpy(rng.choice(len(test), IMAGES, replace=False))
    pixels = [prepared(image.numpy(), rng, folder) for image in test.images[rows]]
    blank = torch.zeros(28, 28)
    seen = model(torch.stack([blank if p is None else p for p in pixels]).flatten(1)).argmax(1)
    known = torch.tensor([p is not None for p in pixels])
    plain = model(test.images[rows].flatten(1).float() / 255).argmax(1)
    return {
        "seed": seed,
        "images": IMAGES,
        "same_class": int(((seen == plain) & known).sum()),
        "right": int(((seen == test.labels[rows]) & known).sum()),
        "right_originals": int((plain == test.labels[rows]).sum()),
        "refused": int((~known).sum()),
    }


def main() -> None:
    run = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs" / "mnist-0"
    model = fk.from_pretrained(run / "model" if (run / "model").is_dir() else run).eval()
    with tempfile.TemporaryDirectory() as folder:
        rows = [draw(model, seed, Path(folder)) for seed in range(DRAWS)]
    print(f"same class: {[row['same_class'] for row in rows]} of {IMAGES}")
    print(f"written to {write_results('predict_photographs', rows)}")


if __name__ == "__main__":
    main()
