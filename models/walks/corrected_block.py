"""A band of pixels whose predictions are corrected by numbers of its own (`correction`), fitted and used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vlcodec.codec.coding.tables import mixture_mean
from vlcodec.codec.interface import Ints
from vlcodec.models.walks.correction import Correction, Errors, Mover, count, error, fit, strips, widest
from vlcodec.models.walks.pixel_block import Pass, PixelBlock, Shorts


@dataclass(frozen=True)
class Seen:
    """What a band's symbols show: the network's outputs, every error, and `widest` scales (rows W, colours)."""

    symbols: Ints
    outputs: Pass
    errors: Errors
    scales: Shorts


class CorrectedBlock(PixelBlock):
    """See codec.interface.Adaptive. Of one picture: no lanes."""

    _correction: Correction | None = None
    _last: Seen | None = None

    @property
    def numbers(self) -> int:
        """See codec.interface.Adaptive."""
        return count(self.colours)

    def adapt(self, symbols: Ints) -> Ints:
        """See codec.interface.Adaptive."""
        seen = self._see(symbols)
        numbers = fit(seen.errors, seen.scales)
        if numbers.size:
            self.use(numbers)
        return numbers

    def use(self, numbers: Ints) -> None:
        """See codec.interface.Adaptive."""
        self._correction = Correction(numbers, self.colours)

    def _see(self, symbols: Ints) -> Seen:
        """Kept, so that a band that is fitted and then coded has one network pass."""
        if self._last is None or self._last.symbols is not symbols:
            outputs = super()._pass(symbols)
            errors = Errors(*self.shape[:3])
            scales = np.empty((len(outputs.known), self.colours), np.int16)
            for index in strips(len(scales)):
                own = np.empty((len(index), self.colours), np.int64)
                for c in range(self.colours):
                    params, base, mean, known = self._at(outputs, c, index)
                    logit, centre, scale = self._mixture(c, params, base, mean, known)
                    own[:, c] = error(known[:, c], mixture_mean(logit, centre))
                    scales[index, c] = widest(logit, scale)
                errors.put(index, own)
            self._last = Seen(symbols, outputs, errors, scales)
        return self._last

    def _pass(self, symbols: Ints) -> Pass:
        return self._see(symbols).outputs

    def _mover(self, symbols: Ints | None) -> Mover:
        """Of the band's correction, if it has one; with the errors of all pixels, if they are known."""
        if self._correction is None:
            return Mover()
        return Mover(self._correction, Errors(*self.shape[:3]) if symbols is None else self._see(symbols).errors)
