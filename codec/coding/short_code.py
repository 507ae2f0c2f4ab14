"""A short code: of a few symbols, the fewest bytes that tell them, by arithmetic coding in exact fractions.

A stack begins with 24 bits that tell nothing, which is little beside a picture and much beside the latents of a small
one. Symbols narrow an interval of [0, 1), the first one first; the code is the shortest string of bytes that, behind
the point, is a number in it, and of those of that length the smallest number. Integers grow by 24 bits a digit, so the
time grows with the square of their number: this is for hundreds of latents, not for pictures.
"""

from __future__ import annotations

from itertools import count

import numpy as np

from vlcodec.codec.coding.stack import join_digits, split_digits
from vlcodec.codec.coding.units import TABLE_BITS
from vlcodec.codec.interface import Distribution, Ints


class ShortCode:
    """See codec.interface.Coder. data: what `to_bytes` gave, or nothing for a new one.

    It is written as a whole, or read as a whole: what is pushed last is popped first.
    """

    exhausted = False  # zeros go on for ever, and tell symbols

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._above, self._below = int.from_bytes(data, "big"), 1 << 8 * len(data)  # the fraction that is left to read
        self._known: list[tuple[int, int]] = []  # of each digit: where its share of the interval begins, and its width

    def push(self, distribution: Distribution, symbols: Ints) -> None:
        """See codec.interface.Coder."""
        digits = split_digits(symbols, distribution.radix)
        for i in reversed(range(len(digits))):
            self.put(digits[i], distribution.counts(digits[:i]))

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols; a code is never at its end: check `empty` after the last one."""
        digits: list[Ints] = []
        for _ in distribution.radix:
            digits.append(self.take(distribution.counts(digits)))
        return join_digits(digits, distribution.radix)

    def put(self, digits: Ints, counts: Ints) -> None:
        """Push (n,) digits that have (n, A) counts."""
        ends = np.cumsum(counts + 1, 1)
        for row, digit in reversed(list(enumerate(digits.tolist()))):
            width = int(counts[row, digit]) + 1
            self._known.insert(0, (int(ends[row, digit]) - width, width))

    def take(self, counts: Ints) -> Ints:
        """Pop (n,) digits."""
        ends, found = np.cumsum(counts + 1, 1), np.empty(len(counts), np.int64)
        for row, end in enumerate(ends):
            place = (self._above << TABLE_BITS) // self._below
            digit = int(np.searchsorted(end, place, "right"))
            width = int(counts[row, digit]) + 1
            first = int(end[digit]) - width
            self._above, self._below = (self._above << TABLE_BITS) - first * self._below, self._below * width
            self._known.append((first, width))
            found[row] = digit
        return found

    def section(self, name: str) -> None:
        """See codec.interface.Coder; a code keeps no ledger."""

    def book(self, bits: float) -> None:
        """Likewise."""

    @property
    def empty(self) -> bool:
        """Whether what was popped is what the code was made of, and the code is the shortest one."""
        return self.to_bytes() == self._data

    @property
    def bits(self) -> int:
        """Of the code."""
        return 8 * len(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The code of all that was pushed, or popped."""
        low, size, whole = 0, 1, 0  # the interval, in 2^-whole
        for first, width in reversed(self._known):
            low, size, whole = (first << whole) + width * low, width * size, whole + TABLE_BITS
        for length in count():
            number = -(-(low << 8 * length) >> whole)  # rounded up
            if number << whole < (low + size) << 8 * length:
                return number.to_bytes(length, "big")
        raise RuntimeError("every interval holds a number of some length")
