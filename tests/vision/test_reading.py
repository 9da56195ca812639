"""Every kind of image file gives the same picture, and what is no image gives one message."""

from __future__ import annotations

import re
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from fasterkan.vision import ImageError, digit_from_image, read_image

from ..seeds import seed_of


def grey(image):
    return (read_image(image).grey * 255).round().to(torch.int64)


def values(image):
    return torch.from_numpy(np.asarray(image).astype(np.int64))


def refusal(image):
    """What is said of it."""
    with pytest.raises(ImageError) as caught:
        digit_from_image(image)
    return str(caught.value)


def huge_png(width=20_000, height=20_000):
    """The header of a PNG, and no pixels that could be decoded."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.pgm", "a.gif"])
def test_lossless_formats(drawing, save, name):
    assert torch.equal(grey(save(drawing, name)), values(drawing))


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "YCbCr", "HSV", "CMYK", "RGBX"])
def test_modes(drawing, mode):
    black_and_white = drawing.point(lambda v: 255 * (v > 127))
    picture = read_image(black_and_white.convert(mode))
    assert (picture.grey * 255 - values(black_and_white)).abs().max() <= 2
    assert (f"made it grey (was {mode})" in picture.steps) == (mode != "1")


def test_cmyk_jpeg(drawing, save):
    assert (grey(save(drawing.convert("CMYK"), "a.jpg", quality=95)) - values(drawing)).abs().float().mean() < 2


def test_colours_count_by_their_brightness():
    assert int(grey(Image.new("RGB", (9, 9), (255, 0, 0)))[0, 0]) == 76


def test_16_bits(drawing, save):
    wide = Image.fromarray(np.asarray(drawing).astype(np.uint16) * 257)
    picture = read_image(save(wide))
    assert torch.equal((picture.grey * 255).round().long(), values(drawing))
    assert picture.steps == ("scaled 16 bits",)
    assert torch.equal(digit_from_image(wide).pixels, digit_from_image(drawing).pixels)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bits(drawing, save, dtype):
    wide = Image.fromarray((np.asarray(drawing).astype(np.float64) * 1e6).astype(dtype))
    assert digit_from_image(save(wide, "a.tiff")).report.inverted


@pytest.mark.parametrize("compression", [None, "tiff_deflate"])
def test_a_turned_tiff(drawing, save, compression):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(drawing.transpose(Image.Transpose.ROTATE_90), "a.tif", exif=exif, compression=compression)
    picture = read_image(path)
    assert torch.equal((picture.grey * 255).round().long(), values(drawing))
    assert picture.size == drawing.size


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_in_files_of_16(drawing, save, bits):
    wide = (np.asarray(drawing) / 255 * (2**bits - 1)).round().astype(np.uint16)
    picture = read_image(save(Image.fromarray(wide)))
    assert torch.equal((picture.grey * 255).round().long(), values(drawing))
    assert picture.steps == (f"scaled {bits} bits",)


@pytest.mark.parametrize("factor", [1 / 255, 4000 / 255, 1.0], ids=["0-to-1", "0-to-4000", "0-to-255"])
def test_floating_point_of_any_range(drawing, save, factor):
    wide = Image.fromarray((np.asarray(drawing) * factor).astype(np.float32))
    low, high = (int(end(values(drawing))) for end in (torch.min, torch.max))
    expected = (values(drawing) - low) / (high - low)
    assert torch.allclose(read_image(save(wide, "a.tiff")).grey, expected, atol=1e-6)


def test_signed_numbers_are_not_clipped(drawing, save):
    shifted = Image.fromarray(np.asarray(drawing).astype(np.int32) - 100)
    picture = read_image(save(shifted, "a.tiff"))
    low, high = (int(end(values(drawing))) for end in (torch.min, torch.max))
    assert torch.allclose(picture.grey, (values(drawing) - low) / (high - low), atol=1e-6)
    assert picture.steps == ("stretched signed 32 bits to [0, 1]",)


def test_pixels_that_are_not_finite(save):
    bad = np.zeros((20, 20), np.float32)
    bad[3, 4] = np.nan
    path = save(Image.fromarray(bad), "a.tiff")
    assert refusal(path) == f"{path} has pixels that are not finite; save it again as PNG"


@pytest.mark.parametrize(("ink", "ground"), [(0, "white"), (255, "black")])
def test_transparent_drawings_are_laid_on_what_shows_them(drawing, save, ink, ground):
    alpha = Image.fromarray(255 - np.asarray(drawing))
    picture = Image.merge("LA", (Image.new("L", drawing.size, ink), alpha))
    for image in (picture, picture.convert("RGBA")):
        read = read_image(save(image))
        assert f"laid the transparent image on {ground}" in read.steps
        report = digit_from_image(image).report
        assert report.inverted == (ground == "white")
        assert report.box == pytest.approx((60, 83, 127, 192), abs=2)


def test_a_photograph_with_transparent_corners_lies_on_its_paper(drawing):
    sticker = drawing.convert("RGBA")
    alpha = np.full((300, 200), 255, np.uint8)
    alpha[:30, :30] = alpha[-30:, -30:] = 0
    sticker.putalpha(Image.fromarray(alpha))
    pixels, report = digit_from_image(sticker)
    assert "laid the transparent image on the colour of its paper" in report.steps
    assert torch.allclose(pixels, digit_from_image(drawing).pixels, atol=1e-5)


def test_wholly_transparent_is_blank(drawing):
    clear = drawing.convert("RGBA")
    clear.putalpha(0)
    assert refusal(clear).startswith("image is blank")


def test_a_transparent_palette(drawing, save):
    palette = drawing.point(lambda v: 255 * (v > 127)).convert("P")
    white = palette.getpixel((0, 0))
    assert digit_from_image(save(palette, transparency=white)).report.inverted


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(drawing, save, orientation):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = drawing.transpose(undo[orientation]) if orientation > 1 else drawing
    path = save(stored, exif=exif)
    assert torch.equal(grey(path), values(drawing))
    assert read_image(path).size == (200, 300)
    assert ("turned it as its EXIF orientation says" in read_image(path).steps) == (orientation > 1)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tiff"])
def test_of_an_animation_the_first_frame(drawing, save, name):
    frames = [Image.new("L", drawing.size, shade) for shade in (0, 99)]
    options = {"lossless": True} if name.endswith("webp") else {}
    picture = read_image(save(drawing, name, save_all=True, append_images=frames, **options))
    assert "took the first frame of several" in picture.steps
    assert (picture.grey * 255 - values(drawing)).abs().max() <= 1


def test_a_large_photograph_is_scaled_down(drawing, save):
    picture = read_image(save(drawing.resize((2400, 3600)), "a.jpg"))
    assert picture.size == (2400, 3600)
    assert picture.grey.shape == (640, 427)
    assert picture.steps == ("scaled 2400 x 3600 pixels down to 427 x 640",)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "LA", "RGBA", "I;16", "F"])
def test_large_images_of_any_mode(drawing, mode):
    large = drawing.point(lambda v: 255 * (v > 127)).resize((2000, 3000))
    if mode == "I;16":
        large = Image.fromarray(np.asarray(large).astype(np.uint16) * 257)
    picture = read_image(large.convert(mode))
    small = np.asarray(
        large.convert("L").resize((427, 640), Image.Resampling.BOX) if mode != "I;16" else large.resize((427, 640))
    )
    assert picture.grey.shape == (640, 427)
    assert np.abs(picture.grey.numpy() - small / small.max()).mean() < 0.01


@pytest.mark.parametrize("size", [(8, 5000), (5000, 8), (8, 8), (9, 641)])
def test_extreme_shapes(size):
    noise = np.random.default_rng(seed_of(0)).integers(0, 256, size[::-1], dtype=np.uint8)
    assert refusal(Image.new("L", size, 200)).startswith("image is blank")
    try:
        pixels = digit_from_image(Image.fromarray(noise)).pixels
    except ImageError:
        return
    assert pixels.shape == (28, 28)
    assert bool(pixels.isfinite().all())


def test_20000_x_20000_is_refused_before_decoding(save):
    path = save(huge_png())
    tracemalloc.start()
    said = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said == f"{path} has 400,000,000 pixels, at most 80,000,000 are read; scale it down or crop it"
    assert peak < 5_000_000


def test_a_little_too_large(save):
    path = save(huge_png(10_000, 8_001))
    assert refusal(path) == f"{path} has 10,000 x 8,001 pixels, at most 80,000,000 are read; scale it down or crop it"


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 7)])
def test_too_small(save, size):
    path = save(Image.new("L", size))
    assert refusal(path) == f"{path} is {size[0]} x {size[1]} pixels, expected at least 8 x 8"


def test_what_is_no_image(save, tmp_path):
    empty, text = save(b"", "empty.png"), save(b"a seven\n", "text.png")
    assert refusal(empty) == f"{empty} is empty (0 bytes); copy or save it again"
    assert refusal(text) == (
        f"{text} is not an image that can be read; expected PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF or PPM"
    )
    heic = save(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "photo.heic")
    assert refusal(heic) == f"{heic} is not an image that can be read; it is a HEIC photograph: export it as JPEG"
    assert refusal(tmp_path) == f"{tmp_path} is a folder, expected an image file"
    assert refusal(tmp_path / "none.png") == f"{tmp_path / 'none.png'}: no such file"
    assert refusal(save(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a.eps")).endswith("WebP, AVIF or PPM")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.webp"])
def test_truncated(drawing, save, name):
    whole = save(drawing, name).read_bytes()
    for share in (0.3, 0.6, 0.9):
        path = save(whole[: int(share * len(whole))], name)
        assert re.match(re.escape(str(path)) + " is (damaged or incomplete|not an image|blank)", refusal(path))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.webp", "a.tiff", "a.avif"])
def test_damaged_bytes_give_a_picture_or_one_message(drawing, save, name):
    whole = save(drawing.resize((60, 90)), name).read_bytes()
    rng = np.random.default_rng(seed_of(0))
    for _ in range(60):
        damaged = bytearray(whole)
        for at in rng.integers(0, min(len(whole), 400), 3):
            damaged[at] = int(rng.integers(256))
        path = save(bytes(damaged), name)
        try:
            said = str(read_image(path).name)
        except ImageError as error:
            said = str(error)
        assert said.startswith(str(path))


def test_without_pillow(drawing, save, monkeypatch):
    path = save(drawing)
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'^reading images needs Pillow: pip install "fasterkan\[vision\]"$'):
        digit_from_image(path)
