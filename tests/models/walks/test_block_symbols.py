"""Symbols of blocks of coefficients say all that they are told."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vlcodec.models.walks.block_symbols import BEYOND, FAR, BlockSymbols, further, saturated

LAYOUT = BlockSymbols(coefficients=12, groups=3, large=2)


@given(st.lists(st.integers(-2 * FAR, 2 * FAR), min_size=12, max_size=12), st.integers(0, 12))
def test_steps_come_back(steps: list[int], there: int) -> None:
    k = np.array(steps) * (np.arange(12) < there)
    symbols = LAYOUT.symbols(k)
    assert symbols.shape == (LAYOUT.width,) == (15,)
    assert 0 <= symbols[:12].min() <= symbols[:12].max() <= 255
    assert 0 <= symbols[13:].min() <= symbols[13:].max() < BEYOND
    most = np.where(np.arange(12) < 2, FAR, 127)
    assert np.array_equal(LAYOUT.steps(symbols), k.clip(np.where(np.arange(12) < 2, -FAR, -128), most))
    last = np.flatnonzero(k).max(initial=-1)
    assert symbols[12] == last // 4 + 1
    assert not symbols[:12][4 * symbols[12] :].any()


@given(st.lists(st.integers(0, 255), min_size=15, max_size=15))
def test_whatever_a_file_says_has_steps(symbols: list[int]) -> None:
    found = LAYOUT.steps(np.array(symbols))
    assert np.abs(found[:2]).max() <= FAR
    assert np.abs(found[2:]).max() <= 128
    assert not found[4 * symbols[12] :].any()


def test_what_goes_on() -> None:
    found = further(np.array([127, -128, -128, 127]), np.array([0, 3, BEYOND, 2 * FAR]))
    assert found.tolist() == [127, -131, -FAR, FAR]
    assert saturated(np.array([0, 1, 128, 254, 255])).tolist() == [True, False, False, False, True]
