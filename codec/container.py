"""The .vlz container: bytes <-> header and chunks.

    magic | version, flags | model | digest | width | height | quality | [seed] | latents | [bands] | CRC-32
    4       1                1..5    2        1..3    1..3     1         1..10    n         n         4

It knows no model and no coder: chunks are opaque bytes here. FORMAT.md, beside this file, is the specification to the
byte. Only the standard library is imported, so that looking into a file needs neither numpy nor torch.

Headers and files check themselves when they are made, so one that exists is one that the format can hold, whether it
was read from bytes or is about to be written.
"""

import zlib
from dataclasses import dataclass
from typing import Final

from vlcodec.codec.errors import FormatError

MAGIC: Final = b"\x96V\r\n"
VERSION: Final = 1

BAND_ROWS: Final = 512  # rows of one independently coded band of pixels
MAX_SIDE: Final = 2**20 - 1  # pixels; three varint bytes
MAX_PIXELS: Final = 2**28  # width * height
MAX_FILE: Final = 2**32  # bytes
MAX_MODEL: Final = 2**32 - 1  # model ids; five varint bytes
MAX_SEED: Final = 2**64 - 1  # ten varint bytes

_LOSSLESS: Final = 1
_GREY: Final = 2
_SEED: Final = 4
_RESERVED: Final = 8  # kept for archives of several pictures

_CRC_BYTES: Final = 4
_DIGEST_BYTES: Final = 2
_SMALLEST: Final = 15  # bytes: every field at its shortest, no seed, an empty latents chunk


@dataclass(frozen=True)
class Header:
    """What a file says about itself before its chunks.

    Raises FormatError when a field is outside what the format can hold.
    """

    model_id: int  # the model's number in the zoo, 0 to MAX_MODEL
    digest: bytes  # first 2 bytes of the SHA-256 of the model's weights
    width: int  # pixels, 1 to MAX_SIDE
    height: int  # pixels, 1 to MAX_SIDE; width * height <= MAX_PIXELS
    grey: bool  # one channel instead of RGB
    lossless: bool  # band chunks follow the latents
    quality: int  # 0 to 255, its meaning is the model's
    seed: int  # of the decoder's noise, 0 to MAX_SEED

    def __post_init__(self) -> None:
        _check_range("model id", self.model_id, 0, MAX_MODEL)
        _check_range("width", self.width, 1, MAX_SIDE)
        _check_range("height", self.height, 1, MAX_SIDE)
        _check_range("quality", self.quality, 0, 255)
        _check_range("seed", self.seed, 0, MAX_SEED)
        if len(self.digest) != _DIGEST_BYTES:
            raise FormatError(f"the weights' digest is {len(self.digest)} bytes: it must be {_DIGEST_BYTES}")
        if self.width * self.height > MAX_PIXELS:
            raise FormatError(f"{self.width} x {self.height} is too large: at most {MAX_PIXELS} pixels are allowed")

    @property
    def bands(self) -> int:
        """Number of bands of BAND_ROWS rows in the picture, the last perhaps shorter; a lossy file stores none."""
        return -(-self.height // BAND_ROWS)


@dataclass(frozen=True)
class Band:
    """One band of a lossless file. Raises FormatError when the checksum is no 32-bit number."""

    stack: bytes  # the coded pixels
    pixels_crc: int  # CRC-32 of the decoded pixels, row-major bytes: H x W grey, H x W x 3 RGB

    def __post_init__(self) -> None:
        _check_range("pixel checksum", self.pixels_crc, 0, 2**32 - 1)


@dataclass(frozen=True)
class File:
    """All that a .vlz file holds. Raises FormatError when the bands do not fit the header."""

    header: Header
    latents: bytes
    bands: tuple[Band, ...] = ()  # header.bands of them in a lossless file, none in a lossy one

    def __post_init__(self) -> None:
        expected = self.header.bands if self.header.lossless else 0
        if len(self.bands) != expected:
            raise FormatError(f"{len(self.bands)} bands given: this picture must have {expected}")


def pack(file: File) -> bytes:
    """Write a file's bytes; equal files give equal bytes.

    Raises FormatError when the result would exceed MAX_FILE bytes.
    """
    header = file.header
    flags = _LOSSLESS * header.lossless | _GREY * header.grey | _SEED * (header.seed > 0)
    out = bytearray(MAGIC)
    out.append(VERSION << 4 | flags)
    out += _varint(header.model_id)
    out += header.digest
    out += _varint(header.width)
    out += _varint(header.height)
    out.append(header.quality)
    if header.seed:
        out += _varint(header.seed)

    out += _chunk(file.latents, last=not file.bands)
    for number, band in enumerate(file.bands, start=1):
        out += band.pixels_crc.to_bytes(_CRC_BYTES, "little")
        out += _chunk(band.stack, last=number == len(file.bands))

    if len(out) + _CRC_BYTES > MAX_FILE:
        raise FormatError(f"the file would be {len(out) + _CRC_BYTES} bytes: at most {MAX_FILE} are allowed")
    out += zlib.crc32(out).to_bytes(_CRC_BYTES, "little")
    return bytes(out)


def unpack(data: bytes) -> File:
    """Read a whole file, its checksum first, so that damage is called damage and nothing stranger.

    Raises FormatError, and nothing else, for bytes that are not exactly one valid file.
    """
    _check_front(data)
    if len(data) < _SMALLEST:
        raise FormatError(f"cut short: the file has {len(data)} bytes, the smallest .vlz file has {_SMALLEST}")
    if len(data) > MAX_FILE:
        raise FormatError(f"too long: the file has {len(data)} bytes, at most {MAX_FILE} are allowed")
    body = memoryview(data)[:-_CRC_BYTES]
    if zlib.crc32(body) != int.from_bytes(data[-_CRC_BYTES:], "little"):
        raise FormatError("checksum mismatch: the file is damaged, cut short or has bytes after its end")

    reader = _Reader(body)
    header = _read_header(reader)
    if not header.lossless:
        return File(header, latents=reader.rest())
    latents = reader.chunk("latents")
    bands = []
    for number in range(1, header.bands + 1):
        pixels_crc = int.from_bytes(reader.take(_CRC_BYTES, f"checksum of band {number}"), "little")
        stack = reader.rest() if number == header.bands else reader.chunk(f"band {number}")
        bands.append(Band(stack, pixels_crc))
    return File(header, latents, tuple(bands))


def read_header(data: bytes) -> Header:
    """Read the header alone; the front of a file is enough, so its checksum is not looked at.

    Raises FormatError when the bytes do not begin with a valid header.
    """
    _check_front(data)
    return _read_header(_Reader(memoryview(data)))


def sizes(file: File) -> dict[str, int]:
    """Bytes of the file by purpose, summing to its size: "header" (lengths and checksums too), "latents", "pixels".

    Raises FormatError as pack does.
    """
    latents = len(file.latents)
    pixels = sum(len(band.stack) for band in file.bands)
    return {"header": len(pack(file)) - latents - pixels, "latents": latents, "pixels": pixels}


class _Reader:
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


def _check_front(data: bytes) -> None:
    """Raises FormatError unless data begins like a file of this version."""
    if not data:
        raise FormatError("empty: a .vlz file begins with the bytes 96 56 0D 0A")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise FormatError("not a .vlz file: it must begin with the bytes 96 56 0D 0A")
    if len(data) <= len(MAGIC):
        raise FormatError(f"cut short: the file has {len(data)} bytes, the smallest .vlz file has {_SMALLEST}")
    version = data[len(MAGIC)] >> 4
    if version > VERSION:
        raise FormatError(f"written by a newer vlcodec (format version {version}; this one reads {VERSION})")
    if version < VERSION:
        raise FormatError(f"format version {version} does not exist: the first one is 1")


def _read_header(reader: _Reader) -> Header:
    """The header, from the file's first byte on; magic and version are known to be right. Raises FormatError."""
    flags = reader.take(len(MAGIC) + 1, "magic")[-1] & 0x0F
    if flags & _RESERVED:
        raise FormatError("a reserved flag is set: bit 3 must be 0")
    model_id = reader.varint(MAX_MODEL, "model id")
    digest = reader.take(_DIGEST_BYTES, "weights' digest")
    width = reader.varint(MAX_SIDE, "width")
    height = reader.varint(MAX_SIDE, "height")
    (quality,) = reader.take(1, "quality")
    seed = reader.varint(MAX_SEED, "seed") if flags & _SEED else 0
    if flags & _SEED and not seed:
        raise FormatError("the seed is 0: a seed of 0 must be left out")
    return Header(
        model_id=model_id,
        digest=digest,
        width=width,
        height=height,
        grey=bool(flags & _GREY),
        lossless=bool(flags & _LOSSLESS),
        quality=quality,
        seed=seed,
    )


def _check_range(what: str, value: int, low: int, high: int) -> None:
    """Raises FormatError unless low <= value <= high."""
    if not low <= value <= high:
        raise FormatError(f"the {what} is {value}: it must be from {low} to {high}")


def _chunk(data: bytes, *, last: bool) -> bytes:
    """A chunk after its length; the last one needs none, because the file's end tells."""
    return data if last else _varint(len(data)) + data


def _varint(value: int) -> bytes:
    """LEB128: 7 bits a byte, low ones first, the high bit on all bytes but the last."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
