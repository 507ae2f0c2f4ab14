"""Pictures: what is taken comes back pixel by pixel, and what would not is refused by a rule."""

import io
import random
import struct
import threading
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vlcodec.codec.errors import ImageError
from vlcodec.codec.files.picture_file import MAX_PIXELS, MAX_SIDE
from vlcodec.codec.image import FORMATS, load, png_bytes, to_image

RULE = "a picture must be 8-bit RGB, grey (L), bilevel (1) or palette (P) without transparency"
ALPHA = "only a file of a single picture keeps alpha"
DEEP = f"more than 8 bits per channel are not supported: {RULE}"
TOO_LARGE = f"too large: at most {MAX_SIDE} pixels a side and {MAX_PIXELS} in all are allowed"
NOT_A_PICTURE = "not a picture: none of PNG, JPEG, WEBP, TIFF, BMP, GIF, PPM, or damaged in its first bytes"
DAMAGED = "damaged or cut short: the picture cannot be decoded"

RGB: npt.NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = np.repeat(RGB[:, :, :1], 3, axis=2)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    """A file's bytes as Pillow writes them."""
    out = io.BytesIO()
    image.save(out, format=format, **options)
    return out.getvalue()


def png(depth: int, colour: int, rows: bytes) -> bytes:
    """A 2 x 1 PNG file of any bit depth; Pillow writes no 16-bit colour."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 2, 1, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" + rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def tiff16() -> bytes:
    """A 1 x 1 TIFF file of 16-bit RGB."""
    short, long = 3, 4
    data = 8 + 2 + 10 * 12 + 4  # offset of the bits per sample; the pixel follows them
    tags = [
        (256, short, 1, 1),  # width
        (257, short, 1, 1),  # height
        (258, short, 3, data),  # bits per sample
        (259, short, 1, 1),  # no compression
        (262, short, 1, 2),  # RGB
        (273, long, 1, data + 6),  # offset of the pixels
        (277, short, 1, 3),  # samples per pixel
        (278, short, 1, 1),  # rows per strip
        (279, long, 1, 6),  # bytes of pixels
        (284, short, 1, 1),  # interleaved
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + struct.pack("<6H", 16, 16, 16, 1, 2, 3)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "PPM"])
@pytest.mark.parametrize(("pixels", "grey"), [(RGB, False), (GREY, True)])
def test_lossless_formats_come_back_exactly(format: str, pixels: npt.NDArray[np.uint8], grey: bool) -> None:
    picture = load(encoded(to_image(pixels, grey), format))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags["C_CONTIGUOUS"]
    assert picture.grey is grey


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_lossy_formats_come_as_pillow_shows_them(format: str) -> None:
    data = encoded(to_image(RGB, grey=False), format)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(load(data).pixels, np.array(image))


def test_every_kind_of_source(tmp_path: Path) -> None:
    image = to_image(RGB, grey=False)
    data = png_bytes(image)
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    for source in (path, str(path), data, io.BytesIO(data), image):
        np.testing.assert_array_equal(load(source).pixels, RGB)


@pytest.mark.parametrize(
    ("shape", "grey"), [((1, 1, 3), False), ((1, 1, 3), True), ((1, 9, 3), False), ((9, 1, 3), True)]
)
def test_smallest_pictures(shape: tuple[int, int, int], grey: bool) -> None:
    pixels = np.full(shape, 200, dtype=np.uint8)
    picture = load(png_bytes(to_image(pixels, grey)))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.grey is grey


def test_to_image_takes_any_memory_order() -> None:
    flipped = RGB[::-1, ::-1]
    np.testing.assert_array_equal(np.array(to_image(flipped, grey=False)), flipped)
    np.testing.assert_array_equal(np.array(to_image(np.asfortranarray(GREY), grey=True)), GREY[:, :, 0])


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_opaque_palette_keeps_its_colours(format: str) -> None:
    indexed = to_image(RGB, grey=False).quantize(16)
    picture = load(encoded(indexed, format))
    np.testing.assert_array_equal(picture.pixels, np.array(indexed.convert("RGB")))
    assert not picture.grey


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(format: str, orientation: int) -> None:
    expected = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: RGB[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(RGB),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(to_image(RGB, grey=False), format, exif=exif, **options)
    np.testing.assert_array_equal(load(data).pixels, expected)


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0garbage, not a directory"])
def test_damaged_metadata_does_not_refuse_sound_pixels(exif: bytes) -> None:
    data = encoded(to_image(RGB, grey=False), "PNG", exif=exif)
    np.testing.assert_array_equal(load(data).pixels, RGB)


def test_a_pillow_image_is_left_as_it_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(encoded(to_image(RGB, grey=False), "PNG", exif=exif))) as image:
        assert load(image).pixels.shape == (7, 5, 3)
        assert image.size == (7, 5)
        np.testing.assert_array_equal(np.array(image), RGB)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_alpha_is_refused(mode: str) -> None:
    with pytest.raises(ImageError) as caught:
        load(Image.new(mode, (3, 2)))
    assert str(caught.value) == f"mode {mode} with transparency: {ALPHA}"


@pytest.mark.parametrize(("mode", "colour"), [("RGB", (1, 2, 3)), ("L", 1), ("P", 1)])
def test_a_transparent_colour_is_refused(mode: str, colour: object) -> None:
    with pytest.raises(ImageError) as caught:
        load(encoded(Image.new(mode, (3, 2)), "PNG", transparency=colour))
    assert str(caught.value) == f"mode {mode} with transparency: {ALPHA}"


def test_a_palette_with_alpha_is_refused() -> None:
    image = Image.new("P", (3, 2))
    image.putpalette(bytes(range(16)), "RGBA")
    with pytest.raises(ImageError) as caught:
        load(image)
    assert str(caught.value) == f"mode P with transparency: {ALPHA}"


def test_bilevel_is_grey() -> None:
    image = Image.new("1", (3, 2))
    image.putpixel((1, 0), 1)
    for picture in (load(image), load(encoded(image, "PNG"))):
        assert picture.grey
        assert picture.pixels[..., 0].tolist() == [[0, 255, 0], [0, 0, 0]]


@pytest.mark.parametrize("mode", ["I", "F", "I;16", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"])
def test_other_modes_are_refused(mode: str) -> None:
    with pytest.raises(ImageError) as caught:
        load(Image.new(mode, (3, 2)))
    assert str(caught.value) == f"mode {mode} is not supported: {RULE}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(Image.new("CMYK", (3, 2)), "JPEG"), f"mode CMYK is not supported: {RULE}"),
        (encoded(Image.new("RGBA", (3, 2)), "PNG"), f"mode RGBA with transparency: {ALPHA}"),
        (encoded(Image.new("P", (3, 2)), "GIF", transparency=0), f"mode P with transparency: {ALPHA}"),
        (encoded(Image.new("RGBA", (3, 2)), "WEBP"), f"mode RGBA with transparency: {ALPHA}"),
        (png(16, 2, bytes(12)), DEEP),
        (png(16, 0, bytes(4)), f"mode I;16 is not supported: {RULE}"),
        (png(16, 6, bytes(16)), f"mode RGBA with transparency: {ALPHA}"),
        (tiff16(), DEEP),
        (b"P6 1 1 65535\n" + bytes(6), DEEP),
        (b"P6 1 1 1023\n" + bytes(6), DEEP),
        (b"P3 1 1 256\n0 0 256\n", DEEP),
        (b"P5 1 1 65535\n" + bytes(2), f"mode I is not supported: {RULE}"),
    ],
)
def test_files_of_other_modes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        load(data)
    assert str(caught.value) == message


def test_8_bit_files_made_by_hand_are_taken() -> None:
    assert load(png(8, 2, bytes(range(6)))).pixels.tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert load(b"P3 1 1 255\n7 8 9\n").pixels.tolist() == [[[7, 8, 9]]]


@pytest.mark.parametrize("format", ["GIF", "PNG", "TIFF", "WEBP"])
def test_several_frames_are_refused(format: str) -> None:
    frames = [to_image(RGB, grey=False), to_image(255 - RGB, grey=False)]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError) as caught:
        load(data)
    assert str(caught.value) == "2 frames or pages: a picture must have one"


@pytest.mark.parametrize("size", [(30_000, 30_000), (MAX_SIDE + 1, 1), (2**14 + 1, 2**14)])
def test_sizes_above_the_limits_are_refused_before_decoding(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError) as caught:
        load(b"P6 %d %d 255\n" % size)
    assert str(caught.value) == TOO_LARGE


def test_pillows_own_smaller_limit_does_not_apply_and_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(load(png_bytes(to_image(RGB, grey=False))).pixels, RGB)
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(ImageError):
        load(b"hello")
    assert Image.MAX_IMAGE_PIXELS == 10


def test_pillow_state_survives_threads() -> None:
    data = png_bytes(to_image(RGB, grey=False))
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    threads = [threading.Thread(target=lambda: [load(data) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"", "no bytes: an empty file is not a picture"),
        (b"hello", NOT_A_PICTURE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", NOT_A_PICTURE),
        (b"P6 7 5 255\nnot enough", DAMAGED),
        (Image.new("RGB", (0, 2)), "empty: a picture must have at least one pixel"),
        ("no\0name", "cannot be read: embedded null byte"),
    ],
)
def test_what_is_no_picture_is_refused(source: bytes | str | Image.Image, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        load(source)
    assert str(caught.value) == message


def test_unreadable_paths_are_refused_without_naming_them(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        load(tmp_path / "missing.png")
    assert str(caught.value) == "cannot be read: No such file or directory"


@pytest.mark.parametrize("format", FORMATS)
def test_truncated_and_damaged_files_raise_nothing_but_image_errors(format: str) -> None:
    data = encoded(to_image(RGB, grey=False), format)
    rng = random.Random(0)
    damaged = [data[:length] for length in range(len(data))]
    for _ in range(300):
        altered = bytearray(data)
        altered[rng.randrange(len(data))] = rng.randrange(256)
        damaged.append(bytes(altered))
    for bad in damaged:
        with suppress(ImageError):
            load(bad)


@pytest.mark.parametrize("format", FORMATS)
def test_half_a_file_is_refused(format: str) -> None:
    data = encoded(to_image(RGB, grey=False), format)
    with pytest.raises(ImageError):
        load(data[: len(data) // 2])
