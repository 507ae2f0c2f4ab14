"""What is pushed by four values of a cdf is what whole tables push."""

import numpy as np
import pytest
from compiled_loops import carrier
from hypothesis import given, settings
from hypothesis import strategies as st

from vlcodec.codec.coding.stack import Stack, in_turn
from vlcodec.codec.coding.tables import Bernoulli, Categorical, GaussianGrid, LogisticMixture, Uniform
from vlcodec.codec.interface import Distribution, Ints

BOTTOM = bytes(range(1, 40))


def mixtures(seed: int, n: int, spread: int) -> LogisticMixture:
    rng = np.random.default_rng(seed)
    logit, centre = rng.integers(-255, 256, (n, 3)), rng.integers(-spread, spread + 1, (n, 3))
    return LogisticMixture(logit, centre, rng.integers(0, 192, (n, 3)))


def pushed(distribution: LogisticMixture, symbols: Ints, *, numba: bool) -> bytes:
    stack = Stack(BOTTOM)
    with carrier(numba=numba):
        stack.push(distribution, symbols)
    return stack.to_bytes()


@given(st.integers(0, 2**32), st.sampled_from([64, 4096, 8191]))
@settings(max_examples=25, deadline=None)
def test_the_same_bits_for_any_symbols(seed: int, spread: int) -> None:
    """The first and the last of a digit's values, the likely and the unlikely, among them."""
    distribution = mixtures(seed, 256, spread)
    symbols = np.random.default_rng(seed).permutation(256)
    assert pushed(distribution, symbols, numba=True) == pushed(distribution, symbols, numba=False)


@pytest.mark.parametrize("symbol", [0, 15, 16, 127, 128, 240, 255])
def test_certain_and_impossible_symbols(symbol: int) -> None:
    column = np.full((50, 1), 32 * (symbol - 128))
    for centre in (column, -column, column * 0 - 8191):
        sure = LogisticMixture(column * 0, centre, column * 0)
        symbols = np.full(50, symbol)
        data = pushed(sure, symbols, numba=True)
        assert data == pushed(sure, symbols, numba=False)
        back = Stack(data)
        assert np.array_equal(back.pop(sure, symbols), symbols)
        assert back.to_bytes() == BOTTOM


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_many_turns_at_once_are_pushed_as_one_after_the_other(seed: int) -> None:
    """Whatever the distributions, the lowest and the highest symbols among them; a turn without symbols, too."""
    rng = np.random.default_rng(seed)
    turns = rng.permutation(60)
    parts = list[tuple[Distribution, Ints, Ints]]()
    for number, n in enumerate((12, 0, 20, 8, 9, 11)):
        every: list[Distribution] = [
            mixtures(seed, n, 4096), Categorical(rng.integers(-255, 256, (n, 9))), Uniform(n, 3),
            GaussianGrid(rng.integers(-900, 900, n), rng.integers(0, 192, n)), Bernoulli(rng.integers(-9000, 9000, n)),
        ]  # fmt: skip
        distribution = every[number % len(every)]
        most = int(np.prod(distribution.radix)) - 1
        symbols = np.where(rng.random(n) < 0.3, rng.choice([0, most], n), rng.integers(0, most + 1, n))
        parts.append((distribution, symbols, np.full(n, turns[number])))
    one, together = Stack(BOTTOM), Stack(BOTTOM)
    with carrier(numba=True):
        for number in turns[: len(parts)].argsort()[::-1]:
            one.push(*parts[number][:2])
        together.put(*in_turn(parts))
    assert one.to_bytes() == together.to_bytes()


def test_turns_hold_symbols_in_range() -> None:
    with carrier(numba=True), pytest.raises(ValueError, match=r"a symbol must lie in \[0, 256\)"):
        in_turn([(mixtures(0, 2, 64), np.array([0, 256]), np.zeros(2, np.int64))])
