"""The archive kind of .vlz file: bytes <-> header, names, checksums and the stack that all pictures share.

    magic | version, flags | model | digest | width | height | count | dithered | ratio | extra | [seed] | names |
    4       1                1..5    2        1..3    1..3     1..4    1..4       1       1..5    1..10    n
    [checksums] | stack | CRC-32
    4 each        n       4

It knows no model and no coder. FORMAT.md, beside this file, is the specification to the byte.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.wire import (
    ARCHIVE,
    CRC_BYTES,
    DIGEST_BYTES,
    LOSSLESS,
    MAGIC,
    MAX_MODEL,
    MAX_PIXELS,
    MAX_SEED,
    MAX_SIDE,
    SEED,
    VERSION,
    Reader,
    check_range,
    chunk,
    seal,
    unseal,
    varint,
)

CHECKED: Final = 512  # pictures under one checksum
MAX_PICTURES: Final = 2**24
MAX_EXTRA: Final = 2**28  # bytes
MAX_NAME: Final = 255  # bytes of one name
MAX_NAMES: Final = 2**28  # bytes of all, before they are compressed
_SMALLEST: Final = 19  # bytes


@dataclass(frozen=True)
class ArchiveHeader:
    """What an archive says of itself. Raises FormatError when a field is outside what the format can hold."""

    model_id: int
    digest: bytes  # first 2 bytes of the SHA-256 of the model's weights
    width: int  # pixels, of every picture
    height: int
    count: int  # pictures, at least 1
    lossless: bool  # checksums stand in the file, and the stack holds pixels
    dithered: int  # how many pictures, from the end, are coded by dither
    ratio: int  # pictures on the stack that a lane of bits-back needs; 0 where all are dithered
    extra: int  # bytes on the stack's bottom
    seed: int

    def __post_init__(self) -> None:
        check_range("model id", self.model_id, 0, MAX_MODEL)
        check_range("width", self.width, 1, MAX_SIDE)
        check_range("height", self.height, 1, MAX_SIDE)
        check_range("number of pictures", self.count, 1, MAX_PICTURES)
        check_range("number of dithered pictures", self.dithered, 0, self.count)
        check_range("ratio", self.ratio, *((0, 0) if self.dithered == self.count else (1, 255)))
        check_range("number of extra bytes", self.extra, 0, MAX_EXTRA)
        check_range("seed", self.seed, 0, MAX_SEED)
        if len(self.digest) != DIGEST_BYTES:
            raise FormatError(f"the weights' digest is {len(self.digest)} bytes: it must be {DIGEST_BYTES}")
        if self.width * self.height * self.count > MAX_PIXELS:
            raise FormatError(f"{self.count} pictures are too many: at most {MAX_PIXELS} pixels are allowed")
        if not self.lossless and self.dithered != self.count:
            raise FormatError("a lossy archive must hold dithered pictures alone")


@dataclass(frozen=True)
class ArchiveFile:
    """All that an archive holds. Raises FormatError when names or checksums do not fit the header."""

    header: ArchiveHeader
    names: tuple[str, ...]  # one for each picture, or none
    checks: tuple[int, ...]  # CRC-32 of each run of 512 pictures of a lossless archive, row-major bytes
    stack: bytes

    def __post_init__(self) -> None:
        check_names(self.names, self.header.count)
        expected = -(-self.header.count // CHECKED) if self.header.lossless else 0
        if len(self.checks) != expected:
            raise FormatError(f"{len(self.checks)} checksums given: this archive must have {expected}")


def check_names(names: Sequence[str], count: int) -> None:
    """Raises FormatError unless there is a good name for each picture, or none."""
    if names and len(names) != count:
        raise FormatError(f"{len(names)} names for {count} pictures: each must have one, or none")
    total = 0
    for name in names:
        try:
            size = len(name.encode())
        except UnicodeEncodeError:
            raise FormatError(f"a name must be UTF-8, not {name!r}") from None
        if not 1 <= size <= MAX_NAME or name in (".", "..") or set(name) & set("/\\\0"):
            raise FormatError(f"a name must be a file's own, without a folder, of up to {MAX_NAME} bytes, not {name!r}")
        total += size + 1
    if total > MAX_NAMES:
        raise FormatError(f"the names are too long: at most {MAX_NAMES} bytes are allowed")
    if len(set(names)) != len(names):
        raise FormatError("two pictures have the same name: names must differ")


def pack(file: ArchiveFile) -> bytes:
    """Write a file's bytes. Raises FormatError when they would exceed what a file may have."""
    header = file.header
    out = bytearray(MAGIC)
    out.append(VERSION << 4 | ARCHIVE | LOSSLESS * header.lossless | SEED * (header.seed > 0))
    out += varint(header.model_id) + header.digest
    out += varint(header.width) + varint(header.height) + varint(header.count) + varint(header.dithered)
    out.append(header.ratio)
    out += varint(header.extra)
    if header.seed:
        out += varint(header.seed)
    out += _names_chunk(file)
    for check in file.checks:
        out += check.to_bytes(CRC_BYTES, "little")
    return seal(out + file.stack)


def unpack(data: bytes, damaged: bool = False) -> ArchiveFile:
    """Read a whole archive. damaged: a wrong CRC-32 is let through, for what can still be read.

    Raises FormatError, and nothing else, for bytes that are not exactly one valid archive.
    """
    reader = unseal(data, _SMALLEST, damaged)
    flags = reader.take(len(MAGIC) + 1, "magic")[-1] & 0x0F
    if flags & ~(LOSSLESS | SEED) != ARCHIVE:
        raise FormatError("not an archive: bit 3 of its flags must be set, and bit 1 must be 0")
    model_id = reader.varint(MAX_MODEL, "model id")
    digest = reader.take(DIGEST_BYTES, "weights' digest")
    width, height = reader.varint(MAX_SIDE, "width"), reader.varint(MAX_SIDE, "height")
    count = reader.varint(MAX_PICTURES, "number of pictures")
    dithered = reader.varint(MAX_PICTURES, "number of dithered pictures")
    (ratio,) = reader.take(1, "ratio")
    extra = reader.varint(MAX_EXTRA, "number of extra bytes")
    seed = reader.varint(MAX_SEED, "seed") if flags & SEED else 0
    if flags & SEED and not seed:
        raise FormatError("the seed is 0: a seed of 0 must be left out")
    lossless = bool(flags & LOSSLESS)
    header = ArchiveHeader(model_id, digest, width, height, count, lossless, dithered, ratio, extra, seed)
    names = _read_names(reader, count)
    runs = -(-count // CHECKED) if lossless else 0
    checks = tuple(int.from_bytes(reader.take(CRC_BYTES, "checksums"), "little") for _ in range(runs))
    return ArchiveFile(header, names, checks, reader.rest())


def sizes(file: ArchiveFile) -> dict[str, int]:
    """Bytes by purpose, summing to the file's size: "header" (its CRC-32 too), "names", "checksums", "stack"."""
    names, checks, stack = len(_names_chunk(file)), CRC_BYTES * len(file.checks), len(file.stack)
    rest = len(pack(file)) - names - checks - stack
    return {"header": rest, "names": names, "checksums": checks, "stack": stack}


def _names_chunk(file: ArchiveFile) -> bytes:
    if not file.names:
        return chunk(b"", last=False)
    packer = zlib.compressobj(9, wbits=-15)
    return chunk(packer.compress("\0".join(file.names).encode()) + packer.flush(), last=False)


def _read_names(reader: Reader, count: int) -> tuple[str, ...]:
    packed = reader.chunk("names")
    if not packed:
        return ()
    unpacker = zlib.decompressobj(-15)
    try:
        text = unpacker.decompress(packed, min(MAX_NAMES, (MAX_NAME + 1) * count))
        if text.count(0) != count - 1:
            raise FormatError(f"{text.count(0) + 1} names for {count} pictures: each must have one, or none")
        names = tuple(text.decode().split("\0"))
    except (zlib.error, UnicodeDecodeError):
        raise FormatError("the names cannot be read: they must be deflated UTF-8") from None
    if not unpacker.eof or unpacker.unused_data:
        raise FormatError("the names must be one deflated stream that ends where their chunk does")
    return names
