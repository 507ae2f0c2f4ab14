"""Bands of pixels: whole or apart, read or drawn."""

import zlib
from dataclasses import replace

import numpy as np
import pytest

from vlcodec.codec.coding import pixels as module
from vlcodec.codec.coding.pixels import bands, checksum, read_band, sample_band, write_band
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.picture_file import Band
from vlcodec.codec.interface import Bytes
from vlcodec.models.photo.codec import Features, PhotoModel

HEIGHT, WIDTH = 40, 9
PICTURE: Bytes = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY: Bytes = np.repeat(PICTURE[..., :1], 3, 2)


@pytest.fixture(scope="module")
def fz(tiny: PhotoModel) -> Features:
    return tiny.decode(np.random.default_rng(1).integers(-300, 300, (3, 1, 4)), 2)


@pytest.fixture(autouse=True)
def _short_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BAND_ROWS", 16)


@pytest.mark.parametrize(
    ("height", "expected"), [(1, [(0, 0, 1)]), (16, [(0, 0, 16)]), (40, [(0, 0, 16), (1, 16, 16), (2, 32, 8)])]
)
def test_bands_cover_the_picture(height: int, expected: list[tuple[int, int, int]]) -> None:
    assert list(bands(height)) == expected


def test_checksum_is_of_the_bytes_of_the_channels() -> None:
    assert checksum(PICTURE, False) == zlib.crc32(PICTURE.tobytes())
    assert checksum(GREY[::2], True) == zlib.crc32(GREY[::2, :, 0].tobytes())


@pytest.mark.parametrize(("picture", "grey"), [(PICTURE, False), (GREY, True)])
def test_each_band_is_read_by_itself(tiny: PhotoModel, fz: Features, picture: Bytes, grey: bool) -> None:
    for _, first, rows in reversed(list(bands(HEIGHT))):
        band = write_band(tiny, fz, picture, first, rows, grey)
        part = read_band(tiny, fz, band, first, rows, WIDTH, grey)
        assert np.array_equal(part, picture[first : first + rows])
        alone = picture.copy()
        alone[:first] = alone[first + rows :] = 0
        assert write_band(tiny, fz, alone, first, rows, grey) == band


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda band: replace(band, stack=band.stack + b"\1"), "the stack of rows 16 to 31 must be empty"),
        (
            lambda band: replace(band, stack=bytes([band.stack[0] ^ 1]) + band.stack[1:]),
            "the stack of rows 16 to 31 must be empty",
        ),
        (lambda band: replace(band, stack=b""), "the pixels of rows 16 to 31 do not match their checksum"),
        (lambda band: replace(band, pixels_crc=band.pixels_crc ^ 1), "the pixels of rows 16 to 31 do not match"),
    ],
)
def test_damage_is_found(tiny: PhotoModel, fz: Features, damage, rule: str) -> None:  # type: ignore[no-untyped-def]
    band: Band = damage(write_band(tiny, fz, PICTURE, 16, 16, False))
    with pytest.raises(FormatError, match=rule):
        read_band(tiny, fz, band, 16, 16, WIDTH, False)


@pytest.mark.parametrize("grey", [False, True])
def test_samples_depend_on_seed_and_band_alone(tiny: PhotoModel, fz: Features, grey: bool) -> None:
    def drawn(seed: int, number: int) -> Bytes:
        return sample_band(tiny, fz, seed, number, 16, 16, WIDTH, grey)

    assert np.array_equal(drawn(1, 0), drawn(1, 0))
    assert (drawn(1, 0) != drawn(2, 0)).mean() > 0.3
    assert (drawn(1, 0) != drawn(1, 1)).mean() > 0.3
    assert np.array_equal(drawn(1, 0), np.repeat(drawn(1, 0)[..., :1], 3, 2)) == grey
