"""Pillow and imageio with vlcodec's plugins."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

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


def test_an_archive_says_who_reads_it() -> None:
    data = vlcodec.compress_archive(np.zeros((1, 28, 28), np.uint8), model="vlae-mnist")
    with (
        pytest.warns(UserWarning, match="vlcodec.decompress_archive reads its pictures"),
        pytest.raises(UnidentifiedImageError),
    ):
        Image.open(io.BytesIO(data))


def test_what_cannot_be_saved_says_why() -> None:
    with pytest.raises(OSError, match="qualities 0 to 4, not 7"):
        saved(PICTURES["L"], quality=7)


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
