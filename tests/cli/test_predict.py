"""`fasterkan predict`: what it says on stdout and stderr, and its exit codes."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import fasterkan as fk
from fasterkan.vision import digit_from_image

from ..seeds import seed_of


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a network with random weights, which predicts whatever it does."""
    torch.manual_seed(seed_of(0))
    return fk.FasterKAN([784, 10], num_grids=2).save_pretrained(tmp_path_factory.mktemp("model"))


@pytest.fixture
def images(tmp_path):
    """A folder with two images and a text file."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, points in {"one.png": [(50, 20), (50, 90)], "seven.jpg": [(20, 20), (70, 20), (40, 90)]}.items():
        image = Image.new("L", (100, 120), 250)
        ImageDraw.Draw(image).line(points, fill=10, width=8)
        image.save(folder / name)
    (folder / "notes.txt").write_text("nothing to see")
    return folder


def expected(model, path):
    net = fk.from_pretrained(model).eval()
    with torch.no_grad():
        return net(digit_from_image(path).pixels.flatten()).double().softmax(0)


def test_json(call, model, images):
    said = call("predict", model, images, "--json")
    assert (said.code, said.err) == (0, "")
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [about["image"] for about in found] == [str(images / "one.png"), str(images / "seven.jpg")]
    for about in found:
        probabilities = expected(model, about["image"])
        assert about["probabilities"] == pytest.approx(probabilities.tolist(), rel=1e-5)
        assert about["class"] == int(probabilities.argmax())
        assert about["steps"] == list(digit_from_image(about["image"]).report.steps)
        assert about["inverted"] is True


@pytest.mark.parametrize("top", [1, 3, 99])
def test_one_image_as_bars(call, model, images, top):
    path = images / "seven.jpg"
    probabilities = expected(model, path)
    lines = call("predict", model, path, "--top", top).out.splitlines()
    shown = min(top, 10)
    best = probabilities.topk(shown)
    assert lines[0] == f"{path}: {int(best.indices[0])}"
    for line, number, share in zip(lines[1:], best.indices.tolist(), best.values.tolist(), strict=False):
        assert line.split()[0] == str(number)
        assert line.rstrip().endswith(f" {100 * share:.2f} %")
        assert line.count("█") == int(share * 30)
    assert lines[1 + shown :] == [f"  - {step}" for step in digit_from_image(path).report.steps]


def test_several_images_as_a_table(call, model, images):
    said = call("predict", model, f"{images}/*.png", images / "seven.jpg")
    assert said.code == 0
    text = " ".join(said.out.split())
    assert text.startswith("image class probability then")
    for name in ("one.png", "seven.jpg"):
        best = expected(model, images / name).topk(2)
        assert f"{100 * float(best.values[0]):.2f} %" in text
        assert f"{int(best.indices[1])} {100 * float(best.values[1]):.2f} %" in text


def test_one_bad_image_among_many(call, model, images):
    bad, none = images / "bad.png", images / "none.png"
    bad.write_bytes(b"")
    said = call("predict", model, images, none, "--json")
    assert said.code == 1
    assert [json.loads(line)["image"] for line in said.out.splitlines()] == [
        str(images / "one.png"),
        str(images / "seven.jpg"),
    ]
    assert said.err == f"error: {bad} is empty (0 bytes); copy or save it again\nerror: {none}: no such file\n"


def test_nothing_that_can_be_read(call, model, images):
    notes = images / "notes.txt"
    said = call("predict", model, notes, f"{images}/*.gif")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"error: {notes} is not an image that can be read; expected PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF or PPM\n"
        f"error: {images}/*.gif matches no file\n"
    )
    assert call("predict", model).code == 2
    assert call("predict", model, notes, "--top", 0).code == 2


def test_a_run_and_its_model_say_the_same(call, trained, images):
    folder, _ = trained
    run = call("predict", folder, images, "--json")
    assert (run.code, run.err) == (0, "")
    assert call("predict", folder / "model", images, "--json").out == run.out


def test_a_run_on_other_images_is_noted(call, trained, images, tmp_path):
    run = shutil.copytree(trained[0], tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "dataset": "fashion-mnist"}))
    said = call("predict", run, images, "--json")
    assert said.code == 0
    assert said.err == "note: the model was trained on fashion-mnist, not on mnist; its classes are shown as numbers\n"


@pytest.mark.parametrize("net", [fk.FasterKANvolver([10]), fk.KAN([784, 10])], ids=["volver", "kan"])
def test_other_models(call, images, tmp_path, net):
    said = call("predict", net.eval().save_pretrained(tmp_path / "net"), images, "--json")
    assert said.code == 0
    rows = torch.tensor([json.loads(line)["probabilities"] for line in said.out.splitlines()])
    assert rows.shape == (2, 10)
    assert torch.allclose(rows.sum(1), torch.ones(2))


def test_models_that_do_not_fit(call, images, tmp_path):
    for net, sizes in [(fk.FasterKAN([100, 10]), "100"), (fk.FasterKANvolver([10], in_channels=3), "3 x 28 x 28")]:
        folder = net.save_pretrained(tmp_path / type(net).__name__)
        said = call("predict", folder, images)
        assert (said.code, said.out) == (2, "")
        assert said.err == f"error: {folder} has a model with {sizes} inputs; predict needs 784 (28 x 28 grey pixels)\n"


def test_no_model(call, images, tmp_path):
    said = call("predict", tmp_path / "nowhere", images)
    assert said.code == 2
    assert said.err.startswith(f"error: {tmp_path / 'nowhere'} is not a folder; give one that `fasterkan train`")
    said = call("predict", images, images)
    assert (said.code, said.err.count("\n")) == (2, 1)


def test_without_pillow(call, model, images, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    said = call("predict", model, images)
    assert (said.code, said.err) == (2, 'error: reading images needs Pillow: pip install "fasterkan[vision]"\n')


def paint(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes, bright on the left and bright on the right, in splits; 12 bits in files of 16."""
    root = tmp_path_factory.mktemp("set") / "photos"
    ramp = np.linspace(0, 4095, 28 * 28).reshape(28, 28).T.astype(np.uint16)
    for split, count in (("Train", 8), ("valid", 2), ("TEST", 2)):
        for i in range(count):
            paint(root / split / "right" / f"{i}.png", np.roll(ramp, i, 0))
            paint(root / split / "left" / f"{i}.png", np.roll(ramp, i, 0)[:, ::-1].copy())
    return root


def test_a_run_on_a_folder_reads_images_as_in_training(call, photos, tmp_path):
    run = tmp_path / "run"
    options = ("--layers", "784,2", "--num-grids", "2", "--epochs", "3", "--lr", "0.01", "--batch-size", "4")
    dark = call("train", photos, "--out", run, *options)
    assert dark.code != 0
    assert "white=4095 (--white 4095)" in dark.err
    assert not run.exists()
    assert call("train", photos, "--out", run, *options, "--white", "4095").code == 0
    assert json.loads((run / "config.json").read_text())["white"] == 4095
    result = json.loads((run / "result.json").read_text())
    assert (result["classes"], result["test_rows"]) == (["left", "right"], 4)
    assert call("eval", run, "--json").code == 0

    image = photos / "TEST" / "left" / "0.png"
    said = call("predict", run, image, "--json")
    assert (said.code, said.err) == (0, "")
    about = json.loads(said.out)
    levels = np.round(np.asarray(Image.open(image)) / 4095 * 255) / 255
    net = fk.from_pretrained(run / "model").eval()
    with torch.no_grad():
        expected = net(torch.from_numpy(levels).float().flatten()).double().softmax(0)
    assert about["probabilities"] == pytest.approx(expected.tolist(), rel=1e-5)
    assert about["class"] == ("left", "right")[int(expected.argmax())]
    assert about["classes"] == ["left", "right"]

    text = call("predict", run, image).out
    assert text.startswith(f"{image}: {about['class']}\n")
    assert "read as in training: made it grey and resized it to 28 x 28" in text
    table = call("predict", run, image.parent).out
    assert about["class"] in table
    bright = tmp_path / "bright.png"
    paint(bright, np.full((28, 28), 5000, np.uint16))
    refused = call("predict", run, bright)
    assert refused.code == 2
    assert "has pixels up to 5000 (16 bits), where 4095 is white" in refused.err


def test_classes_are_numbers_where_an_old_run_does_not_name_them(call, photos, tmp_path):
    run = tmp_path / "run"
    call("train", photos, "--out", run, "--layers", "784,2", "--num-grids", "2", "--epochs", "1", "--white", "4095")
    result = json.loads((run / "result.json").read_text())
    del result["classes"]
    (run / "result.json").write_text(json.dumps(result))
    said = call("predict", run, photos / "TEST" / "left" / "0.png")
    assert "the run does not say the names of its classes; they are shown as numbers" in said.err
    assert said.out.split(":")[1].split()[0] in ("0", "1")
