"""Pictures that people have: every mode and all metadata come back, and no file is larger than another codec's."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import vlcodec
from vlcodec import facade, others
from vlcodec.codec.errors import FormatError, ImageError
from vlcodec.codec.files import composite_file, picture_file, stored_file
from vlcodec.codec.files.chunks import ICC, TEXT, XMP
from vlcodec.codec.files.stored_file import Stored, pack_stored
from vlcodec.codec.whole import encoded, open_whole, same
from vlcodec.models.photo.codec import golden_pictures

PHOTO = np.tile(golden_pictures()[0], (2, 2, 1))[:24, :28] ^ np.random.default_rng(0).integers(
    0, 8, (24, 28, 3), dtype=np.uint8
)
ALLOWED = 16  # bytes more than the smallest of the others


def shape(side: int) -> Image.Image:
    """A mask with an edge."""
    y, x = np.mgrid[:24, :28]
    return Image.fromarray(np.where((y - 12) ** 2 + (x - 14) ** 2 < side, 255, 0).astype(np.uint8))


def cut_out() -> Image.Image:
    image = Image.fromarray(PHOTO)
    image.putalpha(shape(80))
    return image


def icon() -> Image.Image:
    image = Image.new("RGBA", (28, 24), (200, 30, 30, 0))
    image.paste((20, 90, 200, 255), (4, 4, 24, 20))
    image.paste((250, 250, 250, 128), (8, 8, 12, 12))
    return image


def with_colour(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.info["transparency"] = image.getpixel((3, 3))
    return image


PICTURES = {
    "photograph": Image.fromarray(PHOTO),
    "photograph with alpha": cut_out(),
    "grey with alpha": cut_out().convert("LA"),
    "grey": Image.fromarray(PHOTO[..., 1]),
    "icon": icon(),
    "palette": Image.fromarray(PHOTO).quantize(20),
    "palette with alpha": icon().quantize(5),
    "bilevel": shape(80).convert("1"),
    "grey drawing": shape(60),
    "with a transparent colour": with_colour(Image.fromarray(PHOTO)),
    "with a transparent level": with_colour(shape(60)),
    "a dot": Image.new("RGB", (1, 1), (1, 2, 3)),
    "a clear dot": Image.new("RGBA", (1, 1), (1, 2, 3, 0)),
}
every = pytest.mark.parametrize("name", PICTURES)


def png(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def described() -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Dünen")
    texts.add_itxt("XML:com.adobe.xmp", b"<x:xmpmeta/>")
    return texts


@every
@pytest.mark.parametrize("kept", [True, False], ids=["metadata", "stripped"])
def test_lossless_gives_the_picture_back(name: str, kept: bool) -> None:
    data = png(PICTURES[name], icc_profile=b"profile" * 9, dpi=(72, 72), pnginfo=described())
    whole = open_whole(data, strip=not kept)
    assert bool(whole.metadata) == kept
    made = vlcodec.compress(data, lossless=True, strip=not kept)
    assert same(open_whole(vlcodec.decompress(made)), whole)
    facade.verify(made, data, strip=not kept)
    about = facade.info(made)
    assert (about["mode"], about["width"], about["height"]) == (whole.image.mode, *whole.image.size)
    assert about["lossless"]
    assert sum(size for part, size in about["bytes"].items() if part != "file") == len(made)


@every
def test_no_file_is_larger_than_others_make_it(name: str) -> None:
    """With metadata that PNG and WebP hold: a profile."""
    whole = open_whole(PICTURES[name])
    profile = ((ICC, bytes(range(256))),)
    for metadata in ((), profile):
        source = encoded(whole.image, "PNG", metadata, optimize=True)
        others = [source]
        if whole.image.mode != "P" and "transparency" not in whole.image.info:
            others.append(encoded(whole.image, "WebP", metadata, method=6, quality=100))
        for image in (source, encoded(whole.image, "PNG", metadata, compress_level=0)):
            assert len(vlcodec.compress(image, lossless=True)) <= min(map(len, others)) + ALLOWED


@every
def test_lossy_keeps_alpha_and_metadata(name: str) -> None:
    data = png(PICTURES[name], icc_profile=b"profile")
    whole = open_whole(data)
    made = vlcodec.compress(data, quality=1)
    back = open_whole(vlcodec.decompress(made))
    assert back.image.size == whole.image.size
    assert back.metadata == whole.metadata
    assert np.array_equal(back.alpha, whole.alpha)  # type: ignore[arg-type]
    facade.verify(made, data)
    assert len(made) <= len(vlcodec.compress(data, lossless=True))


def test_a_named_model_codes_whatever_it_is_given() -> None:
    for name, mode in (("icon", "RGBA"), ("bilevel", "1"), ("palette", "RGB"), ("with a transparent level", "L")):
        data = png(PICTURES[name])
        made = vlcodec.compress(data, lossless=True, model="photo")
        assert facade.info(made)["model"] == "photo"
        back = vlcodec.decompress(made)
        assert back.mode == mode
        assert back.convert("RGBA").tobytes() == PICTURES[name].convert("RGBA").tobytes()
        mean = vlcodec.decompress(made, decode="mean")
        assert mean.mode == mode.replace("1", "L")


def test_photographs_are_the_model_s_and_their_files_what_they_were(
    photograph: Callable[[str, int, int], Image.Image],
) -> None:
    """Without anything new, a file has nothing new."""
    image = photograph("astronaut", 60, 80)
    for options in ({"lossless": True}, {"quality": 3}):
        made = vlcodec.compress(image, **options)
        assert made == vlcodec.compress(image, model="photo", **options)
        file = picture_file.unpack(made)
        assert (file.metadata, file.alpha, file.palette) == ((), b"", b"")


def test_a_part_tells_that_no_other_codec_comes_near() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 128, 3), dtype=np.uint8)
    whole = open_whole(Image.fromarray(noise))
    of_all = others.quick(whole)
    assert others.quick(whole, of_all // 8) < of_all / 3
    assert others.quick(whole, of_all // 2) == of_all
    noise[64:192] = 0  # the middle tells nothing
    assert others.quick(open_whole(Image.fromarray(noise)), of_all // 8) > of_all / 3


def test_the_file_that_came_is_kept_where_it_is_smallest() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 28, 3), dtype=np.uint8))
    out = io.BytesIO()
    image.save(out, "WEBP", quality=1)
    made = vlcodec.compress(out.getvalue(), lossless=True)
    assert stored_file.unpack_stored(made) == Stored("WebP", out.getvalue())
    assert vlcodec.decompress(made).tobytes() == Image.open(out).convert("RGB").tobytes()


@pytest.mark.parametrize("model", ["photo-8", "vlae-mnist", "agave-cifar10"])
def test_models_that_hold_no_alpha_say_so(model: str) -> None:
    side = {"vlae-mnist": 28, "agave-cifar10": 32}.get(model, 20)
    image = Image.new("RGBA", (side, side), (255, 255, 255, 7))
    with pytest.raises(ImageError, match=f"model {model}.* takes opaque pictures alone: this one has alpha"):
        vlcodec.compress(image, model=model)


def test_version_1_and_placeholders_go_without_metadata() -> None:
    data = png(PICTURES["photograph"], icc_profile=b"profile")
    for options in ({"model": "photo-8"}, {"quality": 0}):
        made = vlcodec.compress(data, **options)
        assert "icc_profile" not in vlcodec.decompress(made).info
        facade.verify(made, data)


def test_verification_sees_other_metadata_and_other_modes() -> None:
    for name in ("photograph", "icon"):
        image = PICTURES[name]
        made = vlcodec.compress(png(image, icc_profile=b"one"), lossless=True)
        with pytest.raises(FormatError, match="verification failed: the file does not give"):
            facade.verify(made, png(image, icc_profile=b"two"))
        with pytest.raises(FormatError, match="verification failed: the file "):
            facade.verify(made, png(image.convert("L"), icc_profile=b"one"))


def test_texts_and_packets_come_back() -> None:
    made = vlcodec.compress(png(PICTURES["icon"], pnginfo=described()))
    image = vlcodec.decompress(made)
    assert image.info["Title"] == "Dünen"
    assert image.info["xmp"] == b"<x:xmpmeta/>"
    assert facade.info(made)["metadata"] == ["XMP", "text"]
    assert [kind for kind, _ in open_whole(image).metadata] == [XMP, TEXT]


def test_more_pixels_than_the_caller_allows_are_refused() -> None:
    for name in ("icon", "bilevel", "photograph with alpha"):
        made = vlcodec.compress(PICTURES[name], lossless=True)
        with pytest.raises((FormatError, ImageError), match=r"more than 671 pixels|asks for 672 pixels"):
            vlcodec.decompress(made, max_pixels=671)


# ---- hostile files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["icon", "palette", "bilevel", "photograph with alpha", "with a transparent level"])
def test_bytes_altered_and_made_good(name: str) -> None:
    """Planes, palettes and bands have checksums of their own: what a file gives is the picture, or an error."""
    import zlib

    image = PICTURES[name]
    data = vlcodec.compress(image, lossless=True)
    if not composite_file.is_composite(data):
        data = vlcodec.compress(image, lossless=True, model="photo")
    whole = open_whole(image)
    first = 5 if composite_file.is_composite(data) else len(data) - 40  # what the model codes is tested elsewhere
    places = 25 if composite_file.is_composite(data) else 8
    for at in range(first, len(data) - 4, max(2, (len(data) - first) // places)):
        altered = bytearray(data)
        altered[at] ^= 1 << at % 8
        altered[-4:] = zlib.crc32(altered[:-4]).to_bytes(4, "little")
        try:
            back = open_whole(vlcodec.decompress(bytes(altered), max_pixels=2**14))
        except vlcodec.VlcodecError:
            continue
        about = facade.info(bytes(altered))
        if about["lossless"] and about["mode"] == whole.image.mode:
            assert np.array_equal(back.levels, whole.levels), at


def test_a_stored_file_that_is_no_picture_is_refused() -> None:
    for format, data in (("PNG", b"no picture"), ("WebP", b"RIFF"), ("GIF", b"GIF89a")):
        with pytest.raises(ImageError):
            vlcodec.decompress(pack_stored(Stored(format, data)))
