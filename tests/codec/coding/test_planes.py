"""Planes come back, compiled or not, by the bytes that FORMAT.md tells; and nothing else is read."""

import time
import zlib
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from compiled_loops import both
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vlcodec.codec.coding.planes import pack_planes, unpack_planes
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Bytes

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 4))
FEW = st.sampled_from((0, 3, 200, 255))


def drawing(height: int, width: int, channels: int) -> Bytes:
    """A disc with a soft edge on a flat ground, another in each channel."""
    y, x = np.mgrid[:height, :width]
    discs = [(y - height // 2) ** 2 + (x - width // (2 + c)) ** 2 for c in range(channels)]
    return np.stack([np.clip(5 * (height**2 // 9 - disc), 0, 255) for disc in discs], axis=2).astype(np.uint8)


@settings(max_examples=60)
@given(SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=FEW | st.integers(0, 255))))
def test_planes_come_back(levels: Bytes) -> None:
    data = pack_planes(levels, b"beside")
    height, width, channels = levels.shape
    assert np.array_equal(unpack_planes(data, height, width, channels, b"beside"), levels)


@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 13, 1), (20, 16, 2), (16, 12, 3), (12, 20, 4)])
def test_compiled_and_not_are_the_same(shape: tuple[int, int, int]) -> None:
    """Drawings have rows and places that flags tell; noise has none, and takes a little more than its levels."""
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for levels in (drawing(*shape), drawing(*shape) // 128 * 255, noise):
        files = both(partial(pack_planes, levels))
        assert files[0] == files[1]
        for back in both(partial(unpack_planes, files[0], *shape)):
            assert np.array_equal(back, levels)


def test_bytes_are_those_of_the_specification() -> None:
    """What is written today is read for ever: these literals stay."""
    bilevel = np.array([[0, 1, 0], [1, 1, 0]], np.uint8)[..., None]
    assert pack_planes(bilevel, b"\0").hex() == "b8add5b8020001cf0e"
    assert zlib.crc32(pack_planes(drawing(24, 30, 1))) == 0xBB0A121F
    assert zlib.crc32(pack_planes(drawing(24, 30, 4))) == 0x9D20B6BA


def test_what_is_flat_takes_next_to_nothing() -> None:
    one = pack_planes(np.full((2000, 3000, 1), 7, np.uint8))
    assert one == zlib.crc32(bytes([7]) * 6_000_000).to_bytes(4, "little") + b"\1\7"
    started = time.process_time()
    levels = np.zeros((600, 400, 4), np.uint8)
    levels[200:300, 100:200] = 200, 100, 50, 255
    data = pack_planes(levels)
    assert len(data) < 60
    assert np.array_equal(unpack_planes(data, *levels.shape), levels)
    assert time.process_time() - started < 30


def test_a_plane_larger_than_its_levels_is_written_whole() -> None:
    """What deceives all contexts costs more than 8 bits a level."""
    levels = np.random.default_rng(1).integers(0, 256, (40, 60, 1), dtype=np.uint8)
    data = pack_planes(levels)
    assert levels.size < len(data) < 1.1 * levels.size
    assert np.array_equal(unpack_planes(data, *levels.shape), levels)


LEVELS = drawing(24, 30, 1)[6:14, 10:19] // 60 * 60
DATA = pack_planes(LEVELS)


@pytest.mark.parametrize(
    ("data", "shape", "message"),
    [
        (b"", (8, 9, 1), "planes of 0 bytes"),
        (DATA[:4], (8, 9, 1), "planes of 4 bytes"),
        (DATA[:4] + b"\x05ab", (8, 9, 1), "planes of 7 bytes"),
        (DATA[:4] + b"\x02\x05\x05", (8, 9, 1), "planes list at most 16 levels"),
        (DATA[:4] + b"\x11" + bytes(range(17)), (8, 9, 1), "planes list at most 16 levels"),
        (DATA, (8, 3, 3), "planes list at most 16 levels, of one channel"),
        (DATA[:4] + b"\x01\x05x", (8, 9, 1), "do not match their checksum"),
        (DATA[:-1], (8, 9, 1), "do not match their checksum|a symbol that its list"),
        (DATA + b"\0", (8, 9, 1), "do not match their checksum"),
        (bytes(4) + DATA[4:], (8, 9, 1), "do not match their checksum"),
        (DATA, (8, 10, 1), "do not match their checksum|a symbol that its list"),
    ],
)
def test_other_planes_are_refused(data: bytes, shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        unpack_planes(data, *shape)


def test_every_altered_byte_is_refused_or_without_effect() -> None:
    """The last byte is one of several that say the same."""
    for at in range(len(DATA)):
        for change in (1, 16, 128):
            altered = bytearray(DATA)
            altered[at] ^= change
            with suppress(FormatError):
                found = unpack_planes(bytes(altered), *LEVELS.shape)
                assert at == len(DATA) - 1
                assert np.array_equal(found, LEVELS)


@settings(max_examples=100)
@given(st.binary(max_size=60), SHAPES)
def test_any_bytes_raise_nothing_but_format_errors(data: bytes, shape: tuple[int, int, int]) -> None:
    try:
        levels = unpack_planes(data, *shape)
    except FormatError:
        return
    assert zlib.crc32(levels.tobytes()) == int.from_bytes(data[:4], "little")
