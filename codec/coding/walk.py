"""The loops over a block's steps: encode, and decode or sample, which are one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np

from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.interface import Distribution, Ints, Source, Step, Steps

Tick = Callable[[int, int], None]  # (steps done, steps in all)


@dataclass(frozen=True)
class OneStep:
    """A block of independent symbols. See codec.interface.Steps."""

    distribution: Distribution
    shape: tuple[int, ...]
    count: int = 1

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        yield Step(self.distribution, np.arange(int(np.prod(self.shape)), dtype=np.int64))

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        return self.sequential()


def encode(steps: Steps, symbols: Ints, stack: Stack, tick: Tick | None = None) -> None:
    """Push a block's symbols (block's shape), last step first."""
    flat = symbols.reshape(-1)
    for done, step in enumerate(steps.parallel(symbols)):
        stack.push(step.distribution, flat[step.index])
        if tick is not None:
            tick(done + 1, steps.count)


def decode(steps: Steps, source: Source, tick: Tick | None = None) -> Ints:
    """The block's symbols (block's shape) as the source gives them: a file's stack decodes, noise samples."""
    flat = np.zeros(int(np.prod(steps.shape)), np.int64)
    walk = steps.sequential()
    try:
        step = next(walk)
        for done in range(1 << 62):
            symbols = source.pop(step.distribution, step.index)
            flat[step.index] = symbols
            if tick is not None:
                tick(done + 1, steps.count)
            step = walk.send(symbols)
    except StopIteration:
        pass
    finally:
        walk.close()
    return flat.reshape(steps.shape)
