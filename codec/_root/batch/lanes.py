"""Pictures of one size side by side, each into a file of its own, and back: the files and pixels of one by one.

All have one seed, so that they have one dither and one noise, as each has alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.picture_file import Band, File, Header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vlcodec.codec.coding.pixels import Place
    from vlcodec.codec.interface import Bytes, Ints, LatentNet


@dataclass(frozen=True)
class Written:
    """Files of N pictures, and what they were made of. symbols: (N, latents). groups: bits of each picture's
    groups of latents; promised: of its pixels, by section."""

    files: list[File]
    symbols: Ints
    fz: Any
    groups: list[list[float]]
    promised: list[dict[str, float]]


def write(net: LatentNet, pixels: Bytes, header: Header, metered: bool = False) -> Written:
    """Pictures (N, H, W, C) as files that have one header. metered: whether what they promise is kept."""
    from vlcodec.codec.coding import compiled, groups, latents
    from vlcodec.codec.coding.lanes import Meters, Stacks
    from vlcodec.codec.coding.pixels import bands, checksum, push_band

    compiled.expect(pixels.size)
    count = len(pixels)
    u = _dither(net, header, count)
    symbols = latents.choose(net, pixels, u)
    chunks: list[list[bytes]] = [[] for _ in range(count)]
    of_groups: list[list[float]] = [[] for _ in range(count)]
    for part, block in groups.parts_of(net, symbols, u):
        stacks = Stacks([b""] * count, axis=0, coder=groups.coder_of(net))
        meter = Meters(stacks)
        block.push(symbols[:, part], meter if metered else stacks)
        for lane, stack in enumerate(stacks.to_bytes()):
            chunks[lane].append(stack)
            of_groups[lane].append(float(sum(bits[lane] for bits in meter.promised.values())))
    fz = net.features(symbols, u) if header.lossless else None
    parts: list[list[Band]] = [[] for _ in range(count)]
    promised: list[dict[str, float]] = [{} for _ in range(count)]
    for place in bands(*pixels.shape[1:]) if header.lossless else ():
        stacks = Stacks([b""] * count, axis=-1)
        meter = Meters(stacks)
        push_band(net, fz, pixels, place, meter if metered else stacks)
        for lane, stack in enumerate(stacks.to_bytes()):
            coded = pixels[lane, place.rows.start : place.rows.stop]
            parts[lane].append(Band(stack, checksum(coded)))
            for name, bits in meter.promised.items():
                promised[lane][name] = promised[lane].get(name, 0.0) + float(bits[lane])
    files = [
        File(header, first, tuple(own), tuple(further)) for (first, *further), own in zip(chunks, parts, strict=True)
    ]
    return Written(files, symbols, fz, of_groups, promised)


def read(net: LatentNet, files: Sequence[File], decode: str | None, seed: int) -> Bytes:
    """(N, H, W, C) uint8 of files that have one header.

    decode, seed: see `vlcodec.decompress`; the seed is of the pixels. Raises FormatError where any is not sound.
    """
    import numpy as np

    from vlcodec.codec.coding import compiled, groups
    from vlcodec.codec.coding.lanes import Stacks
    from vlcodec.codec.coding.pixels import bands

    header, count = files[0].header, len(files)
    size = (count, header.height, header.width, 1 if header.grey else 3)
    compiled.expect(prod(size))
    u = _dither(net, header, count)
    symbols: Ints = u * 0
    for number, (part, block) in enumerate(groups.parts_of(net, symbols, u)):
        stacks = Stacks([file.groups[number] for file in files], axis=0, coder=groups.coder_of(net))
        symbols[:, part] = block.pop(stacks)
        if not all(stacks.empty):
            raise FormatError("the latents' stack must be empty after the last latent; it is not")
    fz = net.features(symbols, u)
    if decode == "mean":
        return net.mean_images(fz, header.height, header.width)
    drawn = decode == "sample" or not header.lossless
    image = np.empty(size, np.uint8)
    for place in bands(*size[1:]):
        band = _drawn(net, fz, seed, place, count) if drawn else _read(net, fz, files, place)
        image[:, place.rows.start : place.rows.stop] = band
    return image


def _dither(net: LatentNet, header: Header, count: int) -> Ints:
    """(N, latents): of each picture as of one alone."""
    from vlcodec.codec.coding.latents import dither_of

    return dither_of(net, header.seed, 0, 1, header.height, header.width).repeat(count, 0)


def _read(net: LatentNet, fz: Any, files: Sequence[File], place: Place) -> Bytes:
    from vlcodec.codec.coding.lanes import Stacks
    from vlcodec.codec.coding.pixels import checksum

    own = [file.bands[place.number] for file in files]
    stacks = Stacks([band.stack for band in own], axis=-1)
    part = net.to_pictures(net.pixels(fz, place.rows, place.width, place.colours).pop(stacks))
    if not all(stacks.empty) or any(checksum(x) != band.pixels_crc for x, band in zip(part, own, strict=True)):
        raise FormatError("a stack or its pixels do not end as they should")
    return part


def _drawn(net: LatentNet, fz: Any, seed: int, place: Place, count: int) -> Bytes:
    from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise

    block = net.pixels(fz, place.rows, place.width, place.colours, guided=True)
    noise = Noise(seed, PIXEL_PURPOSE, place.number, prod(block.shape) // count, count)
    return net.to_pictures(block.pop(noise))
