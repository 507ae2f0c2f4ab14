"""Where a picture's bits are: what each pixel of a lossless file costs."""

from __future__ import annotations

from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.likelihood import bits_of
from vlcodec.codec.coding.pixels import Place
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import Uniform
from vlcodec.codec.files.picture_file import Band
from vlcodec.codec.interface import Bytes, Distribution, Ints, LatentNet, Source, Tick

# ever brighter; equal steps are seen as such
COLOURS: Final = (
    (0, 0, 4),
    (40, 11, 84),
    (101, 21, 110),
    (159, 42, 99),
    (212, 72, 66),
    (245, 125, 21),
    (250, 193, 39),
    (252, 255, 245),
)


class Survey:
    """A source that notes what each symbol costs, by its place in a block of so many.

    bits: (size,) -log2 P in float64. Uniform symbols are left out: they are numbers that a block sends before its own.
    """

    exhausted = False  # symbols that an exhausted stack gives have their price too

    def __init__(self, source: Source, size: int) -> None:
        self._source, self.bits = source, np.zeros(size)

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """See codec.interface.Source."""
        symbols = self._source.pop(distribution, index)
        if not isinstance(distribution, Uniform):
            self.bits[index] += bits_of(distribution, symbols)
        return symbols


def band_map(net: LatentNet, fz: Any, band: Band, place: Place, tick: Tick | None = None) -> NDArray[np.float64]:
    """(rows, W) bits of each pixel of a sound band, its channels together."""
    block = net.pixels(fz, place.rows, place.width, place.colours)
    survey = Survey(Stack(band.stack), prod(block.shape))
    block.pop(survey, tick)
    bits: NDArray[np.float64] = survey.bits.reshape(len(place.rows), place.width, -1).sum(2)
    return bits


def coloured(bits: NDArray[np.float64], most: float) -> Bytes:
    """(H, W, 3) uint8: from black, where a pixel costs nothing, by way of purple and orange, to white at `most`."""
    levels = np.asarray(COLOURS, np.float64)
    at = np.clip(bits / max(most, 1e-9), 0, 1) * (len(levels) - 1)
    low = np.minimum(at.astype(np.int64), len(levels) - 2)
    share = (at - low)[..., np.newaxis]
    mixed: Bytes = np.rint((1 - share) * levels[low] + share * levels[low + 1]).astype(np.uint8)
    return mixed


def bright(bits: NDArray[np.float64]) -> float:
    """Bits that 199 of 200 pixels do not exceed: what a map shows as white."""
    return float(np.quantile(bits, 0.995))
