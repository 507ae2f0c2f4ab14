"""Tables and stacks hold what they promise for any parameters, not for likely ones alone."""

from functools import partial
from math import prod

import numpy as np
import pytest
from compiled_loops import both
from hypothesis import given
from hypothesis import strategies as st

from vlcodec.codec.coding.noise import Likeliest, Noise, drawn
from vlcodec.codec.coding.stack import Stack, join_digits, split_digits
from vlcodec.codec.coding.tables import (
    Bernoulli,
    Categorical,
    GaussianGrid,
    LogisticMixture,
    Uniform,
    guided,
    mixture_weights,
    scaled_counts,
)
from vlcodec.codec.interface import Distribution, Ints

TOTAL = 2**24
CENTRES = st.integers(-(2**20), 2**20) | st.integers(-5000, 5000)
SCALES = st.integers(0, 191)
LOGITS = st.integers(-(2**16), 2**16) | st.integers(-200, 200)


@st.composite
def ints(draw: st.DrawFn, values: st.SearchStrategy[int], *shape: int) -> Ints:
    size = prod(shape)
    return np.array(draw(st.lists(values, min_size=size, max_size=size)), np.int64).reshape(shape)


@st.composite
def mixtures(draw: st.DrawFn, n: int) -> LogisticMixture:
    shape = n, draw(st.integers(1, 4))
    floor = draw(st.sampled_from((14, 22)))
    return LogisticMixture(draw(ints(LOGITS, *shape)), draw(ints(CENTRES, *shape)), draw(ints(SCALES, *shape)), floor)


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    """One to six rows of any family; of mixtures, guided ones too."""
    n = draw(st.integers(1, 6))
    match draw(st.integers(0, 5)):
        case 0:
            return draw(mixtures(n))
        case 1:
            return guided(draw(mixtures(n)), draw(ints(st.integers(-5000, 5000), n)), draw(st.integers(1, 500)))
        case 2:
            return GaussianGrid(draw(ints(CENTRES, n)), draw(ints(SCALES, n)))
        case 3:
            return Categorical(draw(ints(LOGITS, n, draw(st.integers(2, 40)))))
        case 4:
            return Bernoulli(draw(ints(st.integers(-(2**30), 2**30), n)))
        case _:
            return Uniform(n, draw(st.integers(2, 2**10)))


def rows(distribution: Distribution) -> int:
    return len(distribution.counts([]))


@st.composite
def symbols(draw: st.DrawFn, distribution: Distribution) -> Ints:
    return draw(ints(st.integers(0, prod(distribution.radix) - 1), rows(distribution)))


@given(distributions(), st.data())
def test_counts_are_not_negative_and_their_sum_is_exact(distribution: Distribution, data: st.DataObject) -> None:
    digits = split_digits(data.draw(symbols(distribution)), distribution.radix)
    for i, base in enumerate(distribution.radix):
        counts = distribution.counts(digits[:i])
        assert counts.shape == (rows(distribution), base)
        assert counts.min() >= 0
        assert (counts.sum(1) == TOTAL - base).all()


class Fixed:
    """A source of words that are all alike: `Noise.pop` inverts them through the tables."""

    def __init__(self, draw: int) -> None:
        self.source = Noise(0, 0, 0, 1)
        self.source._pairs = [np.full(1, draw, np.uint64)]


@given(distributions(), st.data())
def test_every_cumulative_value_maps_into_its_own_interval(distribution: Distribution, data: st.DataObject) -> None:
    """The first and the last of the 2^24 draws that belong to a digit give this digit, and the one before another."""
    counts = distribution.counts([])
    row = data.draw(st.integers(0, len(counts) - 1))
    edges = np.concatenate([[0], (counts[row] + 1).cumsum()])
    digit = data.draw(st.integers(0, len(counts[row]) - 1))
    assert edges[-1] == TOTAL
    for draw, expected in ((edges[digit], digit), (edges[digit + 1] - 1, digit), (edges[digit] - 1, digit - 1)):
        if draw >= 0:
            found = (edges[1:] <= draw).sum()
            assert found == expected
            if len(distribution.radix) == 1:
                assert Fixed(int(draw)).source.pop(distribution, np.zeros(len(counts), np.int64))[row] == expected


@given(distributions(), st.data())
def test_compiled_tables_are_the_same(distribution: Distribution, data: st.DataObject) -> None:
    digits = split_digits(data.draw(symbols(distribution)), distribution.radix)
    draw = data.draw(ints(st.integers(0, TOTAL - 1), len(digits[0])))
    for i in range(len(digits)):
        numpys, numbas = both(partial(distribution.counts, digits[:i]))
        assert np.array_equal(numpys, numbas)
        assert np.array_equal(*both(partial(drawn, numpys, draw)))


@given(st.data())
def test_compiled_mixtures_are_the_same(data: st.DataObject) -> None:
    """Of fresh ones each time, since a mixture keeps its weights; with parameters that are parts of larger arrays."""
    n = data.draw(st.integers(1, 6))
    d = data.draw(mixtures(n))
    edges = data.draw(ints(st.integers(0, 256), data.draw(st.sampled_from((1, n))), 3))
    mean, variance = data.draw(ints(st.integers(-5000, 5000), n)), data.draw(st.integers(1, 500))
    logit, centre, scale = np.split(np.concatenate((d.logit, d.centre, d.scale), 1), 3, 1)

    def found() -> list[Ints]:
        fresh = LogisticMixture(logit, centre, scale)
        product = guided(fresh, mean, variance)
        weights = mixture_weights(logit)
        return [weights, fresh.mean(), fresh.cdf(edges), product.logit, product.centre, product.scale]

    for numpys, numbas in zip(*both(found), strict=True):
        assert np.array_equal(numpys, numbas)


@given(ints(st.integers(0, 2**30), 3, 9))
def test_scaled_counts_of_any_increasing_values(values: Ints) -> None:
    cumulative = np.sort(values, 1)
    cumulative[:, -1] = cumulative[:, 0] + np.maximum(cumulative[:, -1] - cumulative[:, 0], 1)
    counts = scaled_counts(cumulative)
    assert counts.min() >= 0
    assert (counts.sum(1) == TOTAL - 8).all()


@given(ints(LOGITS, 3, 5))
def test_weights_of_any_logits(logit: Ints) -> None:
    weights = mixture_weights(logit)
    assert weights.min() >= 0
    assert (weights.sum(1) == 2**16).all()


@given(st.binary(max_size=40), st.lists(distributions(), max_size=5), st.data())
def test_data_and_state_come_back(bottom: bytes, blocks: list[Distribution], data: st.DataObject) -> None:
    bottom = bottom.rstrip(b"\0")
    stack, pushed = Stack(bottom), []
    for distribution in blocks:
        pushed.append((distribution, data.draw(symbols(distribution)), stack.to_bytes()))
        stack.push(*pushed[-1][:2])
    stack = Stack(stack.to_bytes())
    for distribution, known, before in reversed(pushed):
        assert np.array_equal(stack.pop(distribution, np.arange(len(known))), known)
        assert stack.to_bytes() == before
    assert stack.empty == (not bottom)


@given(st.binary(min_size=8, max_size=80), st.lists(distributions(), min_size=1, max_size=4))
def test_what_is_popped_and_pushed_again_leaves_no_trace(bits: bytes, blocks: list[Distribution]) -> None:
    """As bits-back does, on a stack that is deep enough."""
    bits = bytes(range(1, 256)) * 2 + bits.rstrip(b"\0")
    stack = Stack(bits)
    popped = [(block, stack.pop(block, np.arange(rows(block)))) for block in blocks]
    for block, found in reversed(popped):
        stack.push(block, found)
    assert stack.to_bytes() == bits


@given(distributions())
def test_the_likeliest_is_as_likely_as_any(distribution: Distribution) -> None:
    found = Likeliest().pop(distribution, np.arange(rows(distribution)))
    first = split_digits(found, distribution.radix)[0]
    counts = distribution.counts([])
    assert (counts[np.arange(len(counts)), first] == counts.max(1)).all()


@given(distributions(), st.data())
def test_digits_are_the_symbol(distribution: Distribution, data: st.DataObject) -> None:
    known = data.draw(symbols(distribution))
    assert np.array_equal(join_digits(split_digits(known, distribution.radix), distribution.radix), known)


@given(distributions(), st.integers(1, 2**20))
def test_a_symbol_that_is_not_there_is_refused(distribution: Distribution, beyond: int) -> None:
    known = np.zeros(rows(distribution), np.int64)
    for wrong in (-beyond, prod(distribution.radix) - 1 + beyond):
        known[-1] = wrong
        with pytest.raises(ValueError, match="a symbol must lie in"):
            Stack().push(distribution, known)
