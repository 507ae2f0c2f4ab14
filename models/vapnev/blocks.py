"""Pictures given z as a block: levels to cells, the flow, and the prior of y, on one stack."""

from __future__ import annotations

import numpy as np

from vlcodec.codec.coding.latents import primed
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.interface import Coder, Ints, Source, Tick
from vlcodec.models.layers.causal_pixels import COLOURS
from vlcodec.models.vapnev.grid import CELL_BITS, edges
from vlcodec.models.vapnev.integer_flow import IntegerFlow, spread, unspread
from vlcodec.models.vapnev.net import SIDE, SIZE
from vlcodec.models.vapnev.prior import YPrior

# sections of the ledger
DEQUANTISATION, LOGIT, EIGHT_BITS = "dequantisation", "logit", "8 bits"
DETERMINANTS, Y = "log-determinants", "prior of y"
LEVEL_BITS = 8


class FlowBlock:
    """n pictures given z: block (32, 32, 3 or 1, n) of levels in the order G, R, B; grey ones are coded as G = R = B.

    It takes bits off the stack before it puts any on, as bits-back does, and can only be pushed onto a stack that has
    them. Popped from noise, it draws a sample.
    """

    def __init__(self, flow: IntegerFlow, prior: YPrior, colours: int) -> None:
        self._flow, self._prior = flow, prior
        self.shape = (SIDE, SIDE, colours, prior.centre.shape[-1])

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """See codec.interface.Block. Raises StackLow where the stack has too few bits to begin with.

        The ledger's sections are the parts of eq. 10 in floating point: what symbols of whole cells stand for more is
        booked among them.
        """
        levels = symbols.repeat(COLOURS // symbols.shape[2], 2)
        count = SIZE * levels.shape[3]
        even = float(np.log2(np.diff(edges()))[levels].sum())
        stack.section(DEQUANTISATION)
        cells = spread(levels, stack)
        stack.book(even)
        stack.section(LOGIT)
        stack.book((CELL_BITS - LEVEL_BITS) * count - even)
        stack.section(EIGHT_BITS)
        stack.book(LEVEL_BITS * count)
        stack.section(DETERMINANTS)
        y = self._flow.push(cells, stack)
        stack.section(Y)
        self._prior.push(y, stack)
        stack.book(-CELL_BITS * count)

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block."""
        levels = unspread(self._flow.pop(self._prior.pop(source), source), source)
        return levels[:, :, : self.shape[2]]

    def bits(self, symbols: Ints) -> float:
        """See codec.interface.Block: with cells drawn from noise of its own."""
        meter = Meter(primed(self.shape[3], 0))
        self.push(symbols, meter)
        return meter.total

