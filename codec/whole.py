"""A picture with all that is to come back: mode, alpha, palette, metadata; and the files that others make of it.

`image.py` reads the pixels that models take; here is what stands around them.
"""

import io
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from vlcodec.codec import sixteen
from vlcodec.codec.errors import FormatError, ImageError
from vlcodec.codec.files.metadata import Metadata
from vlcodec.codec.files.palette import Bilevel, Colours, Palette, Transparent
from vlcodec.codec.files.stored_file import Stored
from vlcodec.codec.files.wire import MAX_PIXELS
from vlcodec.codec.image import (
    FORMATS,
    Picture,
    check_frames,
    check_size,
    is_deep,
    of_array,
    opened,
    orientation_of,
    pillow,
    read_source,
    upright,
)
from vlcodec.codec.interface import Bytes
from vlcodec.codec.tags import attach, metadata_of, physical, saved_in

MODES: Final = ("1", "L", "LA", "P", "RGB", "RGBA")
WEBP_SIDE: Final = 16383  # pixels, of a WebP picture at most
_RULE: Final = "a picture must be RGB or grey (L), with alpha or without, palette (P) or bilevel (1)"
_CMYK: Final = "mode CMYK is for printing, and what it looks like is its profile's: convert it to RGB first"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_STORED: Final = {"PNG": "PNG", "WEBP": "WebP"}  # Pillow's names of formats whose files may be kept as they are
_ONE_CLEAR: Final = re.compile(rb"\xff*\0\xff*")  # what Pillow has as the number of the one transparent colour


@dataclass(frozen=True)
class Whole:
    """A picture. image: upright, of one of MODES, its info a transparent colour at most. stored: the file it came in,
    if that is a PNG or a WebP. low: (H, W, C) uint8 of 16-bit levels, whose high bytes the image has."""

    image: Image.Image
    metadata: Metadata = ()
    stored: Stored | None = None
    low: Bytes | None = None

    @property
    def picture(self) -> Picture:
        """The colours alone."""
        grey, bare = self.image.mode in ("1", "L", "LA"), self.image.copy()
        bare.info = {}  # Pillow warns of alpha that is dropped
        levels = np.array(bare.convert("L" if grey else "RGB"))
        return Picture(np.repeat(levels[..., None], 3, axis=2) if grey else levels, grey)

    @property
    def alpha(self) -> Bytes | None:
        """(H, W, 1) uint8, or None where all is opaque by its mode."""
        image = self.image
        if image.mode not in ("LA", "RGBA"):
            if "transparency" not in image.info:
                return None
            image = image.convert("RGBA")
        return np.array(image.getchannel("A"))[..., None]

    @property
    def palette(self) -> Palette | None:
        """What tells the mode from that of its levels."""
        image, clear = self.image, self.image.info.get("transparency")
        if image.mode == "1":
            return Bilevel()
        if image.mode == "P":
            return Colours(bytes(image.getpalette() or ()), clear or b"")
        return None if clear is None else Transparent(bytes([clear] if isinstance(clear, int) else clear))

    @property
    def levels(self) -> Bytes:
        """(H, W, C) uint8: indices of mode P, 0 and 1 of mode 1, levels of any other."""
        found = np.array(self.image).astype(np.uint8)
        return found if found.ndim == 3 else found[..., None]

    @property
    def deep(self) -> sixteen.Levels | None:
        """(H, W, C) uint16, or None of a picture of 8 bits."""
        return None if self.low is None else sixteen.joined(self.levels, self.low)

    @property
    def rounded(self) -> "Whole":
        """The same at 8 bits."""
        return self if self.deep is None else Whole(made(sixteen.rounded(self.deep), None), self.metadata)

    @property
    def shown(self) -> Image.Image:
        """As Pillow has it: mode I;16 of grey of 16 bits. Raises ImageError for colours or alpha of 16 bits."""
        if self.deep is None:
            return self.image
        if self.deep.shape[2] > 1:
            raise ImageError("Pillow has no mode for 16 bits of colours or alpha: vlcodec.decompress_array gives them")
        image = Image.fromarray(self.deep[..., 0])
        image.info = self.image.info
        image.text = getattr(self.image, "text", {})  # type: ignore[attr-defined]
        return image


def open_whole(
    source: str | Path | bytes | BinaryIO | Image.Image | npt.NDArray[Any],
    max_pixels: int = MAX_PIXELS,
    strip: bool = False,
    formats: tuple[str, ...] = FORMATS,
) -> Whole:
    """Read a picture as `image.load` does, with all that comes back of it.

    strip: without metadata. formats: of a file, by Pillow's names.

    Raises ImageError for what is unreadable, damaged, too large, of several frames, CMYK, and of other modes; of 16
    bits, for what `sixteen.py` does not take.
    """
    if isinstance(source, np.ndarray) and source.dtype.kind == "u" and source.dtype.itemsize == 2:
        return _joined(sixteen.of_array(source))
    if isinstance(source, np.ndarray):
        source = of_array(source)
    if isinstance(source, Image.Image):
        with pillow():
            return _whole(source, None, strip)
    data = read_source(source)
    if not data:
        raise ImageError("no bytes: an empty file is not a picture")
    with pillow(), opened(data, formats) as image:
        if max_pixels < image.width * image.height <= MAX_PIXELS:
            raise ImageError(f"too large: {image.width} x {image.height} are more than {max_pixels:,} pixels")
        return _whole(image, data, strip)


def made(levels: Bytes, palette: Palette | None, metadata: Metadata = ()) -> Image.Image:
    """The image of (H, W, C) uint8 levels as `Whole.levels` has them; of a picture's, with 255 for white.

    Raises FormatError for levels that the palette does not have.
    """
    height, width, channels = levels.shape
    if isinstance(palette, Colours):
        if levels.max() >= len(palette.rgb) // 3:
            raise FormatError(f"an index of {levels.max()}: the palette has {len(palette.rgb) // 3} colours")
        image = Image.frombytes("P", (width, height), levels.tobytes())
        image.putpalette(palette.rgb)
        if palette.alphas:
            clear = palette.alphas
            image.info["transparency"] = clear.index(0) if _ONE_CLEAR.fullmatch(clear) else clear
    elif isinstance(palette, Bilevel):
        if np.any((levels != 0) & (levels != levels.max())) or levels.max() not in (0, 1, 255):
            raise FormatError("a bilevel picture must have 0 and 1, or 0 and 255, alone")
        image = Image.fromarray(levels[..., 0] != 0)
    else:
        image = Image.frombytes(("L", "LA", "RGB", "RGBA")[channels - 1], (width, height), levels.tobytes())
        if palette is not None:
            image.info["transparency"] = palette.colour[0] if len(palette.colour) == 1 else tuple(palette.colour)
    attach(image, metadata)
    return image


def as_kept(image: Image.Image, kept: str) -> Image.Image:
    """A colour picture of another codec as what it stands for: see `composite_file.KEPT`.

    Raises FormatError for what is no colour picture.
    """
    if kept == "colour":
        return image
    if image.mode not in ("RGB", "RGBA"):
        raise FormatError(f"a picture of mode {image.mode} stands for itself, not for a {kept} one")
    grey = image.getchannel("G")
    if kept == "bilevel":
        return grey.convert("1", dither=Image.Dither.NONE)
    return Image.merge("LA", (grey, image.getchannel("A"))) if image.mode == "RGBA" else grey


def same(a: Whole, b: Whole) -> bool:
    """Whether two are alike in mode, pixels, palette and metadata."""
    shape = (a.image.mode, a.image.size) == (b.image.mode, b.image.size)
    alike = shape and a.image.tobytes() == b.image.tobytes() and a.palette == b.palette and a.metadata == b.metadata
    return alike and same_low(a, b)


def same_low(a: Whole, b: Whole) -> bool:
    """Whether the low bytes of two are alike, or neither has any."""
    if a.low is None or b.low is None:
        return a.low is b.low
    return np.array_equal(a.low, b.low)


def encoded(image: Image.Image, format: str, metadata: Metadata = (), **options: object) -> bytes:
    """The bytes of a file that Pillow writes: PNG, WebP (lossless) or TIFF (deflated; as it is where EXIF has parts).

    Raises ImageError for a side that a WebP does not have.
    """
    bare = image.copy()
    bare.info = {key: value for key, value in image.info.items() if key == "transparency"}
    name = format.upper()
    if name == "WEBP":
        check_webp(image)
        if bare.mode in ("1", "P", "LA") or bare.info:
            bare = bare.convert("RGBA" if bare.mode == "LA" or bare.info else "RGB")
        options = {"lossless": True, "exact": True, "method": 4} | options
    elif name == "TIFF":
        if bare.info:  # a TIFF has no transparent colour
            bare = bare.convert("RGBA")
        options = {"compression": "tiff_adobe_deflate"} | options
    out = io.BytesIO()
    bare.save(out, format=name, **options | saved_in(name, metadata))
    data = out.getvalue()
    return _with_resolution(data, physical(metadata)) if name == "PNG" else data


def check_webp(image: Image.Image) -> None:
    """Raises ImageError for a side that a WebP does not have."""
    if max(image.size) > WEBP_SIDE:
        raise ImageError(f"{image.width} x {image.height}: a side of a WebP is at most {WEBP_SIDE} pixels")


def as_file(image: Image.Image, format: str) -> bytes:
    """The bytes of a file of a decoded picture: PNG, WebP (lossless) or TIFF, with its metadata."""
    return encoded(image, format, metadata_of(image))


def _with_resolution(data: bytes, body: bytes) -> bytes:
    """A PNG file with a chunk pHYs behind its header."""
    if not body:
        return data
    end = 8 + 4 + 4 + 13 + 4  # of signature and IHDR
    crc = zlib.crc32(b"pHYs" + body)
    return data[:end] + struct.pack(">I4s", len(body), b"pHYs") + body + struct.pack(">I", crc) + data[end:]


def _whole(image: Image.Image, data: bytes | None, strip: bool) -> Whole:
    """Check what an image says of itself, then decode it. Raises ImageError, or whatever Pillow raises."""
    check_size(image)
    if image.mode == "CMYK":
        raise ImageError(_CMYK)
    if image.mode not in MODES + sixteen.MODES:
        raise ImageError(f"mode {image.mode} is not supported: {_RULE}")
    check_frames(image)
    deep = sixteen.of_image(image, data) if image.mode in sixteen.MODES or is_deep(image) else None
    shown = upright(image) if deep is None else image
    metadata = () if strip else metadata_of(image)
    format = _STORED.get(image.format or "")
    stored = Stored(format, data) if data is not None and format is not None else None
    if stored is not None and strip:
        stored = _bare(stored) if orientation_of(image) == 1 else None  # which it would no longer tell
    if deep is not None:
        return _joined(deep, metadata, stored)
    bare = shown.copy()
    bare.info = {}
    clear = shown.info.get("transparency")
    if isinstance(clear, int | bytes | tuple) and bare.mode not in ("LA", "RGBA"):  # a text may be called so, too
        bare = _cleared(bare, clear, data)
    if bare.mode == "P" and (bare.palette is None or bare.palette.mode != "RGB" or not _within(bare)):
        bare = bare.convert("RGBA" if bare.has_transparency_data else "RGB")
    return Whole(bare, metadata, stored)


def _joined(levels: sixteen.Levels, metadata: Metadata = (), stored: Stored | None = None) -> Whole:
    """A picture of 16 bits. Raises ImageError for a size outside the limits."""
    high, low = sixteen.split(levels)
    image = made(high, None)
    check_size(image)
    return Whole(image, metadata, stored, low)


def _cleared(bare: Image.Image, clear: object, data: bytes | None) -> Image.Image:
    """The image with its transparent colour, in one of the forms that come back; of any other, with alpha."""
    if bare.mode == "P" and isinstance(clear, int | bytes):
        alphas = clear if isinstance(clear, bytes) else b"\xff" * clear + b"\0"
        bare.info["transparency"] = alphas[: len(bare.getpalette() or ()) // 3]
    elif bare.mode == "L" and isinstance(clear, int):
        depth = data[24] if data is not None and data[:8] == _PNG and data[24] < 8 else 8
        bare.info["transparency"] = (clear & (1 << depth) - 1) * 255 // ((1 << depth) - 1)
    elif bare.mode == "RGB" and isinstance(clear, tuple):
        bare.info["transparency"] = tuple(level & 255 for level in clear)
    else:
        bare.info["transparency"] = clear
        return bare.convert("LA" if bare.mode == "1" else "RGBA")
    return bare


def _within(image: Image.Image) -> bool:
    """Whether a palette has all the colours that are asked for."""
    _, highest = image.getextrema()
    return bool(int(highest) < len(image.getpalette() or ()) // 3)  # type: ignore[arg-type]


def _bare(stored: Stored) -> Stored | None:
    """A PNG with its critical chunks and transparency alone; None of a WebP that may hold more than pixels."""
    data = stored.data
    if stored.format == "WebP":
        alone = len(data) == 8 + int.from_bytes(data[4:8], "little")
        return stored if alone and data[12:16] in (b"VP8 ", b"VP8L") else None
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind[:1].isupper() or kind == b"tRNS":
            out += data[at:end]
        at = end
        if kind == b"IEND":
            break
    return Stored("PNG", bytes(out))
