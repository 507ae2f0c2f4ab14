"""The .vlz file of one picture: bytes <-> header and chunks, in both versions of the format.

It knows no model and no coder: chunks are opaque bytes here. FORMAT.md, in the folder above, is the specification to
the byte. Only the standard library is imported, so that looking into a file needs neither numpy nor torch.
"""

from dataclasses import replace
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_v1, picture_v2
from vlcodec.codec.files.picture_data import BAND_ROWS, MAX_GROUPS, Band, File, Header, Pieces, split_quality
from vlcodec.codec.files.picture_v1 import SMALLEST
from vlcodec.codec.files.wire import MAGIC, MAX_PIXELS, MAX_SIDE, version_of

__all__ = [
    "BAND_ROWS",
    "MAGIC",
    "MAX_GROUPS",
    "MAX_PIXELS",
    "MAX_SIDE",
    "SHORT_FROM",
    "SMALLEST",
    "Band",
    "File",
    "Header",
    "Pieces",
    "as_written",
    "bits",
    "expected_size",
    "mode",
    "pack",
    "pieces",
    "preview",
    "preview_size",
    "read_header",
    "sizes",
    "split_quality",
    "unpack",
]

SHORT_FROM: Final = 32  # the first model's number whose short files are of version 1
SHORT_LATENTS: Final = 127  # bytes that these have at most


def as_written(file: File) -> File:
    """A short lossy file of version 2 that version 1 can hold, in that version, which takes four bytes fewer; any other
    file, and those of models up to number 31, as they are."""
    header = file.header
    if header.version == 1 or header.model_id < SHORT_FROM or header.lossless or header.hundredths:
        return file
    more = file.refinements or file.changes or file.metadata or any(file.beside.values())
    if more or len(file.latents) > SHORT_LATENTS:
        return file
    return replace(file, header=replace(header, version=1))


def pack(file: File) -> bytes:
    """Write a file's bytes, in its header's version, or as `as_written` says; equal files give equal bytes.

    Raises FormatError when the result would exceed MAX_FILE bytes.
    """
    file = as_written(file)
    if file.header.version == 1:
        return picture_v1.pack(file)
    return picture_v2.pack(file)


def unpack(data: bytes) -> File:
    """Read a whole file, its checksum first, so that damage is called damage and nothing stranger.

    Raises FormatError, and nothing else, for bytes that are not exactly one valid file.
    """
    if version_of(data, SMALLEST) == 1:
        return picture_v1.unpack(data)
    file = picture_v2.unpack(data)
    if as_written(file) is not file:
        raise FormatError(f"a short lossy file of model {file.header.model_id} must be of version 1")
    return file


def read_header(data: bytes) -> Header:
    """Read the header alone; the front of a file is enough. Version 2's front has a checksum, version 1's has none.

    Raises FormatError when the bytes do not begin with a valid header.
    """
    if version_of(data, SMALLEST) == 1:
        return picture_v1.read_header(data)
    return picture_v2.read_header(data)


def bits(data: bytes) -> int:
    """Of a level, 8 or 16, from the file's front; version 1 has 8. Raises FormatError as read_header does."""
    return 8 if version_of(data, SMALLEST) == 1 else picture_v2.bits(data)


def mode(data: bytes) -> str:
    """As Pillow has that of a lossless picture's high bytes, from the file's front. Raises FormatError as read_header
    does."""
    if version_of(data, SMALLEST) == 1:
        return "L" if picture_v1.read_header(data).grey else "RGB"
    return picture_v2.mode(data)


def expected_size(data: bytes) -> int | None:
    """Bytes of the whole file, from its front; None of a version 1 file, which tells only where it ends.

    Raises FormatError as read_header does.
    """
    return None if version_of(data, SMALLEST) == 1 else picture_v2.expected_size(data)


def preview_size(data: bytes) -> int | None:
    """Bytes of a file that its preview needs, from its front; None of a version 1 file, which must be whole.

    Raises FormatError as read_header does.
    """
    return None if version_of(data, SMALLEST) == 1 else picture_v2.preview_size(data)


def preview(data: bytes) -> File:
    """The lossy file of the groups of latents that have arrived, from a file that may be cut anywhere after the first.

    Each group is held against its checksum. A version 1 file must be whole. Raises FormatError for bytes that do not
    begin like a file, for a damaged group, and where the first one is not there.
    """
    if version_of(data, SMALLEST) == 1:
        return picture_v1.preview(data)
    return picture_v2.preview(data)


def pieces(data: bytes) -> Pieces:
    """What can still be read of a file that is damaged behind its front: its latents, and the bands that are there.

    Raises FormatError for bytes that do not begin like a file, and where the latents are not whole.
    """
    if version_of(data, SMALLEST) == 1:
        return picture_v1.pieces(data)
    return picture_v2.pieces(data)


def sizes(file: File) -> dict[str, int]:
    """Bytes of the file by purpose, summing to its size: "header" (lengths and checksums too), "latents", "pixels"; of
    version 2 also "changes" and "metadata".

    Raises FormatError as pack does.
    """
    file = as_written(file)
    if file.header.version == 1:
        return picture_v1.sizes(file)
    return picture_v2.sizes(file)
