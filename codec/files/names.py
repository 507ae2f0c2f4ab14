"""The names of an archive's pictures: what a name may be, and the one deflated stream that all are stored in."""

import zlib
from collections.abc import Sequence
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.wire import deflate

MAX_NAME: Final = 255  # bytes of one name
MAX_NAMES: Final = 2**28  # bytes of all, before they are compressed


def check_names(names: Sequence[str], count: int) -> None:
    """Raises FormatError unless there is a good name for each picture, or none."""
    if names and len(names) != count:
        raise FormatError(f"{len(names)} names for {count} pictures: each must have one, or none")
    total = 0
    for name in names:
        try:
            size = len(name.encode())
        except UnicodeEncodeError:
            raise FormatError(f"a name must be UTF-8, not {name!r}") from None
        if not 1 <= size <= MAX_NAME or name in (".", "..") or set(name) & set("/\\\0"):
            raise FormatError(f"a name must be a file's own, without a folder, of up to {MAX_NAME} bytes, not {name!r}")
        total += size + 1
    if total > MAX_NAMES:
        raise FormatError(f"the names are too long: at most {MAX_NAMES} bytes are allowed")
    if len(set(names)) != len(names):
        raise FormatError("two pictures have the same name: names must differ")


def pack_names(names: Sequence[str]) -> bytes:
    """The names as one deflated stream; no bytes for no names."""
    return deflate("\0".join(names).encode()) if names else b""


def unpack_names(packed: bytes, count: int) -> tuple[str, ...]:
    """What `pack_names` was given, of count pictures. Raises FormatError for anything else than one such stream."""
    if not packed:
        return ()
    unpacker = zlib.decompressobj(-15)
    try:
        text = unpacker.decompress(packed, min(MAX_NAMES, (MAX_NAME + 1) * count))
        if text.count(0) != count - 1:
            raise FormatError(f"{text.count(0) + 1} names for {count} pictures: each must have one, or none")
        names = tuple(text.decode().split("\0"))
    except (zlib.error, UnicodeDecodeError):
        raise FormatError("the names cannot be read: they must be deflated UTF-8") from None
    if not unpacker.eof or unpacker.unused_data:
        raise FormatError("the names must be one deflated stream that ends where their chunk does")
    return names
