"""The other codecs that Pillow has: their best lossy file within a size, to be seen beside ours."""

import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from PIL import Image, features


class Lossy(NamedTuple):
    """Another codec's lossy mode. settings: from the smallest file to the largest."""

    settings: Sequence[float]
    encode: Callable[[Image.Image, Any], bytes]
    decode: Callable[[bytes], Image.Image]


class Fit(NamedTuple):
    """The best file within a size; where even the lowest setting is larger, that one, and `fits` is False."""

    fits: bool
    setting: float
    data: bytes


def fit(codec: Lossy, image: Image.Image, size: int) -> Fit:
    """The best setting whose file has at most `size` bytes, by bisection."""
    encode = cache(lambda setting: codec.encode(image, setting))
    fitting = bisect_right(codec.settings, size, key=lambda setting: len(encode(setting)))
    setting = codec.settings[max(0, fitting - 1)]
    return Fit(fitting > 0, setting, encode(setting))


def lossy() -> dict[str, Lossy]:
    """Those at hand, by name. JPEG has optimised Huffman tables and 4:2:0 chroma."""
    found = {
        "JPEG": Lossy(range(1, 101), lambda i, q: saved(i, "JPEG", quality=q, optimize=True, subsampling=2), opened),
        "WebP": Lossy(range(101), lambda i, q: saved(i, "WEBP", quality=q, method=6), opened),
    }
    if features.check("avif"):
        found["AVIF"] = Lossy(range(101), lambda i, q: saved(i, "AVIF", quality=q, speed=6), opened)
    return found


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """An image file's bytes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """The image of a file's bytes."""
    return Image.open(io.BytesIO(data))
