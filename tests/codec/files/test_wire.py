"""The fields that files are made of: what is written is read, in one form alone."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.wire import MAGIC, Reader, chunk, deflate, inflate, seal, sound, unseal, varint, version_of

NUMBERS = st.integers(0, 2**64 - 1) | st.integers(0, 300)
LIMIT = 2**64 - 1


def reader(data: bytes) -> Reader:
    return Reader(memoryview(data))


@given(NUMBERS, st.binary(max_size=5))
def test_numbers_come_back(value: int, more: bytes) -> None:
    data = varint(value)
    assert len(data) == max(1, -(-value.bit_length() // 7))
    read = reader(data + more)
    assert read.varint(LIMIT, "number") == value
    assert (bytes(read.seen), read.rest()) == (data, more)


@given(st.binary(max_size=12))
def test_each_number_has_one_form(data: bytes) -> None:
    read = reader(data)
    try:
        value = read.varint(LIMIT, "number")
    except FormatError:
        return
    assert varint(value) == bytes(read.seen)


@given(NUMBERS)
def test_padding_and_length_are_refused(value: int) -> None:
    data = varint(value)
    padded = data[:-1] + bytes([data[-1] | 0x80, 0])
    with pytest.raises(FormatError, match=r"is padded|is too long"):
        reader(padded).varint(LIMIT, "number")
    with pytest.raises(FormatError, match=re.escape("cut off in the number")):
        reader(data[:-1]).varint(LIMIT, "number")
    if value >= 128:
        with pytest.raises(FormatError, match="the number is too long: it must be at most 127"):
            reader(data).varint(127, "number")


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_chunks_come_back(chunks: list[bytes]) -> None:
    data = b"".join(chunk(data, last=False) for data in chunks[:-1]) + chunk(chunks[-1], last=True)
    read = reader(data)
    assert [*(read.chunk("chunk") for _ in chunks[:-1]), read.rest()] == chunks


@given(st.binary(max_size=100), st.integers(1, 255), st.data())
def test_one_altered_byte_is_noticed(body: bytes, change: int, data: st.DataObject) -> None:
    packed = bytearray(seal(bytearray(MAGIC + b"\x10" + body)))
    assert sound(bytes(packed))
    assert unseal(bytes(packed), 0).rest() == MAGIC + b"\x10" + body
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= change
    assert not sound(bytes(packed))


@given(st.binary(max_size=500), st.integers(0, 3))
def test_deflated_bytes_come_back(data: bytes, less: int) -> None:
    assert inflate(deflate(data), len(data), "names") == data
    if less > 0 and data:
        with pytest.raises(FormatError, match="the names is too long"):
            inflate(deflate(data), max(len(data) - less, 0), "names")


@given(st.binary(max_size=60))
def test_any_bytes_inflate_or_raise(data: bytes) -> None:
    with suppress(FormatError):
        assert len(inflate(data, 1000, "names")) <= 1000


@pytest.mark.parametrize(("low", "version"), [(0x10, 1), (0x1F, 1), (0x20, 2), (0x2F, 2)])
def test_versions(low: int, version: int) -> None:
    assert version_of(MAGIC + bytes([low]), 15) == version


@given(st.binary(max_size=8))
def test_any_front_has_a_version_or_is_refused(data: bytes) -> None:
    for front in (data, MAGIC + data):
        try:
            assert version_of(front, 15) in (1, 2)
        except FormatError:
            assert front[:4] != MAGIC or len(front) < 5 or front[4] >> 4 not in (1, 2)
