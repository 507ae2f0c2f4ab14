"""Whole pictures: mode, palette, transparency and metadata are read, written and read again alike."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from vlcodec.codec.errors import ImageError
from vlcodec.codec.files.chunks import EXIF, ICC, RESOLUTION, TEXT, XMP
from vlcodec.codec.files.metadata import Resolution, pack_resolution, pack_text, unpack_resolution
from vlcodec.codec.files.palette import Bilevel, Colours, Transparent
from vlcodec.codec.tags import upright_exif
from vlcodec.codec.whole import as_file, as_kept, encoded, made, open_whole, same

RNG = np.random.default_rng(0)
RGB = Image.fromarray(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8))
GREY, ALPHA = RGB.getchannel(0), RGB.getchannel(1)


def png(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def palette(colours: int, alphas: Any = None) -> Image.Image:
    """Indices of all its colours, two of which are the same one."""
    image = Image.fromarray((np.arange(35) % colours).astype(np.uint8).reshape(5, 7)).convert("P")
    image.putpalette(bytes([9, 8, 7, 9, 8, 7, *range(256)])[: 3 * colours])
    if alphas is not None:
        image.info["transparency"] = alphas
    return image


def clear(image: Image.Image, colour: Any) -> Image.Image:
    image = image.copy()
    image.info["transparency"] = colour
    return image


PICTURES = {
    "1": GREY.convert("1"),
    "L": GREY,
    "LA": Image.merge("LA", (GREY, ALPHA)),
    "RGB": RGB,
    "RGBA": Image.merge("RGBA", (*RGB.split(), ALPHA)),
    "P": palette(35),
    "P of two": palette(2),
    "P with alphas": palette(20, bytes([0, 128, 255, 7])),
    "P with one clear": palette(20, 3),
    "L with one clear": clear(GREY, GREY.getpixel((1, 1))),
    "RGB with one clear": clear(RGB, RGB.getpixel((1, 1))),
}
kinds = pytest.mark.parametrize("kind", PICTURES)


@kinds
def test_every_mode_comes_back_from_a_file_and_from_its_parts(kind: str) -> None:
    image = PICTURES[kind]
    whole = open_whole(png(image))
    assert (whole.image.mode, whole.image.tobytes()) == (image.mode, image.tobytes())
    assert same(open_whole(image), whole)
    assert same(open_whole(made(whole.levels, whole.palette)), whole)
    assert same(open_whole(as_file(made(whole.levels, whole.palette), "PNG")), whole)
    assert whole.stored is not None
    assert whole.stored.data == png(image)


@kinds
@pytest.mark.parametrize("format", ["WebP", "TIFF"])
def test_other_formats_show_the_same(kind: str, format: str) -> None:
    """A WebP has colour alone, neither has a transparent colour."""
    whole = open_whole(PICTURES[kind])
    back = open_whole(encoded(whole.image, format))
    assert back.image.convert("RGBA").tobytes() == whole.image.convert("RGBA").tobytes()


def test_what_palettes_tell() -> None:
    found = {kind: open_whole(image).palette for kind, image in PICTURES.items()}
    assert found["1"] == Bilevel()
    assert found["P of two"] == Colours(bytes([9, 8, 7, 9, 8, 7]))
    assert found["P with one clear"] == Colours(bytes(PICTURES["P"].getpalette() or ())[:60], b"\xff\xff\xff\0")
    assert found["RGB with one clear"] == Transparent(bytes(RGB.getpixel((1, 1))))  # type: ignore[arg-type]
    assert found["RGBA"] is None


def test_alpha_and_colours() -> None:
    whole = open_whole(PICTURES["RGB with one clear"])
    alpha = whole.alpha
    assert alpha is not None
    assert (alpha[1, 1, 0], alpha.min(), alpha.max()) == (0, 0, 255)
    assert open_whole(RGB).alpha is None
    hidden = Image.new("RGBA", (3, 2), (9, 8, 7, 0))
    assert open_whole(hidden).picture.pixels.tolist() == [[[9, 8, 7]] * 3] * 2


def test_a_grey_png_of_few_bits_has_its_transparent_level() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, 2, 0, 0, 0, 0))
    rest = chunk(b"tRNS", b"\0\1") + chunk(b"IDAT", zlib.compress(b"\0\x1b")) + chunk(b"IEND", b"")
    whole = open_whole(b"\x89PNG\r\n\x1a\n" + head + rest)
    assert whole.levels[0, :, 0].tolist() == [0, 85, 170, 255]
    assert whole.palette == Transparent(b"\x55")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "1"])
def test_what_colours_of_a_webp_stand_for(mode: str) -> None:
    whole = open_whole(PICTURES[mode])
    with Image.open(io.BytesIO(encoded(whole.image, "WebP"))) as image:
        kept = as_kept(image, {"1": "bilevel", "L": "grey", "LA": "grey"}.get(mode, "colour"))
        assert (kept.mode, kept.tobytes()) == (mode, whole.image.tobytes())


def test_cmyk_is_refused_with_a_sentence() -> None:
    with pytest.raises(ImageError, match="mode CMYK is for printing, and what it looks like is its profile's: convert"):
        open_whole(saved(Image.new("CMYK", (3, 2)), "JPEG"))


@pytest.mark.parametrize("mode", ["I", "F", "YCbCr", "HSV", "PA", "RGBa"])
def test_other_modes_are_refused(mode: str) -> None:
    with pytest.raises(ImageError, match=f"mode {mode} is not supported: a picture must be RGB"):
        open_whole(Image.new(mode, (3, 2)))


def test_several_frames_are_refused() -> None:
    with pytest.raises(ImageError, match="2 frames or pages: a picture must have one"):
        open_whole(saved(RGB, "PNG", save_all=True, append_images=[RGB.rotate(180)]))


# ---- metadata ------------------------------------------------------------------------------------------------------


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    tags[0x0112] = orientation
    return tags.tobytes()


PROFILE = b"a profile, which nobody here looks into"
PACKET = b'<x:xmpmeta tiff:Orientation="6" xmlns:x="adobe:ns:meta/">D\xc3\xbcnen</x:xmpmeta>'


def test_metadata_are_read_from_each_format_and_written_to_a_png() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Dünen")
    texts.add_itxt("Author", "李", "zh", "作者")
    texts.add_itxt("XML:com.adobe.xmp", PACKET)
    upright = PACKET.replace(b"6", b"1")
    data = png(RGB, icc_profile=PROFILE, exif=exif(1), dpi=(72, 300), pnginfo=texts)
    whole = open_whole(data)
    metre = Resolution("metre", 2_835_000, 11_811_000)
    assert whole.metadata == (
        (ICC, PROFILE),
        (EXIF, exif(1)[6:]),
        (XMP, upright),
        (TEXT, pack_text("Title", "Dünen")),
        (TEXT, pack_text("Author", "李")),
        (RESOLUTION, pack_resolution(metre)),
    )
    assert same(open_whole(as_file(made(whole.levels, None, whole.metadata), "PNG")), whole)
    jpeg = open_whole(saved(RGB, "JPEG", icc_profile=PROFILE, exif=exif(1), dpi=(72, 300), comment="hello"))
    assert [kind for kind, _ in jpeg.metadata] == [ICC, EXIF, TEXT, RESOLUTION]
    assert unpack_resolution(jpeg.metadata[-1][1]) == Resolution("inch", 72_000, 300_000)
    webp = open_whole(saved(RGB, "WEBP", icc_profile=PROFILE, exif=exif(1), xmp=PACKET, lossless=True))
    assert webp.metadata == ((ICC, PROFILE), (EXIF, exif(1)[6:]), (XMP, upright))
    tiff = open_whole(saved(RGB, "TIFF", icc_profile=PROFILE, dpi=(72, 300), description="A dune"))
    assert [kind for kind, _ in tiff.metadata] == [ICC, EXIF, RESOLUTION]
    for other in ("WebP", "TIFF"):
        back = open_whole(as_file(made(whole.levels, None, whole.metadata), other))
        assert {ICC, EXIF, XMP} <= {kind for kind, _ in back.metadata}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_an_orientation_is_applied_once(format: str, orientation: int) -> None:
    whole = open_whole(saved(RGB, format, exif=exif(orientation), lossless=True))
    assert whole.image.size == ((7, 5) if orientation < 5 else (5, 7))
    back = open_whole(as_file(made(whole.levels, None, whole.metadata), "PNG"))
    assert same(back, whole)
    assert back.image.getexif().get(0x0112, 1) == 1


def test_exif_keeps_every_other_byte() -> None:
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, 6, 0)
        data = mark + struct.pack(order + "IH", 8, 1) + entry + bytes(4) + b"a maker's own"
        assert upright_exif(data) == data.replace(entry, struct.pack(order + "HHIHH", 0x0112, 3, 1, 1, 0))
    for damaged in (b"", b"II", b"text, no tags", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"):
        assert upright_exif(damaged) in (b"", damaged)


def test_ratios_and_exact_resolutions() -> None:
    for resolution in (Resolution("none", 2000, 1000), Resolution("metre", 1000, 2_835_000)):
        image = made(np.array(RGB), None, ((RESOLUTION, pack_resolution(resolution)),))
        assert open_whole(as_file(image, "PNG")).metadata == ((RESOLUTION, pack_resolution(resolution)),)
    assert open_whole(saved(RGB, "JPEG")).metadata == ()  # a density of 1 to 1 says nothing


def test_stripped() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "secret")
    whole = open_whole(png(PICTURES["P with alphas"], pnginfo=texts, dpi=(72, 72)), strip=True)
    assert whole.metadata == ()
    assert whole.stored is not None
    assert b"secret" not in whole.stored.data
    assert same(open_whole(whole.stored.data), whole)
    assert open_whole(saved(RGB, "WEBP", xmp=PACKET), strip=True).stored is None
    plain = saved(RGB, "WEBP", lossless=True)
    stored = open_whole(plain, strip=True).stored
    assert stored is not None
    assert stored.data == plain


@pytest.mark.parametrize("change", [b"tEXt\0", b"eXIfMM", b"pHYs", b"iCCP\xff", b"iTXtx\0\1\0\0\0"])
def test_damaged_metadata_do_not_refuse_sound_pixels(change: bytes) -> None:
    kind, body = change[:4], change[4:]
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(change))
    data = png(RGB)
    try:
        whole = open_whole(data[:33] + chunk + data[33:])
    except ImageError:  # Pillow itself refuses some
        return
    assert whole.image.tobytes() == RGB.tobytes()
