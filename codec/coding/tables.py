"""Distributions as integer frequency tables: integers from the network's outputs to the coder, lookup tables between.

Every table has 24 bits: `counts` gives rows that sum to exactly 2^24 - A, and the coder gives each value its
count + 1, so that nothing is impossible. Large alphabets are coded digit by digit, so that only the cdf values that
are needed are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from math import prod

import numpy as np

from vlcodec.codec.coding.lookup import exp_table, normal_table, sigmoid_table
from vlcodec.codec.interface import Ints

TABLE_BITS = 24
CDF_BITS = 30
WEIGHT_BITS = 16
FINE = 32  # units of a centre per level (per step of a latent)
LOGIT_UNIT = 32  # units of a logit per nat
SCALE_UNIT, SCALE_LOW, SCALE_COUNT = 16, Fraction(1, 500), 192  # scale of index i: 0.002 e^(i/16) levels
GUIDED_FLOOR_SHIFT = 22
FLOOR_SHIFT = 14  # every mixture holds 2^-14 of the uniform distribution
ARGUMENT_UNIT, ARGUMENT_HALF = 1024, 16 * 1024  # the sigmoid's argument, in 1/1024, clamped to +-16
SLOPE_SHIFT = 16
VARIANCE_SHIFT = 24
_SPAN = 1 << CDF_BITS


@cache
def _sigmoid() -> Ints:
    return sigmoid_table(Fraction(1, ARGUMENT_UNIT), ARGUMENT_HALF, _SPAN)


@cache
def _normal() -> Ints:
    return normal_table(ARGUMENT_UNIT, ARGUMENT_HALF // 2, _SPAN)


@cache
def _exp() -> Ints:
    return exp_table(Fraction(-1, LOGIT_UNIT), 512, Fraction(0), 1 << WEIGHT_BITS)


@cache
def _slopes() -> Ints:
    """Argument units per 1/32 level, with SLOPE_SHIFT fractional bits, by scale index."""
    unit = (ARGUMENT_UNIT << SLOPE_SHIFT) // FINE
    return exp_table(Fraction(-1, SCALE_UNIT), SCALE_COUNT, Fraction(0), unit * SCALE_LOW.denominator)


@cache
def scale_variances() -> Ints:
    """pi^2/3 scale^2 of each scale index, in levels^2 with VARIANCE_SHIFT fractional bits (at least 1)."""
    unit = (1 << VARIANCE_SHIFT) * 32_898_681 * SCALE_LOW.numerator**2 // (10_000_000 * SCALE_LOW.denominator**2)
    return exp_table(Fraction(2, SCALE_UNIT), SCALE_COUNT, Fraction(0), unit)


def scaled_counts(cumulative: Ints) -> Ints:
    """(n, A + 1) increasing cdf values -> (n, A) counts in proportion, summing to exactly 2^24 - A."""
    low, high = cumulative[:, :1], cumulative[:, -1:]
    target = (1 << TABLE_BITS) - (cumulative.shape[1] - 1)
    scaled: Ints = (cumulative - low) * target // (high - low)
    return scaled[:, 1:] - scaled[:, :-1]


def mixture_weights(logit: Ints) -> Ints:
    """(n, K) logits in 1/32 nat -> (n, K) weights >= 0, summing to exactly 2^16."""
    e: Ints = _exp()[np.minimum(logit.max(1, keepdims=True) - logit, 511)]
    w: Ints = (e << WEIGHT_BITS) // e.sum(1, keepdims=True)
    w[:, 0] += (1 << WEIGHT_BITS) - w.sum(1)
    return w


def mixture_mean(logit: Ints, centre: Ints) -> Ints:
    """`LogisticMixture.mean`, without the mixture's tables."""
    total: Ints = (mixture_weights(logit) * centre).sum(1)
    return total >> WEIGHT_BITS


class Ordered:
    """Symbols with a cumulative distribution, coded digit by digit. Subclasses give `radix`, `cdf` and the size n."""

    radix: tuple[int, ...]

    def cdf(self, edges: Ints) -> Ints:
        """(n or 1, m) edges, 0 .. prod(radix) -> (n, m) P(symbol < edge) in units of 2^-30, from exactly 0 to 2^30."""
        raise NotImplementedError

    def counts(self, digits: Sequence[Ints]) -> Ints:
        """(n, A) table of the next digit, given the ones before."""
        base, span = self.radix[len(digits)], prod(self.radix[len(digits) + 1 :])
        edges = np.arange(base + 1, dtype=np.int64)[None] * span  # (1, A + 1)
        for i, digit in enumerate(digits):
            edges = edges + digit[:, None] * prod(self.radix[i + 1 :])  # (n, A + 1)
        return scaled_counts(self.cdf(edges))


class LogisticMixture(Ordered):
    """Mixtures of discretised logistics on the levels -128 .. 127 (symbols 0 .. 255), with a uniform floor.

    PixelCNN++ (Salimans et al. 2017, eq. 1 and 2); the outermost cells reach to infinity.

    Args:
        logit: (n, K) in 1/32 nat. centre: (n, K) in 1/32 level. scale: (n, K) index in [0, 191].
        floor_shift: the uniform distribution has a share of 2^-floor_shift, at most 22.
    """

    radix = (16, 16)
    low = -128

    def __init__(self, logit: Ints, centre: Ints, scale: Ints, floor_shift: int = FLOOR_SHIFT) -> None:
        self.logit, self.centre, self.scale, self._floor_shift = logit, centre, scale, floor_shift
        self._weight = mixture_weights(logit).T[:, :, None].copy()  # (K, n, 1) in 2^-16
        self._slope = _slopes()[scale].T[:, :, None].copy()
        self._offset = (centre - FINE * self.low + FINE // 2).T[:, :, None].copy()  # of the edge below symbol 0

    def mean(self) -> Ints:
        """(n,) in 1/32 level, rounded down, of the components before they are cut off at the outermost levels."""
        total: Ints = (self._weight[:, :, 0] * self.centre.T).sum(0)
        return total >> WEIGHT_BITS

    def cdf(self, edges: Ints) -> Ints:
        """See `Ordered.cdf`."""
        argument = edges * FINE - self._offset  # (K, n, m) in 1/32 level
        argument *= self._slope
        argument >>= SLOPE_SHIFT
        np.maximum(argument, -ARGUMENT_HALF, out=argument)
        np.minimum(argument, ARGUMENT_HALF, out=argument)
        argument += ARGUMENT_HALF
        mass = _sigmoid().take(argument)
        mass *= self._weight
        total = mass.sum(0)  # (n, m) in 2^-46
        total >>= WEIGHT_BITS
        total -= total >> self._floor_shift
        total += edges << (CDF_BITS - self._floor_shift - 8)
        return np.where(edges == 0, 0, np.where(edges == 256, _SPAN, total))


def variances(scale: Ints) -> Ints:
    """Of logistics with these scale indices, in whole levels^2, at least 1."""
    whole: Ints = np.maximum(scale_variances()[scale] >> VARIANCE_SHIFT, 1)
    return whole


def guided(d: LogisticMixture, mean: Ints, variance: int) -> LogisticMixture:
    """The mixture times a gaussian at `mean` (n,), in 1/32 level, of a variance in levels^2, component by component.

    Each logistic is taken for a gaussian of its variance, so that the product is again a mixture: nearer to the mean,
    narrower, and heavier where the two agree. Its uniform floor is next to nothing: what protects a coded
    symbol would draw a wild pixel in ten thousand. Integers throughout.
    """
    own, other = scale_variances()[d.scale], variance << VARIANCE_SHIFT  # (n, K), scalar
    total = own + other
    distance = mean[:, None] - d.centre
    narrowed = own - (own * ((own << 20) // total) >> 20)  # own (1 - own / total), within 63 bits
    scale = np.maximum(np.searchsorted(scale_variances(), narrowed, "right") - 1, 0)
    mismatch = (distance * distance << (VARIANCE_SHIFT - 6)) // total  # 1/32 nat: distance^2 / (2 total)
    logit = d.logit - mismatch - 2 * (d.scale - scale)
    return LogisticMixture(logit, d.centre + distance * own // total, scale, GUIDED_FLOOR_SHIFT)


class GaussianGrid(Ordered):
    """Gaussians discretised on the 4096 cells of a grid; cell 2048 has its middle at 0.

    Args:
        centre: (n,) in 1/32 cell. scale: (n,) index in [0, 191], sigma = 0.002 e^(i/16) cells.
    """

    radix = (16, 16, 16)
    cells = 4096

    def __init__(self, centre: Ints, scale: Ints) -> None:
        self.centre, self.scale = centre, scale

    def cdf(self, edges: Ints) -> Ints:
        """See `Ordered.cdf`."""
        distance = edges * FINE - (self.centre + FINE * (self.cells // 2) + FINE // 2)[:, None]
        argument = (distance * _slopes()[self.scale][:, None]) >> SLOPE_SHIFT
        half = ARGUMENT_HALF // 2
        total = _normal()[np.clip(argument, -half, half) + half]
        total = total - (total >> FLOOR_SHIFT) + (edges << (CDF_BITS - FLOOR_SHIFT - 12))
        return np.where(edges == 0, 0, np.where(edges == self.cells, _SPAN, total))


class Categorical:
    """One of A values. logit: (n, A) in 1/32 nat."""

    def __init__(self, logit: Ints) -> None:
        self.logit = logit
        self.radix = (logit.shape[1],)

    def counts(self, digits: Sequence[Ints]) -> Ints:
        """(n, A); digits must be empty."""
        weights = mixture_weights(self.logit)
        return scaled_counts(np.concatenate([np.zeros_like(weights[:, :1]), weights.cumsum(1)], 1))


class Bernoulli:
    """Bits. logit: (n,) log-odds of a one, in 1/1024 nat."""

    radix = (2,)

    def __init__(self, logit: Ints) -> None:
        self.logit = logit

    def counts(self, digits: Sequence[Ints]) -> Ints:
        """(n, 2); digits must be empty."""
        one = _sigmoid()[np.clip(self.logit, -ARGUMENT_HALF, ARGUMENT_HALF) + ARGUMENT_HALF]
        return scaled_counts(np.stack([np.zeros_like(one), _SPAN - one, np.full_like(one, _SPAN)], 1))


class Uniform:
    """n symbols in [0, size), all equally likely; size at most 2^16."""

    def __init__(self, n: int, size: int) -> None:
        self.n = n
        self.radix = (size,)

    def counts(self, digits: Sequence[Ints]) -> Ints:
        """(n, size); digits must be empty."""
        return np.repeat(scaled_counts(np.arange(self.radix[0] + 1, dtype=np.int64)[None]), self.n, 0)
