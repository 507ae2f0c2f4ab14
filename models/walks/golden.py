"""What golden vectors are made of: the integers of the tables that a block is coded with, in both of its walks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vlcodec.codec.coding.tables import Bernoulli, GaussianGrid, LogisticMixture, Uniform
from vlcodec.codec.coding.walk import Walk
from vlcodec.codec.interface import Distribution, Ints


def both_walks(block: Walk, symbols: Ints) -> Iterator[Ints]:
    """All integers of a block's tables: all at once, then step by step."""
    for step in block.parallel(symbols):
        yield from _integers(step.distribution)
    known = _Known(symbols.reshape(-1), [])
    block.pop(known)
    yield from known.seen


def _integers(d: Distribution) -> list[Ints]:
    if isinstance(d, LogisticMixture):  # the weight of a single component says nothing
        kept = [d.centre, d.scale] if d.logit.shape[1] == 1 else [d.logit, d.centre, d.scale]
        return [part.copy() for part in kept]  # a walk may use them again
    if isinstance(d, GaussianGrid):
        return [d.centre, d.scale]
    if isinstance(d, Bernoulli):
        return [d.logit]
    if isinstance(d, Uniform):
        return [np.full(d.n, d.radix[0])]
    raise TypeError(f"no integers are known of {type(d).__name__}")


@dataclass(frozen=True)
class _Known:
    """A source of known symbols, which keeps the integers of the tables that it was asked with."""

    symbols: Ints
    seen: list[Ints]
    exhausted: bool = False

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """See codec.interface.Source."""
        self.seen.extend(_integers(distribution))
        return self.symbols[index]
