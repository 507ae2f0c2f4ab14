"""Walks of many small steps, pushed several at once: a call of the coder takes longer than what it does for them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np

from vlcodec.codec.coding import compiled
from vlcodec.codec.interface import Coder, Distribution, Ints, Source, Tick
from vlcodec.models.walks.compiled_latents import CompiledSteps, Words
from vlcodec.models.walks.net_walk import NetWalk
from vlcodec.models.walks.wavefront import Front, fronts

Turns = list[tuple[Distribution, Ints, Ints]]  # distributions, their symbols, and the turn of each


@runtime_checkable
class InTurn(Protocol):
    """A coder that takes several steps at once."""

    def push_in_turn(self, parts: Sequence[tuple[Distribution, Ints, Ints]]) -> None:
        """See coding.stack.Stack."""


@runtime_checkable
class Handed(Protocol):
    """A source whose words a compiled walk can take over."""

    words: Words


class TurnsWalk(NetWalk):
    """A walk that knows the turns of many steps at once, and pops compiled. It is the same, whichever way."""

    height: int
    width: int

    @abstractmethod
    def compiled(self) -> CompiledSteps | None:
        """The walk in compiled steps, where they serve."""

    @abstractmethod
    def in_turn(self, symbols: Ints) -> Iterator[Turns]:
        """Steps of several fronts at a time, the last ones first; within them turns are in the order of popping."""

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """See codec.interface.Block."""
        compiled.expect(prod(self.shape))
        if not (isinstance(stack, InTurn) and compiled.runs()):
            super().push(symbols, stack, tick)
            return
        for done, turns in enumerate(self.in_turn(symbols)):
            stack.push_in_turn(turns)
            if tick is not None:
                tick(min(done + 1, self.count), self.count)
        if tick is not None:
            tick(self.count, self.count)

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block."""
        compiled.expect(prod(self.shape))
        if not isinstance(source, Handed) or (walk := self.compiled()) is None:
            return super().pop(source, tick)
        found = np.zeros(self.shape, np.int64)
        source.words = walk.pop(source.words, found.reshape(self.height * self.width, -1), tick, self.count)
        return found


def several_fronts(height: int, width: int, positions: int) -> Iterator[tuple[Ints, Ints]]:
    """The steps of a grid, last to first, as many at a time as have so many positions: of each position the step and
    its place in the grid, first to last."""
    waiting = list[Front]()
    for at in chain(fronts(height, width, reverse=True), [None]):
        if at is not None:
            waiting.append(at)
        if waiting and (at is None or sum(len(one.index) for one in waiting) >= positions):
            ordered = waiting[::-1]
            yield (
                np.concatenate([np.full(len(one.index), one.step) for one in ordered]),
                np.concatenate([one.index for one in ordered]),
            )
            waiting = []
