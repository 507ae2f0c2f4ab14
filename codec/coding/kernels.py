"""Compiled twins of what `tables`, `noise` and `stack` do with numpy: loops over rows, in integers alone.

They return the same integers as the functions that are named in their docstrings, which say what these are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vlcodec.codec.coding.compiled import TABLE, kernel, part
from vlcodec.codec.coding.units import (
    ARGUMENT_HALF,
    CDF_BITS,
    CELL_BITS,
    CELLS,
    FINE,
    LEVEL_BITS,
    LEVELS,
    LOGIT_SPAN,
    LOWEST,
    NORMAL_HALF,
    SLOPE_SHIFT,
    SPAN,
    TABLE_BITS,
    VARIANCE_SHIFT,
    WEIGHT_BITS,
)
from vlcodec.codec.interface import Ints

RECIPROCAL_SHIFT = 32  # more than a cdf's 30 bits, so that the error stays below 1; products stay below 2^56


@part
def weight_row(weight: Ints, logit: Ints, exponentials: Ints) -> None:
    """`mixture_weights` of one mixture, (K,), into weight."""
    largest, total, rest = logit[0], 0, 1 << WEIGHT_BITS
    for k in range(1, len(logit)):
        largest = max(largest, logit[k])
    for k in range(len(logit)):
        weight[k] = exponentials[min(largest - logit[k], LOGIT_SPAN - 1)]
        total += weight[k]
    for k in range(len(logit)):
        weight[k] = (weight[k] << WEIGHT_BITS) // total
        rest -= weight[k]
    weight[0] += rest


@kernel(2, TABLE)
def mixture_weights(logit: Ints, exponentials: Ints) -> Ints:
    """See `tables.mixture_weights`."""
    weight = np.empty(logit.shape, np.int64)
    for i in range(len(logit)):
        weight_row(weight[i], logit[i], exponentials)
    return weight


@kernel(2, 2)
def weighted_mean(weight: Ints, centre: Ints) -> Ints:
    """See `tables.LogisticMixture.mean`."""
    n, components = weight.shape
    mean = np.empty(n, np.int64)
    for i in range(n):
        total = 0
        for k in range(components):
            total += weight[i, k] * centre[i, k]
        mean[i] = total >> WEIGHT_BITS
    return mean


@part
def mass_below(edge: int, weight: Ints, centre: Ints, scale: Ints, slopes: Ints, sigmoids: Ints) -> int:
    """Of a mixture's components, (K,), below an edge, in 2^-30."""
    total = 0
    for k in range(len(weight)):
        argument = ((edge + LOWEST) * FINE - FINE // 2 - centre[k]) * slopes[scale[k]] >> SLOPE_SHIFT
        total += sigmoids[min(max(argument, -ARGUMENT_HALF), ARGUMENT_HALF) + ARGUMENT_HALF] * weight[k]
    return total >> WEIGHT_BITS


@part
def mixture_row(
    row: Ints,
    first: int,
    step: int,
    i: int,
    weight: Ints,
    centre: Ints,
    scale: Ints,
    shift: int,
    slopes: Ints,
    sigmoids: Ints,
) -> None:
    """P(symbol < edge) at the edges first, first + step, ..., in 2^-30; of mixture i of (n, K)."""
    for a in range(len(row)):
        row[a] = 0
    for k in range(weight.shape[1]):
        share, slope = weight[i, k], slopes[scale[i, k]]
        start = (first * FINE - (centre[i, k] - FINE * LOWEST + FINE // 2)) * slope
        stride = step * FINE * slope
        for a in range(len(row)):
            argument = start + a * stride >> SLOPE_SHIFT
            row[a] += sigmoids[min(max(argument, -ARGUMENT_HALF), ARGUMENT_HALF) + ARGUMENT_HALF] * share
    for a in range(len(row)):
        total = row[a] >> WEIGHT_BITS
        row[a] = total - (total >> shift) + (first + a * step << CDF_BITS - shift - LEVEL_BITS)
    if first == 0:
        row[0] = 0
    if first + (len(row) - 1) * step == LEVELS:
        row[-1] = SPAN


@part
def inverse_of(drawn: Any, weight: Ints, centre: Ints, scale: Ints, slopes: Ints, sigmoids: Ints) -> int:
    """`tables.DrawnMixture.inverse` of one mixture, (K,), from a number in [TAIL, SPAN - TAIL)."""
    symbol, step = 0, LEVELS >> 1
    while step:
        if mass_below(symbol + step, weight, centre, scale, slopes, sigmoids) <= drawn:
            symbol += step
        step >>= 1
    return symbol


@part
def _gaussian_below(edge: int, centre: int, slope: int, floor_shift: int, normals: Ints) -> int:
    """P(cell < edge), in 2^-30."""
    if edge == 0:
        return 0
    if edge == CELLS:
        return SPAN
    distance = edge * FINE - (centre + FINE * (CELLS // 2) + FINE // 2)
    argument = distance * slope >> SLOPE_SHIFT
    total = int(normals[min(max(argument, -NORMAL_HALF), NORMAL_HALF) + NORMAL_HALF])
    return total - (total >> floor_shift) + (edge << CDF_BITS - CELL_BITS >> floor_shift)


@part
def scale_row(row: Ints) -> None:
    """(A + 1,) increasing cdf values -> A counts in their first places: see `tables.scaled_counts`.

    One division a row: the product with the rounded reciprocal is the quotient or one less.
    """
    base, low = len(row) - 1, row[0]
    span, target = row[base] - low, (1 << TABLE_BITS) - base
    reciprocal = (target << RECIPROCAL_SHIFT) // span
    for a in range(base + 1):
        above = row[a] - low
        scaled = above * reciprocal >> RECIPROCAL_SHIFT
        row[a] = scaled + (above * target - scaled * span >= span)
    for a in range(base):
        row[a] = row[a + 1] - row[a]


@kernel(2, 2, 2, 2, 0, TABLE, TABLE)
def mixture_cdf(
    edges: Ints, weight: Ints, centre: Ints, scale: Ints, shift: int, slopes: Ints, sigmoids: Ints
) -> Ints:
    """See `tables.LogisticMixture.cdf`."""
    cdf = np.empty((len(weight), edges.shape[1]), np.int64)
    for i in range(len(weight)):
        here = edges[min(i, len(edges) - 1)]
        for a in range(len(here)):
            mixture_row(cdf[i, a : a + 1], here[a], 0, i, weight, centre, scale, shift, slopes, sigmoids)
    return cdf


@kernel(1, 0, 0, 2, 2, 2, 0, TABLE, TABLE)
def mixture_counts(
    first: Ints, base: int, step: int, weight: Ints, centre: Ints, scale: Ints, shift: int, slopes: Ints, sigmoids: Ints
) -> Ints:
    """See `tables.Ordered.counts`: between edges first[i], first[i] + step, ... of base digits; first (n,) or (1,)."""
    counts = np.empty((len(weight), base), np.int64)
    row = np.empty(base + 1, np.int64)
    for i in range(len(weight)):
        edge = first[min(i, len(first) - 1)]
        mixture_row(row, edge, step, i, weight, centre, scale, shift, slopes, sigmoids)
        scale_row(row)
        for a in range(base):
            counts[i, a] = row[a]
    return counts


@kernel(1, 1, 0, 0, 2, 2, 2, 0, TABLE, TABLE)
def mixture_around(
    first: Ints,
    digit: Ints,
    base: int,
    step: int,
    weight: Ints,
    centre: Ints,
    scale: Ints,
    shift: int,
    slopes: Ints,
    sigmoids: Ints,
) -> tuple[Ints, Ints]:
    """See `tables.LogisticMixture.around`; digits have edges as in `mixture_counts`."""
    counts, place = np.empty((len(weight), 3), np.int64), np.empty(len(weight), np.int64)
    edge, whole, target = np.empty(2, np.int64), np.empty(2, np.int64), (1 << TABLE_BITS) - base
    for i in range(len(weight)):
        start = first[min(i, len(first) - 1)]
        mixture_row(whole, start, base * step, i, weight, centre, scale, shift, slopes, sigmoids)
        mixture_row(edge, start + digit[i] * step, step, i, weight, centre, scale, shift, slopes, sigmoids)
        span = whole[1] - whole[0]
        below, above = (edge[0] - whole[0]) * target // span, (edge[1] - whole[0]) * target // span
        left, own = below + digit[i], above - below + 1
        right = (1 << TABLE_BITS) - left - own
        place[i] = 1 if left and right else (2 if left else 0)
        if not left:
            left, own, right = own, 1, right - 1
        elif not right:
            left, own, right = left - 1, 1, own
        counts[i, 0], counts[i, 1], counts[i, 2] = left - 1, own - 1, right - 1
    return counts, place


@kernel(1, 0, 0, 1, 1, 0, TABLE, TABLE)
def gaussian_counts(
    first: Ints, base: int, step: int, centre: Ints, scale: Ints, floor_shift: int, slopes: Ints, normals: Ints
) -> Ints:
    """The same of `tables.GaussianGrid`."""
    n, rows = len(centre), len(first)
    counts, row = np.empty((n, base), np.int64), np.empty(base + 1, np.int64)
    for i in range(n):
        for a in range(base + 1):
            edge = first[min(i, rows - 1)] + a * step
            row[a] = _gaussian_below(edge, centre[i], slopes[scale[i]], floor_shift, normals)
        scale_row(row)
        counts[i] = row[:base]
    return counts


@kernel(1, TABLE)
def bernoulli_counts(logit: Ints, sigmoids: Ints) -> Ints:
    """See `tables.Bernoulli`."""
    counts, target = np.empty((len(logit), 2), np.int64), (1 << TABLE_BITS) - 2
    for i in range(len(logit)):
        one = sigmoids[min(max(logit[i], -ARGUMENT_HALF), ARGUMENT_HALF) + ARGUMENT_HALF]
        counts[i, 0] = (SPAN - one) * target >> CDF_BITS
        counts[i, 1] = target - counts[i, 0]
    return counts


@part
def guide_row(logit: Ints, centre: Ints, scale: Ints, mean: Any, variance: int, variances: Ints) -> None:
    """`tables.guided_parameters` of one mixture, (K,), in place."""
    other = variance << VARIANCE_SHIFT
    for k in range(len(logit)):
        own = variances[scale[k]]
        total, distance = own + other, mean - centre[k]
        narrowed = own - (own * ((own << 20) // total) >> 20)
        found = scale[k]  # a variance only narrows, so that the index only falls
        while found > 0 and variances[found] > narrowed:
            found -= 1
        mismatch = (distance * distance << VARIANCE_SHIFT - 6) // total
        logit[k] -= mismatch + 2 * (scale[k] - found)
        centre[k] += distance * own // total
        scale[k] = found


@kernel(2, 2, 2, 1, 0, 1)
def guided_parameters(
    logit: Ints, centre: Ints, scale: Ints, mean: Ints, variance: int, variances: Ints
) -> tuple[Ints, Ints, Ints]:
    """See `tables.guided_parameters`."""
    logits, centres, scales = logit.copy(), centre.copy(), scale.copy()
    for i in range(len(logit)):
        guide_row(logits[i], centres[i], scales[i], mean[i], variance, variances)
    return logits, centres, scales


@kernel(1, 2, 2, 2, TABLE, TABLE)
def inverted(drawn: Ints, weight: Ints, centre: Ints, scale: Ints, slopes: Ints, sigmoids: Ints) -> Ints:
    """See `tables.DrawnMixture.inverse`."""
    symbols = np.empty(len(drawn), np.int64)
    for i in range(len(drawn)):
        symbols[i] = inverse_of(drawn[i], weight[i], centre[i], scale[i], slopes, sigmoids)
    return symbols


@kernel(2, 1)
def drawn(counts: Ints, draw: Ints) -> Ints:
    """See `noise.drawn`."""
    digits = np.empty(len(draw), np.int64)
    for i in range(len(draw)):
        digit, upper = 0, counts[i, 0] + 1
        while upper <= draw[i]:
            digit += 1
            upper += counts[i, digit] + 1
        digits[i] = digit
    return digits
