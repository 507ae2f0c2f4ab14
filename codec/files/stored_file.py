"""A stored picture: another codec's file as it is, with 10 bytes around it.

    magic | version, kind | type | bytes | CRC-32
    4       1               1      n       4

It serves pictures that another codec makes smaller.
"""

from dataclasses import dataclass
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.front import read_low
from vlcodec.codec.files.wire import MAGIC, seal, unseal, version_of

SMALLEST: Final = 11  # bytes
PLACE: Final = 6  # where the other codec's bytes begin; they end before the CRC-32
_KIND: Final = 4  # in the low nibble of byte 4
FORMATS: Final = {1: "PNG", 2: "WebP", 3: "JPEG", 4: "JPEG XL", 5: "AVIF", 6: "GIF"}


@dataclass(frozen=True)
class Stored:
    """Another codec's file. Raises FormatError for an unknown format, and no bytes."""

    format: str  # one of FORMATS' names
    data: bytes

    def __post_init__(self) -> None:
        if self.format not in FORMATS.values():
            raise FormatError(f"a stored picture must be {', '.join(FORMATS.values())}, not {self.format}")
        if not self.data:
            raise FormatError("a stored picture must have bytes")


def is_stored(data: bytes) -> bool:
    """Whether bytes begin like a stored picture of version 2; anything else is left to the readers to refuse."""
    return data[: len(MAGIC)] == MAGIC and data[len(MAGIC) : len(MAGIC) + 1] == bytes([2 << 4 | _KIND])


def pack_stored(stored: Stored) -> bytes:
    """A file's bytes, 10 more than the stored ones. Raises FormatError when they would exceed MAX_FILE."""
    (number,) = (number for number, name in FORMATS.items() if name == stored.format)
    return seal(bytearray(MAGIC) + bytes([2 << 4 | _KIND, number]) + stored.data)


def describe(stored: Stored) -> dict[str, int | str]:
    """ "width", "height" and "mode" (as Pillow has it) of a PNG, WebP or GIF, as far as its first bytes tell them; of a
    PNG of 16 bits also "bits"."""
    data = stored.data
    if stored.format == "PNG" and len(data) >= 26:
        found = {"width": int.from_bytes(data[16:20], "big"), "height": int.from_bytes(data[20:24], "big")}
        mode = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}.get(data[25], "RGB")
        found |= {"bits": 16} if data[24] == 16 else {}
        return found | {"mode": "1" if (data[24], mode) == (1, "L") else mode}
    if stored.format == "WebP" and len(data) >= 30:
        if data[12:16] == b"VP8X":
            sides = [1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27)]
            return {"width": sides[0], "height": sides[1], "mode": "RGBA" if data[20] & 16 else "RGB"}
        if data[12:16] == b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            mode = "RGBA" if bits >> 28 & 1 else "RGB"
            return {"width": 1 + (bits & 0x3FFF), "height": 1 + (bits >> 14 & 0x3FFF), "mode": mode}
        sides = [int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28)]
        return {"width": sides[0], "height": sides[1], "mode": "RGB"}
    if stored.format == "GIF" and len(data) >= 10:
        width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
        return {"width": width, "height": height, "mode": "RGBA"}
    return {}


def unpack_stored(data: bytes) -> Stored:
    """Read a whole file. That the bytes are a picture of the format, only that format's decoder can tell.

    Raises FormatError, and nothing else, for bytes that are not exactly one stored picture.
    """
    version = version_of(data, SMALLEST)
    reader = unseal(data, SMALLEST)
    if (version, read_low(reader)) != (2, _KIND):
        raise FormatError("not a stored picture: byte 4 must be 24")
    (number,) = reader.take(1, "stored picture's type")
    if number not in FORMATS:
        raise FormatError(f"a stored picture of type {number}, which this vlcodec does not read")
    return Stored(FORMATS[number], reader.rest())
