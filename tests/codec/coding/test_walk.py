"""The loops over steps, with a chain of symbols that each depend on the one before."""

from collections.abc import Callable, Generator, Iterator

import numpy as np
import pytest

from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import Categorical, Uniform
from vlcodec.codec.coding.walk import OneStep, Settled, Walk
from vlcodec.codec.interface import Block, Ints, Step

LENGTH, LANES, VALUES = 9, 4, 5


class Chain(Walk):
    """LANES chains side by side: symbol t of a lane prefers the value that follows symbol t - 1."""

    shape = (LENGTH, LANES)
    count = LENGTH

    def step(self, t: int, before: Ints) -> Step:
        logit = np.zeros((LANES, VALUES), np.int64)
        logit[np.arange(LANES), (before + 1) % VALUES] = 50 + t
        return Step(Categorical(logit), t * LANES + np.arange(LANES))

    def sequential(self) -> Generator[Step, Ints, None]:
        before = np.zeros(LANES, np.int64)
        for t in range(LENGTH):
            before = yield self.step(t, before)

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        for t in reversed(range(LENGTH)):
            yield self.step(t, symbols[t - 1] if t else np.zeros(LANES, np.int64))


SYMBOLS = np.random.default_rng(0).integers(0, VALUES, Chain.shape)


def test_round_trip(check_round_trip: Callable[[Block, Ints], bytes]) -> None:
    check_round_trip(Chain(), SYMBOLS)


def test_the_check_sees_walks_that_disagree(check_round_trip: Callable[[Block, Ints], bytes]) -> None:
    class Wrong(Chain):
        def parallel(self, symbols: Ints) -> Iterator[Step]:
            return super().parallel(np.where(np.arange(LENGTH)[:, None] == 3, symbols ^ 1, symbols))

    with pytest.raises(AssertionError):
        check_round_trip(Wrong(), SYMBOLS)


def test_a_sample_is_decoded_from_noise() -> None:
    drawn = Chain().pop(Noise(1, 2, 0, SYMBOLS.size))
    stack = Stack()
    Chain().push(drawn, stack)
    assert drawn.shape == Chain.shape
    assert np.array_equal(Chain().pop(Stack(stack.to_bytes())), drawn)
    assert not np.array_equal(Chain().pop(Noise(2, 2, 0, SYMBOLS.size)), drawn)


def test_progress_is_told_at_each_step() -> None:
    seen: list[tuple[int, int]] = []
    stack = Stack(b"what lies below: a stack that is not exhausted")
    Chain().push(SYMBOLS, stack, lambda *args: seen.append(args))
    Chain().pop(stack, lambda *args: seen.append(args))
    assert seen == 2 * [(i, LENGTH) for i in range(1, LENGTH + 1)]


def test_a_block_without_steps() -> None:
    class Nothing(Chain):
        shape = (0, LANES)

        def sequential(self) -> Generator[Step, Ints, None]:
            yield from ()

    assert Nothing().pop(Stack()).shape == (0, LANES)


def test_from_an_exhausted_source_on_no_step_is_computed() -> None:
    """What an empty stack would give is the lowest symbol for ever, so that the walk ends there, and is closed."""

    class Counted(Chain):
        computed, closed = 0, 0

        def step(self, t: int, before: Ints) -> Step:
            self.computed += 1
            return super().step(t, before)

        def sequential(self) -> Generator[Step, Ints, None]:
            try:
                yield from super().sequential()
            finally:
                self.closed += 1

    some = np.where(np.arange(LENGTH)[:, None] < 3, np.maximum(SYMBOLS, 1), 0)
    stack = Stack()
    Chain().push(some, stack)
    whole = Stack(stack.to_bytes())
    full, short, nothing = Counted(), Counted(), Counted()
    assert np.array_equal(full.pop(Known(some)), some)
    assert np.array_equal(short.pop(whole), some)
    assert not nothing.pop(Stack()).any()
    assert (full.computed, nothing.computed) == (LENGTH, 0)
    assert 3 <= short.computed < LENGTH
    assert (full.closed, short.closed) == (1, 1)


class Known:
    """A source of known symbols."""

    exhausted = False

    def __init__(self, symbols: Ints) -> None:
        self.flat = symbols.reshape(-1)

    def pop(self, distribution: object, index: Ints) -> Ints:
        return self.flat[index]


def test_bits_are_those_of_the_steps() -> None:
    meter = Meter()
    Chain().push(SYMBOLS, meter)
    assert Chain().bits(SYMBOLS) == pytest.approx(meter.total)
    before = np.concatenate([np.zeros((1, LANES), np.int64), SYMBOLS[:-1]])
    preferred = np.arange(VALUES) == (before[..., None] + 1) % VALUES
    logit = np.where(preferred, 50 + np.arange(LENGTH)[:, None, None], 0) / 32
    own = np.take_along_axis(logit, SYMBOLS[..., None], 2)[..., 0]
    assert meter.total == pytest.approx((np.log(np.exp(logit).sum(2)) - own).sum() / np.log(2))


def test_one_step(check_round_trip: Callable[[Block, Ints], bytes]) -> None:
    block = OneStep(Uniform(12, 7), (3, 4))
    check_round_trip(block, np.arange(12).reshape(3, 4) % 7)
    assert block.bits(np.zeros((3, 4), np.int64)) == pytest.approx(12 * np.log2(7))


def test_what_is_settled_takes_no_bits() -> None:
    block, stack = Settled(SYMBOLS), Stack(b"below")
    block.push(SYMBOLS, stack)
    assert np.array_equal(block.pop(stack), SYMBOLS)
    assert (stack.to_bytes(), block.bits(SYMBOLS), block.shape) == (b"below", 0.0, SYMBOLS.shape)
