"""Uniform symbols with sizes of their own: constriction's model, its definition as a table, noise, and the ledger."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlcodec.codec.coding.likelihood import bits_of
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import Uniforms

SIZES = np.array([2, 3, 7, 255, 256, 259, 1000, 4050, 2**12, 2**15 + 1, 2**16])


class Tabled:
    """The same distribution by its table, as any other one is coded."""

    def __init__(self, size: int) -> None:
        self.radix = (size,)
        self.counts = Uniforms(np.array([size])).counts


@pytest.mark.parametrize("size", SIZES[:9])
def test_the_coder_does_what_the_table_says(size: int) -> None:
    for symbol in sorted({0, 1, size // 2, size - 2, size - 1}):
        stacks = [Stack(b"some bits below") for _ in range(2)]
        stacks[0].push(Uniforms(np.array([size])), np.array([symbol]))
        stacks[1].push(Tabled(int(size)), np.array([symbol]))
        assert stacks[0].to_bytes() == stacks[1].to_bytes()


def test_tables_sum_up() -> None:
    d = Uniforms(SIZES[:8])
    counts = d.counts([])
    assert counts.shape == (8, 4050)
    assert (counts.sum(1) == 2**24 - 4050).all()
    assert ((counts >= 0).sum(1) == SIZES[:8]).all()


@given(st.lists(st.tuples(st.integers(2, 2**16), st.floats(0, 1, exclude_max=True)), min_size=1, max_size=50))
def test_round_trips(pairs: list[tuple[int, float]]) -> None:
    sizes = np.array([size for size, _ in pairs])
    symbols = np.array([int(size * share) for size, share in pairs])
    for bottom in (b"", bytes(range(1, 60))):
        stack = Stack(bottom)
        stack.push(Uniforms(sizes), symbols)
        assert np.array_equal(stack.pop(Uniforms(sizes), np.arange(len(sizes))), symbols)
        assert stack.to_bytes() == bottom


def test_what_is_popped_and_pushed_again_leaves_no_trace() -> None:
    bottom = np.random.default_rng(0).bytes(1 << 12) + b"\1"
    stack, d = Stack(bottom), Uniforms(np.tile(SIZES, 20))
    found = stack.pop(d, np.arange(len(d.sizes)))
    assert (found < d.sizes).all()
    assert stack.to_bytes() != bottom
    stack.push(d, found)
    assert stack.to_bytes() == bottom


def test_the_cost_is_that_of_even_symbols() -> None:
    """Within 0.001 bits on average, of sizes up to 2^12 and of symbols that are drawn evenly."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(256, 2**12 + 1, 200_000)
    symbols = (rng.random(len(sizes)) * sizes).astype(np.int64)
    stack, meter = Stack(), Meter()
    stack.push(Uniforms(sizes), symbols)
    meter.push(Uniforms(sizes), symbols)
    assert meter.total == pytest.approx(np.log2(sizes).sum())
    assert abs(stack.bits - meter.total) / len(sizes) < 0.001
    assert bits_of(Uniforms(sizes), symbols)[0] == np.log2(sizes[0])


@pytest.mark.parametrize(("size", "symbol"), [(7, 7), (7, -1), (300, 2**31)])
def test_a_symbol_beyond_its_size_is_refused(size: int, symbol: int) -> None:
    with pytest.raises(ValueError, match="smaller than its size"):
        Stack().push(Uniforms(np.array([9, size])), np.array([8, symbol]))


def test_noise_draws_them_evenly() -> None:
    n = 20_000
    sizes = np.full(n, 10)
    drawn = Noise(1, 2, 0, n).pop(Uniforms(sizes), np.arange(n))
    assert np.abs(np.bincount(drawn, minlength=10) / n - 0.1).max() < 0.01
    again = Noise(1, 2, 0, n).pop(Uniforms(sizes[:9]), np.arange(100, 109))
    assert np.array_equal(again, drawn[100:109])


def test_noise_goes_on_beyond_its_block() -> None:
    """As a block of grey pictures asks it to: with the words that a larger block has there."""
    small, large = Noise(3, 2, 1, 10), Noise(3, 2, 1, 40)
    for first, count in ((0, 5), (10, 30), (3, 4)):
        d, index = Uniforms(np.full(count, 1000)), np.arange(first, first + count)
        assert np.array_equal(small.pop(d, index), large.pop(d, index))
