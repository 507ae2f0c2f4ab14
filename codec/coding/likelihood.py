"""-log2 P of symbols in float64, written apart from the tables.

The log-probabilities are those of the exported integer model's own outputs, before any rounding of tables: the -ELBO
that files are held against.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.near import Cells, Whole
from vlcodec.codec.coding.tables import (
    Bernoulli,
    Categorical,
    FlooredGaussian,
    GaussianGrid,
    LogisticMixture,
    Uniform,
    Uniforms,
)
from vlcodec.codec.coding.units import ARGUMENT_HALF, LEVELS
from vlcodec.codec.interface import Distribution, Ints

Floats = NDArray[np.float64]


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def mixture_bits(d: LogisticMixture, symbols: Ints) -> Floats:
    """(n,) -log2 P(symbol) of a mixture of discretised logistics with its uniform floor, in float64."""
    logit = d.logit / 32.0
    weight = np.exp(logit - logit.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    sigma = 0.002 * np.exp(d.scale / 16.0)
    distance = (symbols - 128.0)[:, None] - d.centre / 32.0
    flip = np.where(distance > 0, -1.0, 1.0)  # keeps both sigmoids in their accurate tail
    upper, lower = ((flip * distance + half) / sigma for half in (0.5, -0.5))
    first, last = (symbols == 0)[:, None], (symbols == 255)[:, None]
    high = np.where((first & (flip < 0)) | (last & (flip > 0)), 1.0, _sigmoid(upper))
    low = np.where((first & (flip > 0)) | (last & (flip < 0)), 0.0, _sigmoid(lower))
    mass = (weight * (high - low)).sum(1)
    return np.asarray(-np.log2(mass * (1 - 2.0**-14) + 2.0**-22))


def cell_bits(d: Cells, symbols: Ints) -> Floats:
    """(n,) -log2 of the sum of the probabilities of a cell's levels, in float64."""
    mass = np.zeros(len(symbols))
    for i in range(d.width):
        level = symbols * d.width + i
        mass += np.where(level < LEVELS, np.exp2(-mixture_bits(d.mixture, np.minimum(level, LEVELS - 1))), 0.0)
    return np.asarray(-np.log2(mass))


def bernoulli_bits(d: Bernoulli, symbols: Ints) -> Floats:
    """(n,) -log2 P(bit), in float64; like the table's, log-odds stay within 16 nats."""
    nats = np.clip(d.logit, -ARGUMENT_HALF, ARGUMENT_HALF) / 1024.0
    return np.asarray(np.logaddexp(0.0, np.where(symbols > 0, -1.0, 1.0) * nats) / np.log(2.0))


def gaussian_bits(d: GaussianGrid, symbols: Ints) -> Floats:
    """(n,) -log2 P(cell) of gaussians on a grid: their density in the middle of the cell, in float64.

    The density, not the mass: what bits-back is held against is the ELBO of the continuous latents.
    """
    sigma = 0.002 * np.exp(d.scale / 16.0)  # cells
    distance = symbols - d.cells // 2 - d.centre / 32.0
    return np.asarray((0.5 * np.square(distance / sigma) + np.log(sigma * np.sqrt(2 * np.pi))) / np.log(2.0))


def floored_bits(d: FlooredGaussian, symbols: Ints) -> Floats:
    """(n,) likewise, with the uniform floor in its share, in float64."""
    share = 2.0**-d.floor_shift
    return np.asarray(-np.log2(np.exp2(-gaussian_bits(d, symbols)) * (1 - share) + share / d.cells))


def categorical_bits(d: Categorical, symbols: Ints) -> Floats:
    """(n,) -log2 P(value), in float64."""
    nats = d.logit / 32.0
    return np.asarray((np.logaddexp.reduce(nats, 1) - nats[np.arange(len(symbols)), symbols]) / np.log(2.0))


def bits_of(distribution: Distribution, symbols: Ints) -> Floats:
    """(n,) -log2 P of symbols. Raises TypeError for a distribution without a float64 twin."""
    if isinstance(distribution, LogisticMixture):
        return mixture_bits(distribution, symbols)
    if isinstance(distribution, Whole):
        return mixture_bits(distribution.mixture, symbols)
    if isinstance(distribution, Cells):
        return cell_bits(distribution, symbols)
    if isinstance(distribution, Bernoulli):
        return bernoulli_bits(distribution, symbols)
    if isinstance(distribution, FlooredGaussian):
        return floored_bits(distribution, symbols)
    if isinstance(distribution, GaussianGrid):
        return gaussian_bits(distribution, symbols)
    if isinstance(distribution, Categorical):
        return categorical_bits(distribution, symbols)
    if isinstance(distribution, Uniform):
        return np.full(len(symbols), np.log2(distribution.radix[0]))
    if isinstance(distribution, Uniforms):
        return np.log2(distribution.sizes)
    raise TypeError(f"no float64 likelihood for {type(distribution).__name__}")
