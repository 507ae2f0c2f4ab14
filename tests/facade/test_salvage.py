"""Damage to a lossless file stays in the band that it struck."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import ok, run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import vlcodec
from vlcodec.codec.coding import pixels as coding
from vlcodec.codec.files import picture_data, picture_file
from vlcodec.salvaging import MARK, PERIOD, STRIPE

BAND_ROWS = 40  # instead of 512, which would take minutes
HEIGHT, WIDTH = 2 * BAND_ROWS + 20, 12
ROWS = [range(0, 40), range(40, 80), range(80, HEIGHT)]
KINDS = [("photo", "RGB"), ("photo", "L"), ("photo-8", "RGB")]  # of version 2, grey, of version 1


@pytest.fixture(scope="module", autouse=True)
def _low_bands() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (coding, picture_data):
            patch.setattr(module, "BAND_ROWS", BAND_ROWS)
        yield


@pytest.fixture(scope="module", params=KINDS, ids=["RGB", "grey", "version 1"])
def made(request: pytest.FixtureRequest) -> tuple[Image.Image, bytes]:
    """A picture of three bands, and its file."""
    model, mode = request.param
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    image = Image.fromarray(noise).convert(mode)
    return image, vlcodec.compress(image, model=model, lossless=True)


def place_of(data: bytes, band: int) -> range:
    """Where a band's stack lies in a file."""
    stack = picture_file.unpack(data).bands[band].stack
    start = data.index(stack)
    return range(start, start + len(stack))


def check(data: bytes, image: Image.Image, lost: list[int]) -> None:
    """All bands but the lost ones are as they were; these are striped, and the mean image between stripes."""
    found = vlcodec.salvage(data)
    assert found.lost == tuple(ROWS[band] for band in lost)
    pixels, expected = np.asarray(found.image), np.asarray(image)
    assert found.image.mode == image.mode
    for band, rows in enumerate(ROWS):
        here = slice(rows.start, rows.stop)
        same = np.array_equal(pixels[here], expected[here])
        assert same == (band not in lost)
        if band in lost:
            stripes = np.add.outer(np.arange(len(rows)), np.arange(WIDTH)) % PERIOD < STRIPE
            assert (pixels[here][stripes] == (MARK if image.mode == "RGB" else MARK[0])).all()


def test_a_sound_file_is_whole(made: tuple[Image.Image, bytes]) -> None:
    image, data = made
    check(data, image, [])


@pytest.mark.parametrize("band", [0, 1, 2])
def test_damage_stays_in_its_band(made: tuple[Image.Image, bytes], band: int) -> None:
    image, data = made
    place = place_of(data, band)
    damaged = bytearray(data)
    for at in place[len(place) // 2 : len(place) // 2 + 9]:
        damaged[at] ^= 0x5A
    with pytest.raises(vlcodec.FormatError, match="checksum mismatch"):
        vlcodec.decompress(bytes(damaged))
    check(bytes(damaged), image, [band])


def test_what_has_not_arrived_is_lost(made: tuple[Image.Image, bytes]) -> None:
    image, data = made
    check(data[: place_of(data, 1).stop + 2], image, [2])
    check(data[: place_of(data, 1).stop - 9], image, [1, 2])


def test_between_stripes_is_the_mean_image(made: tuple[Image.Image, bytes]) -> None:
    _, data = made
    mean = np.asarray(vlcodec.decompress(data, decode="mean"))
    pixels = np.asarray(vlcodec.salvage(data[: place_of(data, 0).start + 1]).image)
    for rows in ROWS:
        row = rows.start + STRIPE + 3  # below the first stripe
        assert np.array_equal(pixels[row], mean[row])


def test_damaged_latents_are_the_end() -> None:
    data = bytearray(vlcodec.compress(Image.new("L", (20, 20), 99), lossless=True, model="photo"))
    data[20] ^= 0x40
    with pytest.raises(vlcodec.FormatError, match="checksum mismatch"):
        vlcodec.salvage(bytes(data))


def test_a_lossy_file_has_nothing_to_salvage() -> None:
    for model in ("photo", "photo-8"):
        with pytest.raises(vlcodec.FormatError, match="no bands of pixels to salvage"):
            vlcodec.salvage(vlcodec.compress(Image.new("L", (20, 20), 99), model=model))


def test_what_no_model_codes_has_no_bands() -> None:
    flat = Image.new("RGBA", (20, 20), (9, 8, 7, 6))
    for image in (flat, flat.convert("P")):
        with pytest.raises(vlcodec.FormatError, match="without --salvage it is all or nothing"):
            vlcodec.salvage(vlcodec.compress(image, lossless=True))


@pytest.fixture(scope="module")
def icon() -> tuple[Image.Image, bytes]:
    """Two bands with alpha and metadata, and their file."""
    ramp = Image.linear_gradient("L").resize((3, 60))
    image = Image.merge("RGBA", (ramp, ramp, ramp.rotate(180), ramp))
    image.info |= {"icc_profile": b"a profile", "dpi": (300, 300)}
    return image, vlcodec.compress(image, lossless=True, model="photo")


def test_all_of_a_sound_file_comes_back(icon: tuple[Image.Image, bytes]) -> None:
    image, data = icon
    found = vlcodec.salvage(data)
    assert (found.lost, found.missing, found.unsure) == ((), (), ())
    assert (found.image.mode, found.image.tobytes()) == ("RGBA", image.tobytes())
    assert found.image.info["icc_profile"] == b"a profile"
    assert found.image.info["dpi"] == pytest.approx((300, 300))
    bilevel = image.getchannel("A").convert("1")
    assert vlcodec.salvage(vlcodec.compress(bilevel, lossless=True, model="photo")).image.tobytes() == bilevel.tobytes()


def test_what_stands_beside_a_damaged_picture(icon: tuple[Image.Image, bytes]) -> None:
    """No checksum tells that alpha and resolution are right; the one of the latents, that the profile is."""
    image, data = icon
    damaged = bytearray(data)
    damaged[place_of(data, 1).stop - 5] ^= 0x5A
    found = vlcodec.salvage(bytes(damaged))
    assert (found.lost, found.missing) == ((range(40, 60),), ())
    assert found.unsure == ("alpha plane", "resolution")
    assert found.image.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    cut = vlcodec.salvage(data[: place_of(data, 1).stop])
    assert (cut.lost, cut.missing, cut.unsure) == ((), ("alpha plane", "resolution"), ())
    assert (cut.image.mode, cut.image.info) == ("RGB", {"icc_profile": b"a profile"})


def test_a_mode_of_bits_has_no_stripes() -> None:
    image = Image.linear_gradient("L").resize((3, 60)).convert("1")
    data = vlcodec.compress(image, lossless=True, model="photo")
    found = vlcodec.salvage(data[: place_of(data, 0).stop])
    assert (found.image.mode, found.lost, found.missing) == ("L", (range(40, 60),), ("palette",))


def test_low_bytes_are_missing() -> None:
    deep = np.arange(60, dtype=np.uint16).reshape(20, 3) * 1001
    found = vlcodec.salvage(vlcodec.compress(deep, lossless=True, model="photo"))
    assert found.missing == ("low bytes of 16-bit levels",)
    assert np.array_equal(np.asarray(found.image), deep >> 8)


@pytest.fixture(scope="module")
def small() -> tuple[Image.Image, bytes]:
    """Two bands that are soon decoded, and their file."""
    image = Image.linear_gradient("L").resize((3, 60))
    return image, vlcodec.compress(image, lossless=True, model="photo")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 255), st.integers(0, 2**16))
def test_no_wrong_pixel_without_a_word(small: tuple[Image.Image, bytes], place: int, mask: int, length: int) -> None:
    """Whatever byte is altered, and wherever the file is cut: what is not said to be lost is right."""
    image, data = small
    damaged = bytearray(data)
    damaged[place % len(data)] ^= mask
    try:
        found = vlcodec.salvage(bytes(damaged[: len(data) - length % (len(data) // 2)]))
    except vlcodec.VlcodecError:
        return
    right = np.ones(60, bool)
    for rows in found.lost:
        right[rows.start : rows.stop] = False
    assert np.array_equal(np.asarray(found.image)[right], np.asarray(image)[right])


def test_the_command_says_what_is_lost(small: tuple[Image.Image, bytes], tmp_path: Path) -> None:
    image, data = small
    (tmp_path / "a.vlz").write_bytes(data[:-8])
    done = run("decompress", "a.vlz", "--salvage", cwd=tmp_path)
    rule = b"vlcodec: a.vlz: rows 40 to 59 of 60 are lost: striped, the mean image\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", rule)
    with Image.open(tmp_path / "a.vlz.png") as found:
        assert np.array_equal(np.asarray(found)[:40], np.asarray(image)[:40])
    (tmp_path / "b.vlz").write_bytes(data)
    assert "3x60 L, salvaged\n" in ok("decompress", "b.vlz", "--salvage", cwd=tmp_path)
    assert run("decompress", "b.vlz", "--salvage", "--decode", "mean", cwd=tmp_path).returncode == 2
    image = Image.merge("LA", (image, image))
    (tmp_path / "c.vlz").write_bytes(vlcodec.compress(image, lossless=True, model="photo")[:-8])
    rule = b"vlcodec: c.vlz: alpha plane lost\n"
    assert run("decompress", "c.vlz", "--salvage", cwd=tmp_path).stderr == rule
