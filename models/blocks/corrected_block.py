"""A band of pixels whose predictions are corrected by numbers of its own (`correction`), sent before its pixels.

Most numbers are near their middle: under a logistic, whose scale stands before them, they take five bits each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vlcodec.codec.coding.latents import SIDE_INFORMATION
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.near import Whole
from vlcodec.codec.coding.tables import LogisticMixture, Uniform
from vlcodec.codec.coding.units import VARIANCE_SHIFT, scale_variances
from vlcodec.codec.coding.walk import push_steps
from vlcodec.codec.interface import Coder, Ints, Source, Tick
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.walks.correction import Correction, Edges, count, fit_correction
from vlcodec.models.walks.units import WEIGHT_MIDDLE

FIRST = np.zeros(1, np.int64)  # the only place of a block of one
SCALES = np.arange(80, 160, 5)  # indices of the scales that numbers may have: of 0.3 to 32 in steps of 37 %
SQUARED_RATIO = 1712  # thousandths: of a logistic's variance to the square of its mean |x|


@dataclass(frozen=True)
class CorrectedBlock:
    """See codec.interface.Block: one bit, whether there is a correction; its bytes; the pixels. Of one picture.

    edges: see `correction`. logistic: whether numbers are coded under a logistic; as bytes, where they are not.
    """

    band: PixelBlock
    edges: Edges
    logistic: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """See codec.interface.Block."""
        return self.band.shape

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """Fit a correction to the symbols, and push them, with it where it pays."""
        band, outputs = self.band, self.band.see(symbols)
        errors, scales = band.errors(outputs)
        numbers = fit_correction(errors, scales, self.edges)
        if numbers.size:
            band = band.corrected(Correction(numbers, band.colours, self.edges))
        push_steps(band.backwards(outputs, errors if numbers.size else None), symbols, stack, band.count, tick)
        stack.section(SIDE_INFORMATION)
        if numbers.size:
            self._push_numbers(numbers, stack)
        stack.push(Uniform(1, 2), np.array([int(numbers.size > 0)]))

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block."""
        band = self.band
        if source.pop(Uniform(1, 2), FIRST)[0]:
            band = band.corrected(Correction(self._pop_numbers(source), band.colours, self.edges))
        return band.pop(source, tick)

    def _push_numbers(self, numbers: Ints, stack: Coder) -> None:
        if not self.logistic:
            stack.push(Uniform(numbers.size, 256), numbers)
            return
        which = _nearest_scale(numbers - WEIGHT_MIDDLE)
        stack.push(_logistic(numbers.size, which), numbers)
        stack.push(Uniform(1, len(SCALES)), np.array([which]))

    def _pop_numbers(self, source: Source) -> Ints:
        size = count(self.band.colours, self.edges)
        if not self.logistic:
            return source.pop(Uniform(size, 256), np.arange(size, dtype=np.int64))
        which = int(source.pop(Uniform(1, len(SCALES)), FIRST)[0])
        return source.pop(_logistic(size, which), np.arange(size, dtype=np.int64))

    def bits(self, symbols: Ints) -> float:
        """See codec.interface.Block."""
        meter = Meter()
        self.push(symbols, meter)
        return meter.total


def _nearest_scale(weights: Ints) -> int:
    """Which of SCALES has the mean |x| of weights, or the next larger one: in integers."""
    squares = SQUARED_RATIO * int(np.abs(weights).sum()) ** 2 << VARIANCE_SHIFT
    enough = [int(variance) * 1000 * weights.size**2 >= squares for variance in scale_variances()[SCALES]]
    return enough.index(True) if any(enough) else len(SCALES) - 1


def _logistic(size: int, which: int) -> Whole:
    zeros = np.zeros((size, 1), np.int64)
    return Whole(LogisticMixture(zeros, zeros, zeros + SCALES[which]))
