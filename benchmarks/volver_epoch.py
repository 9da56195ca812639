"""One epoch of MNIST with FasterKANvolver [64, 10] on the CPU: our loop beside the original's, in turns.

python benchmarks/volver_epoch.py --original CHECKOUT [--threads 2] [--turns 20]

The original's loop is its model with what its train_mnist.py does around it: batches of 64 from a data loader, each
image turned, shifted, erased in part and normalised by itself (here with Pillow, as torchvision would), AdamW in
float32. Ours is `fasterkan train mnist --model fasterkanvolver` with the options below. Each turn is a twentieth of an
epoch; evaluation is not timed.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from _common import original, write_results
from PIL import Image

import fasterkan as fk
from fasterkan.train import TrainConfig, build_model
from fasterkan.train.augment import Augmentation
from fasterkan.train.batches import Batches
from fasterkan.train.optimizer import Stepper

CONFIG = TrainConfig(
    dataset="mnist",
    model="fasterkanvolver",
    layers=(64, 10),
    lr=2e-3,
    batch_size=128,
    epochs=1,
    shift=2.8,
    rotate=10.0,
    augment_off=0.0,
    precision="bf16",
)


class OneByOne(torch.utils.data.Dataset):
    """Images of MNIST with the original's transforms, one at a time."""

    def __init__(self, data: fk.data.ImageDataset) -> None:
        self.images, self.labels = [Image.fromarray(i.numpy()) for i in data.images], data.labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.images[i].rotate(random.uniform(-10, 10))
        dx, dy = random.uniform(-2.8, 2.8), random.uniform(-2.8, 2.8)
        image = image.transform(image.size, Image.Transform.AFFINE, (1, 0, dx, 0, 1, dy))
        x = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, 28, 28).float().div(255)
        if random.random() < 0.5:
            height, width = random.randint(4, 16), random.randint(4, 16)
            top, left = random.randint(0, 28 - height), random.randint(0, 28 - width)
            x[:, top : top + height, left : left + width] = 0
        return x.sub(0.5).div(0.5), self.labels[i]


def theirs(checkout: Path, data: fk.data.ImageDataset) -> tuple[torch.nn.Module, Iterator[int]]:
    """Return the original's model and an iterator that trains it a batch at a time, giving the batch's size."""
    model = original(checkout).FasterKANvolver([64, 10], view=[-1, 1, 28, 28])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    loader = torch.utils.data.DataLoader(OneByOne(data), batch_size=64, shuffle=True)

    def batches() -> Iterator[int]:
        for x, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x.view(-1, 784)), labels).backward()
            optimizer.step()
            yield len(x)

    return model, batches()


def ours(data: fk.data.ImageDataset) -> tuple[torch.nn.Module, Iterator[int]]:
    """The same for this library."""
    model = build_model(CONFIG, data.images.shape[1:])
    made = Batches(data, CONFIG.batch_size, Augmentation(CONFIG.shift, CONFIG.rotate), seed=0)
    stepper = Stepper(model, CONFIG, len(made), torch.device("cpu"))

    def batches() -> Iterator[int]:
        for x, labels in made.epoch(len(made)):
            stepper.gradient(x, labels)
            stepper.move()
            yield len(x)

    return model, batches()


@torch.no_grad()
def accuracy(model: torch.nn.Module, data: fk.data.ImageDataset, shift: float, scale: float) -> float:
    """Return the share of validation images that are right."""
    model.eval()
    x = (data.as_float() - shift) / scale
    right = [(model(a).argmax(1) == b).sum() for a, b in zip(x.split(500), data.labels.split(500), strict=True)]
    return int(sum(right)) / len(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, required=True, help="a checkout of AthanasiosDelis/faster-kan")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    random.seed(0)
    train_set, validation_set, _ = fk.data.train_validation_test("mnist")
    subjects = {"original's loop": theirs(args.original, train_set), "fasterkan's loop": ours(train_set)}
    seconds = dict.fromkeys(subjects, 0.0)
    for _ in range(args.turns):
        for name, (_, batches) in subjects.items():
            start, images = time.perf_counter(), 0
            while images < len(train_set) / args.turns and (size := next(batches, 0)):
                images += size
            seconds[name] += time.perf_counter() - start
    rows = []
    for name, (model, _) in subjects.items():
        normal = (0.5, 0.5) if name.startswith("original") else (0.0, 1.0)
        rows.append(
            {
                "subject": name,
                "epoch_seconds": seconds[name],
                "validation_accuracy": accuracy(model, validation_set, *normal),
            }
        )
        print(f"{name:18} {seconds[name]:7.1f} s an epoch, validation {100 * rows[-1]['validation_accuracy']:.2f} %")
    slow, fast = seconds.values()
    print(f"{slow / fast:.2f} x")
    print(f"written to {write_results('volver_epoch', rows)}")


if __name__ == "__main__":
    main()
