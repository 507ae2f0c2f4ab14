"""Pictures that others made oddly: orientations of other types, texts that are called like settings, camera's EXIF."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base

from vlcodec.codec.errors import FormatError, ImageError
from vlcodec.codec.files.chunks import EXIF, TEXT
from vlcodec.codec.files.metadata import MAX_TEXTS, pack_text
from vlcodec.codec.files.palette import Bilevel, Colours
from vlcodec.codec.image import load
from vlcodec.codec.sixteen_files import tiff
from vlcodec.codec.tags import attach
from vlcodec.codec.whole import WEBP_SIDE, as_kept, encoded, made, open_whole

RNG = np.random.default_rng(1)
RGB = Image.fromarray(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8))
GREY = RGB.getchannel(0)
LAYOUT = {256: 4000, 258: (8, 8, 8), 262: 6, 277: 3, 284: 2, 339: (1, 1, 1)}  # a TIFF's own tags


def png(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def of_a_camera() -> bytes:
    """EXIF with both of its parts, and tags that say how another file's pixels lie."""
    exif = Image.Exif()
    exif.update({Base.Make: "Maker"} | LAYOUT)
    exif.get_ifd(Base.ExifOffset).update({Base.DateTimeOriginal: "2020:01:01 00:00:00"})
    exif.get_ifd(Base.GPSInfo).update({1: "N", 2: (1.0, 2.0, 3.0)})
    return exif.tobytes()


def orientation(kind: int, number: int) -> bytes:
    """EXIF of one tag, of a type: 3 is a short number, 4 a long one."""
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, Base.Orientation, kind, 1, number, 0)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_tiff_has_what_a_camera_tells_and_its_own_pixels(mode: str) -> None:
    whole = open_whole(png(RGB.convert(mode), exif=of_a_camera()))
    levels = np.zeros((4, 5, 3), np.uint16)
    for data in (encoded(whole.image, "TIFF", whole.metadata), tiff(levels, whole.metadata)):
        with Image.open(io.BytesIO(data)) as found:
            exif = found.getexif()
            assert exif[Base.Make] == "Maker"
            assert exif.get_ifd(Base.ExifOffset)[Base.DateTimeOriginal] == "2020:01:01 00:00:00"
            assert exif.get_ifd(Base.GPSInfo)[1] == "N"
            if found.size == RGB.size:
                assert np.array_equal(np.asarray(found), np.asarray(whole.image))


@pytest.mark.parametrize("kind", [3, 4])
def test_an_orientation_of_any_type_is_applied_once(kind: int) -> None:
    whole = open_whole(png(RGB, exif=orientation(kind, 6)))
    assert whole.image.size == (5, 7)
    assert dict(whole.metadata)[EXIF] == orientation(3, 1)
    again = open_whole(encoded(whole.image, "PNG", whole.metadata))
    assert again.image.tobytes() == whole.image.tobytes()


def test_stripped_of_its_orientation_a_file_is_not_kept() -> None:
    data = png(RGB, exif=orientation(3, 6))
    assert open_whole(data).stored is not None
    assert open_whole(data, strip=True).stored is None
    assert open_whole(png(RGB, exif=orientation(3, 1)), strip=True).stored is not None


@pytest.mark.parametrize("keyword", ["transparency", "icc_profile", "dpi", "exif", "xmp", "comment"])
@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_text_may_be_called_like_a_setting(mode: str, keyword: str) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text(keyword, "no")
    image = RGB.convert(mode)
    whole = open_whole(png(image, pnginfo=texts))
    assert whole.image.mode == mode
    assert whole.image.tobytes() == image.tobytes()
    assert whole.metadata == ((TEXT, pack_text(keyword, "no")),)
    attach(whole.image, whole.metadata)
    assert open_whole(encoded(whole.image, "PNG", whole.metadata)).metadata == whole.metadata


def test_texts_beyond_the_limit_are_left_out() -> None:
    texts = PngImagePlugin.PngInfo()
    for number in range(MAX_TEXTS + 3):
        texts.add_text(f"key {number}", "x")
    assert len(open_whole(png(RGB, pnginfo=texts)).metadata) == MAX_TEXTS


def test_alpha_that_was_put_on_a_transparent_colour() -> None:
    image = RGB.copy()
    image.info["transparency"] = (1, 2, 3)
    image.putalpha(GREY)
    image.info["transparency"] = (1, 2, 3)
    whole = open_whole(image)
    assert (whole.image.mode, whole.palette) == ("RGBA", None)


def test_sides_that_a_webp_does_not_have() -> None:
    with pytest.raises(ImageError, match="a side of a WebP is at most 16383 pixels"):
        encoded(Image.new("L", (WEBP_SIDE + 1, 1)), "WebP")


def test_levels_that_a_palette_does_not_have() -> None:
    with pytest.raises(FormatError, match="an index of 5: the palette has 2 colours"):
        made(np.full((2, 2, 1), 5, np.uint8), Colours(bytes(6)))
    with pytest.raises(FormatError, match="a bilevel picture must have 0 and 1, or 0 and 255, alone"):
        made(np.array([[[0], [7]]], np.uint8), Bilevel())
    for white in (0, 1, 255):
        assert made(np.array([[[0], [white]]], np.uint8), Bilevel()).mode == "1"


def test_a_grey_picture_stands_for_itself() -> None:
    with pytest.raises(FormatError, match="a picture of mode L stands for itself, not for a grey one"):
        as_kept(GREY, "grey")


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_buffers_are_bytes(kind: Any) -> None:
    assert np.array_equal(load(kind(png(RGB))).pixels, np.asarray(RGB))


def test_nothing_is_no_picture() -> None:
    with pytest.raises(ImageError, match="a picture is a path, bytes, a stream, an image or an array, not NoneType"):
        load(None)  # type: ignore[arg-type]
