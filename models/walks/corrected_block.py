"""A band of pixels whose predictions are corrected by numbers of its own (`correction`), sent before its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vlcodec.codec.coding.latents import SIDE_INFORMATION
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.tables import Uniform
from vlcodec.codec.coding.walk import push_steps
from vlcodec.codec.interface import Coder, Ints, Source, Tick
from vlcodec.models.walks.correction import Correction, Edges, count, fit_correction
from vlcodec.models.walks.pixel_block import PixelBlock

FIRST = np.zeros(1, np.int64)  # the only place of a block of one


@dataclass(frozen=True)
class CorrectedBlock:
    """See codec.interface.Block: one bit, whether there is a correction; its bytes; the pixels. Of one picture.

    edges: see `correction`.
    """

    band: PixelBlock
    edges: Edges

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
            stack.push(Uniform(numbers.size, 256), numbers)
        stack.push(Uniform(1, 2), np.array([int(numbers.size > 0)]))

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block."""
        band = self.band
        if source.pop(Uniform(1, 2), FIRST)[0]:
            size = count(band.colours, self.edges)
            numbers = source.pop(Uniform(size, 256), np.arange(size, dtype=np.int64))
            band = band.corrected(Correction(numbers, band.colours, self.edges))
        return band.pop(source, tick)

    def bits(self, symbols: Ints) -> float:
        """See codec.interface.Block."""
        meter = Meter()
        self.push(symbols, meter)
        return meter.total
