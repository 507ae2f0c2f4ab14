"""Between two steps of a quantiser: what lies a share of the way, by equal ratios, the same on every machine."""

from __future__ import annotations

import math
from fractions import Fraction

from vlcodec.codec.coding.lookup import exp_table

DIGITS = 4  # decimals of a logarithm: a float's last bits do not reach them


def between(first: float, second: float, hundredths: int) -> int:
    """round(first (second / first)^(hundredths / 100)), of positive numbers."""
    start, whole = (Fraction(round(10**DIGITS * x), 10**DIGITS) for x in (math.log(first), math.log(second / first)))
    return int(exp_table(Fraction(0), 1, start + whole * Fraction(hundredths, 100), 1)[0])
