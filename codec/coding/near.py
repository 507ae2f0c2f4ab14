"""Near-lossless pixels: each level in a cell of 2 N + 1 levels, and given back as the middle of it.

Cells are a fixed grid, floor(level / (2 N + 1)), the last one cut at 255. The picture is restored first and then
coded, so that network, errors and correction see what the decoder will see, in one pass. A cell's probability is the
sum of its levels'.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from vlcodec.codec.coding.tables import LogisticMixture, Ordered
from vlcodec.codec.coding.units import LEVELS
from vlcodec.codec.interface import Bytes, Coder, Distribution, Ints

DIGIT = 16  # values of the last digit


def width_of(near: int) -> int:
    """Levels of a cell."""
    return 2 * near + 1


@cache
def middles(near: int) -> Ints:
    """The level that stands for each cell, (cells,)."""
    first = np.arange(0, LEVELS, width_of(near), dtype=np.int64)
    found: Ints = (first + np.minimum(first + 2 * near, LEVELS - 1)) // 2
    return found


def restored(levels: Bytes, near: int) -> Bytes:
    """Levels (any shape) as they are given back: none is more than `near` from what it was, at 0 the same ones."""
    if not near:
        return levels
    return middles(near).astype(np.uint8)[levels // width_of(near)]


class Whole(Ordered):
    """A mixture whose symbols are no levels of pixels: near-lossless files have them as they are."""

    radix = LogisticMixture.radix

    def __init__(self, mixture: LogisticMixture) -> None:
        self.mixture = mixture

    def cdf(self, edges: Ints) -> Ints:
        """See `Ordered.cdf`."""
        return self.mixture.cdf(edges)


class Cells(Ordered):
    """The cells of a mixture's levels, of which each has 2 near + 1, the last perhaps fewer."""

    def __init__(self, mixture: LogisticMixture, near: int) -> None:
        self.mixture, self.width = mixture, width_of(near)
        cells = len(middles(near))
        self.radix = (cells,) if cells <= DIGIT else (-(-cells // DIGIT), DIGIT)

    def cdf(self, edges: Ints) -> Ints:
        """See `Ordered.cdf`; cells beyond the last one have no mass."""
        return self.mixture.cdf(np.minimum(edges * self.width, LEVELS))


class NearCoder:
    """A stack, or a meter, on which mixtures' levels are those of restored pictures. See codec.interface.Coder.

    What a source gives once it is exhausted has the lowest cell's level, and is not computed: `filled` puts it in.
    """

    def __init__(self, coder: Coder, near: int) -> None:
        self._coder, self._near = coder, near

    @property
    def exhausted(self) -> bool:
        """See codec.interface.Source."""
        return self._coder.exhausted

    @property
    def bits(self) -> int:
        """See codec.interface.Coder."""
        return self._coder.bits

    def section(self, name: str) -> None:
        """See codec.interface.Coder."""
        self._coder.section(name)

    def book(self, bits: float) -> None:
        """See codec.interface.Coder."""
        self._coder.book(bits)

    def push(self, distribution: Distribution, symbols: Ints) -> None:
        """See codec.interface.Coder."""
        if isinstance(distribution, LogisticMixture):
            self._coder.push(Cells(distribution, self._near), symbols // width_of(self._near))
        else:
            self._coder.push(distribution, symbols)

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """See codec.interface.Source."""
        if not isinstance(distribution, LogisticMixture):
            return self._coder.pop(distribution, index)
        cells = self._coder.pop(Cells(distribution, self._near), index)
        return middles(self._near)[np.minimum(cells, len(middles(self._near)) - 1)]

    def filled(self, symbols: Ints) -> Ints:
        """Levels of a block that was popped, with the lowest cell's where nothing was left to pop."""
        lowest: Ints = np.maximum(symbols, middles(self._near)[0])
        return lowest
