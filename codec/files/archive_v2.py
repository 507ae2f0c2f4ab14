"""An archive's file of version 2: bytes <-> header and typed chunks.

    magic | version, kind | model | digest | width | height | [starter] | count | dithered | ratio | extra | [seed] |
    4       1               1..5    2        1..3    1..3     1..5, 2     1..4    1..4       1       1..5    1..10
    table | CRC-16 | [names] | [checksums] | stack | CRC-32
    n       2        n         n             n       4

A file is read and written through archive_file.py.
"""

from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import chunks as chunks_file
from vlcodec.codec.files.archive_data import ArchiveFile, ArchiveHeader, Starter
from vlcodec.codec.files.archive_v1 import read_checks, read_counts, write_checks, write_counts
from vlcodec.codec.files.chunks import CHECKSUMS, NAMES, STACK, Chunk, Table
from vlcodec.codec.files.front import read_front, read_low, write_front
from vlcodec.codec.files.names import pack_names, unpack_names
from vlcodec.codec.files.wire import ARCHIVE, DIGEST_BYTES, MAX_MODEL, Reader, check_size, varint

SMALLEST: Final = 22  # bytes
_STARTER, _SEED = 1, 2  # in the low nibble of byte 4, beside the kind's bit
_KNOWN: Final = frozenset({NAMES, CHECKSUMS, STACK})


def pack(file: ArchiveFile) -> bytes:
    """A file's bytes. Raises FormatError when they would be too many."""
    header = file.header
    out = write_front(2, ARCHIVE | _STARTER * (header.starter is not None) | _SEED * (header.seed > 0), header)
    if header.starter is not None:
        out += varint(header.starter.model_id) + header.starter.digest
    return chunks_file.join(out + write_counts(header), _chunks(file))


def unpack(data: bytes, damaged: bool = False) -> ArchiveFile:
    """Read a whole archive. damaged: a front that is sound is enough, for what can still be read of the rest.

    Raises FormatError for anything else than one valid file.
    """
    check_size(data, SMALLEST)
    with chunks_file.damage_first(data):
        header, table = _read_start(Reader(memoryview(data)))
    chunks = chunks_file.pieces(data, table) if damaged else chunks_file.split(data, table)
    found = {chunk.type: chunk.data for chunk in chunks}
    checks = Reader(memoryview(found.get(CHECKSUMS, b"")))
    names = unpack_names(found.get(NAMES, b""), header.count)
    file = ArchiveFile(header, names, read_checks(checks, header.runs), found[STACK])
    if checks.rest():
        raise FormatError(f"bytes after the checksums: this archive must have {header.runs}")
    return file


def sizes(file: ArchiveFile) -> dict[str, int]:
    """Bytes by purpose: "header" (table, CRC-16 and CRC-32 too), "names", "checksums", "stack"."""
    lengths = {chunk.type: len(chunk.data) for chunk in _chunks(file)}
    found = {"names": lengths.get(NAMES, 0), "checksums": lengths.get(CHECKSUMS, 0), "stack": lengths[STACK]}
    return {"header": len(pack(file)) - sum(found.values()), **found}


def _chunks(file: ArchiveFile) -> list[Chunk]:
    chunks = [Chunk(NAMES, pack_names(file.names)), Chunk(CHECKSUMS, write_checks(file))]
    return [chunk for chunk in chunks if chunk.data] + [Chunk(STACK, file.stack)]


def _read_start(reader: Reader) -> tuple[ArchiveHeader, Table]:
    """Header and table, from the file's first byte on; magic and version are known to be right. Raises FormatError."""
    low = read_low(reader)
    if low & ~(_STARTER | _SEED) != ARCHIVE:
        raise FormatError("not an archive: bit 3 of byte 4 must be set, and bit 2 must be 0")
    front = read_front(reader)
    starter = None
    if low & _STARTER:
        starter = Starter(reader.varint(MAX_MODEL, "starter's model id"), reader.take(DIGEST_BYTES, "starter's digest"))
    count, dithered, ratio, extra = read_counts(reader)
    seed = reader.seed(bool(low & _SEED))
    table = chunks_file.read_table(reader, _KNOWN)
    types = [place.type for place in table.places]
    if STACK not in types:
        raise FormatError("no stack: an archive must have one")
    return ArchiveHeader(*front, count, CHECKSUMS in types, dithered, ratio, extra, seed, 2, starter), table
