"""Short codes: what is pushed comes back, in as few bytes as its bits fill, alone and in lanes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlcodec.codec.coding.lanes import Stacks
from vlcodec.codec.coding.likelihood import bits_of
from vlcodec.codec.coding.short_code import ShortCode
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.interface import Ints


def mixture(rng: np.random.Generator, n: int) -> LogisticMixture:
    """Logistics of all widths, each of which a byte is a symbol of."""
    logit, centre = rng.integers(-200, 200, (n, 2)), rng.integers(-1000, 1000, (n, 2))
    return LogisticMixture(logit, centre, rng.integers(0, 192, (n, 2)))


def blocks(seed: int, sizes: list[int]) -> list[tuple[LogisticMixture, Ints]]:
    rng = np.random.default_rng(seed)
    return [(mixture(rng, n), rng.integers(0, 256, n)) for n in sizes]


@given(st.integers(0, 2**32), st.lists(st.integers(1, 6), max_size=5))
def test_what_is_pushed_comes_back(seed: int, sizes: list[int]) -> None:
    pushed, code = blocks(seed, sizes), ShortCode()
    for table, symbols in reversed(pushed):
        code.push(table, symbols)
    data = code.to_bytes()
    back = ShortCode(data)
    for table, symbols in pushed:
        assert np.array_equal(back.pop(table, np.arange(len(symbols))), symbols)
    assert back.empty
    assert back.bits == code.bits == 8 * len(data)


@given(st.integers(0, 2**32), st.lists(st.integers(1, 6), max_size=5))
def test_a_code_is_hardly_longer_than_its_bits(seed: int, sizes: list[int]) -> None:
    pushed, code = blocks(seed, sizes), ShortCode()
    for table, symbols in reversed(pushed):
        code.push(table, symbols)
    bits = sum(float(bits_of(table, symbols).sum()) for table, symbols in pushed)
    assert code.bits <= 8 * math.ceil((bits + 0.01) / 8)


def test_what_is_certain_takes_nothing() -> None:
    """Symbols whose share is nearly all of the table; a stack begins with 24 bits all the same."""
    table = LogisticMixture(np.zeros((8, 1), np.int64), np.zeros((8, 1), np.int64), np.zeros((8, 1), np.int64))
    code = ShortCode()
    code.push(table, np.full(8, 128))
    assert len(code.to_bytes()) <= 1


@pytest.mark.parametrize("change", [b"\0", b"\x80"])
def test_bytes_too_many_are_seen(change: bytes) -> None:
    (table, symbols), *_ = blocks(3, [4])
    code = ShortCode()
    code.push(table, symbols)
    longer = ShortCode(code.to_bytes() + change)
    longer.pop(table, np.arange(4))
    assert not longer.empty


@given(st.integers(0, 2**32), st.binary(max_size=12))
def test_any_bytes_are_read_and_judged(seed: int, data: bytes) -> None:
    """Some symbols come out of whatever is there; only the shortest code of them is taken for theirs."""
    code, again = ShortCode(data), ShortCode()
    popped = [(table, code.pop(table, np.arange(len(symbols)))) for table, symbols in blocks(seed, [3, 2])]
    for table, symbols in reversed(popped):
        again.push(table, symbols)
    assert code.empty == (again.to_bytes() == data)


def test_lanes_write_what_each_writes_alone() -> None:
    rng = np.random.default_rng(1)
    table, symbols = mixture(rng, 12), rng.integers(0, 256, 12)
    codes = Stacks([b""] * 3, 0, ShortCode)
    codes.push(table, symbols)
    for lane, data in enumerate(codes.to_bytes()):
        own, part = ShortCode(), slice(4 * lane, 4 * lane + 4)
        own.push(LogisticMixture(table.logit[part], table.centre[part], table.scale[part]), symbols[part])
        assert own.to_bytes() == data
    back = Stacks(codes.to_bytes(), 0, ShortCode)
    assert np.array_equal(back.pop(table, np.arange(12)), symbols)
    assert all(back.empty)
