"""y under N(mu_y(z), sigma_y(z)) (eq. 11): a gaussian's table of 4096 cells of 1/128, and even digits within one.

The outermost two of a table's cells stand for all that lies beyond the ones next to them: how far is sent in 26 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vlcodec.codec.coding.tables import DrawnGaussian, FlooredGaussian, Uniforms
from vlcodec.codec.interface import Coder, Ints, Source
from vlcodec.models.layers.posterior import CELLS
from vlcodec.models.vapnev.net import Y_CELL

FAR = (2**10, 2**16)  # sizes of the digits of a distance beyond the table, in its cells


@dataclass(frozen=True)
class YPrior:
    """centre in 1/32 table cell, scale: index; both of y's shape."""

    centre: Ints
    scale: Ints

    def push(self, y: Ints, stack: Coder) -> None:
        """y, in the flow's cells, |y| < 2^33, onto a stack."""
        place = y.reshape(-1) + Y_CELL // 2
        cell, low = place // Y_CELL + CELLS // 2, place % Y_CELL
        symbols = np.clip(cell, 0, CELLS - 1)
        beyond = np.abs(cell - symbols)[_outermost(symbols)]
        stack.push(_even(low.size, Y_CELL), low)
        stack.push(_even(beyond.size, FAR[1]), beyond % FAR[1])
        stack.push(_even(beyond.size, FAR[0]), beyond // FAR[1])
        stack.push(self._table(), symbols)

    def pop(self, source: Source) -> Ints:
        """The inverse of `push`; from noise, without the tables' floor, which would draw wild values."""
        index = np.arange(self.centre.size, dtype=np.int64)
        coded = isinstance(source, Coder)
        symbols = source.pop(self._table() if coded else DrawnGaussian(*self._flat()), index)
        edge = _outermost(symbols)
        high, low = (source.pop(_even(int(edge.sum()), size), index[edge]) for size in FAR)
        cell = symbols.copy()
        cell[edge] += np.where(symbols[edge] > 0, 1, -1) * (high * FAR[1] + low)
        place = (cell - CELLS // 2) * Y_CELL + source.pop(_even(index.size, Y_CELL), index)
        found: Ints = place - Y_CELL // 2
        return found.reshape(self.centre.shape)

    def mean(self) -> Ints:
        """mu_y, in the flow's cells."""
        return (self.centre * Y_CELL) >> 5

    def _table(self) -> FlooredGaussian:
        return FlooredGaussian(*self._flat())

    def _flat(self) -> tuple[Ints, Ints]:
        return self.centre.reshape(-1), self.scale.reshape(-1)


def _outermost(symbols: Ints) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return (symbols == 0) | (symbols == CELLS - 1)


def _even(n: int, size: int) -> Uniforms:
    return Uniforms(np.full(n, size, np.int64))
