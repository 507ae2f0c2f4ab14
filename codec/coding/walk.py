"""Blocks: a walk over steps, and what is no walk at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod

import numpy as np

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.interface import Coder, Distribution, Ints, Source, Step, Tick


class Walk(ABC):
    """A block in its usual form: steps, encoded in one pass from the last to the first, decoded one by one.

    Decoding and sampling are one loop; only the source differs. See codec.interface.Steps for what subclasses give.
    """

    shape: tuple[int, ...]
    count: int

    @abstractmethod
    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""

    @abstractmethod
    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""

    def stepping(self) -> AbstractContextManager[None]:
        """What holds while `sequential` is walked."""
        return nullcontext()

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """See codec.interface.Block."""
        push_steps(self.parallel(symbols), symbols, stack, self.count, tick)

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block.

        From the step on at which the source is exhausted, all symbols are the lowest, and no step is computed.
        """
        flat = np.zeros(prod(self.shape), np.int64)
        compiled.expect(flat.size)
        walk = self.sequential()
        with self.stepping():
            try:
                step = next(walk) if not source.exhausted else None
                done = 0
                while step is not None:
                    symbols = source.pop(step.distribution, step.index)
                    flat[step.index] = symbols
                    done += 1
                    if tick is not None:
                        tick(done, self.count)
                    step = walk.send(symbols) if not source.exhausted else None
            except StopIteration:
                pass
            finally:
                walk.close()
        return flat.reshape(self.shape)

    def bits(self, symbols: Ints) -> float:
        """See codec.interface.Block."""
        meter = Meter()
        self.push(symbols, meter)
        return meter.total


def push_steps(
    steps: Iterator[Step], symbols: Ints, stack: Coder, count: int, tick: Tick | None = None
) -> None:
    """Push the symbols of a block, in the order of its steps."""
    flat = symbols.reshape(-1)
    compiled.expect(flat.size)
    for done, step in enumerate(steps):
        stack.push(step.distribution, flat[step.index])
        if tick is not None:
            tick(done + 1, count)


@dataclass(frozen=True)
class OneStep(Walk):
    """Independent symbols."""

    distribution: Distribution
    shape: tuple[int, ...]
    count: int = 1

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        yield Step(self.distribution, np.arange(prod(self.shape), dtype=np.int64))

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        return self.sequential()


@dataclass(frozen=True)
class Settled:
    """Symbols without choice, as a rounded or dithered posterior has them: no bits, whatever the stack."""

    symbols: Ints

    @property
    def shape(self) -> tuple[int, ...]:
        """See codec.interface.Block."""
        return self.symbols.shape

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """See codec.interface.Block."""

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block."""
        return self.symbols

    def bits(self, symbols: Ints) -> float:
        """See codec.interface.Block."""
        return 0.0
