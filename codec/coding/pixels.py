"""x given z: bands of 512 rows, decoded from their stacks or sampled with noise by the same loop."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from vlcodec.codec.coding.latents import PIXELS
from vlcodec.codec.coding.near import NearCoder
from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.picture_file import BAND_ROWS, Band
from vlcodec.codec.interface import Block, Bytes, Coder, LatentNet, Restoring, Textured, Tick


@dataclass(frozen=True)
class Place:
    """A band of a picture: its number, its rows, and the picture's width and channels."""

    number: int
    rows: range
    width: int
    colours: int  # 1 or 3


def bands(height: int, width: int, colours: int) -> Iterator[Place]:
    """Every band, from the top down."""
    for number, first in enumerate(range(0, height, BAND_ROWS)):
        yield Place(number, range(first, min(first + BAND_ROWS, height)), width, colours)


def checksum(pixels: Bytes) -> int:
    """CRC-32 of a band's pixels (rows, W, C) uint8, row-major."""
    return zlib.crc32(pixels.tobytes())


def push_band(
    net: LatentNet, fz: Any, pixels: Bytes, place: Place, stack: Coder, tick: Tick | None = None, near: int = 0
) -> None:
    """One band of pictures (n, H, W, C) uint8 that are coded together, mostly of one, onto a stack.

    near: that the pictures were `near.restored` with; 0 for lossless ones.
    """
    stack.section(PIXELS)
    part = pixels[:, place.rows.start : place.rows.stop]
    block = _coded(net, fz, place, near)
    block.push(net.to_symbols(part), NearCoder(stack, near) if near else stack, tick)


def read_band(
    net: LatentNet, fz: Any, band: Band, place: Place, tick: Tick | None = None, near: int = 0
) -> Bytes:
    """(rows, W, C) uint8. Raises FormatError where the stack or the pixels' checksum does not end as it should."""
    stack, block = Stack(band.stack), _coded(net, fz, place, near)
    if near:
        source = NearCoder(stack, near)
        symbols = source.filled(block.pop(source, tick))
    else:
        symbols = block.pop(stack, tick)
    part: Bytes = net.to_pictures(symbols)[0]
    which = f"rows {place.rows.start} to {place.rows.stop - 1}"
    if not stack.empty:
        raise FormatError(f"the stack of {which} must be empty at its end; it is not")
    if checksum(part) != band.pixels_crc:
        raise FormatError(f"the pixels of {which} do not match their checksum")
    return part


def _coded(net: LatentNet, fz: Any, place: Place, near: int) -> Block:
    if near and isinstance(net, Restoring):
        net = net.within(near)
    return net.pixels(fz, place.rows, place.width, place.colours)


def sample_band(net: LatentNet, fz: Any, seed: int, place: Place, tick: Tick | None = None) -> Bytes:
    """(rows, W, C) uint8 drawn from p(x | z), guided; the same for the same seed, on every machine."""
    if isinstance(net, Textured):
        fz = net.seeded(fz, seed)
    block = net.pixels(fz, place.rows, place.width, place.colours, guided=True)
    drawn = block.pop(Noise(seed, PIXEL_PURPOSE, place.number, prod(block.shape)), tick)
    part: Bytes = net.to_pictures(drawn)[0]
    return part
