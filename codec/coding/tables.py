"""Distributions as integer frequency tables: integers from the network's outputs to the coder, lookup tables between.

Every table has 24 bits: `counts` gives rows that sum to exactly 2^24 - A, and the coder gives each value its
count + 1, so that nothing is impossible. Large alphabets are coded digit by digit, so that only the cdf values that
are needed are computed.

numpy says what the integers are; for large pictures, `kernels` computes the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.units import (
    ARGUMENT_HALF,
    CDF_BITS,
    CELL_BITS,
    CELLS,
    FINE,
    FLOOR_SHIFT,
    GUIDED_FLOOR_SHIFT,
    LEVEL_BITS,
    LEVELS,
    LOGIT_SPAN,
    LOWEST,
    NORMAL_HALF,
    SLOPE_SHIFT,
    SPAN,
    TABLE_BITS,
    TAIL,
    UNIFORM_BITS,
    VARIANCE_SHIFT,
    WEIGHT_BITS,
    exponentials,
    normals,
    scale_variances,
    sigmoids,
    slopes,
)
from vlcodec.codec.interface import Distribution, Ints


def scaled_counts(cumulative: Ints) -> Ints:
    """(n, A + 1) increasing cdf values -> (n, A) counts in proportion, summing to exactly 2^24 - A."""
    low, high = cumulative[:, :1], cumulative[:, -1:]
    target = (1 << TABLE_BITS) - (cumulative.shape[1] - 1)
    scaled: Ints = (cumulative - low) * target // (high - low)
    return scaled[:, 1:] - scaled[:, :-1]


def mixture_weights(logit: Ints) -> Ints:
    """(n, K) logits in 1/32 nat -> (n, K) weights >= 0, summing to exactly 2^16."""
    if compiled.runs():
        from vlcodec.codec.coding import kernels

        return kernels.mixture_weights(logit, exponentials())
    e: Ints = exponentials()[np.minimum(logit.max(1, keepdims=True) - logit, LOGIT_SPAN - 1)]
    w: Ints = (e << WEIGHT_BITS) // e.sum(1, keepdims=True)
    w[:, 0] += (1 << WEIGHT_BITS) - w.sum(1)
    return w


def weighted_mean(weight: Ints, centre: Ints) -> Ints:
    """(n, K) weights in 2^-16 and centres -> (n,) in the centres' unit, rounded down."""
    if compiled.runs():
        from vlcodec.codec.coding import kernels

        return kernels.weighted_mean(weight, centre)
    total: Ints = (weight * centre).sum(1)
    return total >> WEIGHT_BITS


def mixture_mean(logit: Ints, centre: Ints) -> Ints:
    """`LogisticMixture.mean`, without the mixture's tables."""
    return weighted_mean(mixture_weights(logit), centre)


class Ordered:
    """Symbols with a cumulative distribution, coded digit by digit. Subclasses give `radix`, `cdf` and the size n."""

    radix: tuple[int, ...]

    def cdf(self, edges: Ints) -> Ints:
        """(n or 1, m) edges, 0 .. prod(radix) -> (n, m) P(symbol < edge) in units of 2^-30, from exactly 0 to 2^30."""
        raise NotImplementedError

    def counts(self, digits: Sequence[Ints]) -> Ints:
        """(n, A) table of the next digit, given the ones before."""
        base, step, first = self._next(digits)
        return self._counts(first, base, step)

    def _next(self, digits: Sequence[Ints]) -> tuple[int, int, Ints]:
        """Of the next digit: how many values it has, how many symbols each stands for, and the first symbol, (n,) or
        (1,)."""
        first = np.zeros(1, np.int64)
        for i, digit in enumerate(digits):
            first = first + digit * prod(self.radix[i + 1 :])
        return self.radix[len(digits)], prod(self.radix[len(digits) + 1 :]), first

    def _counts(self, first: Ints, base: int, step: int) -> Ints:
        """(n, base) between the edges first, first + step, ...; first: (n,) or (1,)."""
        return scaled_counts(self.cdf(first[:, None] + np.arange(base + 1, dtype=np.int64) * step))


class LogisticMixture(Ordered):
    """Mixtures of discretised logistics on the levels -128 .. 127 (symbols 0 .. 255), with a uniform floor.

    PixelCNN++ (Salimans et al. 2017, eq. 1 and 2); the outermost cells reach to infinity.

    Args:
        logit: (n, K) in 1/32 nat. centre: (n, K) in 1/32 level. scale: (n, K) index in [0, 191].
        floor_shift: the uniform distribution has a share of 2^-floor_shift, at most 22.
    """

    radix = (16, 16)
    low = LOWEST

    def __init__(self, logit: Ints, centre: Ints, scale: Ints, floor_shift: int = FLOOR_SHIFT) -> None:
        self.logit, self.centre, self.scale, self._floor_shift = logit, centre, scale, floor_shift

    @cached_property
    def _weight(self) -> Ints:
        """(n, K) in 2^-16."""
        return mixture_weights(self.logit)

    def mean(self) -> Ints:
        """(n,) in 1/32 level, rounded down, of the components before they are cut off at the outermost levels."""
        return weighted_mean(self._weight, self.centre)

    def cdf(self, edges: Ints) -> Ints:
        """See `Ordered.cdf`."""
        if compiled.runs():
            from vlcodec.codec.coding import kernels

            return kernels.mixture_cdf(edges, *self.parameters())
        total = self._mass(edges)
        total -= total >> self._floor_shift
        total += edges << (CDF_BITS - self._floor_shift - LEVEL_BITS)
        return np.where(edges == 0, 0, np.where(edges == LEVELS, SPAN, total))

    def _mass(self, edges: Ints) -> Ints:
        """(n, m) of the components alone below edges (n or 1, m), in 2^-30."""
        argument = edges * FINE - self._offset  # (K, n, m) in 1/32 level
        argument *= self._slope
        argument >>= SLOPE_SHIFT
        np.maximum(argument, -ARGUMENT_HALF, out=argument)
        np.minimum(argument, ARGUMENT_HALF, out=argument)
        argument += ARGUMENT_HALF
        mass = sigmoids().take(argument)
        mass *= self._weight.T[:, :, None]
        total: Ints = mass.sum(0)  # (n, m) in 2^-46
        total >>= WEIGHT_BITS
        return total

    @cached_property
    def _slope(self) -> Ints:
        """(K, n, 1)"""
        slope: Ints = slopes()[self.scale].T[:, :, None].copy()
        return slope

    @cached_property
    def _offset(self) -> Ints:
        """(K, n, 1) of the edge below symbol 0."""
        return (self.centre - FINE * self.low + FINE // 2).T[:, :, None].copy()

    def _counts(self, first: Ints, base: int, step: int) -> Ints:
        if compiled.runs():
            from vlcodec.codec.coding import kernels

            return kernels.mixture_counts(first, base, step, *self.parameters())
        return super()._counts(first, base, step)

    def around(self, digits: Sequence[Ints], digit: Ints) -> tuple[Ints, Ints]:
        """See `around`; compiled alone, from four values of the cdf in place of seventeen."""
        from vlcodec.codec.coding import kernels

        base, step, first = self._next(digits)
        counts, place = kernels.mixture_around(first, digit, base, step, *self.parameters())
        return place, counts

    def parameters(self) -> tuple[Ints, Ints, Ints, int, Ints, Ints]:
        """What kernels take: weights (n, K) in 2^-16, centres, scales, the floor's shift, and tables."""
        return self._weight, self.centre, self.scale, self._floor_shift, slopes(), sigmoids()


def around(distribution: Distribution, digits: Sequence[Ints], digit: Ints) -> tuple[Ints, Ints]:
    """What the coder needs to push the next digit (n,), given the ones before: which one it is, (n,), of counts (n, 3)
    of what lies before it, of itself, and of what lies after it. The same bits as with all counts."""
    if type(distribution) is LogisticMixture:
        return distribution.around(digits, digit)
    every, rows = distribution.counts(digits) + 1, np.arange(len(digit))
    own, upper = every[rows, digit], every.cumsum(1)[rows, digit]
    left, right = upper - own, (1 << TABLE_BITS) - upper
    lowest, highest = left == 0, right == 0  # at either end what lies beyond is parted in two
    before = np.where(lowest, own, left - highest)
    after = np.where(highest, own, right - lowest)
    itself = (1 << TABLE_BITS) - before - after
    return np.where(lowest, 0, 1 + highest), np.stack([before, itself, after], 1) - 1


def variances(scale: Ints) -> Ints:
    """Of logistics with these scale indices, in whole levels^2, at least 1."""
    whole: Ints = np.maximum(scale_variances()[scale] >> VARIANCE_SHIFT, 1)
    return whole


def guided_parameters(d: LogisticMixture, mean: Ints, variance: int) -> tuple[Ints, Ints, Ints]:
    """Of the mixture times a gaussian at `mean` (n,), in 1/32 level, of a variance in levels^2: component by component.

    Each logistic is taken for a gaussian of its variance, so that the product is again a mixture: nearer to the mean,
    narrower, and heavier where the two agree. Logits, centres and scales, (n, K); integers throughout.
    """
    if compiled.runs():
        from vlcodec.codec.coding import kernels

        return kernels.guided_parameters(d.logit, d.centre, d.scale, mean, variance, scale_variances())
    own, other = scale_variances()[d.scale], variance << VARIANCE_SHIFT  # (n, K), scalar
    total = own + other
    distance = mean[:, None] - d.centre
    narrowed = own - (own * ((own << 20) // total) >> 20)  # own (1 - own / total), within 63 bits
    scale = np.maximum(np.searchsorted(scale_variances(), narrowed, "right") - 1, 0)
    mismatch = (distance * distance << (VARIANCE_SHIFT - 6)) // total  # 1/32 nat: distance^2 / (2 total)
    logit = d.logit - mismatch - 2 * (d.scale - scale)
    return logit, d.centre + distance * own // total, scale


def guided(d: LogisticMixture, mean: Ints, variance: int) -> LogisticMixture:
    """`guided_parameters` as tables, from which digits are drawn. Its uniform floor is next to nothing: what protects a
    coded symbol would draw a wild pixel in ten thousand."""
    return LogisticMixture(*guided_parameters(d, mean, variance), GUIDED_FLOOR_SHIFT)


class DrawnMixture(LogisticMixture):
    """A mixture that is drawn by inverting its cdf and never coded: without a floor or the coder's one, and 2^-20 of
    each tail cut off, so that no pixel is wild."""

    def inverse(self, words: NDArray[np.uint64]) -> Ints:
        """(n,) words of noise -> (n,) symbols: how many of the edges 1 .. 255 have no more than was drawn below."""
        if compiled.runs():
            from vlcodec.codec.coding import kernels

            return kernels.inverted(_drawn(words), self._weight, self.centre, self.scale, slopes(), sigmoids())
        return _inverted(words, self._mass, LEVEL_BITS)


class GaussianGrid(Ordered):
    """Gaussians discretised on the 4096 cells of a grid; cell 2048 has its middle at 0.

    Args:
        centre: (n,) in 1/32 cell. scale: (n,) index in [0, 191], sigma = 0.002 e^(i/16) cells.
        floor_shift: the uniform distribution has a share of 2^-floor_shift, at most 22.
    """

    radix = (16, 16, 16)
    cells = CELLS

    def __init__(self, centre: Ints, scale: Ints, floor_shift: int = FLOOR_SHIFT) -> None:
        self.centre, self.scale, self.floor_shift = centre, scale, floor_shift

    def cdf(self, edges: Ints) -> Ints:
        """See `Ordered.cdf`."""
        total = self._mass(edges)
        total = total - (total >> self.floor_shift) + (edges << CDF_BITS - CELL_BITS >> self.floor_shift)
        return np.where(edges == 0, 0, np.where(edges == self.cells, SPAN, total))

    def _mass(self, edges: Ints) -> Ints:
        """(n, m) of the gaussians alone below edges (n or 1, m), in 2^-30."""
        distance = edges * FINE - (self.centre + FINE * (self.cells // 2) + FINE // 2)[:, None]
        argument = (distance * slopes()[self.scale][:, None]) >> SLOPE_SHIFT
        found: Ints = normals()[np.clip(argument, -NORMAL_HALF, NORMAL_HALF) + NORMAL_HALF]
        return found

    def _counts(self, first: Ints, base: int, step: int) -> Ints:
        if compiled.runs():
            from vlcodec.codec.coding import kernels

            return kernels.gaussian_counts(first, base, step, *self._parameters())
        return super()._counts(first, base, step)

    def _parameters(self) -> tuple[Ints, Ints, int, Ints, Ints]:
        return self.centre, self.scale, self.floor_shift, slopes(), normals()


class FlooredGaussian(GaussianGrid):
    """The same tables; their uniform floor counts in the likelihood too, as it must for what lies far from the mean."""


class DrawnGaussian(GaussianGrid):
    """Gaussians that are drawn by inverting their cdf and never coded: see `DrawnMixture`."""

    def inverse(self, words: NDArray[np.uint64]) -> Ints:
        """(n,) words of noise -> (n,) cells."""
        return _inverted(words, self._mass, CELL_BITS)


def _drawn(words: NDArray[np.uint64]) -> Ints:
    """(n,) words of noise -> (n,) in 2^-30, in [TAIL, SPAN - TAIL)."""
    drawn = (words >> np.uint64(64 - CDF_BITS)).astype(np.int64)
    inside: Ints = TAIL + (drawn * (SPAN - 2 * TAIL) >> CDF_BITS)
    return inside


def _inverted(words: NDArray[np.uint64], mass: Callable[[Ints], Ints], bits: int) -> Ints:
    """(n,) symbols of so many bits: how many of the edges from 1 on have no more mass below than was drawn."""
    drawn, symbols = _drawn(words), np.zeros(len(words), np.int64)
    for bit in reversed(range(bits)):
        edge = symbols + (1 << bit)
        symbols = np.where(mass(edge[:, None])[:, 0] <= drawn, edge, symbols)
    return symbols


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
        if compiled.runs():
            from vlcodec.codec.coding import kernels

            return kernels.bernoulli_counts(self.logit, sigmoids())
        one = sigmoids()[np.clip(self.logit, -ARGUMENT_HALF, ARGUMENT_HALF) + ARGUMENT_HALF]
        return scaled_counts(np.stack([np.zeros_like(one), SPAN - one, np.full_like(one, SPAN)], 1))


class Uniform:
    """n symbols in [0, size), all equally likely; size at most 2^16."""

    def __init__(self, n: int, size: int) -> None:
        self.n = n
        self.radix = (size,)

    def counts(self, digits: Sequence[Ints]) -> Ints:
        """(n, size); digits must be empty."""
        return np.repeat(scaled_counts(np.arange(self.radix[0] + 1, dtype=np.int64)[None]), self.n, 0)


class Uniforms:
    """n symbols, each in [0, size) with a size of its own in [2, 2^16], all equally likely: coded without tables.

    The coder (constriction's uniform model) gives each value floor(2^24 / size) of 2^24, and the last one what is left.
    """

    def __init__(self, sizes: Ints) -> None:
        self.sizes = sizes

    @property
    def radix(self) -> tuple[int, ...]:
        """The largest size, of the one digit."""
        return (int(self.sizes.max(initial=2)),)

    def counts(self, digits: Sequence[Ints]) -> Ints:
        """(n, largest size) what a table would hold: -1, no share at all, beyond a symbol's own size."""
        sizes, values = self.sizes[:, None], np.arange(self.radix[0], dtype=np.int64)
        share = (1 << TABLE_BITS) // sizes
        last = (1 << TABLE_BITS) - share * (sizes - 1)
        return np.where(values < sizes - 1, share, np.where(values < sizes, last, 0)) - 1

    def inverse(self, words: NDArray[np.uint64]) -> Ints:
        """(n,) words of noise -> (n,) symbols, by the lowest 16 bits, which what is inverted as a whole leaves."""
        low = (words & np.uint64((1 << UNIFORM_BITS) - 1)).astype(np.int64)
        symbols: Ints = low * self.sizes >> UNIFORM_BITS
        return symbols
