"""Files side by side: blocks of many pictures in one walk, each picture on a stack of its own, as if it were alone.

What a walk computes for all lanes at once are their tables; only putting digits on the stacks goes lane by lane.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.likelihood import bits_of
from vlcodec.codec.coding.short_code import ShortCode
from vlcodec.codec.coding.stack import Stack, join_digits, split_digits
from vlcodec.codec.interface import Distribution, Ints


class Stacks:
    """A coder over lanes. data: of each lane's stack, or short code.

    axis: of a block that the lanes are, 0 (latents) or -1 (pixels); each step has as many symbols of every lane.
    """

    def __init__(
        self, data: Sequence[bytes], axis: int, coder: type[ShortCode] | type[Stack] = Stack
    ) -> None:
        self._stacks, self._first = [coder(part) for part in data], axis == 0

    def push(self, distribution: Distribution, symbols: Ints) -> None:
        """See codec.interface.Coder."""
        digits = split_digits(symbols, distribution.radix)
        for i in reversed(range(len(digits))):
            counts = self.apart(distribution.counts(digits[:i]))
            for stack, part, own in zip(self._stacks, self.apart(digits[i]), counts, strict=True):
                stack.put(part, own)

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """See codec.interface.Source."""
        digits: list[Ints] = []
        for _ in distribution.radix:
            counts = self.apart(distribution.counts(digits))
            found = np.stack([stack.take(own) for stack, own in zip(self._stacks, counts, strict=True)])
            digits.append((found if self._first else found.T).reshape(-1))
        return join_digits(digits, distribution.radix)

    def section(self, name: str) -> None:
        """See codec.interface.Coder."""

    def book(self, bits: float) -> None:
        """See codec.interface.Coder."""

    @property
    def exhausted(self) -> bool:
        """Whether all are."""
        return all(stack.exhausted for stack in self._stacks)

    @property
    def bits(self) -> int:
        """On all stacks."""
        return sum(stack.bits for stack in self._stacks)

    @property
    def empty(self) -> list[bool]:
        """Of each lane: whether its stack is back at its initial state."""
        return [stack.empty for stack in self._stacks]

    def to_bytes(self) -> list[bytes]:
        """Of each lane's stack."""
        return [stack.to_bytes() for stack in self._stacks]

    def apart(self, values: NDArray[Any]) -> NDArray[Any]:
        """(n, ...) of a step's symbols -> (lanes, n / lanes, ...), in one piece."""
        lanes, rest = len(self._stacks), values.shape[1:]
        if self._first:
            return values.reshape(lanes, -1, *rest)
        return np.ascontiguousarray(values.reshape(-1, lanes, *rest).swapaxes(0, 1))


class Meters:
    """What `meter.Meter` keeps, of every lane. promised: bits by section, (lanes,) float64."""

    exhausted = False

    def __init__(self, stacks: Stacks) -> None:
        self._stacks, self._section = stacks, ""
        self.promised = defaultdict[str, Any](float)

    @property
    def bits(self) -> int:
        """See codec.interface.Coder."""
        return self._stacks.bits

    def section(self, name: str) -> None:
        """See codec.interface.Coder."""
        self._section = name

    def book(self, bits: float) -> None:
        """See codec.interface.Coder; of all lanes alike."""
        self.promised[self._section] += bits

    def push(self, distribution: Distribution, symbols: Ints) -> None:
        """See codec.interface.Coder."""
        self.promised[self._section] += self._stacks.apart(bits_of(distribution, symbols)).sum(1)
        self._stacks.push(distribution, symbols)

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """See codec.interface.Source."""
        symbols = self._stacks.pop(distribution, index)
        self.promised[self._section] -= self._stacks.apart(bits_of(distribution, symbols)).sum(1)
        return symbols
