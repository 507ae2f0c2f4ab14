"""Pillow and imageio with vlcodec's plugins."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

import vlcodec
import vlcodec.pillow
from vlcodec.codec.files.stored_file import Stored, pack_stored
from vlcodec.pillow import FRONT, VlzImageFile

RAMP = Image.linear_gradient("L").resize((40, 24))
PICTURES = {"RGB": Image.merge("RGB", (RAMP, RAMP.rotate(180), RAMP)), "L": RAMP}


class Counted(io.BytesIO):
    """A stream that counts the bytes that are read of it."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.fixture(scope="module")
def lossless() -> bytes:
    return vlcodec.compress(PICTURES["RGB"], lossless=True, model="photo")


def saved(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "VLZ", **options)
    return out.getvalue()


def stored(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return pack_stored(Stored({"PNG": "PNG", "WEBP": "WebP"}[kind], out.getvalue()))


@pytest.mark.parametrize("mode", PICTURES)
def test_it_saves_and_opens(tmp_path: Path, mode: str) -> None:
    picture, path = PICTURES[mode], tmp_path / "a.vlz"
    picture.save(path, lossless=True)
    assert path.read_bytes() == vlcodec.compress(picture, lossless=True)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("VLZ", mode, picture.size)
        assert image.get_format_mimetype() == "image/vnd.vlcodec"
        assert image.tobytes() == picture.tobytes()
        assert image.convert("L").tobytes() == picture.convert("L").tobytes()


def test_quality_is_that_of_compress() -> None:
    picture = PICTURES["RGB"]
    assert saved(picture) == vlcodec.compress(picture)
    assert saved(picture, quality=1) == vlcodec.compress(picture, quality=1)


def test_size_and_mode_take_the_front_alone(lossless: bytes) -> None:
    stream = Counted(lossless + bytes(10 * FRONT))  # more than the file has, which is not looked at yet
    with Image.open(stream, formats=["VLZ"]) as image:  # of other plugins some read on
        assert (image.size, image.mode) == ((40, 24), "RGB")
        assert stream.count <= 16 + FRONT
        with pytest.raises(OSError, match="of them after its end"):
            image.load()


def test_a_draft_is_the_mean_image(lossless: bytes) -> None:
    mean = np.asarray(vlcodec.decompress(lossless, decode="mean"))
    sizes: tuple[tuple[int, int] | None, ...] = (None, (20, 12), (20, 20), (1, 1))
    for size in sizes:
        with Image.open(io.BytesIO(lossless)) as image:
            assert image.draft(None, size) == ("RGB", (0, 0, 40, 24))
            assert np.array_equal(np.asarray(image), mean)
    with Image.open(io.BytesIO(lossless)) as image:
        assert image.draft(None, (21, 13)) is None  # every pixel of so large a picture counts
        assert image.tobytes() == PICTURES["RGB"].tobytes()
        assert image.draft(None, None) is None  # too late
    with Image.open(io.BytesIO(lossless)) as image:
        image.thumbnail((10, 10))
        reduced = Image.fromarray(mean)
        reduced.thumbnail((10, 10))
        assert image.tobytes() == reduced.tobytes()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_stored_picture_is_opened(kind: str) -> None:
    data = stored(PICTURES["L"].convert("RGB"), kind)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.size, image.format) == ((40, 24), "VLZ")
        assert image.tobytes() == vlcodec.decompress(data).tobytes()


def test_pictures_within_pictures_within_pictures(lossless: bytes) -> None:
    """A stored file says which format it holds, and nothing else is looked for in it."""
    data = lossless
    for _ in range(3):
        data = pack_stored(Stored("PNG", data))
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))


@pytest.mark.parametrize("place", [3, 4, 9, 12])
def test_damage_to_the_front_is_not_a_picture(lossless: bytes, place: int) -> None:
    data = bytearray(lossless)
    data[place] ^= 0xF0
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))


def test_damage_to_the_pixels_shows_when_they_are_decoded(lossless: bytes) -> None:
    data = bytearray(lossless)
    data[-9] ^= 1
    with Image.open(io.BytesIO(data)) as image, pytest.raises(OSError, match="checksum mismatch"):
        image.load()


def turned() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    out = io.BytesIO()
    RAMP.save(out, "PNG", exif=exif)
    return pack_stored(Stored("PNG", out.getvalue()))


def animation(kind: str) -> bytes:
    first, *others = (RAMP.rotate(90 * number) for number in range(3))
    out = io.BytesIO()
    first.save(
        out, kind, save_all=True, append_images=others, duration=40, **({"lossless": True} if kind == "WEBP" else {})
    )
    return vlcodec.compress(out.getvalue())


KINDS: dict[str, Callable[[], bytes]] = {
    "RGBA": lambda: vlcodec.compress(with_alpha(), lossless=True, model="photo"),
    "LA": lambda: vlcodec.compress(with_alpha().convert("LA"), lossless=True, model="photo"),
    "bilevel": lambda: vlcodec.compress(RAMP.convert("1"), lossless=True, model="photo"),
    "bilevel, no model": lambda: vlcodec.compress(RAMP.convert("1"), lossless=True),
    "palette": lambda: vlcodec.compress(RAMP.convert("RGB").quantize(9), lossless=True),
    "grey of 16 bits": lambda: vlcodec.compress(
        np.arange(40, dtype=np.uint16).reshape(5, 8) * 999, lossless=True, model="photo"
    ),
    "turned": turned,
    "GIF": lambda: animation("GIF"),
}


def with_alpha() -> Image.Image:
    image = PICTURES["RGB"].copy()
    image.putalpha(RAMP)
    return image


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("as_draft", [False, True])
def test_what_is_told_before_the_pixels_holds(kind: str, as_draft: bool) -> None:
    with Image.open(io.BytesIO(KINDS[kind]())) as image:
        if as_draft:
            image.draft(None, None)
        before = (image.mode, image.size, image.n_frames)  # type: ignore[attr-defined]
        image.load()
        assert (image.mode, image.size, image.n_frames) == before  # type: ignore[attr-defined]


def test_metadata_come_with_the_pixels() -> None:
    exif, texts = Image.Exif(), PngInfo()
    exif[270] = "a ramp"
    texts.add_text("Author", "me")
    out = io.BytesIO()
    PICTURES["RGB"].save(out, "PNG", exif=exif, pnginfo=texts)
    data = vlcodec.compress(out.getvalue(), model="photo", quality=1)
    with Image.open(io.BytesIO(data)) as image:
        assert not image.getexif()
        image.load()
        assert image.getexif()[270] == "a ramp"
        for options in ({}, {"dpi": (72, 72)}):
            assert vlcodec.decompress(saved(image, quality=1, **options)).text == {"Author": "me"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_frames_of_an_animation(kind: str) -> None:
    data = animation(kind)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.n_frames, image.is_animated, image.tell()) == (3, True, 0)  # type: ignore[attr-defined]
        for number in (2, 0, 1):
            image.seek(number)
            assert (image.tell(), image.info["duration"]) == (number, 40)
            assert image.convert("RGBA").tobytes() == vlcodec.decompress(data, frame=number + 1).tobytes()
        with pytest.raises(EOFError):
            image.seek(3)
        assert saved(image) == data
        with pytest.raises(OSError, match="several frames keep the metadata that they have: no dpi"):
            saved(image, dpi=(72, 72))
        assert len(list(ImageSequence.Iterator(image))) == 3


def test_an_archive_says_who_reads_it() -> None:
    data = vlcodec.compress_archive(np.zeros((1, 28, 28), np.uint8), model="vlae-mnist")
    with (
        pytest.warns(UserWarning, match="vlcodec.decompress_archive reads its pictures"),
        pytest.raises(UnidentifiedImageError),
    ):
        Image.open(io.BytesIO(data))


def test_what_cannot_be_saved_says_why() -> None:
    with pytest.raises(OSError, match="qualities 0 to 9, with two decimals, not 17"):
        saved(PICTURES["L"], quality=17)


def test_a_closed_picture_has_no_pixels(lossless: bytes) -> None:
    image = Image.open(io.BytesIO(lossless))
    assert isinstance(image, VlzImageFile)
    image.close()
    with pytest.raises(ValueError, match="closed"):
        image.load()


def test_pillow_does_not_know_it_without_the_plugin() -> None:
    """And the plugin loads Pillow alone."""
    heavy = "{'torch', 'numpy', 'numba', 'constriction'}"
    code = f"from PIL import Image; Image.init(); print('VLZ' in Image.OPEN); import sys, vlcodec.pillow; \
print('VLZ' in Image.OPEN, *{heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\nTrue\n"


def test_imageio_reads_and_writes(tmp_path: Path) -> None:
    pytest.importorskip("imageio")
    import imageio.v3 as iio

    import vlcodec.imageio

    assert vlcodec.imageio.EXTENSION.extension == ".vlz"
    pixels, path = np.asarray(PICTURES["RGB"]), tmp_path / "a.vlz"
    iio.imwrite(path, pixels, lossless=True)
    assert path.read_bytes() == vlcodec.compress(PICTURES["RGB"], lossless=True)
    assert np.array_equal(iio.imread(path), pixels)
    assert iio.improps(path).shape == pixels.shape


# ---- arrays --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", PICTURES)
def test_an_array_is_a_picture(mode: str) -> None:
    picture = PICTURES[mode]
    pixels = np.asarray(picture)
    data = vlcodec.compress(picture, lossless=True)
    assert vlcodec.compress(pixels, lossless=True) == data
    assert vlcodec.compress(np.asfortranarray(pixels), lossless=True) == data
    assert np.array_equal(np.asarray(vlcodec.decompress(data)), pixels)


def test_an_array_of_bools_is_black_and_white() -> None:
    pixels = np.asarray(RAMP) > 99
    back = vlcodec.decompress(vlcodec.compress(pixels, lossless=True))
    assert np.array_equal(np.asarray(back), pixels)


@pytest.mark.parametrize(
    "array",
    [np.zeros(5, np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 7), np.uint8), np.zeros((4, 4), np.complex64)],
    ids=["one axis", "empty", "seven channels", "complex"],
)
def test_other_arrays_are_refused(array: Any) -> None:
    with pytest.raises(vlcodec.ImageError, match=r"an array of a picture is \(H, W\)"):
        vlcodec.compress(array)


@pytest.mark.parametrize("mode", ["1", "P", "RGBA", "LA"])
def test_drawings_of_every_mode_open_by_their_fronts(mode: str) -> None:
    """Planes and palettes: size and mode stand in the front."""
    image = Image.new("RGBA", (400, 300), (1, 2, 3, 99))
    image.paste((200, 100, 50, 255), (90, 80, 300, 200))
    image = image.convert("RGB").quantize(3) if mode == "P" else image.convert(mode)
    data = vlcodec.compress(image, lossless=True)
    stream = Counted(data)
    with Image.open(stream) as opened:
        assert (opened.size, opened.mode, opened.info) == ((400, 300), mode, {})
        assert opened.tobytes() == image.tobytes()


def test_metadata_that_are_given_are_saved() -> None:
    image, out = PICTURES["RGB"].copy(), io.BytesIO()
    image.info["icc_profile"] = b"old"
    image.save(out, "VLZ", lossless=True, icc_profile=b"new", xmp=b"packet", dpi=(72, 72))
    with Image.open(out) as back:
        back.load()
        assert (back.info["icc_profile"], back.info["xmp"], back.info["dpi"]) == (b"new", b"packet", (72, 72))
    assert image.info == {"icc_profile": b"old"}
