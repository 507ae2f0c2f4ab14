"""Bands of pixels that are walked together: lanes of one network, each with tables of its own.

A step of a small band is the glue of its calls. Bands over the same f(z) that differ in what follows the network (a
correction, a guide) share these calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from vlcodec.codec.interface import Ints, Source
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.compiled.band import serves
from vlcodec.models.walks.correction import Mover
from vlcodec.models.walks.latent_steps import MixtureStep


def pop_together(blocks: Sequence[PixelBlock], sources: Sequence[Source]) -> list[Ints]:
    """The symbols of blocks of one f(z) and size, each popped from its source as if alone.

    Blocks of different networks, and those that compiled steps or a GPU walk, are walked one after the other.
    """
    first = blocks[0]
    apart = first.device.type != "cpu" or serves(first.decoder, 1)
    if apart or any(block.decoder is not first.decoder for block in blocks):
        return [block.pop(source) for block, source in zip(blocks, sources, strict=True)]
    together = _Together(blocks)
    found = [np.zeros(block.shape, np.int64) for block in blocks]
    walk = together.sequential()
    with together.stepping():
        step = next(walk, None)
        while step is not None:
            lanes = cast(_Steps, step).lanes
            symbols = np.empty((len(step.index) // len(blocks), len(blocks)), np.int64)
            for own, source, lane, into in zip(lanes, sources, symbols.T, found, strict=True):
                lane[:] = source.pop(own.distribution, own.index)
                into.reshape(-1)[own.index] = lane
            try:
                step = walk.send(symbols.reshape(-1))
            except StopIteration:
                step = None
    return found


@dataclass(frozen=True)
class _Steps(MixtureStep):
    """A step of every lane; as a whole it is the first one's."""

    lanes: Sequence[MixtureStep]


class _Together(PixelBlock):
    """Blocks of one picture each, in lanes."""

    def __init__(self, blocks: Sequence[PixelBlock]) -> None:
        first = blocks[0]
        super().__init__(first.decoder, first.fz.expand(len(blocks), -1, -1, -1), first.colours == 1)
        self.blocks = blocks

    def mover(self) -> Mover:
        """See PixelBlock."""
        return _Movers([block.mover() for block in self.blocks])

    def step(self, c: int, params: Ints, base: Ints, mean: Ints, known: Ints, index: Ints, mover: Mover) -> MixtureStep:
        """See PixelBlock."""
        movers, n = cast(_Movers, mover).each, len(self.blocks)
        lanes = [
            block.step(c, params[i::n], base[i::n], mean[i::n], known[i::n], index, movers[i])
            for i, block in enumerate(self.blocks)
        ]
        return _Steps(lanes[0].distribution, np.repeat(lanes[0].index, n), lanes)


class _Movers(Mover):
    """A mover for each lane."""

    def __init__(self, each: Sequence[Mover]) -> None:
        super().__init__()
        self.each = each

    def enter(self, index: Ints) -> None:
        """See Mover."""
        for mover in self.each:
            mover.enter(index)

    def observe(self, channel: int, value: Ints) -> None:
        """See Mover."""
        for i, mover in enumerate(self.each):
            mover.observe(channel, value[i :: len(self.each)])

    def leave(self, index: Ints) -> None:
        """See Mover."""
        for mover in self.each:
            mover.leave(index)
