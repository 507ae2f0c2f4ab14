"""The loops over a block's steps: encode, and decode or sample, which are one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vlcodec.codec.interface import Ints, Source, Steps
from vlcodec.codec.stack import Stack

Tick = Callable[[int, int], None]  # (steps done, steps in all)


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
