"""The ANS stack over constriction: what is pushed last is popped first. The only file that imports constriction."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import constriction
import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.tables import LogisticMixture, Uniforms, around
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Distribution, Ints

WORD_BYTES = 4
Words = NDArray[np.uint32]
MOST_DIGITS = 4  # of a symbol


def _family() -> constriction.stream.model.Categorical:
    # perfect=True (the default) would search for the best rounding: slow, and needless for tables that are exact
    return constriction.stream.model.Categorical(perfect=False)


def _uniform() -> constriction.stream.model.Uniform:
    return constriction.stream.model.Uniform()  # of sizes that are given with the symbols


def _frequencies(counts: Ints) -> NDArray[np.float32]:
    # constriction accepts tables in Fortran order and reads them wrongly
    return np.ascontiguousarray(counts, np.float32)


def _check(symbols: Ints, radix: tuple[int, ...]) -> None:
    if symbols.size and not 0 <= symbols.min() <= symbols.max() < prod(radix):
        raise ValueError(f"a symbol must lie in [0, {prod(radix)})")


def split_digits(symbols: Ints, radix: tuple[int, ...]) -> list[Ints]:
    """(n,) symbols -> one (n,) array per digit, most significant first."""
    return [symbols // prod(radix[i + 1 :]) % radix[i] for i in range(len(radix))]


def join_digits(digits: list[Ints], radix: tuple[int, ...]) -> Ints:
    """The inverse of `split_digits`."""
    symbols = np.zeros_like(digits[0])
    for digit, base in zip(digits, radix, strict=True):
        symbols = symbols * base + digit
    return symbols


def in_turn(parts: Sequence[tuple[Distribution, Ints, Ints]]) -> tuple[Ints, Ints]:
    """What `Stack.put` takes of the symbols of several distributions, so that one call pushes what `push` would turn by
    turn, the last one first; compiled alone.

    parts: distributions, their symbols (n,), and the turn of each, (n,) integers in the order of popping; all symbols
    of a turn are independent, and in the order in which they stand. Raises ValueError as `push`.
    """
    found = list[tuple[Ints, Ints, Ints]]()
    for distribution, symbols, turns in parts:
        _check(symbols, distribution.radix)
        digits = split_digits(symbols, distribution.radix)
        for i, digit in enumerate(digits):
            found.append((*around(distribution, digits[:i], digit), turns * MOST_DIGITS + i))
    places, counts, when = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(when, kind="stable")
    return places[order], counts[order]


class Stack:
    """A stack of bits. data: what `to_bytes` gave, or nothing for an empty stack."""

    def __init__(self, data: bytes = b"") -> None:
        self.refill(data)

    def refill(self, data: bytes) -> None:
        """Hold other bits from here on, as a stack made of them does."""
        if not data:
            self._coder = constriction.stream.stack.AnsCoder()
            return
        if data[-1] == 0:
            raise FormatError("a stack may not end in a zero byte")
        words = np.frombuffer(data + bytes(-len(data) % WORD_BYTES), "<u4").astype(np.uint32)
        self._coder = constriction.stream.stack.AnsCoder(words)

    def push(self, distribution: Distribution, symbols: Ints) -> None:
        """Push (n,) symbols, so that `pop` of the same distribution gives them back in the same order.

        Raises ValueError for a symbol that the distribution does not have.
        """
        if isinstance(distribution, Uniforms):
            if not ((symbols >= 0) & (symbols < distribution.sizes)).all():
                raise ValueError("a symbol must be smaller than its size")
            self._coder.encode_reverse(symbols.astype(np.int32), _uniform(), distribution.sizes.astype(np.int32))
            return
        _check(symbols, distribution.radix)
        digits = split_digits(symbols, distribution.radix)
        for i in reversed(range(len(digits))):
            if type(distribution) is LogisticMixture and compiled.runs():
                self.put(*around(distribution, digits[:i], digits[i]))
            else:
                self.put(digits[i], distribution.counts(digits[:i]))

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols. An exhausted stack gives symbols for ever: check `empty` at the end."""
        if isinstance(distribution, Uniforms):
            found: Ints = self._coder.decode(_uniform(), distribution.sizes.astype(np.int32)).astype(np.int64)
            return found
        digits: list[Ints] = []
        for _ in distribution.radix:
            digits.append(self.take(distribution.counts(digits)))
        return join_digits(digits, distribution.radix)

    def put(self, digits: Ints, counts: Ints) -> None:
        """Push (n,) digits that have (n, A) counts."""
        self._coder.encode_reverse(digits.astype(np.int32), _family(), _frequencies(counts))

    def take(self, counts: Ints) -> Ints:
        """Pop (n,) digits."""
        found: Ints = self._coder.decode(_family(), _frequencies(counts)).astype(np.int64)
        return found

    @property
    def words(self) -> Words:
        """All that it holds, for a coder of the same kind to go on with; the last words are the state."""
        found: Words = self._coder.get_compressed()
        return found

    @words.setter
    def words(self, words: Words) -> None:
        """Go on where another coder ended."""
        coder = constriction.stream.stack.AnsCoder
        self._coder = coder(words) if len(words) else coder()

    def section(self, name: str) -> None:
        """See codec.interface.Coder; a plain stack keeps no ledger."""

    def book(self, bits: float) -> None:
        """Likewise."""

    @property
    def empty(self) -> bool:
        """True where the stack is back at its initial state."""
        return bool(self._coder.is_empty())

    @property
    def exhausted(self) -> bool:
        """See codec.interface.Source: an empty stack gives the lowest symbol for ever, and stays empty."""
        return self.empty

    @property
    def bits(self) -> int:
        """Valid bits on the stack."""
        return int(self._coder.num_valid_bits())

    def to_bytes(self) -> bytes:
        """The stack without trailing zero bytes."""
        return self.words.astype("<u4").tobytes().rstrip(b"\0")
