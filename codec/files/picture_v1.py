"""A picture's file of version 1: bytes <-> header and chunks.

    magic | version, flags | model | digest | width | height | quality | [seed] | latents | [bands] | CRC-32
    4       1                1..5    2        1..3    1..3     1         1..10    n         n         4

A file is read and written through picture_file.py.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.front import read_front, read_low, write_front
from vlcodec.codec.files.picture_data import Band, File, Header, Pieces
from vlcodec.codec.files.wire import ARCHIVE, CRC_BYTES, LOSSLESS, SEED, Reader, chunk, seal, unseal, varint

SMALLEST: Final = 15  # bytes: every field at its shortest, no seed, an empty latents chunk
_GREY: Final = 2


def pack(file: File) -> bytes:
    """A file's bytes. Raises FormatError when they would be too many."""
    header = file.header
    out = write_front(1, LOSSLESS * header.lossless | _GREY * header.grey | SEED * (header.seed > 0), header)
    out.append(header.quality)
    if header.seed:
        out += varint(header.seed)

    out += chunk(file.latents, last=not file.bands)
    for number, band in enumerate(file.bands, start=1):
        out += band.pixels_crc.to_bytes(CRC_BYTES, "little")
        out += chunk(band.stack, last=number == len(file.bands))

    return seal(out)


def unpack(data: bytes) -> File:
    """Read a whole file, its checksum first. Raises FormatError for anything else than one valid file."""
    reader = unseal(data, SMALLEST)
    header = _read_header(reader)
    if not header.lossless:
        return File(header, latents=reader.rest())
    latents = reader.chunk("latents")
    bands = tuple(_read_band(reader, number, header.bands) for number in range(1, header.bands + 1))
    return File(header, latents, bands)


def read_header(data: bytes) -> Header:
    """The header alone, from the front of a file, with no checksum. Raises FormatError for bad fields."""
    return _read_header(Reader(memoryview(data)))


def preview(data: bytes) -> File:
    """The lossy part of a whole file. Raises FormatError as `unpack` does: version 1 cannot check a front."""
    file = unpack(data)
    header = file.header
    return File(header.lossy, file.latents)


def pieces(data: bytes) -> Pieces:
    """What can be read of a file that is damaged behind its header. Raises FormatError where that, or the latents, end.

    Nothing but the pixels has a checksum of its own: damage to a length moves all that follows.
    """
    reader = Reader(memoryview(data))
    header = _read_header(reader)
    if not header.lossless:
        return Pieces(File(header, reader.rest()[:-CRC_BYTES]), ())
    latents, bands = reader.chunk("latents"), list[Band | None]()
    with suppress(FormatError):
        for number in range(1, header.bands):
            bands.append(_read_band(reader, number, header.bands))
        last = _read_band(reader, header.bands, header.bands)
        bands.append(replace(last, stack=last.stack[:-CRC_BYTES]))
    lost = [None] * (header.bands - len(bands))
    return Pieces(File(header.lossy, latents), (*bands, *lost))


def sizes(file: File) -> dict[str, int]:
    """Bytes by purpose: "header" (lengths and checksums too), "latents", "pixels"."""
    latents = len(file.latents)
    pixels = sum(len(band.stack) for band in file.bands)
    return {"header": len(pack(file)) - latents - pixels, "latents": latents, "pixels": pixels}


def _read_header(reader: Reader) -> Header:
    """The header, from the file's first byte on; magic and version are known to be right. Raises FormatError."""
    flags = read_low(reader)
    if flags & ARCHIVE:
        raise FormatError("an archive of pictures, not a picture: it must be read as an archive")
    front = read_front(reader)
    (quality,) = reader.take(1, "quality")
    seed = reader.seed(bool(flags & SEED))
    return Header(*front, bool(flags & _GREY), bool(flags & LOSSLESS), quality, seed)


def _read_band(reader: Reader, number: int, of: int) -> Band:
    """A band, counted from 1. Raises FormatError where it is not wholly there."""
    pixels_crc = int.from_bytes(reader.take(CRC_BYTES, f"checksum of band {number}"), "little")
    return Band(reader.rest() if number == of else reader.chunk(f"band {number}"), pixels_crc)
