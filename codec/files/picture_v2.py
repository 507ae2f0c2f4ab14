"""A picture's file of version 2: bytes <-> header and typed chunks.

    magic | version, kind | model | digest | width | height | quality | [seed] | table | CRC-16 | chunks | CRC-32
    4       1               1..5    2        1..3    1..3     1..3      1..10    n       2        n        4

A file is read and written through picture_file.py.
"""

from dataclasses import replace
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import chunks as chunks_file
from vlcodec.codec.files.chunks import (
    ALPHA,
    BAND,
    CHANGES,
    EXIF,
    ICC,
    LATENTS,
    LOW_BYTES,
    PALETTE,
    RESOLUTION,
    TEXT,
    XMP,
    Chunk,
    Table,
)
from vlcodec.codec.files.front import read_front, read_low, write_front
from vlcodec.codec.files.metadata import pack_metadata, unpack_metadata
from vlcodec.codec.files.picture_data import MAX_NEAR, MAX_QUALITY, Band, File, Header, Pieces
from vlcodec.codec.files.wire import ARCHIVE, COMPOSITE, CRC_BYTES, Reader, check_range, check_size, varint

SMALLEST: Final = 19  # bytes: every field at its shortest, no seed, an empty latents chunk
_GREY, _SEED = 1, 2  # in the low nibble of byte 4; the two bits above are the kind, 0
_NEAR: Final = 1 << 15  # times the levels that a pixel may be off, over the quality in hundredths
_KNOWN: Final = frozenset({ICC, LATENTS, CHANGES, BAND, ALPHA, PALETTE, LOW_BYTES, EXIF, XMP, TEXT, RESOLUTION})


def pack(file: File) -> bytes:
    """A file's bytes. Raises FormatError when they would be too many."""
    header = file.header
    out = write_front(2, _GREY * header.grey | _SEED * (header.seed > 0), header)
    out += varint(header.near * _NEAR + 100 * header.quality + header.hundredths)
    if header.seed:
        out += varint(header.seed)
    chunks = pack_metadata(file.metadata)
    chunks += [Chunk(LATENTS, group) for group in file.groups]
    chunks += [Chunk(CHANGES, file.changes)] * bool(file.changes)
    chunks += [Chunk(BAND, band.pixels_crc.to_bytes(CRC_BYTES, "little") + band.stack) for band in file.bands]
    chunks += [Chunk(kind, data) for kind, data in file.beside.items() if data]
    return chunks_file.join(out, sorted(chunks, key=lambda chunk: chunk.type))


def unpack(data: bytes) -> File:
    """Read a whole file. Raises FormatError for anything else than one valid file."""
    check_size(data, SMALLEST)
    with chunks_file.damage_first(data):
        header, table = _read_start(data)
    chunks = chunks_file.split(data, table)
    latents, *refinements = (chunk.data for chunk in chunks if chunk.type == LATENTS)
    changes = b"".join(chunk.data for chunk in chunks if chunk.type == CHANGES)
    bands = tuple(_band(chunk.data) for chunk in chunks if chunk.type == BAND)
    kinds = (ALPHA, PALETTE, LOW_BYTES)
    beside = {chunk.type: chunk.data for chunk in chunks if chunk.type in kinds}
    found = (beside.get(kind, b"") for kind in kinds)
    return File(header, latents, bands, tuple(refinements), changes, unpack_metadata(chunks), *found)


def read_header(data: bytes) -> Header:
    """The header alone, once the front's checksum holds. Raises FormatError for any other front."""
    header, _ = _read_start(data)
    return header


def bits(data: bytes) -> int:
    """Of a level, 8 or 16. Raises FormatError as `read_header` does."""
    _, table = _read_start(data)
    return 16 if any(place.type == LOW_BYTES for place in table.places) else 8


def mode(data: bytes) -> str:
    """As Pillow has it: 1, L, LA, RGB or RGBA. Raises FormatError as `read_header` does."""
    header, table = _read_start(data)
    sizes = {place.type: place.end - place.start for place in table.places}
    if sizes.get(PALETTE) == 1:  # a transparent colour takes more
        return "1"
    return ("L" if header.grey else "RGB") + "A" * (ALPHA in sizes)


def expected_size(data: bytes) -> int:
    """Bytes of the whole file. Raises FormatError as `read_header` does."""
    _, table = _read_start(data)
    return table.total


def preview_size(data: bytes) -> int:
    """Bytes that hold all groups of latents, with their checksums. Raises FormatError as `read_header` does."""
    _, table = _read_start(data)
    return max(place.end for place in table.places if place.type == LATENTS) + CRC_BYTES


def preview(data: bytes) -> File:
    """The lossy file of the groups that have arrived. Raises FormatError for damage, or where none has."""
    header, table = _read_start(data)
    groups = chunks_file.arrived(data, table)
    if not groups:
        raise FormatError(f"cut short: the file has {len(data)} bytes, and its first group of latents is not whole")
    return File(header.lossy, groups[0], refinements=tuple(groups[1:]))


def pieces(data: bytes) -> Pieces:
    """What can be read of a file that is damaged behind its latents. Raises FormatError for damage further in front."""
    header, table = _read_start(data)
    groups = chunks_file.arrived(data, table)
    if len(groups) < sum(place.type == LATENTS for place in table.places):
        raise FormatError("cut short: the latents are not wholly there")
    lossy = File(header.lossy, groups[0], refinements=tuple(groups[1:]))
    if not header.lossless:
        return Pieces(lossy, ())
    places = [place for place in table.places if place.type == BAND]
    if len(places) != header.bands:
        raise FormatError(f"{len(places)} bands given: this picture must have {header.bands}")
    changes = b"".join(chunk.data for chunk in chunks_file.pieces(data, table) if chunk.type == CHANGES)
    bands = (_band(data[place.start : place.end]) if place.end <= len(data) else None for place in places)
    others = [place for place in table.places if place.type not in (LATENTS, CHANGES, BAND) and place.type in _KNOWN]
    beside = tuple(Chunk(place.type, data[place.start : place.end]) for place in others if place.end <= len(data))
    missing = tuple(place.type for place in others if place.end > len(data))
    return Pieces(replace(lossy, changes=changes), tuple(bands), beside, missing, header.near)


def sizes(file: File) -> dict[str, int]:
    """Bytes by purpose: "header" (table and checksums too), "latents", "changes", "pixels", "metadata" (deflated); and
    "alpha", "palette", "low bytes" where there are any."""
    found = {
        "latents": sum(len(group) for group in file.groups),
        "changes": len(file.changes),
        "pixels": sum(len(band.stack) for band in file.bands),
        "metadata": sum(len(chunk.data) for chunk in pack_metadata(file.metadata)),
    }
    names = {ALPHA: "alpha", PALETTE: "palette", LOW_BYTES: "low bytes"}
    found |= {names[kind]: len(data) for kind, data in file.beside.items() if data}
    return {"header": len(pack(file)) - sum(found.values()), **found}


def _read_start(data: bytes) -> tuple[Header, Table]:
    """Header and table, from the file's first byte on; magic and version are known to be right. Raises FormatError."""
    reader = Reader(memoryview(data))
    low = read_low(reader)
    if low == COMPOSITE:
        raise FormatError("a composite, not a coded picture: it must be read as a composite")
    if low & ARCHIVE:
        raise FormatError("an archive of pictures, not a picture: it must be read as an archive")
    if low & ~(_GREY | _SEED):
        raise FormatError("a stored picture of another format, not a coded one: it must be read as stored")
    front = read_front(reader)
    near, level = divmod(reader.varint(_NEAR * MAX_NEAR + 100 * MAX_QUALITY, "quality in hundredths"), _NEAR)
    check_range("quality in hundredths", level, 0, 100 * MAX_QUALITY)
    seed = reader.seed(bool(low & _SEED))
    table = chunks_file.read_table(reader, _KNOWN)
    types = [place.type for place in table.places]
    if LATENTS not in types:
        raise FormatError("no latents: a picture's file must have a chunk of them")
    header = Header(*front, bool(low & _GREY), BAND in types, level // 100, seed, 2, level % 100, near)
    return header, table


def _band(data: bytes) -> Band:
    if len(data) < CRC_BYTES:
        raise FormatError(f"a band of {len(data)} bytes: it must begin with its {CRC_BYTES} bytes of checksum")
    return Band(data[CRC_BYTES:], int.from_bytes(data[:CRC_BYTES], "little"))
