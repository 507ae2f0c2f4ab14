"""A composite: a picture that no model codes, in typed chunks.

    magic | version, kind | table | CRC-16 | chunks | CRC-32
    4       1               n       2        n        4

It holds planes of levels, or of indices and the palette that they stand for; or another codec's file, which does not
hold all that belongs to the picture. Metadata may stand beside either.
"""

from dataclasses import dataclass
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import chunks as chunks_file
from vlcodec.codec.files import stored_file
from vlcodec.codec.files.chunks import (
    EXIF,
    ICC,
    OTHER,
    PALETTE,
    PLANES,
    RESOLUTION,
    TEXT,
    XMP,
    Chunk,
    Table,
)
from vlcodec.codec.files.front import read_low
from vlcodec.codec.files.metadata import Metadata, check_metadata, pack_metadata, unpack_metadata
from vlcodec.codec.files.palette import Transparent, unpack_palette
from vlcodec.codec.files.stored_file import FORMATS, Stored
from vlcodec.codec.files.wire import (
    COMPOSITE,
    MAGIC,
    MAX_PIXELS,
    MAX_SIDE,
    Reader,
    check_range,
    check_size,
    varint,
    version_of,
)

SMALLEST: Final = 15  # bytes
MAX_CHANNELS: Final = 4
KEPT: Final = ("colour", "grey", "bilevel")
_KEPT_SHIFT: Final = 6  # in the byte that tells the codec
_KNOWN: Final = frozenset({ICC, PLANES, PALETTE, OTHER, EXIF, XMP, TEXT, RESOLUTION})


@dataclass(frozen=True)
class Planes:
    """Planes of levels, or of indices into a palette. Raises FormatError for sizes outside the limits."""

    width: int  # pixels, 1 to MAX_SIDE
    height: int  # width * height <= MAX_PIXELS
    channels: int  # 1 to 4
    coded: bytes  # see planes.py

    def __post_init__(self) -> None:
        check_range("width", self.width, 1, MAX_SIDE)
        check_range("height", self.height, 1, MAX_SIDE)
        check_range("number of channels", self.channels, 1, MAX_CHANNELS)
        check_range("number of pixels", self.width * self.height, 1, MAX_PIXELS)


@dataclass(frozen=True)
class Composite:
    """All that a composite holds. Raises FormatError for parts that do not belong together."""

    metadata: Metadata = ()
    palette: bytes = b""  # see palette.py
    planes: Planes | None = None
    other: Stored | None = None
    kept: str = "colour"  # what another codec's colours stand for: one of KEPT

    def __post_init__(self) -> None:
        check_metadata(self.metadata)
        if (self.planes is None) == (self.other is None):
            raise FormatError("a composite must hold either planes or another codec's file")
        if self.palette:
            self._check_palette(self.planes.channels if self.planes is not None else 0)
        if self.kept not in KEPT or (self.kept != "colour" and self.other is None):
            raise FormatError(f"another codec's picture must be kept as {', '.join(KEPT)}, not {self.kept}")

    def _check_palette(self, channels: int) -> None:
        palette = unpack_palette(self.palette)
        fitting = len(palette.colour) if isinstance(palette, Transparent) else 1
        if channels != fitting:
            raise FormatError(f"a palette that fits {fitting} channels must stand beside as many, not {channels}")


def is_composite(data: bytes) -> bool:
    """Whether bytes begin like a composite; anything else is left to the readers to refuse."""
    return data[: len(MAGIC)] == MAGIC and data[len(MAGIC) : len(MAGIC) + 1] == bytes([2 << 4 | COMPOSITE])


def pack_composite(composite: Composite) -> bytes:
    """A file's bytes. Raises FormatError when they would be too many."""
    chunks = pack_metadata(composite.metadata)
    if composite.palette:
        chunks.append(Chunk(PALETTE, composite.palette))
    if composite.planes is not None:
        planes = composite.planes
        size = varint(planes.width) + varint(planes.height) + bytes([planes.channels])
        chunks.append(Chunk(PLANES, size + planes.coded))
    if composite.other is not None:
        (number,) = (number for number, name in FORMATS.items() if name == composite.other.format)
        number |= KEPT.index(composite.kept) << _KEPT_SHIFT
        chunks.append(Chunk(OTHER, bytes([number]) + composite.other.data))
    front = bytearray(MAGIC) + bytes([2 << 4 | COMPOSITE])
    return chunks_file.join(front, sorted(chunks, key=lambda chunk: chunk.type))


def unpack_composite(data: bytes) -> Composite:
    """Read a whole file. Raises FormatError, and nothing else, for anything else than one valid composite."""
    version = version_of(data, SMALLEST)
    check_size(data, SMALLEST)
    with chunks_file.damage_first(data):
        table = _read_start(version, data)
    chunks = chunks_file.split(data, table)
    found = {chunk.type: chunk.data for chunk in chunks}
    return Composite(
        unpack_metadata(chunks),
        found.get(PALETTE, b""),
        _planes(found[PLANES]) if PLANES in found else None,
        *(_other(found[OTHER]) if OTHER in found else (None, "colour")),
    )


def describe(data: bytes) -> dict[str, int | str]:
    """ "stored", "width", "height", "mode" (as Pillow has it), from a file's first bytes, where they reach so far;
    of 16 bits also "bits".

    Raises FormatError for another front than a composite's, and where they do not.
    """
    places = {place.type: place for place in _read_start(version_of(data, SMALLEST), data).places}
    if PLANES in places:
        planes = _planes(data[places[PLANES].start : places[PLANES].end])
        palette = places[PALETTE].end - places[PALETTE].start if PALETTE in places else 0
        mode = {0: "", 1: "1", 2: "", 4: ""}.get(palette, "P") or ("L", "LA", "RGB", "RGBA")[planes.channels - 1]
        return {"stored": "planes", "width": planes.width, "height": planes.height, "mode": mode}
    if OTHER not in places:
        raise FormatError("a composite must hold either planes or another codec's file")
    other, kept = _other(data[places[OTHER].start : places[OTHER].end])
    about = {"stored": other.format} | stored_file.describe(other)
    if kept != "colour":
        about["mode"] = "1" if kept == "bilevel" else str(about.get("mode", "")).replace("RGB", "L")
    return about


def sizes(composite: Composite) -> dict[str, int]:
    """Bytes by purpose, those that there are, summing to the file's size: "header" (table and checksums too)."""
    found = {
        "palette": len(composite.palette),
        "planes": len(composite.planes.coded) if composite.planes is not None else 0,
        "stored": len(composite.other.data) if composite.other is not None else 0,
        "metadata": sum(len(chunk.data) for chunk in pack_metadata(composite.metadata)),
    }
    header = len(pack_composite(composite)) - sum(found.values())
    return {"header": header} | {name: count for name, count in found.items() if count}


def _read_start(version: int, data: bytes) -> Table:
    reader = Reader(memoryview(data))
    if (version, read_low(reader)) != (2, COMPOSITE):
        raise FormatError("not a composite: byte 4 must be 2C")
    return chunks_file.read_table(reader, _KNOWN)


def _planes(data: bytes) -> Planes:
    reader = Reader(memoryview(data))
    width, height = reader.varint(MAX_SIDE, "width"), reader.varint(MAX_SIDE, "height")
    return Planes(width, height, reader.take(1, "number of channels")[0], reader.rest())


def _other(data: bytes) -> tuple[Stored, str]:
    if not data:
        raise FormatError("cut off in the picture of another codec")
    kept, number = divmod(data[0], 1 << _KEPT_SHIFT)
    if number not in FORMATS or kept >= len(KEPT):
        raise FormatError(f"a picture of another codec of type {data[0]}, which this vlcodec does not read")
    return Stored(FORMATS[number], data[1:]), KEPT[kept]
