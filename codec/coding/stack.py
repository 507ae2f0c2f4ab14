"""The ANS stack over constriction, and the noise that can stand in for it.

A stack is last in, first out: what is pushed last is popped first. `Noise` answers the same `pop` with symbols drawn
from the same tables, which makes sampling the decoder's loop fed with noise. The only file that imports constriction.
"""

from __future__ import annotations

from math import prod

import constriction
import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.tables import TABLE_BITS
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Distribution, Ints

WORD_BYTES = 4
DRAWN_DIGITS = 64 // TABLE_BITS  # of a symbol drawn from one 64-bit word
_MASK = (1 << TABLE_BITS) - 1


def _family() -> constriction.stream.model.Categorical:
    # perfect=True (the default) would search for the best rounding: slow, and needless for tables that are exact
    return constriction.stream.model.Categorical(perfect=False)


def _frequencies(counts: Ints) -> NDArray[np.float32]:
    # constriction accepts tables in Fortran order and reads them wrongly
    return np.ascontiguousarray(counts, np.float32)


def split_digits(symbols: Ints, radix: tuple[int, ...]) -> list[Ints]:
    """(n,) symbols -> one (n,) array per digit, most significant first."""
    return [symbols // prod(radix[i + 1 :]) % radix[i] for i in range(len(radix))]


def join_digits(digits: list[Ints], radix: tuple[int, ...]) -> Ints:
    """The inverse of `split_digits`."""
    symbols = np.zeros_like(digits[0])
    for digit, base in zip(digits, radix, strict=True):
        symbols = symbols * base + digit
    return symbols


class Stack:
    """A stack of bits. data: what `to_bytes` gave, or nothing for an empty stack."""

    def __init__(self, data: bytes = b"") -> None:
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
        if symbols.size and not 0 <= symbols.min() <= symbols.max() < prod(distribution.radix):
            raise ValueError(f"a symbol must lie in [0, {prod(distribution.radix)})")
        digits = split_digits(symbols, distribution.radix)
        for i in reversed(range(len(digits))):
            counts = distribution.counts(digits[:i])
            self._coder.encode_reverse(digits[i].astype(np.int32), _family(), _frequencies(counts))

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols. An exhausted stack gives symbols for ever: check `empty` at the end."""
        digits: list[Ints] = []
        for _ in distribution.radix:
            counts = distribution.counts(digits)
            digits.append(self._coder.decode(_family(), _frequencies(counts)).astype(np.int64))
        return join_digits(digits, distribution.radix)

    @property
    def empty(self) -> bool:
        """True where the stack is back at its initial state."""
        return bool(self._coder.is_empty())

    @property
    def bits(self) -> int:
        """Valid bits on the stack."""
        return int(self._coder.num_valid_bits())

    def to_bytes(self) -> bytes:
        """The stack without trailing zero bytes."""
        words: NDArray[np.uint32] = self._coder.get_compressed()
        return words.astype("<u4").tobytes().rstrip(b"\0")


class Noise:
    """Symbols drawn by inverting 24 bits of numpy's raw Philox stream per digit.

    The bits are addressed by (seed, purpose, block, place in the block): they depend neither on the order of work nor
    on the batch. Each symbol has one 64-bit word; its digits take 24 bits each, the lowest first.

    Args:
        seed: in [0, 2^64). purpose, block: in [0, 2^32). size: symbols in the block.
    """

    def __init__(self, seed: int, purpose: int, block: int, size: int) -> None:
        self._words = philox_words(seed, purpose, block, size)

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols at the places `index` of the block. Raises ValueError for symbols of more than two digits."""
        if len(distribution.radix) > DRAWN_DIGITS:
            raise ValueError(f"a symbol's word has bits for {DRAWN_DIGITS} digits, not {len(distribution.radix)}")
        words, digits = self._words[index], list[Ints]()
        for _ in distribution.radix:
            upper = (distribution.counts(digits) + 1).cumsum(1)  # (n, A) in (0, 2^24]
            draw = (words & np.uint64(_MASK)).astype(np.int64)  # (n,) in [0, 2^24)
            digits.append((upper <= draw[:, None]).sum(1))
            words = words >> np.uint64(TABLE_BITS)
        return join_digits(digits, distribution.radix)


class Likeliest:
    """Every symbol's likeliest value, digit by digit; of equals the smallest."""

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols."""
        digits: list[Ints] = []
        for _ in distribution.radix:
            digits.append(distribution.counts(digits).argmax(1))
        return join_digits(digits, distribution.radix)


def philox_words(seed: int, purpose: int, block: int, size: int) -> NDArray[np.uint64]:
    """(size,) raw 64-bit words of Philox4x64 with key (seed, purpose 2^32 + block), counter from 0."""
    key = np.array([seed, (purpose << 32) + block], np.uint64)
    return np.random.Philox(key=key, counter=0).random_raw(size)
