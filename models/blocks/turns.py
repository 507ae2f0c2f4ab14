"""Walks of many small steps, pushed several at once: a call of the coder takes longer than what it does for them."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from math import prod
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.stack import in_turn
from vlcodec.codec.interface import Coder, Distribution, Ints, Source, Tick
from vlcodec.models.compiled.latents import CompiledSteps, Words
from vlcodec.models.walks.net_walk import NetWalk
from vlcodec.models.walks.wavefront import Front, fronts

Turns = list[tuple[Distribution, Ints, Ints]]  # distributions, their symbols, and the turn of each
MOST_THREADS = 4  # of `ahead`: each holds mebibytes of tables
Item = TypeVar("Item")
Made = TypeVar("Made")


@runtime_checkable
class InTurn(Protocol):
    """A coder that takes digits of several steps at once."""

    def put(self, digits: Ints, counts: Ints) -> None:
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
        for done, digits in enumerate(ahead(in_turn, self.in_turn(symbols))):
            stack.put(*digits)
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


def ahead(work: Callable[[Item], Made], items: Iterator[Item]) -> Iterator[Made]:
    """What becomes of each item, in order: in threads, where torch has several, while the caller makes the next ones
    and uses the ones before. `work` leaves torch alone."""
    threads = min(torch.get_num_threads(), MOST_THREADS)
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque[Future[Made]]()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


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
