"""Bands of pixels: whole or apart, read or drawn."""

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vlcodec.codec.coding import pixels as module
from vlcodec.codec.coding.pixels import Place, bands, checksum, push_band, read_band, sample_band
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.picture_file import Band
from vlcodec.codec.interface import Bytes
from vlcodec.models.photo.codec import Features, PhotoLatents, PhotoModel

HEIGHT, WIDTH = 40, 9
PICTURE: Bytes = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY: Bytes = PICTURE[..., :1]


@pytest.fixture(scope="module")
def net(tiny: PhotoModel) -> PhotoLatents:
    return tiny.single(2)


@pytest.fixture(scope="module")
def fz(net: PhotoLatents) -> Features:
    symbols = np.random.default_rng(1).integers(118, 139, (3, 1, 4))
    return net.features(symbols, np.zeros_like(symbols))


@pytest.fixture(autouse=True)
def _short_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BAND_ROWS", 16)


def write_band(net: PhotoLatents, fz: Features, picture: Bytes, place: Place) -> Band:
    stack = Stack()
    push_band(net, fz, picture[None], place, stack)
    return Band(stack.to_bytes(), checksum(picture[place.rows.start : place.rows.stop]))


@pytest.mark.parametrize(
    ("height", "expected"), [(1, [(0, 0, 1)]), (16, [(0, 0, 16)]), (40, [(0, 0, 16), (1, 16, 32), (2, 32, 40)])]
)
def test_bands_cover_the_picture(height: int, expected: list[tuple[int, int, int]]) -> None:
    assert list(bands(height, 7, 3)) == [Place(number, range(*rows), 7, 3) for number, *rows in expected]


def test_checksum_is_of_the_bytes_of_the_channels() -> None:
    assert checksum(PICTURE) == zlib.crc32(PICTURE.tobytes())
    assert checksum(GREY[::2]) == zlib.crc32(PICTURE[::2, :, 0].tobytes())


@pytest.mark.parametrize("picture", [PICTURE, GREY], ids=["rgb", "grey"])
def test_each_band_is_read_by_itself(net: PhotoLatents, fz: Features, picture: Bytes) -> None:
    for place in reversed(list(bands(*picture.shape))):
        band = write_band(net, fz, picture, place)
        part = read_band(net, fz, band, place)
        assert np.array_equal(part, picture[place.rows.start : place.rows.stop])
        alone = picture.copy()
        alone[: place.rows.start] = alone[place.rows.stop :] = 0
        assert write_band(net, fz, alone, place) == band


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
def test_damage_is_found(net: PhotoLatents, fz: Features, damage: Callable[[Band], Band], rule: str) -> None:
    place = Place(1, range(16, 32), WIDTH, 3)
    with pytest.raises(FormatError, match=rule):
        read_band(net, fz, damage(write_band(net, fz, PICTURE, place)), place)


@pytest.mark.parametrize("colours", [1, 3])
def test_samples_depend_on_seed_and_band_alone(net: PhotoLatents, fz: Features, colours: int) -> None:
    def drawn(seed: int, number: int) -> Bytes:
        return sample_band(net, fz, seed, Place(number, range(16, 32), WIDTH, colours))

    assert drawn(1, 0).shape == (16, WIDTH, colours)
    assert np.array_equal(drawn(1, 0), drawn(1, 0))
    assert (drawn(1, 0) != drawn(2, 0)).mean() > 0.3
    assert (drawn(1, 0) != drawn(1, 1)).mean() > 0.3


@pytest.mark.parametrize("colours", [1, 3])
def test_an_empty_stack_is_a_band_of_the_lowest_level(net: PhotoLatents, fz: Features, colours: int) -> None:
    """It costs no pass of the net, whatever the band's size; any other band is told by its checksum."""
    place = Place(1, range(16, 32), WIDTH, colours)
    black: Bytes = np.zeros((16, WIDTH, colours), np.uint8)
    steps = list[int]()
    back = read_band(net, fz, Band(b"", checksum(black)), place, lambda done, total: steps.append(done))
    assert np.array_equal(back, black)
    assert steps == []
    with pytest.raises(FormatError, match="the pixels of rows 16 to 31 do not match"):
        read_band(net, fz, Band(b"", checksum(black + 1)), place)
