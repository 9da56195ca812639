"""A digit comes out as MNIST has it, whatever the picture's light, place, size and colours."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from fasterkan.vision import ImageError, digit_from_image

from ..seeds import seed_of


def distance(one, other):
    """Mean absolute difference in units of the first one's mean ink, at the best of the shifts by one pixel."""
    shifts = [torch.roll(other, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return min(float((one - moved).abs().mean() / one.mean()) for moved in shifts)


def extent(pixels):
    """Height and width of what is not background."""
    return tuple(int(v[-1] - v[0] + 1) for v in ((pixels > 0).any(side).nonzero().flatten() for side in (1, 0)))


def centre(pixels):
    at = torch.arange(28.0)
    return [float((pixels.sum(1 - axis) * at).sum() / pixels.sum()) for axis in (0, 1)]


def lit(image, sides, noise=0.0, seed=0):
    """The image under light that falls from 1 at one corner to `1 - sides` at the opposite one."""
    height, width = image.size[::-1]
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    grain = np.random.default_rng(seed_of(seed)).normal(0, noise, (height, width))
    values = np.asarray(image) / 255 * (1 - sides * (x + y) / 2) + grain
    return Image.fromarray((values.clip(0, 1) * 255).astype(np.uint8))


def moved(image, dx, dy, ground=255):
    out = Image.new("L", image.size, ground)
    out.paste(image, (dx, dy))
    return out


def test_the_convention_of_mnist(drawing):
    pixels, report = digit_from_image(drawing)
    assert (pixels.dtype, pixels.shape) == (torch.float32, (28, 28))
    assert max(extent(pixels)) == 20
    assert extent(pixels)[0] > extent(pixels)[1]
    assert centre(pixels) == pytest.approx([14, 14], abs=0.5)
    assert (float(pixels.min()), float(pixels.max())) == (0, 1)
    assert float(pixels[0].sum() + pixels[:, 0].sum()) == 0
    left, top, right, bottom = report.box
    assert (left, top, right, bottom) == pytest.approx((60, 83, 127, 192), abs=2)
    assert report.inverted
    assert report.size == (200, 300)
    assert report.contrast == pytest.approx(1 - 20 / 255, abs=0.03)
    assert report.noise == 0
    assert report.stroke == pytest.approx(14 * 20 / (bottom - top), rel=0.2)


def test_the_report_is_json(drawing):
    report = digit_from_image(drawing).report
    assert json.loads(json.dumps(report.to_dict()))["box"] == list(report.box)
    assert report.steps[-1] == "fitted into 20 x 20, centre of mass in the middle of 28 x 28"


def test_images_of_mnist_come_back():
    from fasterkan.data import mnist

    test = mnist("test")
    differences = []
    for image in test.images[:30]:
        pixels, report = digit_from_image(Image.fromarray(image.numpy()))
        assert not report.inverted
        differences.append(distance(image / 255, pixels))
    assert max(differences) < 0.6
    assert float(np.median(differences)) < 0.25


def test_light_ink_on_black_is_the_same(drawing, light_drawing):
    dark, light = digit_from_image(drawing), digit_from_image(light_drawing)
    assert (dark.report.inverted, light.report.inverted) == (True, False)
    assert distance(dark.pixels, light.pixels) < 0.02


@pytest.mark.parametrize("sides", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_uneven_light_makes_no_difference(drawing, sides, turn):
    even = digit_from_image(drawing).pixels
    light = lit(drawing.rotate(-turn, expand=True), sides).rotate(turn, expand=True)
    assert distance(even, digit_from_image(light).pixels) < 0.08


def test_a_shadow_across_the_paper_makes_little_difference(drawing):
    values = np.asarray(drawing) * np.where(np.arange(200) < 90, 0.55, 1)
    shadow = Image.fromarray(values.astype(np.uint8)).filter(ImageFilter.GaussianBlur(3))
    assert distance(digit_from_image(drawing).pixels, digit_from_image(shadow).pixels) < 0.25


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_grain_makes_little_difference(drawing, noise):
    grainy = digit_from_image(lit(drawing, 0.4, noise))
    assert distance(digit_from_image(drawing).pixels, grainy.pixels) < 0.25
    assert grainy.report.noise > 0
    assert max(extent(grainy.pixels)) == 20


@pytest.mark.parametrize(("dx", "dy"), [(-45, -75), (60, 80), (-45, 90), (0, 0)])
def test_the_place_makes_no_difference(drawing, dx, dy):
    assert distance(digit_from_image(drawing).pixels, digit_from_image(moved(drawing, dx, dy)).pixels) < 0.02


@pytest.mark.parametrize("scale", [0.25, 0.5, 2, 5])
def test_the_size_makes_little_difference(drawing, scale):
    scaled = drawing.resize((round(200 * scale), round(300 * scale)), Image.Resampling.BICUBIC)
    pixels, report = digit_from_image(scaled)
    assert distance(digit_from_image(drawing).pixels, pixels) < 0.35
    assert [v / scale for v in report.box] == pytest.approx([60, 83, 127, 192], abs=4)


def test_thin_strokes_are_widened(drawing):
    thin = Image.new("L", (400, 400), 255)
    ImageDraw.Draw(thin).line([(120, 100), (260, 100), (180, 300)], fill=0, width=3)
    pixels, report = digit_from_image(thin)
    assert report.stroke < 0.6
    assert f"widened strokes of {report.stroke:.1f} pixels" in report.steps
    assert max(extent(pixels)) == 20
    assert 0.06 < float(pixels.mean()) < 0.2
    assert not any(step.startswith("widened") for step in digit_from_image(drawing).report.steps)


def test_dirt_a_desk_and_a_second_digit(drawing):
    plain = digit_from_image(drawing).pixels
    dirty = drawing.copy()
    ImageDraw.Draw(dirty).ellipse((20, 20, 25, 25), fill=0)
    pixels, report = digit_from_image(dirty)
    assert "left out 1 marks" in report.steps
    assert distance(plain, pixels) < 0.01
    desk = drawing.copy()
    ImageDraw.Draw(desk).polygon([(185, 0), (200, 0), (200, 300), (0, 300), (0, 288), (178, 286)], fill=60)
    assert distance(plain, digit_from_image(desk).pixels) < 0.1
    two = Image.new("L", (400, 300), 255)
    two.paste(drawing, (0, 0))
    two.paste(drawing.resize((160, 240)), (220, 20))
    pixels, report = digit_from_image(two)
    assert "took the largest mark; 1 others may be digits too" in report.steps
    assert distance(plain, pixels) < 0.02


@pytest.mark.parametrize("shade", [0, 40])
def test_pencil_beside_a_dark_desk(drawing, shade):
    pencil = drawing.point(lambda v: 190 + v * 65 // 255)
    plain = digit_from_image(pencil).pixels
    ImageDraw.Draw(pencil).polygon([(185, 0), (200, 0), (200, 300), (0, 300), (0, 288), (178, 286)], fill=shade)
    pixels, report = digit_from_image(pencil)
    assert report.box == pytest.approx((60, 83, 127, 192), abs=3)
    assert distance(plain, pixels) < 0.15


def test_a_broken_stroke_is_joined(drawing):
    broken = drawing.copy()
    ImageDraw.Draw(broken).rectangle((0, 140, 200, 146), fill=255)
    pixels, report = digit_from_image(broken)
    assert "joined 2 parts" in report.steps
    assert max(extent(pixels)) == 20
    assert distance(digit_from_image(drawing).pixels, pixels) < 0.2


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_one_colour_is_blank(ground):
    with pytest.raises(ImageError, match=r"^image is blank: nothing in it stands out from the background$"):
        digit_from_image(Image.new("L", (200, 300), ground))


@pytest.mark.parametrize("sides", [0.0, 0.5])
@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2])
def test_paper_without_ink_is_blank(sides, noise):
    with pytest.raises(ImageError, match="is blank"):
        digit_from_image(lit(Image.new("L", (200, 300), 200), sides, noise))


def test_it_repeats_itself_and_leaves_the_image_alone(drawing):
    before = drawing.tobytes()
    first, second = digit_from_image(drawing), digit_from_image(drawing)
    assert torch.equal(first.pixels, second.pixels)
    assert first.report == second.report
    assert drawing.tobytes() == before
