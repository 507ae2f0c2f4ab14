"""Between two trained qualities: what lies a share of the way, in integers, the same on every machine.

A latent's step, and the width of the auxiliary decoder, go from one quality's to the next one's by equal ratios.
"""

from __future__ import annotations

import math
from fractions import Fraction

from vlcodec.codec.coding.lookup import exp_table

STEP_UNIT = 4096  # of a step between two qualities, as a share of the lower one's
DIGITS = 4  # decimals of a logarithm: a float's last bits do not reach them


def between(first: float, second: float, hundredths: int, unit: int) -> int:
    """round(unit first (second / first)^(hundredths / 100)), of positive numbers."""
    start, whole = (Fraction(round(10**DIGITS * x), 10**DIGITS) for x in (math.log(first), math.log(second / first)))
    return int(exp_table(Fraction(0), 1, start + whole * Fraction(hundredths, 100), unit)[0])
