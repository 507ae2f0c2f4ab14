"""Lookup tables: every entry is the real value rounded half up."""

import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from vlcodec.codec.coding.lookup import exp_table, normal_table, sigmoid_table, tanh_table
from vlcodec.codec.interface import Ints


def rounded(real: Callable[[Decimal], Decimal], unit: int, points: list[Fraction]) -> list[int]:
    """round(unit real(x)) with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        values = [unit * real(Decimal(x.numerator) / x.denominator) for x in points]
        return [int(v.to_integral_value(ROUND_HALF_UP)) for v in values]


@pytest.mark.parametrize(
    ("step", "start", "unit"), [(Fraction(-1, 32), Fraction(0), 2**16), (Fraction(1, 16), Fraction(-6), 10**6)]
)
def test_exp(step: Fraction, start: Fraction, unit: int) -> None:
    points = [start + i * step for i in range(200)]
    assert exp_table(step, 200, start, unit).tolist() == rounded(Decimal.exp, unit, points)


@pytest.mark.parametrize(("step", "half", "unit"), [(Fraction(1, 16), 256, 2**30), (Fraction(1, 3), 40, 1000)])
def test_sigmoid(step: Fraction, half: int, unit: int) -> None:
    table = sigmoid_table(step, half, unit)
    points = [i * step for i in range(half + 1)]
    assert table[half:].tolist() == rounded(lambda x: 1 / (1 + (-x).exp()), unit, points)
    assert np.array_equal(table + table[::-1], np.full(2 * half + 1, unit))


@pytest.mark.parametrize(("scale", "half", "unit"), [(Fraction(512, 5), 600, 127), (Fraction(7), 50, 10**6)])
def test_tanh(scale: Fraction, half: int, unit: int) -> None:
    table = tanh_table(scale, half, unit)
    points = [i / scale for i in range(half + 1)]
    assert table[half:].tolist() == rounded(lambda x: 1 - 2 / ((2 * x).exp() + 1), unit, points)
    assert np.array_equal(table, -table[::-1])


@pytest.mark.parametrize(("unit", "span"), [(64, 2**30), (100, 1000)])
def test_normal(unit: int, span: int) -> None:
    half = 8 * unit
    table: Ints = normal_table(unit, half, span)
    reference = [span * 0.5 * math.erfc(-i / unit / math.sqrt(2)) for i in range(-half, half + 1)]
    assert np.abs(table - reference).max() <= 0.5 + 1e-4
    assert np.array_equal(table + table[::-1], np.full(2 * half + 1, span))
    assert (table[0], table[-1]) == (0, span)
