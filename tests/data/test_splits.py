"""Folders of folders: splits under any usual name, and a picture of what is expected for everything else."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from fasterkan.data import DataError, image_folder, train_validation_test
from fasterkan.data.splits import picture, splits_of

SPLITS = ("train", "validation", "test")


def fill(root: Path, counts: dict[str, int]) -> Path:
    """Images in folders below root, such as {"train/a": 3}; 0 makes an empty folder."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("L", (4, 6), 10 * i).save(root / name / f"{i}.png")
    return root


def sizes(root: Path) -> list[int]:
    return [len(image_folder(root, split)) for split in SPLITS]


def both(*splits: str, count: int = 2) -> dict[str, int]:
    return {f"{split}/{name}": count for split in splits for name in ("a", "b")}


NAMES = [
    ("train", "train"), ("TRAIN", "train"), ("Training", "train"), ("training_set", "train"), ("train-data", "train"),
    ("TrainSet", "train"), ("Train Images", "train"), ("trn", "train"),
    ("val", "validation"), ("Valid", "validation"), ("validation", "validation"), ("VALIDATION_SET", "validation"),
    ("dev", "validation"), ("dev-set", "validation"), ("development", "validation"), ("eval", "validation"),
    ("Evaluation", "validation"), ("test", "test"), ("Testing", "test"), ("test_set", "test"), ("testset", "test"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "split"), NAMES, ids=[name for name, _ in NAMES])
def test_usual_names_of_splits(tmp_path, name, split):
    others = {"train": 5, "validation": 5, "test": 5} | {split: 0}
    fill(tmp_path, both(name, count=7) | both(*(o for o, count in others.items() if count), count=5))
    parts = splits_of(tmp_path)
    assert {part: len(classes["a"]) for part, classes in parts.items()} == {
        other: 7 if other == split else 5 for other in SPLITS
    }
    assert [data.num_classes for data in train_validation_test(tmp_path)] == [2, 2, 2]
    assert image_folder(tmp_path, split).classes == ("a", "b")


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "eval"), {"train", "validation"}),
        (("train", "eval", "test"), {"train", "validation", "test"}),
        (("train", "dev", "eval"), {"train", "validation", "test"}),
        (("training", "valid"), {"train", "validation"}),
        (("train", "testing"), {"train", "test"}),
    ],
    ids=["eval-alone", "eval-and-test", "dev-and-eval", "valid", "testing"],
)
def test_which_splits_there_are(tmp_path, folders, expected):
    assert set(splits_of(fill(tmp_path, both(*folders)))) == expected


def test_eval_is_the_test_where_dev_is_for_validation(tmp_path):
    parts = splits_of(fill(tmp_path, both("train", count=5) | both("dev", count=3) | both("eval", count=4)))
    assert [len(parts[split]["a"]) for split in SPLITS] == [5, 3, 4]


def test_a_split_for_validation_is_used_and_the_test_is_held_out(tmp_path):
    assert sizes(fill(tmp_path, both("Train", count=10) | both("Valid", count=3))) == [18, 6, 2]


def test_what_systems_add_is_ignored(tmp_path):
    fill(tmp_path, both("train", "test"))
    before = sizes(tmp_path)
    fill(tmp_path, {"__MACOSX/train/a": 3, ".git": 1, "train/@eaDir": 1, "train/a/__MACOSX": 1})
    for name in ("Thumbs.db", ".DS_Store", "train/desktop.ini", "train/a/Thumbs.db", "train/a/._0.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "README.txt").write_text("words")
    (tmp_path / "labels.csv").write_text("a,b")
    assert sizes(tmp_path) == before


def test_a_split_may_be_a_link(tmp_path):
    fill(tmp_path / "elsewhere", both("train"))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train").symlink_to(tmp_path / "elsewhere" / "train")
    assert set(splits_of(tmp_path / "set")) == {"train"}


def test_names_of_splits_that_hold_images_are_classes_beside_others(tmp_path):
    assert image_folder(fill(tmp_path, {"train": 3, "car": 3, "test": 3})).classes == ("car", "test", "train")


def test_sub_folders_of_a_class_with_images_belong_to_it(tmp_path):
    assert sum(sizes(fill(tmp_path, {"cat": 3, "cat/tabby": 2, "dog": 4}))) == 9


REFUSED = {
    "two-names": (both("train", "val", "valid"), "val and valid are both names of the split validation; keep one"),
    "two-cases": (both("train", "Train"), "Train and train are both names of the split train; keep one"),
    "no-train": (both("val", "test"), "has the split val, test, but none for training"),
    "only-test": (both("test"), "has the split test, but none for training"),
    "other-classes": (both("train") | {"test/a": 2, "test/c": 2}, "test: has the classes a, c, but"),
    "missing-class": (both("train") | {"val/a": 2, "val/b": 2, "test/a": 2}, "test: has only one class, 'a'"),
    "another-case": (both("train") | {"test/A": 2, "test/b": 2}, "test: has the classes A, b, but"),
    "empty-class": (both("train") | {"test/a": 2, "test/b": 0}, "test: there is no image in b"),
    "empty-split": (both("train") | {"val": 0}, "val: is the split validation, but has nothing in it"),
    "split-without-classes": (both("train") | {"test": 4}, "test: is the split test, but has 4 files, and no class"),
    "class-beside-splits": (both("train", "test") | {"car": 3}, "beside it car, which is no known split"),
    "unknown-split": (both("train", "test", "extra"), "beside it extra, which is no known split"),
    "class-that-looks-like-a-split": ({"train/steam": 3, "car": 3}, "has the split train, and beside it car"),
    "splits-without-classes": ({"train": 4, "test": 4}, "test, train are names of splits, but they hold no class"),
    "one-too-deep": ({"animals/cat": 3, "animals/dog": 3}, "If these are the classes, give"),
    "splits-one-too-deep": ({f"set/{k}": 3 for k in both("train", "test")}, "the class folder set has no images, only"),
    "only-folders": ({"cat/x": 3, "cat/y": 3, "dog/z": 3}, "the class folders cat, dog have no images, only folders"),
    "one-of-only-folders": ({"cat/x": 3, "dog": 3}, "the class folder cat has no images, only folders (cat has x)"),
    "only-folders-in-a-split": ({"train/cat/x": 3, "train/dog": 3}, "the class folder cat has no images, only folders"),
    "splits-inside": (
        {f"{c}/{s}": 3 for c in ("cat", "dog") for s in ("train", "test")},
        "Put the splits outside, and the classes into them.",
    ),
    "unknown-splits": (both("fold1", "fold2"), "the class folders fold1, fold2 have no images, only folders"),
    "no-class": ({}, "has no class folder; expected at least two folders"),
    "one-class": ({"cat": 3}, "has only one class, 'cat'; expected at least two"),
}
WITHOUT_PICTURE = ("two-names", "two-cases", "other-classes", "another-case", "empty-class")


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("split", SPLITS)
def test_other_folders_are_refused_for_every_split(tmp_path, case, split):
    counts, message = REFUSED[case]
    tmp_path.joinpath("pets").mkdir()
    root = fill(tmp_path / "pets", counts)
    if case == "two-cases" and len(list(root.iterdir())) == 1:
        pytest.skip("the file system does not tell upper from lower case")
    with pytest.raises(DataError) as caught:
        image_folder(root, split)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(root))
    assert ("Expected one of these two:" in str(caught.value)) == (case not in WITHOUT_PICTURE)


@pytest.mark.parametrize("where", [".", "train"], ids=["beside-splits", "beside-classes"])
def test_images_beside_the_folders_have_no_class(tmp_path, where):
    fill(tmp_path, both("train", "test"))
    Image.new("L", (4, 6)).save(tmp_path / where / "loose.JPG")
    with pytest.raises(DataError, match=r"the image loose.JPG has no class, beside the class folders; put them into"):
        train_validation_test(tmp_path)


def test_the_picture():
    lines = picture(Path("photos")).splitlines()
    assert lines[0] == "Expected one of these two:"
    assert [line.strip() for line in lines].count("photos/") == 2
    assert all(f"    {split}/" in picture(Path("photos")) for split in SPLITS)


def test_decomposed_letters_are_the_same_class(tmp_path):
    """Archives from a Mac decompose letters: one split of a set may have other bytes for the same name."""
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    fill(tmp_path, {f"train/{composed}": 2, "train/b": 2, f"test/{decomposed}": 2, "test/b": 2})
    if not (tmp_path / "test" / decomposed).exists() or composed == decomposed:
        pytest.skip("the file system composes names")
    assert image_folder(tmp_path, "test").classes == ("b", composed)
