"""A report to look at: one page of HTML that holds everything, pictures included."""

from __future__ import annotations

import json
from base64 import b64encode
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from vlcodec._shared import Progress, encoder
from vlcodec.looks import bit_map
from vlcodec.measure import rate
from vlcodec.models import zoo
from vlcodec.pictures import compress, decompress

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from vlcodec.codec.interface import Bytes
    from vlcodec.codec.ledger.report import RateReport

PLACE = "/*REPORT*/null"  # in the template
MEDIA_TYPES = {"JPEG": "image/jpeg", "WebP": "image/webp", "AVIF": "image/avif"}


def rate_page(
    image: str | Path | bytes | BinaryIO | Image | NDArray[Any],
    *,
    name: str = "picture",
    report: RateReport | None = None,
    model: str = "photo",
    quality: float | None = None,
    seed: int = 0,
    threshold: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> str:
    """A page of HTML: the picture beside what each whole quality regenerates, the other codecs that Pillow has at equal
    size, a map of the lossless file's bits, and the ledger.

    Args:
        name: its heading. report: of `rate` with the same arguments, if it is there already.

    The other arguments, and what is raised, are those of `rate`; a model that makes archives alone has no such page.
    """
    from vlcodec.codec import image as images
    from vlcodec.codec import peers
    from vlcodec.codec.ledger import bit_map as maps

    shared: dict[str, Any] = {"model": model, "seed": seed, "threshold": threshold, "device": device}
    picture = images.load(image)
    original = images.to_image(picture.pixels, picture.grey)
    bits = bit_map(original, quality=quality, progress=progress, **shared)
    ledger = report or rate(original, quality=quality, progress=progress, **shared)
    most, shots = maps.bright(bits), list[dict[str, Any]]()
    for level in range(1, zoo.qualities(encoder(model)) + 1):
        data = compress(original, quality=level, progress=progress, **shared)
        pictures = {
            how: _shot(picture.pixels, decompress(data, decode=how, device=device, progress=progress), len(data))
            for how in ("sample", "mean")
        }
        for kind, codec in peers.lossy().items():
            best = peers.fit(codec, original, len(data))
            source = _source(best.data, MEDIA_TYPES[kind])
            pictures[kind] = _shot(picture.pixels, codec.decode(best.data), len(best.data), best.fits, source)
        shots.append({"quality": level, "bytes": len(data), "pictures": pictures})
    ramp = [f"rgb{colour}" for colour in maps.COLOURS]
    found = {
        "name": name,
        "width": original.width,
        "height": original.height,
        "model": model,
        "quality": min(round(ledger.quality), len(shots)),
        "lossless_bytes": ledger.lossless_bytes,
        "original": _png(original),
        "shots": shots,
        "heat": _png(images.to_image(maps.coloured(bits, most), grey=False)),
        "most_bits": most,
        "ramp": ramp,
        "ledger": ledger.table(),
    }
    template = files("vlcodec").joinpath("page.html").read_text()
    return template.replace(PLACE, json.dumps(found, allow_nan=False).replace("<", "\\u003c"))


def _shot(original: Bytes, image: Image, size: int, fits: bool = True, source: str | None = None) -> dict[str, Any]:
    """What the page shows of one regenerated picture; original: (H, W, 3)."""
    import numpy as np

    from vlcodec.codec import likeness

    pixels = np.asarray(image.convert("RGB"))
    large = min(pixels.shape[:2]) >= likeness.LEAST_SIDE
    return {
        "source": source or _png(image),
        "bytes": size,
        "fits": fits,
        "psnr": None if np.array_equal(original, pixels) else likeness.psnr(original, pixels),
        "ms_ssim": likeness.ms_ssim(original, pixels) if large else None,
    }


def _png(image: Image) -> str:
    from vlcodec.codec import image as images

    return _source(images.png_bytes(image), "image/png")


def _source(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"
