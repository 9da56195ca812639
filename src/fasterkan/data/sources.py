"""MNIST and Fashion-MNIST."""

from __future__ import annotations

import os

from fasterkan.data.errors import DataError
from fasterkan.data.idx import parse_idx
from fasterkan.data.images import ImageDataset
from fasterkan.data.known import ImageSource, KnownFile
from fasterkan.data.lookup import load_file

MNIST = ImageSource(
    name="mnist",
    torchvision="MNIST/raw",
    classes=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    train=(
        KnownFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        KnownFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
    ),
    test=(
        KnownFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        KnownFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)

FASHION_MNIST = ImageSource(
    name="fashion-mnist",
    torchvision="FashionMNIST/raw",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    train=(
        KnownFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        KnownFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
    ),
    test=(
        KnownFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        KnownFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    package="dataset-fashion-mnist",
)


def mnist(split: str = "train", root: str | os.PathLike[str] | None = None, *, download: bool = True) -> ImageDataset:
    """Load MNIST: 28 x 28 grey images of handwritten digits, 60,000 for training and 10,000 for the test.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; licence CC BY-SA 3.0.

    Args:
        split: "train" or "test".
        root: a folder with the four IDX files, gzipped or not. If it is given, no other folder is searched and nothing
            is downloaded. Default: FASTERKAN_DATA, this repository, the current directory, the cache, the system.
        download: whether missing files are downloaded into the cache.

    Returns:
        The images in the published order.

    Raises:
        DataError: unknown split; a file is missing, damaged or not the published one.
    """
    return load_source(MNIST, split, root, download)


def fashion_mnist(
    split: str = "train", root: str | os.PathLike[str] | None = None, *, download: bool = True
) -> ImageDataset:
    """Load Fashion-MNIST: 28 x 28 grey images of clothes in ten classes, 60,000 for training and 10,000 for the test.

    The files of the Debian package `dataset-fashion-mnist` are found too. Source: H. Xiao, K. Rasul, R. Vollgraf,
    "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms" (arXiv 1708.07747); licence MIT.

    Args:
        split: "train" or "test".
        root: as for `mnist`.
        download: as for `mnist`.

    Returns:
        The images in the published order.

    Raises:
        DataError: unknown split; a file is missing, damaged or not the published one.
    """
    return load_source(FASHION_MNIST, split, root, download)


def load_source(source: ImageSource, split: str, root: str | os.PathLike[str] | None, download: bool) -> ImageDataset:
    """Load the images and labels of one split of a source; the arguments are those of `mnist`."""
    if split not in ("train", "test"):
        raise DataError(f"{source.name}: split is {split!r}, expected 'train' or 'test'")
    files = source.train if split == "train" else source.test
    images, labels = (parse_idx(load_file(source, file, root, download), file.name) for file in files)
    return ImageDataset(images, labels.long(), source.classes, source.name, split)
