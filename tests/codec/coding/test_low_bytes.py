"""The low bytes of 16-bit levels come back, cost nothing where they say nothing, and are refused where damaged."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlcodec.codec.coding import low_bytes
from vlcodec.codec.coding.low_bytes import AS_THEY_ARE, DIFFERENCES, PLANES, pack_low, unpack_low
from vlcodec.codec.errors import FormatError

RNG = np.random.default_rng(0)
HIGH = RNG.integers(0, 256, (9, 8, 3), dtype=np.uint8)
NOISE = RNG.integers(0, 256, (9, 8, 3), dtype=np.uint8)
LOW = {
    AS_THEY_ARE: NOISE,
    PLANES: np.full_like(HIGH, 7),
    DIFFERENCES: HIGH + (np.arange(9) == 4).astype(np.uint8)[:, None, None],
}


@pytest.mark.parametrize("kind", LOW)
def test_each_kind_is_chosen_where_it_is_smallest(kind: int) -> None:
    data = pack_low(HIGH, LOW[kind])
    assert data[0] == kind
    assert len(data) <= 5 + LOW[kind].size
    np.testing.assert_array_equal(unpack_low(data, HIGH), LOW[kind])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 256))
def test_whatever_there_is_comes_back(seed: int, height: int, width: int, channels: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    high, low = (rng.integers(0, levels, (height, width, channels)).astype(np.uint8) for _ in range(2))
    for part in (low, high, high + low // 128):
        data = pack_low(high, part)
        assert len(data) <= 8 + part.size
        np.testing.assert_array_equal(unpack_low(data, high), part)


def test_eight_bits_times_257_cost_nothing() -> None:
    assert len(pack_low(HIGH, HIGH)) <= 8


@pytest.mark.parametrize("shape", [(16, 14, 1), (1, 200, 1), (200, 1, 1)])
def test_tiles_of_a_large_picture_tell_what_it_is(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(low_bytes, "SIDE", 4)
    assert shape[0] * shape[1] > (low_bytes.TILES * low_bytes.SIDE) ** 2
    high = RNG.integers(0, 256, shape, dtype=np.uint8)
    low = np.broadcast_to(np.uint8(9), shape).copy()
    low[0, 0] = 8
    assert pack_low(high, low)[0] == PLANES
    assert len(pack_low(high, low)) < 99
    assert pack_low(high, RNG.integers(0, 256, shape, dtype=np.uint8))[0] == AS_THEY_ARE


def raw(low: bytes) -> bytes:
    return b"\0" + zlib.crc32(b"\0" + low).to_bytes(4, "little") + low


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "of a kind that this vlcodec does not read"),
        (b"\3" + pack_low(HIGH, NOISE)[1:], "of a kind that this vlcodec does not read"),
        (b"\0", "220 bytes needed, found 0"),
        (raw(NOISE.tobytes()[:-1]), "220 bytes needed, found 219"),
        (raw(NOISE.tobytes() + b"\0"), "220 bytes needed, found 221"),
        (raw(NOISE.tobytes())[:-1] + b"\0", "do not match their checksum"),
        (bytes([PLANES]), "planes of 0 bytes"),
        (bytes([PLANES]) + pack_low(HIGH, LOW[DIFFERENCES])[1:], "do not match their checksum"),
        (pack_low(HIGH, LOW[PLANES])[:-1], "do not match their checksum"),
        (pack_low(HIGH, LOW[PLANES]) + b"\0", "do not match their checksum"),
    ],
)
def test_what_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        unpack_low(data, HIGH)


def test_altered_bytes_give_an_error_or_the_same() -> None:
    for low in LOW.values():
        data = pack_low(HIGH, low)
        for at in range(0, len(data), max(1, len(data) // 20)):
            altered = bytearray(data)
            altered[at] ^= 1 << at % 8
            try:
                found = unpack_low(bytes(altered), HIGH)
            except FormatError:
                continue
            np.testing.assert_array_equal(found, low)  # the coder's last byte says little
