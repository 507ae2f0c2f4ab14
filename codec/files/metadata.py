"""What a picture's file tells beside its pixels, each in a skippable chunk: profile, EXIF, XMP, text, resolution."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.chunks import EXIF, ICC, RESOLUTION, TEXT, TITLES, XMP, Chunk
from vlcodec.codec.files.wire import Reader, check_range, deflate, inflate, varint

Metadata = tuple[tuple[int, bytes], ...]  # (type, bytes as they were before they are deflated)

MAX_METADATA: Final = 2**24  # bytes of all, before they are deflated
MAX_TEXTS: Final = 1024
MAX_KEYWORD: Final = 79  # bytes
UNITS: Final = ("none", "inch", "metre")  # of a resolution; without one it is a ratio
DEFLATED: Final = frozenset({ICC, EXIF, XMP, TEXT})
_TYPES: Final = DEFLATED | {RESOLUTION}
_MAX_THOUSANDTHS: Final = 2**32 - 1


@dataclass(frozen=True)
class Resolution:
    """Pixels per unit, in thousandths. Raises FormatError for what a chunk cannot hold."""

    unit: str  # one of UNITS
    horizontal: int  # 1 to 2^32 - 1
    vertical: int

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise FormatError(f"the resolution's unit must be one of {', '.join(UNITS)}, not {self.unit}")
        check_range("horizontal resolution", self.horizontal, 1, _MAX_THOUSANDTHS)
        check_range("vertical resolution", self.vertical, 1, _MAX_THOUSANDTHS)


def check_metadata(metadata: Metadata) -> None:
    """Raises FormatError unless types are known ones in ascending order, only text twice, and nothing is empty."""
    types = [kind for kind, _ in metadata]
    for kind, data in metadata:
        if kind not in _TYPES:
            raise FormatError(f"chunk type {kind} is not metadata: it must be one of {sorted(_TYPES)}")
        if not data:
            raise FormatError(f"the {TITLES[kind]} is empty: it must be left out")
    if types != sorted(types) or any(types.count(kind) > 1 for kind in _TYPES - {TEXT}):
        raise FormatError("metadata must be in ascending order of types, and only text may be there twice")
    check_range("number of texts", types.count(TEXT), 0, MAX_TEXTS)
    check_range("metadata's size in bytes", sum(len(data) for _, data in metadata), 0, MAX_METADATA)


def pack_metadata(metadata: Metadata) -> list[Chunk]:
    """Its chunks."""
    return [Chunk(kind, deflate(data) if kind in DEFLATED else data) for kind, data in metadata]


def unpack_metadata(chunks: Sequence[Chunk]) -> Metadata:
    """Raises FormatError for bytes that cannot be inflated, or to more than MAX_METADATA in all."""
    found, left = list[tuple[int, bytes]](), MAX_METADATA
    for chunk in chunks:
        if chunk.type in _TYPES:
            data = inflate(chunk.data, left, TITLES[chunk.type]) if chunk.type in DEFLATED else chunk.data
            found.append((chunk.type, data))
            left -= min(len(data), left)
    return tuple(found)


def pack_text(keyword: str, text: str) -> bytes:
    """The bytes of a text. Raises FormatError for a keyword that is empty, longer than MAX_KEYWORD, or has a zero."""
    try:
        key, value = keyword.encode(), text.encode()
    except UnicodeEncodeError:
        raise FormatError("a text and its keyword must be UTF-8") from None
    if not 1 <= len(key) <= MAX_KEYWORD or 0 in key:
        raise FormatError(f"a text's keyword must have 1 to {MAX_KEYWORD} bytes, none of them zero")
    return key + b"\0" + value


def unpack_text(data: bytes) -> tuple[str, str]:
    """(keyword, text). Raises FormatError for anything that `pack_text` does not give."""
    key, zero, value = data.partition(b"\0")
    if not zero or not 1 <= len(key) <= MAX_KEYWORD:
        raise FormatError(f"a text must begin with a keyword of 1 to {MAX_KEYWORD} bytes and a zero byte")
    try:
        return key.decode(), value.decode()
    except UnicodeDecodeError:
        raise FormatError("a text and its keyword must be UTF-8") from None


def pack_resolution(resolution: Resolution) -> bytes:
    """The bytes of a resolution."""
    numbers = varint(resolution.horizontal) + varint(resolution.vertical)
    return bytes([UNITS.index(resolution.unit)]) + numbers


def unpack_resolution(data: bytes) -> Resolution:
    """Raises FormatError for anything that `pack_resolution` does not give."""
    reader = Reader(memoryview(data))
    (unit,) = reader.take(1, "resolution's unit")
    check_range("resolution's unit", unit, 0, len(UNITS) - 1)
    numbers = [reader.varint(_MAX_THOUSANDTHS, f"{way} resolution") for way in ("horizontal", "vertical")]
    if reader.rest():
        raise FormatError("the resolution has bytes after its end")
    return Resolution(UNITS[unit], *numbers)
