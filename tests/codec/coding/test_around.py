"""What is pushed by four values of a cdf is what whole tables push."""

import numpy as np
import pytest
from compiled_loops import carrier
from hypothesis import given, settings
from hypothesis import strategies as st

from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.interface import Ints

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
