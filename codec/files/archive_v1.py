"""An archive's file of version 1: bytes <-> header, names, checksums and the stack that all pictures share.

    magic | version, flags | model | digest | width | height | count | dithered | ratio | extra | [seed] | names |
    4       1                1..5    2        1..3    1..3     1..4    1..4       1       1..5    1..10    n
    [checksums] | stack | CRC-32
    4 each        n       4

A file is read and written through archive_file.py.
"""

from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.archive_data import MAX_EXTRA, MAX_PICTURES, ArchiveFile, ArchiveHeader
from vlcodec.codec.files.front import read_front, read_low, write_front
from vlcodec.codec.files.names import pack_names, unpack_names
from vlcodec.codec.files.wire import ARCHIVE, CRC_BYTES, LOSSLESS, SEED, Reader, chunk, seal, unseal, varint

SMALLEST: Final = 19  # bytes

Counts = tuple[int, int, int, int]  # count, dithered, ratio, extra


def pack(file: ArchiveFile) -> bytes:
    """A file's bytes. Raises FormatError when they would be too many."""
    header = file.header
    out = write_front(1, ARCHIVE | LOSSLESS * header.lossless | SEED * (header.seed > 0), header)
    out += write_counts(header) + _names_chunk(file) + write_checks(file) + file.stack
    return seal(out)


def unpack(data: bytes, damaged: bool = False) -> ArchiveFile:
    """Read a whole archive. Raises FormatError for anything else than one valid file."""
    reader = unseal(data, SMALLEST, damaged)
    flags = read_low(reader)
    if flags & ~(LOSSLESS | SEED) != ARCHIVE:
        raise FormatError("not an archive: bit 3 of its flags must be set, and bit 1 must be 0")
    front = read_front(reader)
    count, dithered, ratio, extra = read_counts(reader)
    seed = reader.seed(bool(flags & SEED))
    header = ArchiveHeader(*front, count, bool(flags & LOSSLESS), dithered, ratio, extra, seed)
    names = unpack_names(reader.chunk("names"), count)
    return ArchiveFile(header, names, read_checks(reader, header.runs), reader.rest())


def sizes(file: ArchiveFile) -> dict[str, int]:
    """Bytes by purpose: "header" (its CRC-32 too), "names", "checksums", "stack"."""
    found = {"names": len(_names_chunk(file)), "checksums": CRC_BYTES * len(file.checks), "stack": len(file.stack)}
    return {"header": len(pack(file)) - sum(found.values()), **found}


def write_counts(header: ArchiveHeader) -> bytes:
    """From the number of pictures to the seed, alike in both versions."""
    counts = varint(header.count) + varint(header.dithered) + bytes([header.ratio]) + varint(header.extra)
    return counts + varint(header.seed) if header.seed else counts


def read_counts(reader: Reader) -> Counts:
    """From the number of pictures to that of extra bytes, checked when a header is made."""
    count = reader.varint(MAX_PICTURES, "number of pictures")
    dithered = reader.varint(MAX_PICTURES, "number of dithered pictures")
    (ratio,) = reader.take(1, "ratio")
    return count, dithered, ratio, reader.varint(MAX_EXTRA, "number of extra bytes")


def write_checks(file: ArchiveFile) -> bytes:
    """The runs' checksums."""
    return b"".join(check.to_bytes(CRC_BYTES, "little") for check in file.checks)


def read_checks(reader: Reader, runs: int) -> tuple[int, ...]:
    """The checksums of so many runs. Raises FormatError when fewer are left."""
    return tuple(int.from_bytes(reader.take(CRC_BYTES, "checksums"), "little") for _ in range(runs))


def _names_chunk(file: ArchiveFile) -> bytes:
    return chunk(pack_names(file.names), last=False)
