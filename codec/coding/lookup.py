"""Lookup tables of exp, sigmoid and tanh, built from Python integers alone: the same table on every machine.

numpy's float functions may differ in a last bit between builds, and a table entry that rounds the other way would
turn a file to garbage. 160-bit fixed-point integers leave no such doubt.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

_BITS = 160
_ONE = 1 << _BITS


def _exp(x: Fraction) -> int:
    """e^x as an integer with _BITS fractional bits, by halving the argument and the power series."""
    halvings = 0
    while abs(x) > Fraction(1, 16):
        x, halvings = x / 2, halvings + 1
    step = (x.numerator << _BITS) // x.denominator
    term = total = _ONE
    for n in range(1, 60):  # (1/16)^60 / 60! is far below one unit
        term = (term * step >> _BITS) // n
        total += term
    for _ in range(halvings):
        total = total * total >> _BITS
    return total


def _round(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def exp_table(step: Fraction, count: int, start: Fraction, unit: int) -> NDArray[np.int64]:
    """(count,) int64: round(unit * e^(start + i step)); steps may be negative."""
    ratio, value = _exp(step), _exp(start)
    out = np.empty(count, np.int64)
    for i in range(count):
        out[i] = _round(value * unit, _ONE)
        value = value * ratio >> _BITS
    return out


def sigmoid_table(step: Fraction, half: int, unit: int) -> NDArray[np.int64]:
    """(2 half + 1,) int64: round(unit / (1 + e^(-i step))) for i in [-half, half]; entry i is at i + half."""
    ratio, decay = _exp(-step), _ONE  # decay = e^(-i step), i >= 0
    upper = np.empty(half + 1, np.int64)
    for i in range(half + 1):
        upper[i] = _round(unit * _ONE, _ONE + decay)
        decay = decay * ratio >> _BITS
    return np.concatenate([unit - upper[:0:-1], upper])


def tanh_table(scale: Fraction, half: int, unit: int) -> NDArray[np.int64]:
    """(2 half + 1,) int64: round(unit tanh(i / scale)) for i in [-half, half], odd; entry i is at i + half."""
    ratio, decay = _exp(-2 / scale), _ONE  # decay = e^(-2 i / scale)
    upper = np.empty(half + 1, np.int64)
    for i in range(half + 1):
        upper[i] = _round(unit * (_ONE - decay), _ONE + decay)
        decay = decay * ratio >> _BITS
    return np.concatenate([-upper[:0:-1], upper])


def normal_table(unit: int, half: int, span: int) -> NDArray[np.int64]:
    """(2 half + 1,) int64: round(span Phi(i / unit)), Phi the normal cdf, by Simpson's rule; entry i is at i + half.

    What lies beyond half / unit standard deviations is left out: 8 of them hold all but 1e-15.
    """
    tiny = _exp(Fraction(-1, (2 * unit) ** 2))
    density, ratio = _ONE, _exp(Fraction(-1, 2 * (2 * unit) ** 2))  # at i half-steps: e^(-(i/(2 unit))^2 / 2)
    areas, previous, middle = [0], density, 0
    for i in range(1, 2 * half + 1):
        density, ratio = density * ratio >> _BITS, ratio * tiny >> _BITS
        if i % 2:
            middle = density
        else:
            areas.append(areas[-1] + previous + 4 * middle + density)
            previous = density
    upper = np.array([span - span // 2 + _round(span * a, 2 * areas[-1]) for a in areas], np.int64)
    return np.concatenate([span - upper[:0:-1], upper])
