"""Pictures of 16 bits: read from files, images and arrays, turned, written as PNG and TIFF, refused by rule."""

import io
import struct
import sys
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps, PngImagePlugin

from vlcodec.codec import sixteen
from vlcodec.codec.errors import ImageError
from vlcodec.codec.files.chunks import EXIF, ICC, RESOLUTION, TEXT, XMP
from vlcodec.codec.image import size_of
from vlcodec.codec.sixteen import Levels, rounded, turned
from vlcodec.codec.sixteen_files import as_file, png, tiff
from vlcodec.codec.tags import metadata_of
from vlcodec.codec.whole import Whole, made, open_whole, same

RNG = np.random.default_rng(0)
LEVELS = {
    mode: RNG.integers(0, 65536, (5, 7, channels)).astype(np.uint16)
    for channels, mode in enumerate(("L", "LA", "RGB", "RGBA"), 1)
}
PROFILE = bytes(range(200))
PACKET = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
modes = pytest.mark.parametrize("mode", LEVELS)
files = pytest.mark.parametrize("made_by", [png, tiff])


def deep(source: Any, **options: Any) -> Levels:
    """The levels of what is read. It must have 16 bits."""
    levels = open_whole(source, **options).deep
    assert levels is not None
    return levels


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


@modes
@files
def test_files_come_back(mode: str, made_by: Any) -> None:
    data = made_by(LEVELS[mode])
    whole = open_whole(data)
    np.testing.assert_array_equal(whole.deep, LEVELS[mode])
    assert (whole.image.mode, whole.metadata) == (mode, ())
    assert (whole.stored is None) == (made_by is tiff)
    assert size_of(data) == (7, 5)
    assert same(whole, open_whole(LEVELS[mode]))
    codec = imagecodecs.png_decode if made_by is png else imagecodecs.tiff_decode
    np.testing.assert_array_equal(codec(data).reshape(LEVELS[mode].shape), LEVELS[mode])


def test_pictures_of_several_strips_come_back() -> None:
    levels = RNG.integers(0, 65536, (150, 2, 3)).astype(np.uint16)
    for made_by in (png, tiff):
        np.testing.assert_array_equal(deep(made_by(levels)), levels)


@given(arrays(np.uint16, st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4))))
@settings(max_examples=15, deadline=None)
def test_any_levels_come_back_from_files(levels: Levels) -> None:
    for made_by in (png, tiff):
        np.testing.assert_array_equal(deep(made_by(levels)), levels)


@modes
def test_pngs_are_as_small_as_libpng_makes_them(mode: str) -> None:
    channels = LEVELS[mode].shape[2]
    ramp = np.linspace(0, 65535, 80 * 90).reshape(80, 90, 1).astype(np.uint16)
    for levels in (np.repeat(ramp, channels, 2), np.full((80, 90, channels), 4660, np.uint16)):
        assert len(png(levels)) <= len(imagecodecs.png_encode(levels.squeeze(), level=9)) + 16


@modes
def test_arrays_of_any_byte_order_are_taken(mode: str) -> None:
    for kind in ("<u2", ">u2"):
        np.testing.assert_array_equal(deep(LEVELS[mode].astype(kind)), LEVELS[mode])
    np.testing.assert_array_equal(deep(LEVELS[mode][::-1, :, ::-1]), LEVELS[mode][::-1, :, ::-1])


def test_grey_is_pillow_s_too_and_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    grey = LEVELS["L"]
    image = Image.fromarray(grey[..., 0])
    assert image.mode == "I;16"
    sources = [grey[..., 0], image, saved(image, "PNG"), saved(image, "TIFF"), png(grey), tiff(grey)]
    for source in [*sources, Image.open(io.BytesIO(png(grey)))]:
        np.testing.assert_array_equal(deep(source), grey)
    shown = open_whole(image).shown
    assert (shown.mode, shown.tobytes()) == ("I;16", image.tobytes())


@pytest.mark.parametrize("mode", ["LA", "RGB", "RGBA"])
@files
def test_colours_without_the_extra_are_refused_by_its_name(
    mode: str, made_by: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImageError) as caught:
        open_whole(made_by(LEVELS[mode]))
    assert str(caught.value) == sixteen.EXTRA
    assert "pip install 'vlcodec[deep]'" in sixteen.EXTRA


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_at_8_bits(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    metadata = ((EXIF, exif.tobytes().removeprefix(b"Exif\0\0")),)
    image = Image.fromarray(RNG.integers(0, 256, (3, 4), dtype=np.uint8))
    image.info["exif"] = exif.tobytes()
    wanted = np.asarray(ImageOps.exif_transpose(image))
    levels = np.asarray(image)[..., None].astype(np.uint16) * 257
    np.testing.assert_array_equal(turned(levels, orientation)[..., 0], wanted * 257.0)
    for channels in (1, 3):
        several = levels.repeat(channels, 2)
        for data in (png(several, metadata), tiff(several) if orientation == 1 else oriented(several, orientation)):
            whole = open_whole(data)
            np.testing.assert_array_equal(whole.deep, (wanted[..., None] * 257.0).repeat(channels, 2))
            told = Image.Exif()
            told.load(b"Exif\0\0" + dict(whole.metadata).get(EXIF, b""))
            assert told.get(274, 1) == 1


def oriented(levels: Levels, orientation: int) -> bytes:
    """A TIFF with an orientation: the number of its PlanarConfiguration, which is 1 in any case, becomes that."""
    data = bytearray(tiff(levels))
    at = data.index(struct.pack("<HHI", 284, 3, 1))
    struct.pack_into("<HHIH", data, at, 274, 3, 1, orientation)
    return bytes(data)


@modes
def test_metadata_are_kept_as_at_8_bits(mode: str) -> None:
    exif, texts = Image.Exif(), PngImagePlugin.PngInfo()
    exif[271] = "Maker"
    exif.get_ifd(0x8769)[0x9286] = b"a comment"
    texts.add_text("Title", "Dünen")
    texts.add_itxt("XML:com.adobe.xmp", PACKET)
    source = Image.new("L", (3, 2))
    metadata = open_whole(
        saved(source, "PNG", icc_profile=PROFILE, exif=exif.tobytes(), pnginfo=texts, dpi=(72, 300))
    ).metadata
    assert [kind for kind, _ in metadata] == [ICC, EXIF, XMP, TEXT, RESOLUTION]
    high, low = sixteen.split(LEVELS[mode])
    whole = Whole(made(high, None, metadata), metadata, low=low)
    for format, kinds in (("PNG", [ICC, EXIF, XMP, TEXT, RESOLUTION]), ("TIFF", [ICC, EXIF, XMP, RESOLUTION])):
        back = open_whole(as_file(whole, format))
        np.testing.assert_array_equal(back.deep, LEVELS[mode])
        assert [kind for kind, _ in back.metadata] == kinds
        assert back.metadata == metadata or format == "TIFF"
        assert dict(back.metadata)[ICC] == PROFILE
        assert b"Maker" in dict(back.metadata)[EXIF]
        assert b"a comment" in dict(back.metadata)[EXIF]
    assert open_whole(as_file(whole, "PNG"), strip=True).metadata == ()
    assert metadata_of(whole.rounded.image) == ()


def test_a_transparent_colour_becomes_alpha() -> None:
    for mode, colour in (
        ("L", struct.pack(">H", LEVELS["L"][1, 2, 0])),
        ("RGB", LEVELS["RGB"][1, 2].astype(">u2").tobytes()),
    ):
        data = png(LEVELS[mode])
        chunk = struct.pack(">I4s", len(colour), b"tRNS") + colour
        chunk += struct.pack(">I", zlib.crc32(b"tRNS" + colour))
        levels = deep(data[:33] + chunk + data[33:])
        np.testing.assert_array_equal(levels[..., :-1], LEVELS[mode])
        assert levels[1, 2, -1] == 0
        assert (levels[..., -1] == 65535).sum() == 34


def test_rounding_is_to_the_nearest() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    np.testing.assert_array_equal(rounded(every), np.rint(every / 257.0))
    whole = open_whole(every)
    assert whole.rounded.low is None
    assert (whole.rounded.image.mode, open_whole(whole.image).rounded.image.mode) == ("L", "L")


def test_same_sees_low_bytes() -> None:
    a = open_whole(LEVELS["RGB"])
    for other in (LEVELS["RGB"] ^ 1, LEVELS["RGB"]):
        assert same(a, open_whole(other)) == np.array_equal(other, LEVELS["RGB"])
    assert not same(a, open_whole(a.image))


@pytest.mark.parametrize("shape", [(0, 4), (3, 4, 5), (2, 3, 4, 1), (3,), (3, 4, 0)])
def test_arrays_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"is \(H, W\) or \(H, W, C\), C from 1 to 4, not"):
        open_whole(np.zeros(shape, np.uint16))


def tagged(tag: int, values: tuple[int, ...], levels: Levels) -> bytes:
    """A TIFF with other numbers in a tag, which stand in its entry or behind the tags."""
    data = bytearray(tiff(levels))
    at = data.index(struct.pack("<HHI", tag, 3, len(values)))
    place = at + 8 if len(values) < 3 else struct.unpack_from("<I", data, at + 8)[0]
    struct.pack_into(f"<{len(values)}H", data, place, *values)
    return bytes(data)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (tagged(262, (0,), LEVELS["L"]), "a TIFF of other levels than 16 unsigned bits, or of other colours"),
        (tagged(338, (1,), LEVELS["RGBA"]), "a TIFF of other levels|damaged"),
        (tagged(338, (0,), LEVELS["LA"]), "a TIFF of other levels"),
        (b"P6 1 1 65535\n" + bytes(6), "16 bits are taken from PNG and TIFF files, as grey or RGB, with alpha or"),
        (b"P5 1 1 65535\n" + bytes(2), "mode I is not supported"),
        (Image.open(io.BytesIO(png(LEVELS["RGB"]))), "Pillow cuts colours of 16 bits to 8: give the file itself"),
        (png(LEVELS["RGB"])[:90], "damaged or cut short"),
        (png(LEVELS["L"])[:60], "damaged or cut short"),
        (tiff(LEVELS["RGB"])[:-30], "damaged or cut short"),
        (tiff(LEVELS["LA"])[:-30], "damaged or cut short"),
        (tiff(LEVELS["L"])[:-30], "damaged or cut short"),
    ],
)
def test_what_is_refused(source: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        open_whole(source)


def test_a_webp_holds_no_16_bits() -> None:
    with pytest.raises(ImageError, match="a WebP holds 8 bits alone: 16 bits are written as PNG or TIFF"):
        as_file(open_whole(LEVELS["L"]), "WebP")


def test_a_picture_of_more_pixels_than_allowed_is_refused() -> None:
    for data in (png(LEVELS["RGB"]), tiff(LEVELS["LA"])):
        with pytest.raises(ImageError, match="more than 34 pixels"):
            open_whole(data, max_pixels=34)


def test_altered_files_are_refused_or_taken_and_nothing_else() -> None:
    for data in (png(LEVELS["RGBA"]), tiff(LEVELS["LA"]), tiff(LEVELS["RGB"])):
        for at in range(8, len(data), 3):
            altered = bytearray(data)
            altered[at] ^= 1 << at % 8
            try:
                open_whole(bytes(altered), max_pixels=4096)
            except ImageError:
                continue
