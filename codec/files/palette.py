"""The palette's chunk: what turns coded levels back into the mode that a picture had.

kind 0   bilevel: grey levels 0 and 255, or indices 0 and 1
kind 1   a palette | number of colours less 1 | number of alpha values | deflated: all reds, greens, blues, alphas
         1           1                          1..2                     n
kind 2   a transparent colour | its level, or red, green and blue
         1                      1 or 3
"""

from dataclasses import dataclass
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.wire import Reader, check_range, deflate, inflate, varint

MAX_COLOURS: Final = 256
_BILEVEL, _COLOURS, _TRANSPARENT = 0, 1, 2


@dataclass(frozen=True)
class Bilevel:
    """Black and white, in one bit."""


@dataclass(frozen=True)
class Colours:
    """A palette. Raises FormatError for what a chunk cannot hold."""

    rgb: bytes  # red, green and blue of each colour, 1 to 256 of them
    alphas: bytes = b""  # of the first colours, as a PNG's tRNS has them; all others are opaque

    def __post_init__(self) -> None:
        check_range("number of colours", len(self.rgb) // 3, 1, MAX_COLOURS)
        if len(self.rgb) % 3:
            raise FormatError(f"a palette of {len(self.rgb)} bytes: it must have three for each colour")
        check_range("number of alpha values", len(self.alphas), 0, len(self.rgb) // 3)


@dataclass(frozen=True)
class Transparent:
    """The one colour of an opaque picture that is transparent. Raises FormatError for other numbers of channels."""

    colour: bytes  # 1 level, or 3

    def __post_init__(self) -> None:
        if len(self.colour) not in (1, 3):
            raise FormatError(f"a transparent colour must have 1 or 3 levels, not {len(self.colour)}")


Palette = Bilevel | Colours | Transparent


def pack_palette(palette: Palette) -> bytes:
    """The chunk's bytes."""
    if isinstance(palette, Bilevel):
        return bytes([_BILEVEL])
    if isinstance(palette, Transparent):
        return bytes([_TRANSPARENT]) + palette.colour
    count = len(palette.rgb) // 3
    planes = b"".join(palette.rgb[channel::3] for channel in range(3)) + palette.alphas
    return bytes([_COLOURS, count - 1]) + varint(len(palette.alphas)) + deflate(planes)


def unpack_palette(data: bytes) -> Palette:
    """Raises FormatError for anything that `pack_palette` does not give (but for how it is deflated)."""
    reader = Reader(memoryview(data))
    (kind,) = reader.take(1, "palette's kind")
    if kind == _TRANSPARENT:
        return Transparent(reader.rest())
    if kind == _BILEVEL:
        if reader.rest():
            raise FormatError("a bilevel picture's palette has bytes after its end")
        return Bilevel()
    if kind != _COLOURS:
        raise FormatError(f"a palette of kind {kind}, which this vlcodec does not read")
    count = 1 + reader.take(1, "number of colours")[0]
    alphas = reader.varint(MAX_COLOURS, "number of alpha values")
    check_range("number of alpha values", alphas, 0, count)
    planes = inflate(reader.rest(), 3 * count + alphas, "palette")
    if len(planes) != 3 * count + alphas:
        raise FormatError(f"a palette of {len(planes)} bytes: it must have {3 * count + alphas}")
    rgb = bytes(planes[channel * count + number] for number in range(count) for channel in range(3))
    return Colours(rgb, planes[3 * count :])
