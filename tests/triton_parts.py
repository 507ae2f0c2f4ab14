"""Parts of the kernels, each as a kernel of its own, for `models/gpu/test_gpu.py`."""

from __future__ import annotations

import triton
import triton.language as tl

from vlcodec.models.gpu.mixtures import errors_of, floored, guided, inverse, mean_below, put_bounds, weights
from vlcodec.models.gpu.network import WIDE, product, requantised, rounded


@triton.jit
def _block(x, block: tl.constexpr):
    return tl.load(x + tl.arange(0, block)[:, None] * WIDE + tl.arange(0, WIDE)[None, :])


@triton.jit
def round_all(x, shift, found, n: tl.constexpr):
    """found: (n,) of `rounded`."""
    place = tl.arange(0, n)
    tl.store(found + place, rounded(tl.load(x + place), tl.load(shift + place)))


@triton.jit
def divide_all(a, b, found, n: tl.constexpr):
    """found: (n,) of `floored`."""
    place = tl.arange(0, n)
    tl.store(found + place, floored(tl.load(a + place), tl.load(b + place)))


@triton.jit
def find_errors(known, mean, found, n: tl.constexpr):
    """found: (n,) of `errors_of`."""
    place = tl.arange(0, n)
    tl.store(found + place, errors_of(tl.load(known + place), tl.load(mean + place)))


@triton.jit
def multiply(x, weight, rule, found, inputs: tl.constexpr, outputs: tl.constexpr, sizes: tl.constexpr):
    """found: (block, outputs) int32 of a whole layer."""
    place = tl.arange(0, sizes.block)[:, None]
    sums = product(tl.load(x + place * inputs + tl.arange(0, inputs)[None, :]), weight, inputs, outputs)
    tl.store(found + place * outputs + tl.arange(0, outputs)[None, :], requantised(sums, rule, outputs))


@triton.jit(do_not_specialize=["variance"])
def guide_all(tables, logit, centre, scale, mean, variance, sizes: tl.constexpr):
    """In place, (block, WIDE) int64; scale int32."""
    place = tl.arange(0, sizes.block)
    mine = place[:, None] * WIDE + tl.arange(0, WIDE)[None, :]
    found = guided(
        tables,
        tl.load(logit + mine).to(tl.int32),
        tl.load(centre + mine).to(tl.int32),
        tl.load(scale + mine),
        tl.load(mean + place),
        variance,
    )
    tl.store(logit + mine, found[0])
    tl.store(centre + mine, found[1])
    tl.store(scale + mine, found[2])


@triton.jit
def describe(tables, logit, centre, scale, word, weight, mean, symbol, bounds, sizes: tl.constexpr):
    """Of mixtures (block, WIDE): weights, means, symbols that words draw, and the bounds of these symbols' digits."""
    block: tl.constexpr = sizes.block
    place = tl.arange(0, block)
    mine = place[:, None] * WIDE + tl.arange(0, WIDE)[None, :]
    centre, scale = _block(centre, block), _block(scale, block)
    found = weights(tables, _block(logit, block), sizes)
    drawn = inverse(tables, tl.load(word + place), found, centre, scale)
    tl.store(weight + mine, found)
    tl.store(mean + place, mean_below(found, centre))
    tl.store(symbol + place, drawn)
    put_bounds(tables, bounds + place * WIDE, place < block, drawn * 0, WIDE, found, centre, scale)
    put_bounds(tables, bounds + (place + block) * WIDE, place < block, drawn // WIDE * WIDE, 1, found, centre, scale)
