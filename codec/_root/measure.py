"""What a picture costs, and whether a machine computes what files need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from vlcodec._shared import Progress, check_near, device_of, load, memory
from vlcodec.archives import compress_archive, decompress_archive
from vlcodec.chained import rate_chained
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_file
from vlcodec.models import registry, zoo
from vlcodec.pictures import as_kept, compress, decompress, lossy_part, net_of, prepare
from vlcodec.writing import write

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from vlcodec.codec.files.picture_file import File, Header
    from vlcodec.codec.interface import Bytes, LatentNet
    from vlcodec.codec.ledger.report import RateReport

ARCHIVED = 12  # pictures, of which bits-back codes some


def rate(
    image: str | Path | bytes | BinaryIO | Image | NDArray[Any],
    *,
    model: str = "photo",
    quality: float | None = None,
    near_lossless: int = 0,
    seed: int = 0,
    threshold: int | None = None,
    samples: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> RateReport:
    """What every part of a picture costs, beside the likelihood's promise. quality None is 1, as for lossless files.

    near_lossless: of the file that is measured, see `compress`; 0 is a lossless one.
    samples: of the importance-sampled likelihood, -log2 of the mean of p(x, z) / q(z | x) over so many z, each with a
    dither of its own; 0 leaves it out. Where the model makes archives alone, z and whatever else bits-back takes off
    the stack are drawn from noise.
    """
    from vlcodec.codec import image as images

    check_near(registry.by_name(model), near_lossless)
    pixels, ready, header = prepare(images.load(image), model, True, quality, seed, threshold, device)
    header = replace(header, near=near_lossless)
    if not zoo.takes(registry.by_number(header.model_id)).alone:
        return rate_chained(ready, pixels, header, samples, progress)
    with memory():
        return measured(net_of(ready, header), pixels, header, None, samples, progress)


def measured(
    net: LatentNet, pixels: Bytes, header: Header, jobs: int | None, samples: int = 0, progress: Progress | None = None
) -> RateReport:
    """The ledger of a picture (1, H, W, C), as `rate` gives it."""
    from vlcodec.codec.coding.groups import group_bits

    made = write(net, pixels, header, jobs, progress, metered=True)
    groups, totals = group_bits(net, made.symbols, made.u), list[float]()
    for sample in range(samples):
        totals.append(_promised(net, pixels, sample, header.near))
        if progress is not None:
            progress("samples", sample + 1, samples)
    residual, fz = _residual(net, pixels, made.fz)
    mean = net.mean_images(fz, header.height, header.width)[0]
    about = made.symbols.size, net.posterior_kind, groups, made.promised, totals, residual
    return report_of(made.file, pixels[0], mean, *about)


def report_of(
    file: File,
    pixels: Bytes,
    mean: Bytes,
    latents: int,
    posterior: str,
    groups: Sequence[float],
    promised: Mapping[str, float],
    totals: Sequence[float] = (),
    residual: Residual | None = None,
) -> RateReport:
    """The ledger of a lossless file.

    Args:
        pixels: (H, W, C) of the picture. mean: (H, W, 1 or 3), its mean image.
        latents: how many. posterior: their kind, see codec.interface.LatentNet.
        groups, promised: bits of each group of latents, and by section of the pixels.
        totals: bits of each sample of the importance-sampled likelihood.
        residual: of the lossy file, where it has one.
    """
    import numpy as np

    from vlcodec.codec.coding.latents import DITHER_VALUES, SIDE_INFORMATION
    from vlcodec.codec.ledger import report

    header, kl, given = file.header, sum(groups), sum(promised.values())
    sizes, lossless_bytes = picture_file.sizes(file), len(picture_file.pack(file))
    lossy = lossy_part(file)
    if residual is not None:
        lossy = replace(lossy, refinements=(residual.stack,))
    place_bits = np.log2(DITHER_VALUES) if posterior == "dithered" else 0.0  # in its cell, without dither
    return report.RateReport(
        width=header.width,
        height=header.height,
        channels=1 if header.grey else 3,
        quality=header.level if header.hundredths else header.quality,
        latents_naive=kl + float(place_bits * latents),
        latents_kl=kl,
        groups=tuple(groups),
        pixels=given,
        side_information=promised.get(SIDE_INFORMATION, 0.0),
        parts=dict(promised),
        chained=False,
        elbo=kl + given,
        likelihood=report.log_mean(list(totals)) if totals else None,
        samples=len(totals),
        header_bits=8 * sizes["header"],
        latents_written=8 * sizes["latents"],
        pixels_written=8 * sizes["pixels"],
        lossy_bytes=len(picture_file.pack(lossy)),
        lossless_bytes=lossless_bytes,
        overhead=8 * lossless_bytes - (kl + given),
        psnr_mean_db=report.psnr_db(as_kept(mean, header), pixels),
        residual=0.0 if residual is None else residual.bits,
        residual_written=0 if residual is None else 8 * len(residual.stack),
    )


class Residual(NamedTuple):
    """What a lossy file says of what its mean image lacks: -log2 P, and its stack."""

    bits: float
    stack: bytes


def _residual(net: LatentNet, pixels: Bytes, fz: Any) -> tuple[Residual | None, Any]:
    """Of a picture (1, H, W, C), where its lossy files have one; and f(z) with it."""
    from vlcodec.codec.coding.meter import Meter
    from vlcodec.codec.coding.stack import Stack
    from vlcodec.codec.interface import Layered

    if not isinstance(net, Layered):
        return None, fz
    stack, symbols = Stack(), net.lacking(pixels, fz)
    meter = Meter(stack)
    net.residual(fz).push(symbols, meter)
    return Residual(meter.total, stack.to_bytes()), net.completed(fz, symbols)


def _promised(net: LatentNet, pixels: Bytes, seed: int, near: int) -> float:
    """Bits that the model promises for a picture, some levels off or none, with the dither of a seed."""
    from vlcodec.codec.coding import latents
    from vlcodec.codec.coding.meter import Meter
    from vlcodec.codec.coding.near import restored
    from vlcodec.codec.coding.pixels import bands, push_band

    u = latents.dither_of(net, seed, 0, *pixels.shape[:3])
    symbols, meter = latents.choose(net, pixels, u), Meter()
    fz, kept = net.features(symbols, u), restored(pixels, near)
    for place in bands(*pixels.shape[1:]):
        push_band(net, fz, kept, place, meter, near=near)
    return meter.total + net.prior(u).bits(symbols)


def selftest(*, model: str = "photo", device: str = "auto") -> list[dict[str, Any]]:
    """Does this machine compute what the files need? One {check, ok, detail} per check; nothing is raised.

    The golden vector is computed anew, whatever the record of passed checks says.
    """
    from vlcodec.codec import image as images

    entry = registry.by_name(model)
    first = zoo.golden_pictures(entry)[0]
    picture = images.to_image(first, grey=first.shape[-1] == 1)

    def golden() -> str:
        zoo.check(load(entry, device), entry.path, device_of(device))
        return f"bit-exact on {device_of(device)}"

    def lossless() -> str:
        if not zoo.takes(entry).alone:
            return archive()
        data = compress(picture, model=model, lossless=True, device=device)
        if decompress(data, device=device).tobytes() != picture.tobytes():
            raise FormatError("a lossless file must give every pixel back")
        return f"{len(data)} bytes"

    def archive() -> str:
        data = compress_archive([picture] * ARCHIVED, model=model, device=device)
        if any(back.tobytes() != picture.tobytes() for back in decompress_archive(data, device=device).images):
            raise FormatError("a lossless archive must give every pixel back")
        return f"{len(data)} bytes for {ARCHIVED} pictures"

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
