"""Mixtures of logistics at a block of positions, as parts of Triton kernels: the integers of `tables` and `correction`.

A mixture's components are the first columns of blocks (M, WIDE). Triton's // rounds towards 0: where a dividend can be
negative, `floored` divides.
"""

from __future__ import annotations

import triton
import triton.language as tl

from vlcodec.codec.coding import units
from vlcodec.models.gpu import tensors as tensors
from vlcodec.models.gpu.network import AROUND, FINE, WIDE, column
from vlcodec.models.walks import units as walk_units

LOWEST, LEVELS, LEVEL_BITS = tl.constexpr(units.LOWEST), tl.constexpr(units.LEVELS), tl.constexpr(units.LEVEL_BITS)
LOGIT_SPAN, WEIGHT_BITS = tl.constexpr(units.LOGIT_SPAN), tl.constexpr(units.WEIGHT_BITS)
ARGUMENT_HALF, SLOPE_SHIFT = tl.constexpr(units.ARGUMENT_HALF), tl.constexpr(units.SLOPE_SHIFT)
CDF_BITS, SPAN, TAIL = tl.constexpr(units.CDF_BITS), tl.constexpr(units.SPAN), tl.constexpr(units.TAIL)
FLOOR_SHIFT, VARIANCE_SHIFT = tl.constexpr(units.FLOOR_SHIFT), tl.constexpr(units.VARIANCE_SHIFT)
WEIGHTS, COUNTS = tl.constexpr(1 << units.WEIGHT_BITS), tl.constexpr((1 << units.TABLE_BITS) - tensors.BASE)
BASE = tl.constexpr(tensors.BASE)
VARIANCE_BITS, VARIANCES = tl.constexpr(tensors.VARIANCE_BITS), tl.constexpr(1 << tensors.VARIANCE_BITS)
SHARE_SHIFT, MOVE_SHIFT = tl.constexpr(walk_units.SHARE_SHIFT), tl.constexpr(walk_units.MOVE_SHIFT)
ERROR_SHIFT, ERROR_MAX = tl.constexpr(walk_units.ERROR_SHIFT), tl.constexpr(walk_units.ERROR_MAX)
NEVER = tl.constexpr(-(1 << 62))  # below every logit


@triton.jit
def floored(a, b):
    """a / b, rounded down; b > 0."""
    quotient = a // b
    return quotient - (quotient * b > a).to(quotient.dtype)


@triton.jit
def shifted(x, shift: tl.constexpr):
    """x / 2^shift, rounded half up."""
    return (x >> shift - 1) + 1 >> 1


@triton.jit
def centres(base, mean, errors, offset, share, c: tl.constexpr):
    """See `pixel_block.PixelBlock._mixture`; blocks (M, WIDE), errors of the earlier channels in 1/32 level."""
    colour = tl.arange(0, WIDE)[None, :]
    reference = tl.where(colour < c, errors, tl.where(colour == c, mean - base, 0))
    moved = shifted(tl.sum(share * reference, 1), SHARE_SHIFT)
    return (column(base, c) + moved)[:, None] + offset


@triton.jit
def weights(tables, logit, sizes: tl.constexpr):
    """See `tables.mixture_weights`; (M, WIDE) int64."""
    k = tl.arange(0, WIDE)[None, :]
    logit = tl.where(k < sizes.mixtures, logit.to(tl.int64), NEVER)
    distance = tl.minimum(tl.max(logit, 1)[:, None] - logit, LOGIT_SPAN - 1)
    e = tl.where(k < sizes.mixtures, tl.load(tables.exponentials + distance).to(tl.int64), 0)
    w = (e << WEIGHT_BITS) // tl.sum(e, 1)[:, None]
    return tl.where(k == 0, w - (tl.sum(w, 1) - WEIGHTS)[:, None], w)


@triton.jit
def guided(tables, logit, centre, scale, mean, variance):
    """See `tables.guided_parameters`; logit, centre, scale (M, WIDE), mean (M,) in 1/32 level; int64, scale int32."""
    other = variance.to(tl.int64) << VARIANCE_SHIFT
    own = tl.load(tables.variances + scale)
    total = own + other
    distance = mean[:, None].to(tl.int64) - centre
    narrowed = own - (own * ((own << 20) // total) >> 20)
    found = tl.zeros_like(scale)
    for bit in range(VARIANCE_BITS):
        larger = found + (VARIANCES >> bit + 1)
        found = tl.where(tl.load(tables.variances + larger) <= narrowed, larger, found)
    mismatch = (distance * distance << VARIANCE_SHIFT - 6) // total
    logit = logit - mismatch - 2 * (scale - found)
    return logit, centre + floored(distance * own, total), found


@triton.jit
def mass(tables, edge, weight, centre, slope):
    """See `tables.LogisticMixture._mass`: (M,) int64 below an edge (M,) in 2^-30; blocks (M, WIDE) int64."""
    distance = ((edge + LOWEST) * FINE - FINE // 2)[:, None] - centre
    argument = tl.minimum(tl.maximum(distance * slope >> SLOPE_SHIFT, -ARGUMENT_HALF), ARGUMENT_HALF) + ARGUMENT_HALF
    return tl.sum(tl.load(tables.sigmoids + argument) * weight, 1) >> WEIGHT_BITS


@triton.jit
def inverse(tables, word, weight, centre, scale):
    """See `tables.DrawnMixture.inverse`: (M,) int64 symbols of words (M,) int64, whose bits count alone."""
    drawn = word >> 64 - CDF_BITS & SPAN - 1
    drawn = (drawn * (SPAN - 2 * TAIL) >> CDF_BITS) + TAIL
    slope, symbol = tl.load(tables.slopes + scale), tl.zeros_like(drawn)
    for bit in range(LEVEL_BITS):
        edge = symbol + (LEVELS >> bit + 1)
        symbol = tl.where(mass(tables, edge, weight, centre, slope) <= drawn, edge, symbol)
    return symbol


@triton.jit
def cdf(tables, edge, weight, centre, slope):
    """See `tables.LogisticMixture.cdf`: (M,) int64."""
    total = mass(tables, edge, weight, centre, slope)
    total += (edge << CDF_BITS - FLOOR_SHIFT - LEVEL_BITS) - (total >> FLOOR_SHIFT)
    return tl.where(edge == 0, 0, tl.where(edge == LEVELS, SPAN, total))


@triton.jit
def put_bounds(tables, bounds, here, first, step: tl.constexpr, weight, centre, scale):
    """Store the frequencies below each digit, as the coder has them: (BASE,) int32 at each of the places bounds.

    first: (M,) int64 edge below digit 0. step: between edges. See `tables.scaled_counts`.
    """
    slope = tl.load(tables.slopes + scale)
    low = cdf(tables, first, weight, centre, slope)
    span = cdf(tables, first + step * BASE, weight, centre, slope) - low
    for digit in range(BASE):
        part = cdf(tables, first + digit * step, weight, centre, slope) - low
        tl.store(bounds + digit, (part * COUNTS // span + digit).to(tl.int32), mask=here)


@triton.jit
def mean_below(weight, centre):
    """See `tables.weighted_mean`: (M,) int64."""
    return tl.sum(weight * centre, 1) >> WEIGHT_BITS


@triton.jit
def errors_of(known, mean):
    """See `correction.error`; known in levels, mean in 1/32 level."""
    found = shifted(known * FINE - mean, ERROR_SHIFT)
    return tl.minimum(tl.maximum(found, -ERROR_MAX), ERROR_MAX)


@triton.jit
def move(correction, c: tl.constexpr, errors, own, logit, scale, sizes: tl.constexpr):
    """See `correction.Correction.move`: (M,) int32.

    errors: (M, AROUND) of the neighbours. own: (M, WIDE), of which the channels before c count.
    """
    k = tl.arange(0, WIDE)[None, :]
    likely = tl.where(k < sizes.mixtures, logit, -(1 << 30))
    place = tl.min(tl.where(likely == tl.max(likely, 1)[:, None], k, WIDE), 1)
    widest, which = column(scale, place[:, None]), tl.zeros_like(place)
    for i in range(sizes.classes - 1):
        which += (widest >= tl.load(correction.edges + i)).to(tl.int32)
    part = (c * sizes.classes + which)[:, None]
    near = tl.load(correction.around + part * AROUND + tl.arange(0, AROUND)[None, :])
    total = tl.sum(errors * near, 1) + tl.sum(tl.where(k < c, own, 0) * tl.load(correction.own + part * WIDE + k), 1)
    return shifted(total, MOVE_SHIFT)
