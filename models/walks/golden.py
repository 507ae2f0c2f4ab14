"""What golden vectors are made of: the integers of the tables that a block is coded with, in both of its walks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vlcodec.codec.coding.tables import Bernoulli, Categorical, GaussianGrid, LogisticMixture, Uniform
from vlcodec.codec.coding.walk import Walk
from vlcodec.codec.interface import Distribution, Ints


def both_walks(block: Walk, symbols: Ints) -> Iterator[Ints]:
    """All integers of a block's tables: all at once, then step by step."""
    yield from parallel_integers(block, symbols)
    known = Known(symbols)
    block.pop(known)
    yield from known.seen


def parallel_integers(block: Walk, symbols: Ints) -> Iterator[Ints]:
    """All integers of a block's tables, all at once."""
    for step in block.parallel(symbols):
        yield from _integers(step.distribution)


def _integers(d: Distribution) -> list[Ints]:
    if isinstance(d, LogisticMixture):  # the weight of a single component says nothing
        kept = [d.centre, d.scale] if d.logit.shape[1] == 1 else [d.logit, d.centre, d.scale]
        return [part.copy() for part in kept]  # a walk may use them again
    if isinstance(d, GaussianGrid):
        return [d.centre, d.scale]
    if isinstance(d, Bernoulli | Categorical):
        return [d.logit]
    if isinstance(d, Uniform):
        return [np.full(d.n, d.radix[0])]
    raise TypeError(f"no integers are known of {type(d).__name__}")


class Known:
    """A source of known symbols (block's shape), which keeps the integers of the tables that it was asked with."""

    exhausted = False

    def __init__(self, symbols: Ints) -> None:
        self.symbols, self.seen = symbols.reshape(-1), list[Ints]()

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """See codec.interface.Source."""
        self.seen.extend(_integers(distribution))
        return self.symbols[index]
