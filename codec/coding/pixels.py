"""x given z: bands of 512 rows, decoded from their stacks or sampled with noise by the same loop."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from vlcodec.codec.coding.stack import Noise, Stack
from vlcodec.codec.coding.tables import Uniform
from vlcodec.codec.coding.walk import Tick, decode, encode
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.picture_file import BAND_ROWS, Band
from vlcodec.codec.interface import Adaptive, Bytes, ImageModel, Ints, Steps

PIXEL_PURPOSE = 2  # of the noise


def bands(height: int) -> Iterator[tuple[int, int, int]]:
    """(number, first row, rows) of each band."""
    for number, first in enumerate(range(0, height, BAND_ROWS)):
        yield number, first, min(BAND_ROWS, height - first)


def checksum(pixels: Bytes, grey: bool) -> int:
    """CRC-32 of a band's pixels, row-major; (rows, W, 3) uint8, of which grey pictures count one channel."""
    return zlib.crc32((pixels[..., :1] if grey else pixels).tobytes())


def told(steps: Steps, symbols: Ints) -> list[tuple[Uniform, Ints]]:
    """What a band's decoder is told before its pixels, first things first: whether its model is adapted to it, and by
    what numbers. The steps are adapted from then on.
    """
    if not isinstance(steps, Adaptive):
        return []
    numbers = steps.adapt(symbols)
    adapted = Uniform(1, 2), np.array([int(numbers.size > 0)])
    return [adapted, (Uniform(numbers.size, 256), numbers)] if numbers.size else [adapted]


def be_told(steps: Steps, stack: Stack) -> None:
    """The decoder's part of `told`."""
    if isinstance(steps, Adaptive) and stack.pop(Uniform(1, 2), np.arange(1))[0]:
        steps.use(stack.pop(Uniform(steps.numbers, 256), np.arange(steps.numbers)))


def write_band(
    model: ImageModel, fz: Any, pixels: Bytes, first: int, rows: int, grey: bool, tick: Tick | None = None
) -> Band:
    """One band of a lossless file; pixels is the whole picture, (H, W, 3) uint8."""
    part, stack = pixels[first : first + rows], Stack()
    steps, symbols = model.pixels(fz, first, rows, pixels.shape[1], grey), model.to_symbols(part, grey)
    before = told(steps, symbols)
    encode(steps, symbols, stack, tick)
    for distribution, numbers in reversed(before):
        stack.push(distribution, numbers)
    return Band(stack.to_bytes(), checksum(part, grey))


def read_band(
    model: ImageModel, fz: Any, band: Band, first: int, rows: int, width: int, grey: bool, tick: Tick | None = None
) -> Bytes:
    """(rows, width, 3) uint8. Raises FormatError where the stack or the pixels' checksum does not end as it should."""
    stack, steps = Stack(band.stack), model.pixels(fz, first, rows, width, grey)
    be_told(steps, stack)
    part = model.to_pixels(decode(steps, stack, tick))
    if not stack.empty:
        raise FormatError(f"the stack of rows {first} to {first + rows - 1} must be empty at its end; it is not")
    if checksum(part, grey) != band.pixels_crc:
        raise FormatError(f"the pixels of rows {first} to {first + rows - 1} do not match their checksum")
    return part


def sample_band(
    model: ImageModel,
    fz: Any,
    seed: int,
    number: int,
    first: int,
    rows: int,
    width: int,
    grey: bool,
    tick: Tick | None = None,
) -> Bytes:
    """(rows, width, 3) uint8 drawn from p(x | z), guided; the same for the same seed, on every machine."""
    steps = model.pixels(fz, first, rows, width, grey, guided=True)
    noise = Noise(seed, PIXEL_PURPOSE, number, int(np.prod(steps.shape)))
    return model.to_pixels(decode(steps, noise, tick))
