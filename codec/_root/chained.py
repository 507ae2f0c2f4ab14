"""What a picture costs under a model that makes lossless archives alone, since bits-back codes its pixels too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlcodec._shared import Progress, memory
from vlcodec.codec.files import picture_file
from vlcodec.codec.files.picture_file import Header
from vlcodec.pictures import as_kept
from vlcodec.writing import write

if TYPE_CHECKING:
    from vlcodec.codec.interface import Bytes, LatentNet, Model
    from vlcodec.codec.ledger.report import RateReport


def rate_chained(
    model: Model, pixels: Bytes, header: Header, samples: int, progress: Progress | None
) -> RateReport:
    """See `measure.rate`: the picture (1, H, W, C) on a stack of noise, and what it adds to it; samples are of other
    noise."""
    from vlcodec.codec.coding.latents import POSTERIOR, PRIOR
    from vlcodec.codec.ledger import report

    chained, net = model.chained(), model.single(header.quality)
    if chained is None:
        raise RuntimeError("a model that keeps no picture alone has a net for archives")
    with memory():
        promised, added = _added(chained, pixels, 0)
        totals = list[float]()
        for sample in range(samples):
            totals.append(sum(_added(chained, pixels, 1 + sample)[0].values()))
            if progress is not None:
                progress("samples", sample + 1, samples)
        made = write(net, pixels, replace(header, lossless=False), None, progress)
        mean = net.mean_images(net.features(made.symbols, made.u), header.height, header.width)[0]
    prior, kl = promised[PRIOR], promised[PRIOR] + promised[POSTERIOR]
    parts = {name: bits for name, bits in promised.items() if name not in (PRIOR, POSTERIOR)}
    elbo = kl + sum(parts.values())
    return report.RateReport(
        width=header.width,
        height=header.height,
        channels=1 if header.grey else 3,
        quality=header.quality,
        latents_naive=prior,
        latents_kl=kl,
        groups=(kl,),
        pixels=sum(parts.values()),
        side_information=0.0,
        parts=parts,
        chained=True,
        elbo=elbo,
        likelihood=report.log_mean(totals) if totals else None,
        samples=samples,
        header_bits=0,
        latents_written=0,
        pixels_written=added,
        lossy_bytes=len(picture_file.pack(made.file)),
        lossless_bytes=-(-added // 8),
        overhead=added - elbo,
        psnr_mean_db=report.psnr_db(as_kept(mean, header), pixels[0]),
    )


def _added(net: LatentNet, pixels: Bytes, seed: int) -> tuple[dict[str, float], int]:
    """What the likelihood promises, by section, and the bits that a stack of noise grows by."""
    from vlcodec.codec.coding.latents import dither_of, primed, push
    from vlcodec.codec.coding.meter import Meter

    stack = primed(1, seed)
    before, meter = stack.bits, Meter(stack)
    push(net, pixels, dither_of(net, 0, 0, *pixels.shape[:3]), meter)
    return dict(meter.promised), stack.bits - before
