"""The fields that every .vlz file is made of: magic, varints, chunks, the checksum at the end.

Only the standard library is imported, so that looking into a file needs neither numpy nor torch.
"""

import zlib
from typing import Final

from vlcodec.codec.errors import FormatError

MAGIC: Final = b"\x96V\r\n"
VERSION: Final = 1

MAX_SIDE: Final = 2**20 - 1  # pixels; three varint bytes
MAX_PIXELS: Final = 2**28  # width * height
MAX_FILE: Final = 2**32  # bytes
MAX_MODEL: Final = 2**32 - 1  # model ids; five varint bytes
MAX_SEED: Final = 2**64 - 1  # ten varint bytes

LOSSLESS: Final = 1  # flags
SEED: Final = 4
ARCHIVE: Final = 8

CRC_BYTES: Final = 4
DIGEST_BYTES: Final = 2


def is_archive(data: bytes) -> bool:
    """Whether bytes begin like an archive of pictures; anything else is left to the readers to refuse."""
    return data[: len(MAGIC)] == MAGIC and len(data) > len(MAGIC) and bool(data[len(MAGIC)] & ARCHIVE)


def seal(out: bytearray) -> bytes:
    """The bytes with their CRC-32. Raises FormatError when the file would exceed MAX_FILE bytes."""
    if len(out) + CRC_BYTES > MAX_FILE:
        raise FormatError(f"the file would be {len(out) + CRC_BYTES} bytes: at most {MAX_FILE} are allowed")
    return bytes(out + zlib.crc32(out).to_bytes(CRC_BYTES, "little"))


def sound(data: bytes) -> bool:
    """Whether the CRC-32 at the end is that of the bytes before it."""
    return zlib.crc32(memoryview(data)[:-CRC_BYTES]) == int.from_bytes(data[-CRC_BYTES:], "little")


def unseal(data: bytes, smallest: int, damaged: bool = False) -> "Reader":
    """A reader of what stands before the CRC-32. damaged: a wrong one is let through.

    Raises FormatError for bytes that are no file of at least `smallest` bytes with the right checksum.
    """
    check_front(data, smallest)
    if len(data) < smallest:
        raise FormatError(f"cut short: the file has {len(data)} bytes, the smallest .vlz file has {smallest}")
    if len(data) > MAX_FILE:
        raise FormatError(f"too long: the file has {len(data)} bytes, at most {MAX_FILE} are allowed")
    if not damaged and not sound(data):
        raise FormatError("checksum mismatch: the file is damaged, cut short or has bytes after its end")
    return Reader(memoryview(data)[:-CRC_BYTES])


class Reader:
    """A position that moves through bytes; every step checks that the bytes are there."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int, what: str) -> bytes:
        """The next count bytes. Raises FormatError when fewer are left."""
        left = len(self._data) - self._at
        if count > left:
            raise FormatError(f"cut off in the {what}: bytes needed {count}, left {left}")
        self._at += count
        return bytes(self._data[self._at - count : self._at])

    def varint(self, limit: int, what: str) -> int:
        """The next LEB128 integer, of no more bytes than limit needs. Raises FormatError when it is longer, padded or
        absent; that a value is within its limit, Header checks."""
        value = 0
        for shift in range(0, limit.bit_length(), 7):
            (byte,) = self.take(1, what)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    raise FormatError(f"the {what} is padded: a varint must have no needless zero byte")
                return value
        raise FormatError(f"the {what} is too long: it must be at most {limit}")

    def chunk(self, what: str) -> bytes:
        """The next chunk, after its length. Raises FormatError when it is longer than what is left."""
        return self.take(self.varint(MAX_FILE, f"length of the {what}"), what)

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at, "rest")


def check_front(data: bytes, smallest: int) -> None:
    """Raises FormatError unless data begins like a file of this version."""
    if not data:
        raise FormatError("empty: a .vlz file begins with the bytes 96 56 0D 0A")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise FormatError("not a .vlz file: it must begin with the bytes 96 56 0D 0A")
    if len(data) <= len(MAGIC):
        raise FormatError(f"cut short: the file has {len(data)} bytes, the smallest .vlz file has {smallest}")
    version = data[len(MAGIC)] >> 4
    if version > VERSION:
        raise FormatError(f"written by a newer vlcodec (format version {version}; this one reads {VERSION})")
    if version < VERSION:
        raise FormatError(f"format version {version} does not exist: the first one is 1")


def check_range(what: str, value: int, low: int, high: int) -> None:
    """Raises FormatError unless low <= value <= high."""
    if not low <= value <= high:
        raise FormatError(f"the {what} is {value}: it must be from {low} to {high}")


def chunk(data: bytes, *, last: bool) -> bytes:
    """A chunk after its length; the last one needs none, because the file's end tells."""
    return data if last else varint(len(data)) + data


def varint(value: int) -> bytes:
    """LEB128: 7 bits a byte, low ones first, the high bit on all bytes but the last."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
