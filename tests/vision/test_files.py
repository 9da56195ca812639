"""Files, folders and globs."""

from __future__ import annotations

import pytest

from fasterkan.vision import ImageError, find_images


@pytest.fixture
def scans(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt", "deep/c.png", "odd[1].png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "d.png").mkdir()
    return tmp_path


def test_a_file_is_itself_whatever_its_name(scans):
    for name in ("a.png", "notes.txt", "odd[1].png"):
        assert find_images(scans / name) == [scans / name]
        assert find_images(str(scans / name)) == [scans / name]


def test_a_folder_gives_its_images_by_name(scans):
    assert [path.name for path in find_images(scans)] == ["a.png", "b.JPG", "odd[1].png"]


def test_globs(scans):
    assert [path.name for path in find_images(f"{scans}/*.png")] == ["a.png", "odd[1].png"]
    assert [path.name for path in find_images(f"{scans}/**/*.png")] == ["a.png", "c.png", "odd[1].png"]


def test_nothing_found(scans):
    (scans / "empty").mkdir()
    for word, said in [
        (scans / "none.png", f"{scans}/none.png: no such file"),
        (f"{scans}/*.gif", f"{scans}/*.gif matches no file"),
        (scans / "empty", f"{scans}/empty is a folder without images; looked for .avif, .bmp, .gif, .jpeg, .jpg"),
    ]:
        with pytest.raises(ImageError) as caught:
            find_images(word)
        assert str(caught.value).startswith(said)
