"""Frequency tables: exact sums, nothing impossible, and the masses that they stand for."""

import hashlib
import math
from collections.abc import Callable
from math import prod

import numpy as np
import pytest
from numpy.typing import NDArray

from vlcodec.codec.coding import tables, units
from vlcodec.codec.coding.stack import split_digits
from vlcodec.codec.coding.tables import Bernoulli, Categorical, GaussianGrid, LogisticMixture, Ordered, Uniform
from vlcodec.codec.interface import Distribution, Ints

Floats = NDArray[np.float64]
ARGUMENT_ERROR = 1 / 1024  # of the standardised argument, in every cdf


def mass(d: Distribution, symbol: int) -> Floats:
    """(n,) probability of a symbol as the coder sees it: the product of its digits' frequencies over 2^24."""
    rows = np.arange(len(d.counts([])))
    digits = split_digits(np.full(len(rows), symbol), d.radix)
    shares = [(d.counts(digits[:i])[rows, digit] + 1) / 2**24 for i, digit in enumerate(digits)]
    return np.asarray(np.prod(shares, 0))


def masses(d: Distribution) -> Floats:
    """(n, symbols)"""
    return np.stack([mass(d, symbol) for symbol in range(prod(d.radix))], 1)


def sigmoid(x: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(x / 2)


def normal(x: Floats) -> Floats:
    return np.asarray(0.5 * np.vectorize(math.erfc)(-x / math.sqrt(2)))


def softmax(x: Floats) -> Floats:
    e = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def test_every_row_is_exact_and_nothing_is_impossible(distribution: Distribution) -> None:
    symbols = np.random.default_rng(1).integers(0, prod(distribution.radix), 60)
    digits = split_digits(symbols, distribution.radix)
    for i, base in enumerate(distribution.radix):
        counts = distribution.counts(digits[:i])
        assert counts.shape == (60, base)
        assert counts.min() >= 0
        assert np.array_equal((counts + 1).sum(1), np.full(60, 2**24))


@pytest.mark.parametrize("distribution", ["mixture", "gaussian"], indirect=True)
def test_every_cdf_rises(distribution: Ordered) -> None:
    edges = np.arange(prod(distribution.radix) + 1, dtype=np.int64)[None]
    cdf = distribution.cdf(edges)
    assert np.array_equal(cdf[:, [0, -1]], np.broadcast_to([0, 2**30], (60, 2)))
    assert np.diff(cdf).min() >= 2**16 // prod(distribution.radix) - 1  # the floor, 2^-14 of the whole


@pytest.mark.parametrize("distribution", ["mixture", "gaussian"], indirect=True)
def test_digits_refine_the_same_cdf(distribution: Ordered) -> None:
    """The first digit's table and the later ones together give each symbol its own share of the cdf."""
    for symbol in np.random.default_rng(2).integers(0, prod(distribution.radix), 40):
        whole = np.diff(distribution.cdf(np.array([[symbol, symbol + 1]])))[:, 0] / 2**30
        assert np.abs(mass(distribution, symbol) - whole).max() < len(distribution.radix) * 16 / 2**24


def floor(f: Floats, edges: Ints, total: int) -> Floats:
    """A cdf with its share of the uniform distribution."""
    return f * (1 - 2**-14) + edges / total * 2**-14


def test_logistic_mixture_against_float64() -> None:
    rng, edges = np.random.default_rng(3), np.arange(1, 256, dtype=np.int64)
    d = LogisticMixture(
        rng.integers(-255, 256, (40, 3)), rng.integers(-5000, 5000, (40, 3)), rng.integers(0, 192, (40, 3))
    )
    sigma, weight = 0.002 * np.exp(d.scale / 16), softmax(d.logit / 32)
    distance = edges - 128.5 - d.centre[..., None] / 32  # (n, K, edges)
    expected = floor((weight[..., None] * sigmoid(distance / sigma[..., None])).sum(1), edges, 256)
    error = np.abs(d.cdf(edges[None]) / 2**30 - expected)
    assert error.max() < 0.25 * ARGUMENT_ERROR + 1e-4
    assert error.mean() < 0.25 * ARGUMENT_ERROR / 2


def test_gaussian_grid_against_float64() -> None:
    rng, edges = np.random.default_rng(4), np.arange(1, 4096, 7, dtype=np.int64)
    d = GaussianGrid(rng.integers(-70_000, 70_000, 40), rng.integers(0, 192, 40))
    distance = edges - 2048.5 - d.centre[:, None] / 32
    expected = floor(normal(distance / (0.002 * np.exp(d.scale / 16))[:, None]), edges, 4096)
    assert np.abs(d.cdf(edges[None]) / 2**30 - expected).max() < 0.4 * ARGUMENT_ERROR + 1e-4


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda x: Categorical(x), lambda x: softmax(x / 32)),
        (lambda x: Bernoulli(x[:, 0]), lambda x: np.stack([sigmoid(-x[:, 0] / 1024), sigmoid(x[:, 0] / 1024)], 1)),
        (lambda x: Uniform(len(x), 7), lambda x: np.full((len(x), 7), 1 / 7)),
    ],
    ids=["categorical", "bernoulli", "uniform"],
)
def test_plain_families_against_float64(
    make: Callable[[Ints], Distribution], expected: Callable[[Ints], Floats]
) -> None:
    x = np.random.default_rng(5).integers(-255, 256, (50, 7))
    assert np.abs(masses(make(x)) - expected(x)).max() < 7 / 2**16


@pytest.mark.parametrize("scale", [0, 60, 90, 110, 130, 150])
def test_tables_cost_next_to_nothing(scale: int) -> None:
    """The expected length with the table is within 1e-4 bits of the entropy, and 1e-3 at the widest scales in use."""
    d = LogisticMixture(np.zeros((1, 1), np.int64), np.array([[37]]), np.array([[scale]]))
    edges = np.arange(257) - 128.5 - 37 / 32
    f = sigmoid(edges / (0.002 * np.exp(scale / 16)))
    f[0], f[-1] = 0, 1
    p = np.diff(floor(f, np.arange(257), 256))
    extra = (p * np.log2(p / masses(d)[0])).sum()
    assert 0 <= extra < (1e-4 if scale < 140 else 1e-3)


def test_weights_are_exact_shares() -> None:
    logit = np.random.default_rng(6).integers(-300, 300, (200, 4))
    w = tables.mixture_weights(logit)
    assert w.min() >= 0
    assert np.array_equal(w.sum(1), np.full(200, 2**16))
    assert np.abs(w / 2**16 - softmax(logit / 32)).max() < 4 / 2**16


@pytest.mark.parametrize(
    ("table", "sha"),
    [
        (units.sigmoids, "8f0fc46a4756d972"),
        (units.normals, "8026f93bd7526e5b"),
        (units.exponentials, "6055f6fa63f84da9"),
        (units.slopes, "3c9defbd92ade551"),
    ],
)
def test_lookup_tables_are_frozen(table: Callable[[], Ints], sha: str) -> None:
    """Another entry would turn every file to garbage: a change here is a new version of the format."""
    assert hashlib.sha256(table().astype("<i8").tobytes()).hexdigest()[:16] == sha


def test_counts_are_in_proportion() -> None:
    cumulative = np.array([[5, 6, 8, 5 + 2**20]])
    counts = tables.scaled_counts(cumulative)
    assert counts.sum() == 2**24 - 3
    assert np.abs(counts - 16 * np.diff(cumulative)).max() <= 2


def test_a_guided_mixture_is_the_product_of_gaussians() -> None:
    scale = np.array([[round(16 * math.log(s / 0.002))] for s in (0.7, 3.0, 20.0)])
    sigma = 0.002 * np.exp(scale[:, 0] / 16) * math.pi / math.sqrt(3)  # of the logistic
    centre, mean, variance = np.array([[-320], [0], [1280]]), np.array([320, 320, 320]), 100
    product = tables.guided(tables.LogisticMixture(np.zeros((3, 1), np.int64), centre, scale), mean, variance)
    share = sigma**2 / (sigma**2 + variance)
    assert (np.abs(product.centre[:, 0] - centre[:, 0] - share * (mean - centre[:, 0])) <= 2 + 12 * share).all()
    narrow = 0.002 * np.exp(product.scale[:, 0] / 16) * math.pi / math.sqrt(3)
    np.testing.assert_allclose(narrow, sigma * np.sqrt(1 - share), rtol=0.1)


def test_guidance_prefers_the_component_that_agrees() -> None:
    logit, scale = np.zeros((1, 2), np.int64), np.full((1, 2), 110)
    mixture = tables.LogisticMixture(logit, np.array([[-640, 640]]), scale)
    chosen = tables.guided(mixture, np.array([640]), 64)
    assert chosen.logit[0, 1] - chosen.logit[0, 0] > 32 * 5  # e^5 times the other


def test_guidance_hardly_draws_what_the_mixture_excludes() -> None:
    one = np.zeros((1, 1), np.int64)
    mixture = tables.LogisticMixture(one, one, np.full((1, 1), 100))
    guided = tables.guided(mixture, np.zeros(1, np.int64), 64)
    far = [d.counts([])[0, 0] / 2**24 for d in (mixture, guided)]  # levels -128 .. -113
    assert far[1] < far[0] / 20
    assert (guided.counts([]).sum(1) == 2**24 - 16).all()
