"""Cells of levels: what they restore, their tables, and a stack of them."""

import numpy as np
import pytest
from compiled_loops import both, carrier
from hypothesis import given
from hypothesis import strategies as st

from vlcodec.codec.coding.likelihood import bits_of
from vlcodec.codec.coding.near import Cells, NearCoder, middles, restored
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import LogisticMixture, Uniform
from vlcodec.codec.coding.walk import OneStep
from vlcodec.codec.files.picture_data import MAX_NEAR
from vlcodec.codec.interface import Ints

NEARS = (1, 2, 7, 8, 20, MAX_NEAR)
LEVELS = np.arange(256, dtype=np.uint8)
EVERY_NEAR = st.integers(1, MAX_NEAR)


def mixtures(n: int, seed: int = 0) -> LogisticMixture:
    """n of three components each, narrow and wide, inside and outside the levels."""
    rng = np.random.default_rng(seed)
    logit, centre = rng.integers(-200, 200, (n, 3)), rng.integers(-140 * 32, 140 * 32, (n, 3))
    return LogisticMixture(logit, centre, rng.integers(40, 191, (n, 3)))


@given(EVERY_NEAR)
def test_no_level_is_further_off_than_was_asked(near: int) -> None:
    back = restored(LEVELS, near).astype(int)
    assert np.abs(back - LEVELS).max() <= near
    assert np.array_equal(restored(restored(LEVELS, near), near), back)  # what is restored is in its own cell
    assert set(back) == set(middles(near).tolist())
    assert len(middles(near)) == -(-256 // (2 * near + 1))


@pytest.mark.parametrize("near", NEARS)
def test_a_cell_has_the_mass_of_its_levels(near: int) -> None:
    mixture = mixtures(40)
    cells = Cells(mixture, near)
    edges = np.arange(np.prod(cells.radix) + 1)[None]
    mass, levels = np.diff(cells.cdf(edges)), np.diff(mixture.cdf(np.arange(257)[None]))
    for cell in range(mass.shape[1]):
        own = slice(cell * (2 * near + 1), (cell + 1) * (2 * near + 1))
        assert np.array_equal(mass[:, cell], levels[:, own].sum(1))


@pytest.mark.parametrize("near", NEARS)
def test_tables_are_the_same_compiled(near: int) -> None:
    def tables() -> list[Ints]:
        cells = Cells(mixtures(40), near)
        first = np.arange(40) % cells.radix[0]
        return [cells.counts([first][:digits]) for digits in range(len(cells.radix))]

    for ours, theirs in zip(*both(tables), strict=True):
        assert np.array_equal(ours, theirs)
        assert ours.min() >= 0
        assert (ours.sum(1) == 2**24 - ours.shape[1]).all()


@given(EVERY_NEAR, st.integers(0, 2**32 - 1))
def test_a_stack_gives_back_levels_and_its_state(near: int, seed: int) -> None:
    levels = restored(np.random.default_rng(seed).integers(0, 256, 30, np.uint8), near).astype(np.int64)
    words, stack = np.arange(5), Stack(b"\x0b\xad\xca\xfe")
    before = stack.to_bytes()
    coder, mixture = NearCoder(stack, near), mixtures(30, seed % 97)
    with carrier(numba=True):
        coder.push(mixture, levels)
        coder.push(Uniform(5, 200), words)  # what is no level passes as it is
        assert coder.bits == stack.bits
        assert np.array_equal(coder.pop(Uniform(5, 200), words), words)
        assert np.array_equal(coder.pop(mixture, np.arange(30)), levels)
    assert stack.to_bytes() == before


@pytest.mark.parametrize("near", NEARS)
def test_the_promise_is_what_the_table_holds(near: int) -> None:
    cells = Cells(mixtures(200), near)
    cdf = cells.cdf(np.arange(len(middles(near)) + 1)[None])
    draws = np.random.default_rng(1).integers(0, 2**30, (200, 1))
    symbols: Ints = (cdf[:, 1:] <= draws).sum(1)
    base = cells.radix[-1]
    digits = [symbols] if len(cells.radix) == 1 else [symbols // base, symbols % base]
    table = np.zeros(200)
    for i, digit in enumerate(digits):
        table += 24 - np.log2(cells.counts(digits[:i])[np.arange(200), digit] + 1)
    promised = bits_of(cells, symbols)
    assert abs(table.sum() / promised.sum() - 1) < 0.001


def test_what_is_left_out_of_an_exhausted_stack_is_the_lowest_cell() -> None:
    block = OneStep(mixtures(6), (6,))
    source = NearCoder(Stack(), 3)
    assert source.exhausted
    assert source.filled(block.pop(source)).tolist() == [3] * 6
