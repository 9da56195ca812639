"""What the numbers of an image file mean: the same level of grey as NumPy computes, or a refusal; never clipped."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

from fasterkan.data import DataError, image_folder, train_validation_test

from ..seeds import seed_of

RAMP = np.linspace(0, 1, 48).reshape(6, 8)
"""Shares of white from black to white."""


def levels(shares) -> torch.Tensor:
    """What a share of white becomes, by NumPy."""
    return torch.from_numpy(np.round(np.asarray(shares, np.float64) * 255).astype(np.uint8))


def folder(tmp_path: Path, save, name: str = "a.png") -> Path:
    """Two classes of three images each, written by save(path, number)."""
    for i in range(6):
        path = tmp_path / "set" / "ab"[i // 3] / f"{i}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, i)
    return tmp_path / "set"


def read(tmp_path: Path, array, name: str = "a.png", **options) -> torch.Tensor:
    """One image of such a folder whose images are all the same."""
    save = options.pop("save", {})
    root = folder(tmp_path, lambda path, i: Image.fromarray(array).save(path, **save), name)
    return image_folder(root, size=None, **options).images[0]


def tiff(values: np.ndarray, kind: int, *, order: str = "<", photometric: int = 1, bits: int | None = None) -> bytes:
    """A grey TIFF of one strip, written by hand: kind is 1 for whole numbers, 2 for signed ones, 3 for floats."""
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    if bits == 12:  # packed: two numbers in three bytes
        pairs = values.reshape(-1, 2).astype(np.uint32)
        packed = (pairs[:, 0] << 12) | pairs[:, 1]
        data = b"".join(int(p).to_bytes(3, "big") for p in packed)
    height, width = values.shape
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, bits or values.dtype.itemsize * 8), (259, 3, 1),
        (262, 3, photometric), (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(data)), (339, 3, kind),
    ]  # fmt: skip
    ifd = struct.pack(order + "H", len(entries))
    for tag, form, value in entries:
        ifd += struct.pack(order + "HHI", tag, form, 1)
        ifd += struct.pack(order + ("HH" if form == 3 else "I"), *((value, 0) if form == 3 else (value,)))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(data))
    return head + data + ifd + struct.pack(order + "I", 0)


def read_bytes(tmp_path: Path, content: bytes, name: str = "a.tif", **options) -> torch.Tensor:
    root = folder(tmp_path, lambda path, i: path.write_bytes(content), name)
    return image_folder(root, size=None, **options).images[0]


def png16(colour: int, values: np.ndarray, clear: int | None = None) -> bytes:
    """A PNG of 16 bits written by hand: colour type 0 is grey, 2 colour, 4 grey with alpha, 6 colour with alpha."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))]
    parts += [] if clear is None else [chunk(b"tRNS", struct.pack(">H", clear))]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


FULL = {
    "16-bit-png": (lambda: png16(0, (RAMP * 65535).round().astype(np.uint16)), 65535),
    "16-bit-tiff": (lambda: tiff((RAMP * 65535).round().astype(np.uint16), 1), 65535),
    "16-bit-big-endian": (lambda: tiff((RAMP * 65535).round().astype(np.uint16), 1, order=">"), 65535),
    "12-bit-tiff": (lambda: tiff((RAMP * 4095).round().astype(np.uint16), 1, bits=12), 4095),
    "signed-16-bit": (lambda: tiff((RAMP * 32767).round().astype(np.int16), 2), 32767),
    "signed-16-bit-big-endian": (lambda: tiff((RAMP * 32767).round().astype(np.int16), 2, order=">"), 32767),
    "signed-8-bit": (lambda: tiff((RAMP * 127).round().astype(np.int8), 2), 127),
    "32-bit": (lambda: tiff((RAMP * (2**32 - 1)).round().astype(np.uint32), 1), 2**32 - 1),
    "signed-32-bit": (lambda: tiff((RAMP * (2**31 - 1)).round().astype(np.int32), 2), 2**31 - 1),
    "float-0-to-1": (lambda: tiff(RAMP.astype(np.float32), 3), 1.0),
    "float-big-endian": (lambda: tiff(RAMP.astype(np.float32), 3, order=">"), 1.0),
}


@pytest.mark.parametrize("case", FULL)
def test_white_is_the_largest_value_of_the_type(tmp_path, case):
    make, white = FULL[case]
    shares = RAMP if white == 1.0 else np.round(RAMP * white) / white
    assert torch.equal(read_bytes(tmp_path, make()), levels(shares))


@pytest.mark.parametrize("case", ["16-bit-tiff", "float-0-to-1"])
def test_a_tiff_in_which_0_is_white(tmp_path, case):
    if case == "float-0-to-1":
        content, shares = tiff(RAMP.astype(np.float32), 3, photometric=0), RAMP.astype(np.float32).astype(float)
    else:
        values = (RAMP * 65535).round().astype(np.uint16)
        content, shares = tiff(values, 1, photometric=0), values / 65535
    assert torch.equal(read_bytes(tmp_path, content), levels(1 - shares))


def test_floats_of_a_pfm_and_whole_numbers_of_a_pgm(tmp_path):
    assert torch.equal(read(tmp_path / "pfm", RAMP.astype(np.float32), "a.pfm"), levels(RAMP))
    text = f"P2\n8 6\n4095\n{' '.join(map(str, (RAMP * 4095).round().astype(int).ravel()))}\n".encode()
    found = read_bytes(tmp_path / "pgm", text, "a.pgm")  # the file says that 4095 is white
    assert torch.equal(found, levels(np.round(RAMP * 4095) / 4095))


def test_float64_tiffs(tmp_path):
    assert torch.equal(read_bytes(tmp_path, tiff(RAMP.astype(np.float32), 3)), levels(RAMP.astype(np.float32)))


WITH_WHITE = {
    "12-bits-in-16": (lambda: png16(0, (RAMP * 4095).round().astype(np.uint16)), 4095, "white=4095 (--white 4095)"),
    "10-bits-in-16": (lambda: png16(0, (RAMP * 1023).round().astype(np.uint16)), 1023, "white=1023 (--white 1023)"),
    "14-bits-in-16": (lambda: tiff((RAMP * 16383).round().astype(np.uint16), 1), 16383, "white=16383"),
    "8-bits-in-16": (lambda: tiff((RAMP * 255).round().astype(np.uint16), 1), 255, "white=255"),
    "12-bits-in-signed-16": (lambda: tiff((RAMP * 4095).round().astype(np.int16), 2), 4095, "white=4095"),
    "20-bits-in-32": (lambda: tiff((RAMP * 1e6).round().astype(np.int32), 2), 1e6, "white=1048575"),
    "float-to-4000": (lambda: tiff((RAMP * 4000).astype(np.float32), 3), 4000, "white=4000 (--white 4000)"),
    "float-to-255": (lambda: tiff((RAMP * 255).astype(np.float32), 3), 255, "white=255 (--white 255)"),
    "dark-floats": (lambda: tiff((RAMP * 0.01).astype(np.float32), 3), 0.01, "white=0.01"),
}


@pytest.mark.parametrize("case", WITH_WHITE)
def test_where_the_file_does_not_say_what_is_white_the_user_does(tmp_path, case):
    make, white, advice = WITH_WHITE[case]
    with pytest.raises(DataError) as caught:
        read_bytes(tmp_path, make())
    assert advice in str(caught.value)
    assert str(tmp_path / "set") in str(caught.value)
    scaled = np.round(RAMP * white) if white >= 255 and "float" not in case else (RAMP * white).astype(np.float32)
    found = read_bytes(tmp_path, make(), white=white)
    assert torch.equal(found, levels(np.minimum(scaled.astype(np.float64) / white, 1)))
    assert len(found.unique()) == 48


def test_dark_images_stay_dark_if_the_user_says_so(tmp_path):
    values = (RAMP * 4095).round().astype(np.uint16)
    assert torch.equal(read_bytes(tmp_path, png16(0, values), white=65535), levels(values / 65535))
    assert read_bytes(tmp_path / "black", png16(0, 0 * values)).unique().tolist() == [0]


def test_one_scale_for_all_classes(tmp_path):
    """A class of darker images stays darker: nothing is scaled image by image."""

    def save(path: Path, i: int) -> None:
        factor = 0.3 if path.parent.name == "a" else 0.9
        path.write_bytes(tiff((RAMP * factor).astype(np.float32), 3))

    data = image_folder(folder(tmp_path, save, "a.tif"), size=None)
    for image, label in zip(data.images, data.labels.tolist(), strict=True):
        assert torch.equal(image, levels((RAMP * (0.3, 0.9)[label]).astype(np.float32)))


def test_files_of_several_types_have_the_white_of_their_types(tmp_path):
    def save(path: Path, i: int) -> None:
        if path.parent.name == "a":
            Image.fromarray((RAMP * 255).round().astype(np.uint8)).save(path)
        else:
            path.write_bytes(png16(0, (RAMP * 4095).round().astype(np.uint16)))

    root = folder(tmp_path, save)
    with pytest.raises(DataError, match="the brightest of 1 images of more than 8 bits, and its largest value is 4095"):
        image_folder(root, size=None)
    data = image_folder(root, size=None, white=4095)  # for 8 bits, white stays 255
    assert (data.images.int() - levels(RAMP).int()).abs().max() <= 1


def test_a_dark_split_beside_a_bright_one_is_no_trouble(tmp_path):
    values = (RAMP * 65535).round().astype(np.uint16)
    for split, factor in (("train", 1.0), ("val", 0.1), ("test", 0.1)):
        for name in ("a", "b"):
            path = tmp_path / split / name / "0.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(png16(0, (values * factor).astype(np.uint16)))
    train, validation, _ = train_validation_test(tmp_path, size=None)
    assert torch.equal(train.images[0], levels(values / 65535))
    assert torch.equal(validation.images[0], levels((values * 0.1).astype(np.uint16) / 65535))


REFUSED = {
    "nan": (
        lambda x: tiff(np.where(x > 0.5, np.nan, x).astype(np.float32), 3),
        "has 24 pixels that are NaN or inf",
    ),
    "infinite": (lambda x: tiff(np.where(x == 1, np.inf, x).astype(np.float32), 3), "has 1 pixels that are NaN"),
    "negative-floats": (
        lambda x: tiff((x - 0.5).astype(np.float32), 3),
        "pixels down to -0.5 (floating point)",
    ),
    "negative-16-bit": (lambda x: tiff((x * 200 - 100).astype(np.int16), 2), "down to -100 (signed 16 bits)"),
    "negative-8-bit": (lambda x: tiff((x * 200 - 100).astype(np.int8), 2), "down to -100 (signed 8 bits)"),
    "negative-32-bit": (lambda x: tiff((x * 200 - 100).astype(np.int32), 2), "down to -100 (signed 32 bits)"),
    "slightly-negative-32-bit": (lambda x: tiff((x * 9 - 1).astype(np.int32), 2), "down to -1 (signed 32 bits)"),
    "float16": (lambda x: tiff(x.astype(np.float16), 3), "is not an image that Pillow knows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_numbers_that_are_no_shares_of_white(tmp_path, case):
    make, message = REFUSED[case]
    with pytest.raises(DataError) as caught:
        read_bytes(tmp_path, make(RAMP))
    assert message in str(caught.value)
    assert ".tif: " in str(caught.value)


def test_values_above_the_given_white_are_not_clipped(tmp_path):
    values = (RAMP * 4095).round().astype(np.uint16)
    with pytest.raises(DataError, match=r"has pixels up to 4095 \(16 bits\), where 4000 is white; .* white=4095"):
        read_bytes(tmp_path, png16(0, values), white=4000)
    above = np.nextafter(np.float32(1), np.float32(2)) * np.ones((6, 8), np.float32)
    assert read_bytes(tmp_path / "above", tiff(above, 3)).unique().tolist() == [255]


@pytest.mark.parametrize("white", [0, -1, "255", True, float("nan"), float("inf")], ids=repr)
def test_refuses_a_white(tmp_path, white):
    with pytest.raises(DataError, match=r"image_folder: white is .*, expected a number above 0"):
        read(tmp_path, np.zeros((6, 8), np.uint8), white=white)


def test_white_is_for_folders():
    with pytest.raises(DataError, match="white=3 is for a folder of images; the images of mnist have 8 bits"):
        train_validation_test("mnist", white=3)


@pytest.mark.parametrize("kind", [2, 4, 6], ids=["colour", "grey-with-alpha", "colour-with-alpha"])
def test_several_channels_of_16_bits_keep_their_upper_8(tmp_path, kind):
    values = (RAMP * 65535).round().astype(np.uint16)
    count = {2: 3, 4: 2, 6: 4}[kind]
    stack = np.stack([values] * count, -1)
    if kind != 2:
        stack[..., -1] = 65535  # opaque
    found = read_bytes(tmp_path, png16(kind, stack), "a.png")
    assert torch.equal(found, torch.from_numpy((values >> 8).astype(np.uint8)))
    dark = np.minimum(stack, 4095)
    with pytest.raises(DataError, match=r"Only the upper 8 bits of such files can be read; save them with 8 bits"):
        read_bytes(tmp_path / "dark", png16(kind, dark), "a.png")
    with pytest.raises(DataError, match=r"only the upper 8 can be read, and white=4095 cannot be used"):
        read_bytes(tmp_path / "white", png16(kind, dark), "a.png", white=4095)


def test_a_transparent_value_of_16_bits_is_white(tmp_path):
    values = (RAMP * 65535).round().astype(np.uint16)
    found = read_bytes(tmp_path, png16(0, values, clear=int(values[0, 1])), "a.png")
    shares = values / 65535
    shares[0, 1] = 1
    assert torch.equal(found, levels(shares))


def test_rotation_of_16_bits_is_undone(tmp_path):
    values = np.array([[60000, 100], [60000, 100], [60000, 100]], np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read(tmp_path, values, save={"exif": exif}).tolist() == [[233, 233, 233], [0, 0, 0]]
    for compression in (None, "tiff_deflate"):
        found = read(tmp_path / str(compression), values, "a.tif", save={"exif": exif, "compression": compression})
        assert found.tolist() == [[233, 233, 233], [0, 0, 0]]
        eight = (values >> 8).astype(np.uint8)
        name = f"eight-{compression}"
        found = read(tmp_path / name, eight, "a.tif", save={"exif": exif, "compression": compression})
        assert found.tolist() == [[234, 234, 234], [0, 0, 0]]


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "CMYK", "YCbCr", "LA", "RGBA"])
def test_every_mode_of_8_bits(tmp_path, mode):
    """Black and white survive every mode."""
    drawing = Image.fromarray(np.where(RAMP > 0.5, 255, 0).astype(np.uint8)).convert(mode)
    name = "a.tif" if mode in ("CMYK", "YCbCr") else "a.png"
    root = folder(tmp_path, lambda path, i: drawing.save(path), name)
    found = image_folder(root, size=None).images[0].int()
    assert (found - torch.from_numpy(np.where(RAMP > 0.5, 255, 0))).abs().max() <= 1


def test_few_bits_of_a_png(tmp_path):
    for bits in (1, 2, 4):
        values = np.arange(48).reshape(6, 8) % 2**bits
        image = Image.fromarray((values * (255 // (2**bits - 1))).astype(np.uint8))
        found = read(tmp_path / str(bits), np.asarray(image), save={"bits": bits})
        assert found.tolist() == (values * (255 // (2**bits - 1))).tolist()


def pages(path: Path, values: list[int], small: int | None = None) -> None:
    frames = [Image.new("L", (8, 6), value) for value in values]
    if small is None:
        frames[0].save(path, save_all=True, append_images=frames[1:])
        return
    info = TiffImagePlugin.ImageFileDirectory_v2()
    with TiffImagePlugin.AppendingTiffWriter(str(path), new=True) as writer:
        frames[0].save(writer, format="TIFF")
        writer.newFrame()
        info[254] = 1
        Image.new("L", (4, 3), small).save(writer, format="TIFF", tiffinfo=info)


def test_pages(tmp_path):
    root = folder(tmp_path / "two", lambda path, i: pages(path, [10, 20]), "a.tif")
    with pytest.raises(DataError, match=r"a.tif: has 2 pages, one image is expected; save each page as a file"):
        image_folder(root)
    root = folder(tmp_path / "thumbnail", lambda path, i: pages(path, [10], small=99), "a.tif")
    assert image_folder(root).images.unique().tolist() == [10]  # the second page is a smaller copy of the first
    for name in ("a.gif", "a.png", "a.webp"):
        root = folder(tmp_path / name, lambda path, i: pages(path, [10, 200]), name)
        assert image_folder(root).images.float().mean() == pytest.approx(10, abs=1)


def test_colour_of_deep_grey(tmp_path):
    found = read_bytes(tmp_path, tiff(RAMP.astype(np.float32), 3), channels=3)
    assert torch.equal(found, levels(RAMP.astype(np.float32)).expand(3, -1, -1))


def test_resizing_comes_last(tmp_path):
    values = np.full((20, 20), 0.5, np.float32)
    root = folder(tmp_path, lambda path, i: path.write_bytes(tiff(values, 3)), "a.tif")
    assert image_folder(root, size=(7, 5)).images.unique().tolist() == [128]


def test_random_numbers_agree_with_numpy(tmp_path):
    generator = np.random.default_rng(seed_of(3))
    values = generator.integers(0, 65536, (6, 8)).astype(np.uint16)
    values[0, 0] = 65535
    assert torch.equal(read_bytes(tmp_path, png16(0, values), "a.png"), levels(values / 65535))
