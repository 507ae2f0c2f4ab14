"""FORMAT.md's words about the entropy coder, as thirty lines of Python, are constriction's coder."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vlcodec.codec.coding.stack import Stack, join_digits, split_digits
from vlcodec.codec.coding.tables import Categorical, GaussianGrid, LogisticMixture
from vlcodec.codec.interface import Distribution, Ints

MASK = 2**24 - 1


class Reference:
    """The coder of FORMAT.md: a state below 2^64, and words of 32 bits below it."""

    def __init__(self, data: bytes = b"") -> None:
        data += bytes(-len(data) % 4)
        self.words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]
        self.state = 0
        while self.words and self.state < 2**32:
            self.state = self.state << 32 | self.words.pop()

    def push(self, below: int, frequency: int) -> None:
        if self.state >= frequency << 40:
            self.words.append(self.state & 0xFFFFFFFF)
            self.state >>= 32
        self.state = self.state // frequency << 24 | (below + self.state % frequency)

    def pop(self, frequencies: list[int]) -> int:
        rest, symbol = self.state & MASK, 0
        while rest >= frequencies[symbol]:
            rest, symbol = rest - frequencies[symbol], symbol + 1
        self.state = (self.state >> 24) * frequencies[symbol] + rest
        if self.state < 2**32 and self.words:
            self.state = self.state << 32 | self.words.pop()
        return symbol

    def to_bytes(self) -> bytes:
        words, state = list(self.words), self.state
        while state:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        return b"".join(word.to_bytes(4, "little") for word in words).rstrip(b"\0")


def push(coder: Reference, distribution: Distribution, symbols: Ints) -> None:
    digits = split_digits(symbols, distribution.radix)
    for i in reversed(range(len(digits))):
        table = distribution.counts(digits[:i]) + 1
        for row, digit in reversed(list(zip(table.tolist(), digits[i].tolist(), strict=True))):
            coder.push(sum(row[:digit]), row[digit])


def pop(coder: Reference, distribution: Distribution) -> Ints:
    digits: list[Ints] = []
    for _ in distribution.radix:
        table = (distribution.counts(digits) + 1).tolist()
        digits.append(np.array([coder.pop(row) for row in table], np.int64))
    return join_digits(digits, distribution.radix)


BOTTOMS = st.binary(max_size=30).map(lambda data: data.rstrip(b"\0"))


def distribution(kind: int, rng: np.random.Generator, n: int) -> Distribution:
    if kind == 0:
        return Categorical(rng.integers(-700, 700, (n, 5)))
    if kind == 1:
        return GaussianGrid(rng.integers(-70_000, 70_000, n), rng.integers(0, 192, n))
    shape = (n, 3)
    return LogisticMixture(
        rng.integers(-300, 300, shape), rng.integers(-5000, 5000, shape), rng.integers(0, 192, shape)
    )


def symbols_of(distribution: Distribution, rng: np.random.Generator, n: int) -> Ints:
    """Half of them likely ones, half of them anything."""
    drawn = rng.integers(0, int(np.prod(distribution.radix)), n)
    digits: list[Ints] = []
    for _ in distribution.radix:
        digits.append(distribution.counts(digits).argmax(1))
    return np.where(rng.random(n) < 0.5, join_digits(digits, distribution.radix), drawn)


@given(BOTTOMS, st.lists(st.tuples(st.integers(0, 2), st.integers(1, 20)), max_size=6), st.integers(0, 2**32 - 1))
def test_reference_and_stack_write_the_same(bottom: bytes, blocks: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    stack, reference = Stack(bottom), Reference(bottom)
    pushed = []
    for kind, n in blocks:
        table = distribution(kind, rng, n)
        symbols = symbols_of(table, rng, n)
        stack.push(table, symbols)
        push(reference, table, symbols)
        assert reference.to_bytes() == stack.to_bytes()
        pushed.append((table, symbols))
    back, other = Stack(stack.to_bytes()), Reference(stack.to_bytes())
    for table, symbols in reversed(pushed):
        assert np.array_equal(pop(other, table), symbols)
        assert np.array_equal(back.pop(table, np.arange(len(symbols))), symbols)
        assert other.to_bytes() == back.to_bytes()
    assert other.to_bytes() == bottom
    assert back.empty == (other.state == 0) == (not bottom)


@given(BOTTOMS, st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=12), st.integers(0, 2**32 - 1))
def test_pops_beyond_the_bottom_are_alike(bottom: bytes, walk: list[tuple[bool, int]], seed: int) -> None:
    """Pushes and pops in any order, of what was never pushed too."""
    rng = np.random.default_rng(seed)
    stack, reference = Stack(bottom), Reference(bottom)
    for pushing, kind in walk:
        table = distribution(kind, rng, 5)
        if pushing:
            symbols = symbols_of(table, rng, 5)
            stack.push(table, symbols)
            push(reference, table, symbols)
        else:
            assert np.array_equal(stack.pop(table, np.arange(5)), pop(reference, table))
        assert reference.to_bytes() == stack.to_bytes()
