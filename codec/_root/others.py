"""Files that other codecs make smaller than a model: of icons, charts, screens, scans, and tiny pictures.

A picture is tried as planes (codec/coding/planes.py), PNG and WebP, and as the file that it came in. They are tried in
full only where the picture is small, or a quick WebP comes near the model's file, so that photographs pay next to
nothing. One of 16 bits is tried as PNG alone, in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vlcodec._shared import check_memory, check_pixels
from vlcodec.codec.errors import ImageError
from vlcodec.codec.files import composite_file, stored_file
from vlcodec.codec.files.composite_file import Composite, Planes
from vlcodec.codec.files.palette import Colours, Transparent, pack_palette, unpack_palette
from vlcodec.codec.files.stored_file import Stored

if TYPE_CHECKING:
    from vlcodec.codec.whole import Whole

NEAR = 1.15  # of the model's bytes: a quick WebP above that leaves photographs alone
PLANES_NEAR = 1.5  # of them: a PNG or WebP above that leaves planes alone
SMALL = 1 << 14  # pixels up to which a quick WebP tells little
NEAR_SMALL = 4.0  # of the model's bytes, up to there: it takes at most 2.4 times the best, of icons
PART = 64  # rows from the middle: of a photograph they alone take more than a lossy file
FLAT = 1 / 16  # bytes a pixel of a quick WebP: no model comes below
INDEXED = ("1", "P")
BYTES_OF_TABLES, BYTES_PER_LEVEL = 1 << 26, 20  # of memory, at most
_KEPT = {"L": "grey", "LA": "grey", "1": "bilevel"}  # of what a WebP, which has colour alone, stands for


def quick(whole: Whole, size: int = 0) -> int:
    """Bytes of a quick WebP, or PNG where a side is too long for that, or levels have 16 bits. size: of the model's
    file, if any; where a part of the picture tells that other codecs do not come near it, the bytes of that part."""
    from vlcodec.codec.whole import WEBP_SIDE, encoded

    if whole.deep is not None:
        from vlcodec.codec.sixteen_files import png

        return len(png(whole.deep, level=1))
    if max(whole.image.size) > WEBP_SIDE:
        return len(encoded(whole.image, "PNG", compress_level=1))
    width, height = whole.image.size
    if size and height > PART:
        part = whole.image.crop((0, (height - PART) // 2, width, (height + PART) // 2))
        if not may_reach(whole, of_part := len(encoded(part, "WebP", method=0)), size):
            return of_part
    return len(encoded(whole.image, "WebP", method=0))


def is_flat(whole: Whole, near: int) -> bool:
    """Whether a picture, with a quick WebP of so many bytes, is one that models need not try, lossless."""
    return whole.image.mode in INDEXED or near < FLAT * whole.image.width * whole.image.height


def may_reach(whole: Whole, near: int, size: int) -> bool:
    """Whether a lossless file of so many bytes, or a few more, is worth looking for."""
    return near <= (NEAR_SMALL if _is_small(whole) else NEAR) * size


def _is_small(whole: Whole) -> bool:
    return whole.image.width * whole.image.height <= SMALL


def smallest(whole: Whole, near: int, ours: bytes | None = None) -> bytes:
    """The smallest lossless file of a picture. near: bytes of a quick WebP. ours: the model's, which wins a draw."""
    found = [] if ours is None else [ours]
    if whole.stored is not None:
        found.append(stored_file.pack_stored(whole.stored))
    if whole.deep is not None:
        from vlcodec.codec.sixteen_files import png

        return min([*found, _stored(whole, Stored("PNG", png(whole.deep)))], key=len)
    all_are_tried = ours is None or _is_small(whole)
    if ours is None or may_reach(whole, near, len(ours)):
        found += _others(whole)
        if all_are_tried or min(map(len, found[1:])) <= PLANES_NEAR * len(ours or b""):
            found.append(_planes(whole))
    return min(found, key=len)


def _planes(whole: Whole) -> bytes:
    from vlcodec.codec.coding.planes import pack_planes

    palette, levels = pack_palette(whole.palette) if whole.palette is not None else b"", whole.levels
    height, width, channels = levels.shape
    planes = Planes(width, height, channels, pack_planes(levels, palette))
    return composite_file.pack_composite(Composite(whole.metadata, palette, planes))


def _others(whole: Whole) -> Iterator[bytes]:
    """As PNG, and as WebP where it gives the mode back."""
    from vlcodec.codec.whole import WEBP_SIDE, encoded

    yield _stored(whole, Stored("PNG", encoded(whole.image, "PNG", optimize=True)))
    alpha = whole.alpha  # libwebp drops one that is all opaque
    kept = not isinstance(whole.palette, Colours | Transparent) and (alpha is None or alpha.min() < 255)
    if kept and max(whole.image.size) <= WEBP_SIDE:
        yield _stored(whole, Stored("WebP", encoded(whole.image, "WebP", method=6, quality=100)))


def _stored(whole: Whole, stored: Stored) -> bytes:
    """Another codec's file, with what it does not hold beside it."""
    kept = _KEPT.get(whole.image.mode, "colour") if stored.format == "WebP" else "colour"
    if kept == "colour" and not whole.metadata:
        return stored_file.pack_stored(stored)
    return composite_file.pack_composite(Composite(whole.metadata, other=stored, kept=kept))


def read_stored(data: bytes, max_pixels: int, frame: int | None = None) -> Whole:
    """The picture of a stored file, with its metadata; of an animation an image of all frames, or one, counted from 1.

    Raises FormatError or ImageError for anything else.
    """
    from vlcodec.codec.animation import open_animation, shown
    from vlcodec.codec.tags import attach
    from vlcodec.codec.whole import Whole

    animation = open_animation(stored_file.unpack_stored(data).data, max_pixels)
    if animation is not None:
        return Whole(shown(animation) if frame is None else animation.frame(frame))
    if frame is not None:
        raise ImageError("one picture, no animation: it has no frames to choose from")
    whole = _opened(stored_file.unpack_stored(data), max_pixels)
    attach(whole.image, whole.metadata)
    return whole


def read_composite(data: bytes, max_pixels: int) -> Whole:
    """The picture of a composite, with its metadata. Raises FormatError or ImageError for anything else."""
    from vlcodec.codec.coding.planes import unpack_planes
    from vlcodec.codec.tags import attach
    from vlcodec.codec.whole import Whole, as_kept, made

    composite = composite_file.unpack_composite(data)
    if composite.other is not None:
        inner = _opened(composite.other, max_pixels)
        image = as_kept(inner.image, composite.kept)
        attach(image, composite.metadata)
        return Whole(image, composite.metadata, low=inner.low if composite.kept == "colour" else None)
    planes = composite.planes
    assert planes is not None  # a composite has one of the two
    check_pixels(planes.width * planes.height, max_pixels)
    needed = BYTES_OF_TABLES + BYTES_PER_LEVEL * planes.width * planes.height * planes.channels
    check_memory(needed, planes.width, planes.height)
    palette = unpack_palette(composite.palette) if composite.palette else None
    levels = unpack_planes(planes.coded, planes.height, planes.width, planes.channels, composite.palette)
    return Whole(made(levels, palette, composite.metadata), composite.metadata)


def shown(whole: Whole, as_preview: bool) -> Whole:
    """A picture that is kept without a model; as a preview it has 8 bits."""
    from vlcodec.codec.tags import attach

    if whole.low is None or not as_preview:
        return whole
    whole = whole.rounded
    attach(whole.image, whole.metadata)
    return whole


def _opened(stored: Stored, max_pixels: int) -> Whole:
    """The picture of another codec's file. Raises ImageError for one of another format than the file says."""
    from vlcodec.codec.image import FORMATS
    from vlcodec.codec.whole import open_whole

    format = stored.format.upper()
    if format not in FORMATS:
        raise ImageError(f"a stored {stored.format}, which this vlcodec does not read")
    return open_whole(stored.data, max_pixels, formats=(format,))
