"""The .vlz file of an archive: bytes <-> header, names, checksums and stack, in both versions of the format.

It knows no model and no coder. FORMAT.md, in the folder above, is the specification to the byte.
"""

from vlcodec.codec.files import archive_v1, archive_v2
from vlcodec.codec.files.archive_data import CHECKED, MAX_EXTRA, MAX_PICTURES, ArchiveFile, ArchiveHeader, Starter
from vlcodec.codec.files.archive_v1 import SMALLEST
from vlcodec.codec.files.names import MAX_NAME, MAX_NAMES, check_names
from vlcodec.codec.files.wire import version_of

__all__ = [
    "CHECKED",
    "MAX_EXTRA",
    "MAX_NAME",
    "MAX_NAMES",
    "MAX_PICTURES",
    "SMALLEST",
    "ArchiveFile",
    "ArchiveHeader",
    "Starter",
    "check_names",
    "pack",
    "sizes",
    "unpack",
]


def pack(file: ArchiveFile) -> bytes:
    """Write a file's bytes, in its header's version. Raises FormatError when they would exceed what a file may have."""
    if file.header.version == 1:
        return archive_v1.pack(file)
    return archive_v2.pack(file)


def unpack(data: bytes, damaged: bool = False) -> ArchiveFile:
    """Read a whole archive. damaged: a wrong CRC-32 is let through, for what can still be read.

    Raises FormatError, and nothing else, for bytes that are not exactly one valid archive.
    """
    if version_of(data, SMALLEST) == 1:
        return archive_v1.unpack(data, damaged)
    return archive_v2.unpack(data, damaged)


def sizes(file: ArchiveFile) -> dict[str, int]:
    """Bytes by purpose, summing to the file's size: "header" (its CRC-32 too), "names", "checksums", "stack"."""
    if file.header.version == 1:
        return archive_v1.sizes(file)
    return archive_v2.sizes(file)
