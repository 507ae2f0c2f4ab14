"""Units of the coded integers, and the frozen lookup tables in them: what numpy's tables and compiled ones share."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from vlcodec.codec.coding.lookup import exp_table, normal_table, sigmoid_table
from vlcodec.codec.interface import Ints

TABLE_BITS = 24
CDF_BITS = 30
WEIGHT_BITS = 16
LEVEL_BITS, LOWEST = 8, -128  # a level is one of 2^8, from the lowest on
LEVELS = 1 << LEVEL_BITS
CELL_BITS = 12  # a cell of a grid of latents is one of 2^12
CELLS = 1 << CELL_BITS
FINE = 32  # units of a centre per level (per step of a latent)
LOGIT_UNIT, LOGIT_SPAN = 32, 512  # units of a logit per nat; logits further below the largest count as the last
SCALE_UNIT, SCALE_LOW, SCALE_COUNT = 16, Fraction(1, 500), 192  # scale of index i: 0.002 e^(i/16) levels
GUIDED_FLOOR_SHIFT = 22
FLOOR_SHIFT = 14  # every mixture holds 2^-14 of the uniform distribution
ARGUMENT_UNIT, ARGUMENT_HALF = 1024, 16 * 1024  # the sigmoid's argument, in 1/1024, clamped to +-16
NORMAL_HALF = ARGUMENT_HALF // 2  # the normal cdf's, clamped to +-8
SLOPE_SHIFT = 16
VARIANCE_SHIFT = 24
SPAN = 1 << CDF_BITS
UNIFORM_BITS = 16  # sizes of uniform symbols are at most 2^16
TAIL = SPAN >> 20  # of a cdf that is drawn from, at each end


@cache
def sigmoids() -> Ints:
    """(2 ARGUMENT_HALF + 1,) sigmoid of each argument, in 2^-30."""
    return sigmoid_table(Fraction(1, ARGUMENT_UNIT), ARGUMENT_HALF, SPAN)


@cache
def normals() -> Ints:
    """(2 NORMAL_HALF + 1,) normal cdf of each argument, in 2^-30."""
    return normal_table(ARGUMENT_UNIT, NORMAL_HALF, SPAN)


@cache
def exponentials() -> Ints:
    """(LOGIT_SPAN,) e^-x of each distance of logits, in 2^-16."""
    return exp_table(Fraction(-1, LOGIT_UNIT), LOGIT_SPAN, Fraction(0), 1 << WEIGHT_BITS)


@cache
def slopes() -> Ints:
    """Argument units per 1/32 level, with SLOPE_SHIFT fractional bits, by scale index."""
    unit = (ARGUMENT_UNIT << SLOPE_SHIFT) // FINE
    return exp_table(Fraction(-1, SCALE_UNIT), SCALE_COUNT, Fraction(0), unit * SCALE_LOW.denominator)


@cache
def scale_variances() -> Ints:
    """pi^2/3 scale^2 of each scale index, in levels^2 with VARIANCE_SHIFT fractional bits (at least 1)."""
    unit = (1 << VARIANCE_SHIFT) * 32_898_681 * SCALE_LOW.numerator**2 // (10_000_000 * SCALE_LOW.denominator**2)
    return exp_table(Fraction(2, SCALE_UNIT), SCALE_COUNT, Fraction(0), unit)
