"""Version 2's typed chunks, and the table at the file's front that tells where each one lies.

    header | table | CRC-16 | chunk | ... | CRC-32

An entry of the table is two varints: twice the chunk's type, and 1 more where another entry follows; the chunk's
length. Types with even numbers are critical: a reader that does not know one refuses the file. Odd ones are skippable.
The CRC-16 is that of every byte before it, so the front can be trusted before the rest has arrived. A chunk of latents
that does not end the file is followed by the CRC-32 of every byte before that, as the whole file is: so a file that is
cut after a group of latents can be checked like a whole one.
"""

import zlib
from binascii import crc_hqx
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.wire import CRC_BYTES, MAX_FILE, Reader, check_range, seal, sound, varint

ICC, LATENTS, CHANGES, BAND, NAMES, CHECKSUMS, STACK = 1, 2, 4, 6, 8, 10, 12
PLANES, ALPHA, PALETTE, LOW_BYTES, FRAME, OTHER = 14, 16, 18, 20, 22, 24  # no reader of this release knows 22
EXIF, XMP, TEXT, RESOLUTION = 33, 35, 37, 39
TITLES: Final = {
    ICC: "ICC profile",
    LATENTS: "latents",
    CHANGES: "changes of weights",
    BAND: "band of pixels",
    NAMES: "names",
    CHECKSUMS: "checksums",
    STACK: "stack",
    PLANES: "planes",
    ALPHA: "alpha plane",
    PALETTE: "palette",
    LOW_BYTES: "low bytes of 16-bit levels",
    FRAME: "frame of an animation",
    OTHER: "picture of another codec",
    EXIF: "EXIF",
    XMP: "XMP",
    TEXT: "text",
    RESOLUTION: "resolution",
}

MAX_TYPE: Final = 2**13 - 1  # two varint bytes with the bit for more
MAX_CHUNKS: Final = 2**12
FRONT_CRC_BYTES: Final = 2
_REPEATED: Final = frozenset({LATENTS, BAND, FRAME, TEXT})
_MAY_BE_EMPTY: Final = frozenset({LATENTS, STACK})  # they are there in any case


@dataclass(frozen=True)
class Chunk:
    """A chunk's type and its bytes."""

    type: int
    data: bytes


@dataclass(frozen=True)
class Place:
    """Where a chunk lies: its bytes are file[start:end]."""

    type: int
    start: int
    end: int


@dataclass(frozen=True)
class Table:
    """Where all chunks lie. size: bytes of the front, its checksum included. total: bytes of the file."""

    places: tuple[Place, ...]
    size: int
    total: int


def front_checksum(data: bytes | bytearray | memoryview) -> bytes:
    """CRC-16/IBM-3740 of data."""
    return crc_hqx(data, 0xFFFF).to_bytes(FRONT_CRC_BYTES, "little")


def join(front: bytearray, chunks: Sequence[Chunk]) -> bytes:
    """A file of a header's bytes and chunks in ascending order of types, at least one.

    Raises FormatError for more than MAX_CHUNKS of them, and when the file would exceed MAX_FILE bytes.
    """
    check_range("number of chunks", len(chunks), 1, MAX_CHUNKS)
    out = bytearray(front)
    for chunk in chunks[:-1]:
        out += varint(chunk.type << 1 | 1) + varint(len(chunk.data))
    out += varint(chunks[-1].type << 1) + varint(len(chunks[-1].data))
    out += front_checksum(out)
    crc, counted = 0, 0
    for chunk in chunks[:-1]:
        out += chunk.data
        if chunk.type == LATENTS:
            crc, counted = zlib.crc32(memoryview(out)[counted:], crc), len(out)
            out += crc.to_bytes(CRC_BYTES, "little")
    return seal(out + chunks[-1].data)


def read_table(reader: Reader, known: frozenset[int]) -> Table:
    """The table that stands behind a header, and the front's checksum, which is checked.

    Raises FormatError for a table that `join` does not write, for a critical type that is not among the known ones, and
    for a front that is damaged or cut off.
    """
    entries, more = list[tuple[int, int]](), True
    while more:
        tag = reader.varint(2 * MAX_TYPE + 1, "chunk's type")
        entries.append((tag >> 1, reader.varint(MAX_FILE, "chunk's length")))
        more = bool(tag & 1)
        check_range("number of chunks", len(entries) + more, 1, MAX_CHUNKS)
    expected = front_checksum(reader.seen)
    if reader.take(FRONT_CRC_BYTES, "front's checksum") != expected:
        raise FormatError("checksum mismatch: the front of the file is damaged")
    _check(entries, known)

    size = at = len(reader.seen)
    places = []
    for number, (kind, length) in enumerate(entries, start=1):
        places.append(Place(kind, at, at + length))
        at += length + CRC_BYTES * (kind == LATENTS or number == len(entries))
    check_range("file's size in bytes", at, size, MAX_FILE)
    return Table(tuple(places), size, at)


@contextmanager
def damage_first(data: bytes) -> Iterator[None]:
    """An error inside is called damage where the whole file's checksum is wrong. Raises FormatError."""
    try:
        yield
    except FormatError:
        if not sound(data):
            raise FormatError("checksum mismatch: the file is damaged or cut short") from None
        raise


def split(data: bytes, table: Table) -> list[Chunk]:
    """The chunks of a whole file. Raises FormatError for another length than the table's, and a wrong checksum."""
    if len(data) < table.total:
        raise FormatError(f"cut short: the file has {len(data)} bytes of {table.total}")
    if len(data) > table.total:
        raise FormatError(f"the file has {len(data)} bytes, {len(data) - table.total} of them after its end")
    if not sound(data) or len(arrived(data, table)) != sum(place.type == LATENTS for place in table.places):
        raise FormatError("checksum mismatch: the file is damaged")
    return pieces(data, table)


def pieces(data: bytes, table: Table) -> list[Chunk]:
    """The chunks, as far as they have arrived, without their checksums. Never raises."""
    return [Chunk(place.type, data[place.start : place.end]) for place in table.places]


def arrived(data: bytes, table: Table) -> list[bytes]:
    """The chunks of latents at the front of a file that is perhaps cut, up to the first that is not wholly there.

    Raises FormatError for one whose checksum is wrong.
    """
    found, crc, counted = list[bytes](), 0, 0
    for place in table.places:
        if place.type == LATENTS:
            if len(data) < place.end + CRC_BYTES:
                break
            crc, counted = zlib.crc32(memoryview(data)[counted : place.end], crc), place.end
            if crc != int.from_bytes(data[place.end : place.end + CRC_BYTES], "little"):
                raise FormatError(f"checksum mismatch: group {len(found) + 1} of the latents is damaged")
            found.append(data[place.start : place.end])
    return found


def _check(entries: Sequence[tuple[int, int]], known: frozenset[int]) -> None:
    """Raises FormatError for entries in another order, needless ones, and critical ones that are not known."""
    before = 0
    for kind, length in entries:
        if kind == 0:
            raise FormatError("chunk type 0 does not exist")
        if kind < before:
            raise FormatError(f"chunk type {kind} after {before}: types must ascend")
        title = f" ({TITLES[kind]})" if kind in TITLES else ""
        if kind % 2 == 0 and kind not in known:
            raise FormatError(f"needs chunk type {kind}{title}, which this vlcodec does not read in such a file")
        if kind == before and kind in known and kind not in _REPEATED:
            raise FormatError(f"chunk type {kind}{title} is there twice")
        if not length and kind in known and kind not in _MAY_BE_EMPTY:
            raise FormatError(f"chunk type {kind}{title} is empty: it must be left out")
        before = kind
