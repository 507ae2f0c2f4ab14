"""The stack and the noise: what is pushed is popped, and both read the same tables in the same way."""

from collections.abc import Sequence
from math import prod

import numpy as np
import pytest

from vlcodec.codec.coding import noise as module
from vlcodec.codec.coding.noise import PAIR_SHIFT, Likeliest, Noise, philox_words
from vlcodec.codec.coding.stack import Stack, join_digits, split_digits
from vlcodec.codec.coding.tables import Bernoulli, Categorical, GaussianGrid, LogisticMixture, Uniform
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Distribution, Ints

BOTTOM = b"what lay there before"


def some_symbols(distribution: Distribution, seed: int = 0) -> Ints:
    return np.random.default_rng(seed).integers(0, prod(distribution.radix), len(distribution.counts([])))


def ideal_bits(distribution: Distribution, symbols: Ints) -> float:
    digits, rows = split_digits(symbols, distribution.radix), np.arange(len(symbols))
    counts = [distribution.counts(digits[:i])[rows, digit] + 1 for i, digit in enumerate(digits)]
    return float(sum((24 - np.log2(c)).sum() for c in counts))


def mixture_rows(n: int) -> LogisticMixture:
    """n times the same two-humped mixture."""
    logit, centre, scale = (np.tile(row, (n, 1)) for row in ([0, 20], [-1000, 1300], [140, 120]))
    return LogisticMixture(logit, centre, scale)


# ---- the stack -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bottom", [b"", BOTTOM])
def test_round_trip(distribution: Distribution, bottom: bytes) -> None:
    stack, symbols, index = Stack(bottom), some_symbols(distribution), np.arange(60)
    stack.push(distribution, symbols)
    back = Stack(stack.to_bytes())
    assert np.array_equal(back.pop(distribution, index), symbols)
    assert (back.to_bytes(), back.empty, back.bits) == (bottom, not bottom, Stack(bottom).bits)


def test_last_in_first_out() -> None:
    first, second = Uniform(5, 1000), Bernoulli(np.arange(-2000, 2000, 100))
    stack = Stack()
    stack.push(first, some_symbols(first))
    stack.push(second, some_symbols(second))
    assert np.array_equal(stack.pop(second, np.arange(40)), some_symbols(second))
    assert np.array_equal(stack.pop(first, np.arange(5)), some_symbols(first))
    assert stack.empty


def test_every_symbol_costs_what_its_table_says(distribution: Distribution) -> None:
    stack, symbols = Stack(BOTTOM * 10), some_symbols(distribution)
    before = stack.bits
    for _ in range(20):
        stack.push(distribution, symbols)
    assert stack.bits - before == pytest.approx(20 * ideal_bits(distribution, symbols), rel=1e-5, abs=1.5)


def test_coder_and_noise_read_each_cumulative_value_as_the_table_says(
    distribution: Distribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first and the last value of every interval of the first digit, in every fourth row."""
    counts = distribution.counts([])[::4]
    upper = (counts + 1).cumsum(1)
    lower = upper - counts - 1
    for row, edges in zip(range(0, 60, 4), zip(lower, upper - 1, strict=True), strict=True):
        values = np.unique(np.concatenate(edges))[:: max(1, counts.shape[1] // 50)]
        expected = np.searchsorted(upper[row // 4], values, "right")
        first = _FirstDigit(distribution, row)
        one = np.zeros(1, np.int64)
        popped = [Stack((value + (1 << 56)).to_bytes(8, "little")).pop(first, one)[0] for value in values.tolist()]
        assert popped == expected.tolist()
        words = values.astype(np.uint64)
        monkeypatch.setattr(module, "philox_words", lambda *_, words=words: words)
        noise = Noise(0, 0, 0, len(values))
        assert [noise.pop(first, np.array([i]))[0] for i in range(len(values))] == expected.tolist()


class _FirstDigit:
    """One row of another distribution, its first digit alone."""

    def __init__(self, distribution: Distribution, row: int) -> None:
        self.radix, self._counts = distribution.radix[:1], distribution.counts([])[row : row + 1]

    def counts(self, digits: Sequence[Ints]) -> Ints:
        return self._counts


def test_an_empty_stack() -> None:
    stack = Stack()
    assert (stack.empty, stack.bits, stack.to_bytes()) == (True, 0, b"")
    stack.push(Bernoulli(np.zeros(1, np.int64)), np.ones(1, np.int64))
    assert not stack.empty


@pytest.mark.parametrize("length", range(1, 18))
def test_bytes_have_no_trailing_zeros(length: int) -> None:
    data = bytes(range(255, 255 - length, -1))
    assert Stack(data).to_bytes() == data
    with pytest.raises(FormatError, match="may not end in a zero byte"):
        Stack(data + b"\0")


def test_what_is_pushed_never_ends_in_a_zero() -> None:
    for seed in range(300):
        stack, d = Stack(), Uniform(seed % 7 + 1, 65536)
        stack.push(d, some_symbols(d, seed) >> seed % 16)
        assert not stack.to_bytes().endswith(b"\0")


@pytest.mark.parametrize("radix", [(16, 16), (2,), (3, 5, 7)])
def test_digits(radix: tuple[int, ...]) -> None:
    symbols = np.arange(prod(radix))
    digits = split_digits(symbols, radix)
    assert np.array_equal(join_digits(digits, radix), symbols)
    assert np.array_equal(np.stack(digits), np.stack(np.unravel_index(symbols, radix)))


# ---- the noise -----------------------------------------------------------------------------------------------------


def test_the_random_stream_is_frozen() -> None:
    """Another stream would regenerate other pictures from the same files."""
    assert philox_words(2**64 - 1, 2, 7, 3).tolist() == [
        2_592_208_309_067_293_959,
        17_679_986_091_600_080_483,
        17_505_197_892_112_292_558,
    ]
    assert np.array_equal(philox_words(5, 1, 0, 9)[:4], philox_words(5, 1, 0, 4))


def test_each_digit_has_its_own_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The low 24 bits of a word draw the first digit, the next 24 the second."""
    draws = np.random.default_rng(0).integers(0, 2**24, (2, 300))
    words = (draws[0] + (draws[1] << 24) + (5 << 48)).astype(np.uint64)
    monkeypatch.setattr(module, "philox_words", lambda *_: words)
    d, digits = mixture_rows(300), list[Ints]()
    for draw in draws:
        upper = (d.counts(digits) + 1).cumsum(1)
        digits.append(np.array([np.searchsorted(u, v, "right") for u, v in zip(upper, draw, strict=True)]))
    assert np.array_equal(Noise(0, 0, 0, 300).pop(d, np.arange(300)), 16 * digits[0] + digits[1])


def test_noise_is_addressed_by_place() -> None:
    noise, whole = Noise(3, 2, 1, 500), mixture_rows(500)
    together = noise.pop(whole, np.arange(500))
    order = np.random.default_rng(0).permutation(500)
    apart = np.empty_like(together)
    for part in np.array_split(order, 7):
        apart[part] = Noise(3, 2, 1, 500).pop(mixture_rows(len(part)), part)
    assert np.array_equal(apart, together)
    assert np.array_equal(noise.pop(whole, np.arange(500)), together)


@pytest.mark.parametrize("other", [(4, 2, 1), (3, 1, 1), (3, 2, 0), (3 + 2**63, 2, 1)])
def test_seeds_purposes_and_blocks_differ(other: tuple[int, int, int]) -> None:
    places, d = np.arange(500), Uniform(500, 256)
    same = (Noise(3, 2, 1, 500).pop(d, places) == Noise(*other, 500).pop(d, places)).mean()
    assert same < 0.03


def chi_square(observed: Ints, probability: np.ndarray) -> float:
    """Standard deviations by which counts are further from their expectation than they should; rare cells pooled."""
    expected = probability * observed.sum()
    rare = expected < 10
    o, e = (np.append(x[~rare], x[rare].sum() + 1e-9) for x in (observed, expected))
    freedom = len(o) - 1
    return float((((o - e) ** 2 / e).sum() - freedom) / np.sqrt(2 * freedom))


@pytest.mark.parametrize(
    "make",
    [
        mixture_rows,
        lambda n: Categorical(np.tile([0, 30, -40, 10], (n, 1))),
        lambda n: Bernoulli(np.full(n, 900)),
        lambda n: Uniform(n, 10),
        lambda n: GaussianGrid(np.full(n, 40), np.full(n, 140)),
    ],
    ids=["mixture", "categorical", "bernoulli", "uniform", "gaussian"],
)
def test_noise_follows_the_table(make) -> None:  # type: ignore[no-untyped-def]
    n, one = 40_000, make(1)
    total = prod(one.radix)
    probability = np.exp2([-ideal_bits(one, np.array([s])) for s in range(total)])
    symbols = Noise(1, 2, 0, n).pop(make(n), np.arange(n))
    assert abs(chi_square(np.bincount(symbols, minlength=total), probability)) < 4


def test_tables_in_fortran_order_are_the_same_tables() -> None:
    logit, symbols = np.arange(60).reshape(12, 5) % 37, np.arange(12) % 5
    stacks = []
    for table in (logit, np.asfortranarray(logit)):
        stack = Stack()
        stack.push(Categorical(table), symbols)
        assert (Stack(stack.to_bytes()).pop(Categorical(table), np.arange(12)) == symbols).all()
        stacks.append(stack.to_bytes())
    assert stacks[0] == stacks[1]


def test_symbols_that_a_distribution_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a symbol must lie in \[0, 5\)"):
        Stack().push(Categorical(np.zeros((1, 5), np.int64)), np.array([5]))


def test_a_word_serves_two_digits() -> None:
    """Digits 2 p and 2 p + 1 of a symbol take their bits of the words whose purpose is 2^16 p more."""
    n = 300
    d, places = GaussianGrid(np.arange(n) * 100 - 15_000, np.full(n, 150)), np.arange(n)[::-1]
    words = [philox_words(7, 2 + (pair << PAIR_SHIFT), 3, n)[places] for pair in range(2)]
    draws = [words[0] % 2**24, (words[0] >> 24) % 2**24, words[1] % 2**24]
    digits = list[Ints]()
    for draw in draws:
        upper = (d.counts(digits) + 1).cumsum(1)
        digits.append(np.array([np.searchsorted(u, v, "right") for u, v in zip(upper, draw, strict=True)]))
    found = Noise(7, 2, 3, n).pop(d, places)
    assert np.array_equal(found, join_digits(digits, d.radix))
    assert len(np.unique(digits[2])) == 16


def test_the_likeliest_symbol() -> None:
    """Digit by digit; of equals the smallest."""
    logit = np.array([[0, 5, 9, 9], [7, 0, 0, 0], [0, 0, 0, 0]])
    assert Likeliest().pop(Categorical(logit), np.arange(3)).tolist() == [2, 0, 0]
    wide = GaussianGrid(np.array([32 * 5, -32 * 900]), np.array([60, 60]))
    assert Likeliest().pop(wide, np.arange(2)).tolist() == [2048 + 5, 2048 - 900]


def test_what_is_exhausted() -> None:
    """An empty stack gives the lowest symbol and stays empty; noise and likeliest symbols never end."""
    d, stack = mixture_rows(50), Stack()
    assert stack.exhausted
    assert not stack.pop(d, np.arange(50)).any()
    assert (stack.exhausted, stack.to_bytes()) == (True, b"")
    stack.push(d, np.full(50, 9))
    assert not stack.exhausted
    assert (Noise(0, 0, 0, 1).exhausted, Likeliest().exhausted) == (False, False)
