"""PNG and TIFF files of 16 bits a channel, which Pillow does not write; with the metadata that it writes at 8 bits."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image
from PIL.ExifTags import Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from vlcodec.codec.errors import ImageError
from vlcodec.codec.files.metadata import Metadata
from vlcodec.codec.interface import Bytes
from vlcodec.codec.sixteen import Levels
from vlcodec.codec.tags import metadata_of, saved_in
from vlcodec.codec.whole import Whole, encoded

COLOUR_TYPES: Final = (0, 4, 2, 6)  # a PNG's, by the number of channels
ROWS: Final = 64  # that are filtered at a time, and those of a strip
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def as_file(whole: Whole, format: str) -> bytes:
    """The bytes of a PNG or a TIFF of a picture of 16 bits, with its metadata. Raises ImageError for other formats."""
    if whole.deep is None or format.upper() not in ("PNG", "TIFF"):
        raise ImageError(f"a {format} holds 8 bits alone: 16 bits are written as PNG or TIFF")
    metadata = metadata_of(whole.image)
    return png(whole.deep, metadata) if format.upper() == "PNG" else tiff(whole.deep, metadata)


def png(levels: Levels, metadata: Metadata = (), level: int = 9) -> bytes:
    """The bytes of a PNG, its rows filtered as libpng chooses, or not at all where that is smaller.

    level: zlib's; below 9 rows are filtered in any case.
    """
    height, width, channels = levels.shape
    rows = levels.astype(">u2").reshape(height, -1).view(np.uint8)  # (H, 2 W C)
    packed = zlib.compress(b"".join(_filtered(rows, 2 * channels)), level)
    if level == 9:
        packed = min(packed, zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes(), level), key=len)
    before, after = _beside(metadata)
    head = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels - 1], 0, 0, 0)
    body = _chunk(b"IDAT", packed)
    return b"".join((_SIGNATURE, _chunk(b"IHDR", head), before, body, after, _chunk(b"IEND", b"")))


def tiff(levels: Levels, metadata: Metadata = ()) -> bytes:
    """The bytes of a TIFF, deflated, of differences along the rows."""
    height, width, channels = levels.shape
    tags, options = ImageFileDirectory_v2(), saved_in("TIFF", metadata)
    if (exif := options.get("exif")) is not None:
        tags.update(exif)
    if "icc_profile" in options:
        tags[Base.InterColorProfile] = options["icc_profile"]
    if "dpi" in options:
        tags[Base.XResolution], tags[Base.YResolution] = options["dpi"]
        tags[Base.ResolutionUnit] = 2  # inch
    steps = levels.astype("<u2")
    steps[:, 1:] -= levels[:, :-1]
    strips = [zlib.compress(steps[at : at + ROWS].tobytes(), 9) for at in range(0, height, ROWS)]
    ends = np.cumsum([len(strip) for strip in strips]).tolist()
    tags[Base.ImageWidth], tags[Base.ImageLength] = width, height
    tags[Base.BitsPerSample], tags[Base.SampleFormat] = (16,) * channels, (1,) * channels
    tags[Base.Compression], tags[Base.Predictor] = 8, 2  # deflate, differences
    tags[Base.PhotometricInterpretation] = 1 if channels < 3 else 2  # grey, RGB
    tags[Base.SamplesPerPixel], tags[Base.RowsPerStrip], tags[Base.PlanarConfiguration] = channels, ROWS, 1
    tags[Base.StripOffsets] = (0, *ends[:-1])  # of what follows the tags: Pillow adds their bytes
    tags[Base.StripByteCounts] = tuple(len(strip) for strip in strips)
    if channels % 2 == 0:
        tags[Base.ExtraSamples] = (2,)  # alpha, by which colours are not multiplied
    out = io.BytesIO()
    tags.save(out)
    return out.getvalue() + b"".join(strips)


def _filtered(rows: Bytes, step: int) -> Iterator[bytes]:
    """Rows (H, N) of a PNG's bytes, each behind its filter's number: the one with the smallest sum of differences."""
    above = np.zeros_like(rows[:1])
    for at in range(0, len(rows), ROWS):
        block = rows[at : at + ROWS]
        up = np.concatenate([above, block[:-1]])
        left, corner = (np.pad(part, ((0, 0), (step, 0)))[:, : part.shape[1]] for part in (block, up))
        a, b, c = (part.astype(np.int16) for part in (left, up, corner))
        to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        paeth = np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, corner))
        guesses = (np.zeros_like(left), left, up, ((a + b) >> 1).astype(np.uint8), paeth)
        tried = np.stack([block - guess for guess in guesses])  # (5, rows, N), modulo 256
        best = abs(tried.view(np.int8).astype(np.int16)).sum(2).argmin(0)
        for number, kind in enumerate(best.tolist()):
            yield bytes([kind]) + tried[kind, number].tobytes()
        above = block[-1:]


def _beside(metadata: Metadata) -> tuple[bytes, bytes]:
    """The chunks of metadata that Pillow writes before the pixels of a PNG, and behind them."""
    data = encoded(Image.new("L", (1, 1)), "PNG", metadata)
    sides, side, at = [b"", b""], 0, len(_SIGNATURE)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind == b"IDAT":
            side = 1
        elif kind not in (b"IHDR", b"IEND"):
            sides[side] += data[at:end]
        at = end
    return sides[0], sides[1]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))
