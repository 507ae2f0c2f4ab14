"""The fields that every .vlz file is made of: magic, varints, deflated bytes, the checksum at the end.

Only the standard library is imported, so that looking into a file needs neither numpy nor torch.
"""

import zlib
from typing import Final

from vlcodec.codec.errors import FormatError

MAGIC: Final = b"\x96V\r\n"
VERSION: Final = 1  # what the models up to number 8 write
NEWEST: Final = 2  # what all later ones write

MAX_SIDE: Final = 2**20 - 1  # pixels; three varint bytes
MAX_PIXELS: Final = 2**28  # width * height
MAX_FILE: Final = 2**32  # bytes
MAX_MODEL: Final = 2**32 - 1  # model ids; five varint bytes
MAX_SEED: Final = 2**64 - 1  # ten varint bytes

LOSSLESS: Final = 1  # version 1's flags
SEED: Final = 4
ARCHIVE: Final = 8  # in version 2 the bit of that kind
COMPOSITE: Final = 12  # version 2's low nibble of that kind

CRC_BYTES: Final = 4
DIGEST_BYTES: Final = 2


def is_archive(data: bytes) -> bool:
    """Whether bytes begin like an archive of pictures; anything else is left to the readers to refuse."""
    if data[: len(MAGIC)] != MAGIC or len(data) <= len(MAGIC):
        return False
    byte = data[len(MAGIC)]
    return bool(byte & ARCHIVE) and byte != NEWEST << 4 | COMPOSITE


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
    check_size(data, smallest)
    if not damaged and not sound(data):
        raise FormatError("checksum mismatch: the file is damaged, cut short or has bytes after its end")
    return Reader(memoryview(data)[:-CRC_BYTES])


class Reader:
    """A position that moves through bytes; every step checks that the bytes are there."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    @property
    def seen(self) -> memoryview:
        """All bytes before the position."""
        return self._data[: self._at]

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

    def seed(self, present: bool) -> int:
        """The seed, 0 where its flag is clear. Raises FormatError for a 0 that is written."""
        seed = self.varint(MAX_SEED, "seed") if present else 0
        if present and not seed:
            raise FormatError("the seed is 0: a seed of 0 must be left out")
        return seed

    def chunk(self, what: str) -> bytes:
        """The next chunk, after its length. Raises FormatError when it is longer than what is left."""
        return self.take(self.varint(MAX_FILE, f"length of the {what}"), what)

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at, "rest")


def version_of(data: bytes, smallest: int) -> int:
    """The version of the file that data begins. Raises FormatError unless it is one that can be read."""
    if not data:
        raise FormatError("empty: a .vlz file begins with the bytes 96 56 0D 0A")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise FormatError("not a .vlz file: it must begin with the bytes 96 56 0D 0A")
    if len(data) <= len(MAGIC):
        raise FormatError(f"cut short: the file has {len(data)} bytes, the smallest .vlz file has {smallest}")
    version = data[len(MAGIC)] >> 4
    if version > NEWEST:
        raise FormatError(f"written by a newer vlcodec (format version {version}; this one reads 1 to {NEWEST})")
    if version < VERSION:
        raise FormatError(f"format version {version} does not exist: the first one is 1")
    return version


def check_size(data: bytes, smallest: int) -> None:
    """Raises FormatError for fewer bytes than the smallest file of its kind has, and for more than any file has."""
    if len(data) < smallest:
        raise FormatError(f"cut short: the file has {len(data)} bytes, the smallest .vlz file has {smallest}")
    if len(data) > MAX_FILE:
        raise FormatError(f"too long: the file has {len(data)} bytes, at most {MAX_FILE} are allowed")


def check_range(what: str, value: int, low: int, high: int) -> None:
    """Raises FormatError unless low <= value <= high."""
    if not low <= value <= high:
        raise FormatError(f"the {what} is {value}: it must be from {low} to {high}")


def check_model(model_id: int, digest: bytes) -> None:
    """Raises FormatError unless both are what a file can name a model by."""
    check_range("model id", model_id, 0, MAX_MODEL)
    if len(digest) != DIGEST_BYTES:
        raise FormatError(f"the weights' digest is {len(digest)} bytes: it must be {DIGEST_BYTES}")


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


def deflate(data: bytes) -> bytes:
    """One raw DEFLATE stream."""
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(data) + packer.flush()


def inflate(packed: bytes, limit: int, what: str) -> bytes:
    """What `deflate` was given. Raises FormatError unless packed is one stream of at most limit bytes, and no more."""
    unpacker = zlib.decompressobj(-15)
    try:
        data = unpacker.decompress(packed, limit + 1)  # one more, so that a stream of just the limit is read to its end
    except zlib.error:
        raise FormatError(f"the {what} cannot be read: it must be deflated bytes") from None
    if len(data) > limit:
        raise FormatError(f"the {what} is too long: it must be at most {limit} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise FormatError(f"the {what} must be one deflated stream that ends where its chunk does")
    return data
