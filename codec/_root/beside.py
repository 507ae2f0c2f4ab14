"""What stands beside the colours that a model codes: alpha, the mode that they had, metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vlcodec import placeholder
from vlcodec.codec.errors import ImageError
from vlcodec.codec.files.palette import Bilevel, Transparent, pack_palette, unpack_palette
from vlcodec.models import registry, zoo

if TYPE_CHECKING:
    from vlcodec.codec.files.picture_file import File, Header
    from vlcodec.codec.interface import Bytes
    from vlcodec.codec.whole import Whole


def kept(header: Header) -> bool:
    """Whether a file holds more than colours: placeholders, and files of version 1, do not."""
    return header.quality != placeholder.QUALITY and header.version > 1


def of_picture(whole: Whole, header: Header) -> dict[str, Any]:
    """The fields of a picture's `File` that its model does not make.

    Placeholders and files of version 1 hold colours of 8 bits alone. Raises ImageError where alpha, or the low bytes of
    a picture of 16 bits, would be lost.
    """
    from vlcodec.codec.coding.low_bytes import pack_low
    from vlcodec.codec.coding.planes import pack_planes

    alpha, entry = whole.alpha, registry.by_number(header.model_id)
    if header.quality == placeholder.QUALITY:
        if alpha is not None:
            raise ImageError("a placeholder holds opaque pictures alone: this one has alpha")
        return {}
    any_size = zoo.takes(entry).side is None
    if alpha is not None and not (kept(header) and any_size):
        raise ImageError(f"model {entry.name}-{entry.number} takes opaque pictures alone: this one has alpha")
    if whole.low is not None and not (kept(header) and any_size):
        raise ImageError(f"model {entry.name}-{entry.number} takes pictures of 8 bits alone: this one has 16")
    if not kept(header):
        return {}
    fields: dict[str, Any] = {"metadata": whole.metadata}
    if whole.low is not None:
        fields["low"] = pack_low(whole.levels, whole.low)
    palette = whole.palette
    if header.exact and any_size and isinstance(palette, Bilevel | Transparent):
        return fields | {"palette": pack_palette(palette)}
    return fields | ({"alpha": pack_planes(alpha)} if alpha is not None else {})


def dressed(pixels: Bytes, file: File, decode: str | None) -> Whole:
    """A file's pixels (H, W, 1 or 3) with all that stands beside them; of what is regenerated 8 bits, and no palette.

    Raises FormatError for alpha and low bytes that cannot be read.
    """
    import numpy as np

    from vlcodec.codec.coding.low_bytes import unpack_low
    from vlcodec.codec.coding.planes import unpack_planes
    from vlcodec.codec.whole import Whole, made

    levels = pixels[..., :1] if file.header.grey else pixels
    if file.alpha:
        alpha = unpack_planes(file.alpha, file.header.height, file.header.width, 1)
        levels = np.concatenate([levels, alpha], axis=2)
    exact = file.header.exact and decode is None
    palette = unpack_palette(file.palette) if file.palette and exact else None
    low = unpack_low(file.low, levels) if file.low and exact else None
    return Whole(made(levels, palette, file.metadata), file.metadata, low=low)
