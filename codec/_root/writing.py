"""A picture's latents and bands, written: the parts of its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vlcodec._shared import Progress, present_memory, tick
from vlcodec.codec.files.picture_file import Band, File, Header
from vlcodec.estimates import needed
from vlcodec.jobs import Ticks, jobs_of, side_by_side

if TYPE_CHECKING:
    from vlcodec.codec.interface import Bytes, Ints, LatentNet


@dataclass(frozen=True)
class Written:
    """A picture's file, and what it was made of. promised: bits by section of the ledger, of the pixels."""

    file: File
    u: Ints
    symbols: Ints
    fz: Any
    promised: dict[str, float]


def write(
    net: LatentNet,
    pixels: Bytes,
    header: Header,
    jobs: int | None,
    progress: Progress | None,
    metered: bool = False,
    refining: int = 0,
) -> Written:
    """A picture (1, H, W, C) as a file's parts. metered: whether what its pixels promise is kept. refining: steps in
    which better latents are searched for, where the net can.

    Latents are of the picture as it is, bands of what it is restored to, where the file may be some levels off.
    """
    from vlcodec.codec.coding import groups, latents
    from vlcodec.codec.coding.near import restored
    from vlcodec.codec.interface import Layered, Refining

    u = latents.dither_of(net, header.seed, 0, *pixels.shape[:3])
    symbols = latents.choose(net, pixels, u)
    seen = as_restored(net, header.near)
    layered = net if isinstance(net, Layered) and not header.lossless else None
    lacking: Ints | None = None
    if refining and layered is not None:
        symbols, lacking = layered.searched(pixels, symbols, u, refining, tick(progress, "refining", 0, 1))
    elif refining and isinstance(seen, Refining):
        coded = restored(pixels, header.near) if header.lossless else None
        symbols = seen.refined(pixels, symbols, u, refining, tick(progress, "refining", 0, 1), coded)
    chunk, *further = groups.write_groups(net, symbols, u, tick(progress, "latents", 0, 1))
    fz = net.features(symbols, u) if header.lossless or layered is not None else None
    changes = b""
    if layered is not None:
        lacking = layered.lacking(pixels, fz) if lacking is None else lacking
        further.append(groups.write_lacking(layered, lacking, fz))
        changes = layered.changes(pixels, fz, lacking) if refining else b""
    parts, promised = banded(net, fz, pixels, header, jobs, progress, metered) if header.lossless else ((), {})
    return Written(File(header, chunk, parts, tuple(further), changes), u, symbols, fz, promised)


def as_restored(net: LatentNet, near: int) -> LatentNet:
    """The net of pixels that are restored within so many levels."""
    from vlcodec.codec.interface import Restoring

    return net.within(near) if near and isinstance(net, Restoring) else net


def banded(
    net: LatentNet,
    fz: Any,
    pixels: Bytes,
    header: Header,
    jobs: int | None,
    progress: Progress | None,
    metered: bool = False,
) -> tuple[tuple[Band, ...], dict[str, float]]:
    """A picture (1, H, W, C) given its f(z) as bands, and what they promise, by section, where that is `metered`."""
    from vlcodec.codec.coding.meter import Meter
    from vlcodec.codec.coding.near import restored
    from vlcodec.codec.coding.pixels import Place, bands, checksum, push_band
    from vlcodec.codec.coding.stack import Stack

    places = list(bands(*pixels.shape[1:]))
    ticks = Ticks(progress, "pixels", len(places))
    pixels = restored(pixels, header.near)

    def coded(place: Place) -> tuple[Band, dict[str, float]]:
        stack = Stack()
        meter = Meter(stack) if metered else None
        push_band(net, fz, pixels, place, meter or stack, ticks.of(place.number), header.near)
        part = pixels[0, place.rows.start : place.rows.stop]
        return Band(stack.to_bytes(), checksum(part)), dict(meter.promised) if meter is not None else {}

    parts, promised = list[Band](), dict[str, float]()
    for band, sections in side_by_side(coded, places, at_once(header, jobs)):
        parts.append(band)
        for name, bits in sections.items():
            promised[name] = promised.get(name, 0.0) + bits
    return tuple(parts), promised


def at_once(header: Header, jobs: int | None) -> int:
    """Bands to work on at the same time: as many as asked for, while memory lasts."""
    whole, band = needed(header.width, header.height)
    present = present_memory()
    room = jobs_of(jobs) if present is None else max(1, (present - whole) // band)
    return min(jobs_of(jobs), room)
