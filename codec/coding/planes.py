"""Planes of levels, lossless, by an adaptive model: indices of a palette, alpha, and pictures that are no photographs.

    CRC-32 of the levels | number of listed levels | levels | coded symbols
    4                      1                         n        n

Nothing of it is trained: 14 contexts of a level's neighbours learn the probabilities of its bits, and are mixed as they
have done so far (Mahoney, Adaptive Weighing of Context Models for Lossless Data Compression, 2005).
"""

from __future__ import annotations

import zlib
from array import array
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.plane_kernels import (
    ABOVE,
    AFTER,
    BEFORE,
    CONTEXTS,
    EVEN,
    OUTERMOST,
    SETS,
    code_planes,
    compiled_planes,
)
from vlcodec.codec.coding.units import ARGUMENT_HALF, sigmoids
from vlcodec.codec.errors import FormatError

if TYPE_CHECKING:
    from vlcodec.codec.interface import Bytes

MAX_LISTED: Final = 16
TABLE_BITS: Final = range(10, 19)
INNERMOST: Final = 2047  # of what a context says, in 1/256 nat
RATES: Final = {True: 4, False: 14}  # of the mixers: of black and white, and of everything else
WORTH: Final = 4  # a bit's work here, in symbols of other blocks
CRC_BYTES: Final = 4


def pack_planes(levels: Bytes, beside: bytes = b"") -> bytes:
    """(H, W, C) uint8, C from 1 to 4 -> bytes. beside: what their checksum covers, too.

    Where at most 16 levels occur in one plane, they are listed, and the symbols are their places in the list.
    """
    listed = _listed(levels)
    places = np.zeros(256, np.uint8)
    places[listed] = np.arange(len(listed))
    symbols = places[levels] if len(listed) else _apart(levels)
    size = levels.size + 1024
    while (coded := _run(symbols, listed, bytearray(size), encode=True)) is None:
        size *= 2
    head = _checksum(levels, beside).to_bytes(CRC_BYTES, "little") + bytes([len(listed)]) + listed.tobytes()
    return head + coded


def unpack_planes(data: bytes, height: int, width: int, channels: int, beside: bytes = b"") -> Bytes:
    """What `pack_planes` was given. Raises FormatError for anything that it does not give."""
    if len(data) <= CRC_BYTES or len(data) < CRC_BYTES + 1 + data[CRC_BYTES]:
        raise FormatError(f"planes of {len(data)} bytes: they must have a checksum and their listed levels")
    count = data[CRC_BYTES]
    listed = np.frombuffer(data, np.uint8, count, CRC_BYTES + 1)
    if count > MAX_LISTED or (count and channels > 1) or (np.diff(listed.astype(np.int64)) <= 0).any():
        raise FormatError(f"planes list at most {MAX_LISTED} levels, of one channel, and in ascending order")
    coded = data[CRC_BYTES + 1 + count :]
    symbols = np.zeros((height, width, channels), np.uint8)
    read = _run(symbols, listed, bytearray(coded), encode=False)
    if count and symbols.max() >= count:
        raise FormatError("a plane has a symbol that its list of levels does not have")
    levels = listed[symbols] if count else _together(symbols)
    if read is None or _checksum(levels, beside) != int.from_bytes(data[:CRC_BYTES], "little"):
        raise FormatError("the planes do not match their checksum")
    return levels


def _listed(levels: Bytes) -> Bytes:
    """The levels of one plane in ascending order, if they are few; none otherwise."""
    there = np.zeros(256, np.bool_)
    there[levels.reshape(-1)] = True
    found = np.flatnonzero(there).astype(np.uint8)
    return found if levels.shape[2] == 1 and len(found) <= MAX_LISTED else found[:0]


def _apart(levels: Bytes) -> Bytes:
    """Alpha first, then green, red less green and blue less green, modulo 256; of fewer channels alpha and grey."""
    if levels.shape[2] < 3:
        return np.ascontiguousarray(levels[..., ::-1])
    green = levels[..., 1]
    colours = [green, levels[..., 0] - green, levels[..., 2] - green]
    return np.stack([*(levels[..., c] for c in range(3, levels.shape[2])), *colours], axis=2)


def _together(symbols: Bytes) -> Bytes:
    """The inverse of `_apart`."""
    if symbols.shape[2] < 3:
        return np.ascontiguousarray(symbols[..., ::-1])
    *alpha, green, red, blue = (symbols[..., c] for c in range(symbols.shape[2]))
    return np.stack([red + green, green, blue + green, *alpha], axis=2)


def _checksum(levels: Bytes, beside: bytes) -> int:
    return zlib.crc32(np.ascontiguousarray(levels).data, zlib.crc32(beside))


@cache
def _tables() -> tuple[Any, Any, Any]:
    """stretch (4096,) and squash (2 OUTERMOST + 1,), in 1/256 nat and 2^-16, and reciprocals of counts (256,)."""
    middle = sigmoids()[ARGUMENT_HALF - 4 * OUTERMOST : ARGUMENT_HALF + 4 * OUTERMOST + 1 : 4]
    squash = np.clip(middle >> 14, 1, (1 << 16) - 1)
    inner = squash[OUTERMOST - INNERMOST : OUTERMOST + INNERMOST + 1]
    stretch = np.maximum(np.searchsorted(inner, 16 * np.arange(4096) + 8, "right") - 1, 0) - INNERMOST
    return stretch.astype(np.int64), squash, (1 << 17) // (2 * np.arange(256, dtype=np.int64) + 3)


def _all(levels: Any, numbers: tuple[int, ...], spaces: list[Any], data: Any, encode: bool) -> list[Any]:
    """The arguments of `code_planes`."""
    return [levels, *numbers, *spaces, data, encode]


def _run(symbols: Bytes, listed: Bytes, data: bytearray, encode: bool) -> bytes | None:
    """The coded bytes of symbols; or none, once symbols are filled. None where data are too short, or not all read."""
    height, width, channels = symbols.shape
    bits = int(len(listed) - 1).bit_length() if len(listed) else 8
    if not bits:
        return b"" if encode or not data else None
    compiled.expect(WORTH * bits * symbols.size)
    table_bits = min(max((bits * symbols.size).bit_length(), TABLE_BITS[0]), TABLE_BITS[-1])
    levels = np.zeros((ABOVE + height, BEFORE + width + AFTER, channels), np.int16)
    inside = levels[ABOVE:, BEFORE : BEFORE + width]
    if encode:
        inside[:] = symbols
    else:
        data += bytes(3)
    numbers = (width, height, channels, bits, table_bits, RATES[bits == 1])
    slots, weights = channels * CONTEXTS << table_bits, (channels + 1) * SETS * (CONTEXTS + 1)
    spaces: list[Any]
    if compiled.runs():
        spaces = [np.full(slots, EVEN << 8, np.int32), np.full(weights, 1 << 14, np.int64)]
        spaces += [np.zeros(CONTEXTS + 1, np.int64) for _ in range(3)] + list(_tables())
        at = compiled_planes(*_all(levels.reshape(-1), numbers, spaces, np.frombuffer(data, np.uint8), encode))
    else:
        spaces = [array("i", [EVEN << 8]) * slots, [1 << 14] * weights, *([0] * (CONTEXTS + 1) for _ in range(3))]
        spaces += [table.tolist() for table in _tables()]
        flat = levels.reshape(-1).tolist()
        at = code_planes(*_all(flat, numbers, spaces, data, encode))
        levels[:] = np.array(flat, np.int16).reshape(levels.shape)
    if encode:
        return bytes(data[:at]) if at >= 0 else None
    symbols[:] = inside
    return b"" if at == len(data) else None
