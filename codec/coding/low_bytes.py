"""The low bytes of 16-bit levels, beside high bytes that are coded by themselves.

    kind | CRC-32, the low bytes as they are                kind 0
    kind | planes of the low bytes                          kind 1
    kind | planes of low less high bytes, modulo 256        kind 2

Each one's checksum covers the kind. Where a picture has 8 bits times 257, both bytes of a level are the same, and the
low ones cost nothing.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

from vlcodec.codec.coding.planes import pack_planes, unpack_planes
from vlcodec.codec.errors import FormatError

if TYPE_CHECKING:
    from vlcodec.codec.interface import Bytes

AS_THEY_ARE, PLANES, DIFFERENCES = 0, 1, 2
CRC_BYTES: Final = 4
SIDE, TILES = 24, 3  # of the tiles that are tried first: rows and columns; how many along each
HOPEFUL: Final = 1.02  # of a tile's bytes: planes have still to learn there


def pack_low(high: Bytes, low: Bytes) -> bytes:
    """(H, W, C) uint8 each, C from 1 to 4 -> bytes of the low ones. Noise is kept as it is."""
    differences = low - high
    if not differences.any():
        return bytes([DIFFERENCES]) + pack_planes(differences, bytes([DIFFERENCES]))
    raw = bytes([AS_THEY_ARE]) + _checksum(low.tobytes()) + low.tobytes()
    kinds = {PLANES: low, DIFFERENCES: differences}
    tried = {kind: pack_planes(_tiles(levels), bytes([kind])) for kind, levels in kinds.items()}
    kind = min(tried, key=lambda one: len(tried[one]))
    tile = _tiles(kinds[kind])
    if len(tried[kind]) > HOPEFUL * tile.size:
        return raw
    coded = tried[kind] if tile.shape == low.shape else pack_planes(kinds[kind], bytes([kind]))
    return min(bytes([kind]) + coded, raw, key=len)


def unpack_low(data: bytes, high: Bytes) -> Bytes:
    """(H, W, C) uint8: what `pack_low` was given. Raises FormatError for anything that it does not give."""
    if not data or data[0] not in (AS_THEY_ARE, PLANES, DIFFERENCES):
        raise FormatError("low bytes of 16-bit levels of a kind that this vlcodec does not read")
    kind, rest = data[0], data[1:]
    if kind != AS_THEY_ARE:
        height, width, channels = high.shape
        found = unpack_planes(rest, height, width, channels, bytes([kind]))
        return found + high if kind == DIFFERENCES else found
    if len(rest) != CRC_BYTES + high.size:
        raise FormatError(f"low bytes of 16-bit levels: {CRC_BYTES + high.size} bytes needed, found {len(rest)}")
    if _checksum(rest[CRC_BYTES:]) != rest[:CRC_BYTES]:
        raise FormatError("the low bytes of 16-bit levels do not match their checksum")
    return np.frombuffer(rest, np.uint8, high.size, CRC_BYTES).reshape(high.shape)


def _checksum(low: bytes) -> bytes:
    """The CRC-32 of low bytes as they are, behind their kind."""
    return zlib.crc32(low, zlib.crc32(bytes([AS_THEY_ARE]))).to_bytes(CRC_BYTES, "little")


def _tiles(levels: Bytes) -> Bytes:
    """(H', W', C): all of a small picture, or tiles from all over it, one below the other."""
    height, width, _ = levels.shape
    if min(height, width) <= SIDE or height * width <= (TILES * SIDE) ** 2:
        return levels[: (TILES * SIDE) ** 2, : (TILES * SIDE) ** 2]
    rows, columns = ([(side - SIDE) * n // (TILES - 1) for n in range(TILES)] for side in (height, width))
    return np.concatenate([levels[y : y + SIDE, x : x + SIDE] for y in rows for x in columns])
