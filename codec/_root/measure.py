"""What a picture costs, and whether a machine computes what files need."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from vlcodec._shared import Progress, device_of, memory
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_file as container
from vlcodec.models import zoo
from vlcodec.pictures import compress, decompress, lossy_part, prepare, write

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlcodec.codec.image import Picture
    from vlcodec.codec.interface import ImageModel
    from vlcodec.codec.ledger.report import RateReport


def rate(
    image: str | Path | bytes | BinaryIO | Image,
    *,
    model: str = "photo",
    quality: int | None = None,
    seed: int = 0,
    threshold: int | None = None,
    samples: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> RateReport:
    """What every part of a picture costs, beside the likelihood's promise. quality None is 1, as for lossless files.

    samples: of the importance-sampled likelihood, -log2 of the mean of p(x, z) / q(z | x) over so many z, each with a
    dither of its own; 0 leaves it out.
    """
    import numpy as np

    from vlcodec.codec import image as images
    from vlcodec.codec.coding import latents
    from vlcodec.codec.ledger import report as ledger

    picture, net, header = prepare(images.load(image), model, True, quality, seed, threshold, device)
    with memory():
        file = write(net, picture, header, progress)
        kl, given, told = _promised(net, picture, header, seed)
        totals = []
        for sample in range(samples):
            totals.append(sum(_promised(net, picture, header, sample)[:2]))
            if progress is not None:
                progress("samples", sample + 1, samples)
        mean = images.load(decompress(container.pack(file), decode="mean", device=device)).pixels
        error = mean.astype(np.float64) - picture.pixels
    lossless, sizes = container.pack(file), container.sizes(file)
    lossy = container.pack(lossy_part(file))
    grid = latents.grid_shape(net, header.height, header.width)
    place_bits = np.log2(latents.DITHER_VALUES) if net.posterior == "uniform" else 0.0  # in its cell, without dither
    return ledger.RateReport(
        width=header.width,
        height=header.height,
        channels=1 if header.grey else 3,
        quality=header.quality,
        latents_naive=kl + float(place_bits * np.prod(grid)),
        latents_kl=kl,
        pixels=given,
        correction=told,
        elbo=kl + given,
        likelihood=ledger.log_mean(totals) if totals else None,
        samples=samples,
        header_bits=8 * sizes["header"],
        latents_written=8 * sizes["latents"],
        pixels_written=8 * sizes["pixels"],
        lossy_bytes=len(lossy),
        lossless_bytes=len(lossless),
        overhead=8 * len(lossless) - (kl + given),
        psnr_mean_db=float(10 * np.log10(255**2 / max(1e-9, np.square(error).mean()))),
    )


def _promised(net: ImageModel, picture: Picture, header: container.Header, seed: int) -> tuple[float, float, float]:
    """Bits that the model promises for latents and pixels with the dither of a seed, and those of the pixels' that the
    bands' corrections take.
    """
    from vlcodec.codec.coding import dither, latents, pixels
    from vlcodec.codec.ledger import report as ledger

    u = latents.dither_of(net, seed, header.height, header.width)
    symbols = net.encode(picture.pixels, header.quality, u)
    fz, given, told = net.decode(dither.reconstruct(symbols, u), header.quality), 0.0, 0.0
    for _, first, rows in pixels.bands(header.height):
        part = net.to_symbols(picture.pixels[first : first + rows], header.grey)
        steps = net.pixels(fz, first, rows, header.width, header.grey)
        told += sum(len(numbers) * math.log2(d.radix[0]) for d, numbers in pixels.told(steps, part))
        given += ledger.bits(steps, part)
    return ledger.bits(net.prior(u, header.quality), symbols), given + told, told


def selftest(*, model: str = "photo", device: str = "auto") -> list[dict[str, Any]]:
    """Does this machine compute what the files need? One {check, ok, detail} per check; nothing is raised."""
    from vlcodec.codec import image as images
    from vlcodec.models.families import golden_picture

    family = zoo.by_name(model).family
    picture = images.to_image(golden_picture(family), grey=family == "binary")

    def golden() -> str:
        zoo.load.cache_clear()
        zoo.load(model, device_of(device))
        return f"bit-exact on {device_of(device)}"

    def lossless() -> str:
        data = compress(picture, model=model, lossless=True, device=device)
        if decompress(data, device=device).tobytes() != picture.tobytes():
            raise FormatError("a lossless file must give every pixel back")
        return f"{len(data)} bytes"

    def lossy() -> str:
        data = compress(picture, model=model, device=device)
        if decompress(data, device=device).tobytes() != decompress(data, device=device).tobytes():
            raise FormatError("a lossy file must regenerate the same picture every time")
        return f"{len(data)} bytes"

    results = []
    checks: list[tuple[str, Callable[[], str]]] = [
        ("golden vector", golden),
        ("lossless round trip", lossless),
        ("regeneration", lossy),
    ]
    for name, check in checks:
        try:
            results.append({"check": name, "ok": True, "detail": check()})
        except Exception as error:  # whatever is wrong with the machine, it is the answer
            results.append({"check": name, "ok": False, "detail": f"{error}"})
    return results
