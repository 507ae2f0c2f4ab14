"""The grids that the flow computes on, and its tables, from Python integers alone.

All values of the flow are whole cells of 2^-14. A level of a pixel is the cells that its share of the logit's range
takes, so that dequantisation and logit (Dinh et al. 2017, section 4.1) are one step: level i has the cells from
EDGES[i] on, as many as the logit is steep there, and the flow sees any of them. The range is constrained at both ends:
x' = 0.05 + 0.9 x; the paper's 0.05 + 0.95 x reaches infinity at 1.

A scale is R / 2^10, R an integer; its logarithm is bounded smoothly, so that products of 64 bits hold every value.
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from functools import cache

import numpy as np

from vlcodec.codec.coding.lookup import exp_table, tanh_table
from vlcodec.codec.interface import Ints

CELL_BITS = 14  # the flow's cells per 1.0 are 2^14
LEVELS = 256
SHARE = 2**10  # 2^k of s = R / 2^k
SHARE_BITS = 10
LOG_UNIT = 1024  # of the logarithm of a scale, per nat
LOG_MAX = 1408  # |ln s| is at most 1.375
LOG_REACH = 6 * LOG_MAX  # where the bound is reached to the last unit
SHIFT_MAX = 2**18  # |m|, in cells: 16.0


@cache
def edges() -> Ints:
    """(257,) first cell of each level, and the end of the last: 2^14 logit(0.05 + 0.9 i / 256)."""
    exact = Context(prec=60)
    odds = (exact.divide(Decimal(128 + 9 * i), Decimal(2432 - 9 * i)) for i in range(LEVELS + 1))
    cells = [exact.multiply(exact.ln(each), Decimal(2**CELL_BITS)).to_integral_value() for each in odds]
    return np.array([int(cell) for cell in cells], np.int64)


@cache
def bounded() -> Ints:
    """(2 LOG_REACH + 1,) ln s in 1/1024 of what a net says of it, likewise; entry i is at i + LOG_REACH."""
    return tanh_table(Fraction(LOG_MAX), LOG_REACH, LOG_MAX)


@cache
def scales() -> Ints:
    """(2 LOG_REACH + 1,) R of what a net says of ln s, in [259, 4050]."""
    steps = exp_table(Fraction(1, LOG_UNIT), 2 * LOG_MAX + 1, Fraction(-LOG_MAX, LOG_UNIT), SHARE)
    found: Ints = steps[bounded() + LOG_MAX]
    return found
