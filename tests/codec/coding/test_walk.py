"""The loops over steps, with a chain of symbols that each depend on the one before."""

from collections.abc import Callable, Generator, Iterator

import numpy as np
import pytest

from vlcodec.codec.coding.stack import Noise, Stack
from vlcodec.codec.coding.tables import Categorical
from vlcodec.codec.coding.walk import decode, encode
from vlcodec.codec.interface import Ints, Step, Steps

LENGTH, LANES, VALUES = 9, 4, 5


class Chain:
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


def test_round_trip(check_round_trip: Callable[[Steps, Ints], bytes]) -> None:
    check_round_trip(Chain(), SYMBOLS)


def test_the_check_sees_walks_that_disagree(check_round_trip: Callable[[Steps, Ints], bytes]) -> None:
    class Wrong(Chain):
        def parallel(self, symbols: Ints) -> Iterator[Step]:
            return super().parallel(np.where(np.arange(LENGTH)[:, None] == 3, symbols ^ 1, symbols))

    with pytest.raises(AssertionError):
        check_round_trip(Wrong(), SYMBOLS)


def test_a_sample_is_decoded_from_noise() -> None:
    drawn = decode(Chain(), Noise(1, 2, 0, SYMBOLS.size))
    stack = Stack()
    encode(Chain(), drawn, stack)
    assert drawn.shape == Chain.shape
    assert np.array_equal(decode(Chain(), Stack(stack.to_bytes())), drawn)
    assert not np.array_equal(decode(Chain(), Noise(2, 2, 0, SYMBOLS.size)), drawn)


def test_progress_is_told_at_each_step() -> None:
    seen: list[tuple[int, int]] = []
    stack = Stack()
    encode(Chain(), SYMBOLS, stack, lambda *args: seen.append(args))
    decode(Chain(), stack, lambda *args: seen.append(args))
    assert seen == 2 * [(i, LENGTH) for i in range(1, LENGTH + 1)]


def test_a_block_without_steps() -> None:
    class Nothing(Chain):
        shape = (0, LANES)

        def sequential(self) -> Generator[Step, Ints, None]:
            yield from ()

    assert decode(Nothing(), Stack()).shape == (0, LANES)
