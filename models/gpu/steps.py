"""Triton kernels of a band's steps: a sampled step is one kernel, a decoded one some, of which every second one pops.

A program has a block of positions of one lane: the grid is (blocks, lanes). The step is read from the band's clock, so
that every step is the same launches, which a CUDA graph can repeat. A step's positions have spots, by row and then by
lane, at which a decoded step's intermediate results lie.
"""

from __future__ import annotations

import triton
import triton.language as tl

from vlcodec.codec.coding import units
from vlcodec.codec.coding.stack import WORD_BYTES as _WORD_BYTES
from vlcodec.models.gpu.mixtures import (
    BASE,
    LOWEST,
    centres,
    errors_of,
    guided,
    inverse,
    mean_below,
    move,
    put_bounds,
    weights,
)
from vlcodec.models.gpu.network import (
    FINE,
    STORED,
    WIDE,
    around,
    column,
    front,
    hidden,
    leave,
    mean_of,
    nothing,
    parameters,
    positions,
    predicted,
    ring,
    trunk,
)
from vlcodec.models.layers.causal_pixels import MEAN_UNIT as _MEAN_UNIT

MEAN_SCALE = tl.constexpr(units.FINE // _MEAN_UNIT)
TABLE_BITS, TABLE = tl.constexpr(units.TABLE_BITS), tl.constexpr(1 << units.TABLE_BITS)
WORD_BITS, WORD = tl.constexpr(8 * _WORD_BYTES), tl.constexpr(1 << 8 * _WORD_BYTES)


@triton.jit
def mixture(net, h, base, mean, errors, c: tl.constexpr, sizes: tl.constexpr):
    """Logits, centres, scales of a channel, (M, WIDE) int32."""
    x = hidden(net, h, errors, c, sizes)
    offset, share = parameters(net, x, c, 1, sizes), parameters(net, x, c, 3, sizes)
    centre = centres(base, mean, errors, offset, share, c)
    return parameters(net, x, c, 0, sizes), centre, parameters(net, x, c, 2, sizes)


@triton.jit
def places_of(step, rows, width, c, sizes: tl.constexpr):
    """(M,) int64 places of a channel's symbols in their block."""
    index = rows.to(tl.int64) * width + step - 2 * rows
    return (index * sizes.colours + c) * tl.num_programs(1) + tl.program_id(1)


@triton.jit
def spread(known, sizes: tl.constexpr):
    """(M, WIDE) values of all three colours: grey is all of them."""
    if sizes.colours == 1:
        known = tl.broadcast_to(column(known, 0)[:, None], known.shape)
    return known


@triton.jit(do_not_specialize=["height", "width", "guide"])
def draw(net, tables, band, words, symbols, height, width, guide, sizes: tl.constexpr):
    """A step of guided sampling. words: (symbols,) noise. guide: variance in levels^2."""
    step, _, rows, here, idle = positions(band.clock, height, width, sizes)
    if idle:
        return
    base = predicted(net, band, step, rows, here, height, width)
    mean = mean_of(band, step, rows, here, height, width, MEAN_SCALE, sizes)
    h = trunk(net, band, base, mean, step, rows, here, height, width, sizes)
    known = nothing(sizes.block, WIDE)
    colours: tl.constexpr = sizes.colours
    for c in tl.static_range(colours):
        logit, centre, scale = mixture(net, h, base, mean, known * FINE - base, c, sizes)
        logit, centre, scale = guided(tables, logit, centre, scale, column(mean, c), guide)
        place = places_of(step, rows, width, c, sizes)
        word = tl.load(words + place, mask=here, other=0)
        symbol = inverse(tables, word, weights(tables, logit, sizes), centre, scale)
        tl.store(symbols + place, symbol.to(tl.uint8), mask=here)
        known = tl.where(tl.arange(0, WIDE)[None, :] == c, (symbol + LOWEST).to(tl.int32)[:, None], known)
    leave(net, band, spread(known, sizes), base, mean, step, rows, here, height, width)


@triton.jit
def spots_of(first, rows):
    """(M,) spots of a step's positions."""
    return (rows - first) * tl.num_programs(1) + tl.program_id(1)


@triton.jit
def known_of(symbols, step, rows, here, width, count: tl.constexpr, sizes: tl.constexpr):
    """(M, WIDE) values of the first `count` channels, which are known; the others 0."""
    known = nothing(sizes.block, WIDE)
    for c in tl.static_range(count):
        symbol = tl.load(symbols + places_of(step, rows, width, c, sizes), mask=here, other=0)
        known = tl.where(tl.arange(0, WIDE)[None, :] == c, (symbol.to(tl.int32) + LOWEST)[:, None], known)
    return known


@triton.jit(do_not_specialize=["height", "width"])
def see(net, band, spots, height, width, sizes: tl.constexpr):
    """The network up to its heads."""
    step, first, rows, here, idle = positions(band.clock, height, width, sizes)
    if idle:
        return
    spot = spots_of(first, rows)[:, None]
    base = predicted(net, band, step, rows, here, height, width)
    mean = mean_of(band, step, rows, here, height, width, MEAN_SCALE, sizes)
    h = trunk(net, band, base, mean, step, rows, here, height, width, sizes)
    tl.store(spots.h + spot * sizes.channels + tl.arange(0, sizes.channels)[None, :], h, mask=here[:, None])
    tl.store(spots.base + spot * WIDE + tl.arange(0, WIDE)[None, :], base, mask=here[:, None])


@triton.jit(do_not_specialize=["height", "width"])
def open_channel(net, tables, band, spots, correction, symbols, height, width, c: tl.constexpr, sizes: tl.constexpr):
    """A channel's mixture, and the bounds of its first digits."""
    step, first, rows, here, idle = positions(band.clock, height, width, sizes)
    if idle:
        return
    spot, channels = spots_of(first, rows), tl.arange(0, sizes.channels)[None, :]
    mine = spot[:, None] * WIDE + tl.arange(0, WIDE)[None, :]
    h = tl.load(spots.h + spot[:, None] * sizes.channels + channels, mask=here[:, None], other=0)
    base = tl.load(spots.base + mine, mask=here[:, None], other=0)
    mean = mean_of(band, step, rows, here, height, width, MEAN_SCALE, sizes)
    known = known_of(symbols, step, rows, here, width, c, sizes)
    logit, centre, scale = mixture(net, h, base, mean, known * FINE - base, c, sizes)
    weight = weights(tables, logit, sizes)
    if sizes.classes > 0:
        middle = mean_below(weight, centre.to(tl.int64)).to(tl.int32)
        own = errors_of(known, tl.load(spots.mean + mine, mask=here[:, None], other=0))
        errors = around(band.errors, net.around, step, rows, here, height, width).to(tl.int32)
        centre += move(correction, c, errors, own, logit, scale, sizes)[:, None]
        tl.store(spots.mean + spot * WIDE + c, middle, mask=here)
    tl.store(spots.weight + mine, weight.to(tl.int32), mask=here[:, None])
    tl.store(spots.centre + mine, centre, mask=here[:, None])
    tl.store(spots.scale + mine, scale, mask=here[:, None])
    edge = tl.zeros_like(spot).to(tl.int64)
    put_bounds(tables, spots.bounds + spot * BASE, here, edge, BASE, weight, centre, scale)


@triton.jit(do_not_specialize=["height", "width"])
def split(tables, band, spots, height, width, sizes: tl.constexpr):
    """The bounds of second digits, given the first."""
    _, first, rows, here, idle = positions(band.clock, height, width, sizes)
    if idle:
        return
    spot = spots_of(first, rows)
    mine = spot[:, None] * WIDE + tl.arange(0, WIDE)[None, :]
    weight = tl.load(spots.weight + mine, mask=here[:, None], other=0).to(tl.int64)
    centre = tl.load(spots.centre + mine, mask=here[:, None], other=0)
    scale = tl.load(spots.scale + mine, mask=here[:, None], other=0)
    edge = tl.load(spots.digit + spot, mask=here, other=0).to(tl.int64) * BASE
    put_bounds(tables, spots.bounds + spot * BASE, here, edge, 1, weight, centre, scale)


@triton.jit(do_not_specialize=["height", "width", "lanes"])
def pop(
    band,
    spots,
    coder,
    queue,
    symbols,
    height,
    width,
    lanes,
    c: tl.constexpr,
    second: tl.constexpr,
    sizes: tl.constexpr,
):
    """A digit of each of a step's symbols, by one program: the coder of FORMAT.md.

    coder: (2,) its state's 64 bits, and how many words of the queue are left. second: whether the digit completes a
    symbol, of channel c.
    What the next turn needs of memory is loaded a turn before.
    """
    step, first, last = front(band.clock, height, width)
    count, values = tl.maximum(last - first, 0) * lanes, tl.arange(0, BASE)
    state, left = tl.load(coder).to(tl.uint64, bitcast=True), tl.load(coder + 1)
    word = tl.load(queue + left - 1, mask=left > 0, other=0).to(tl.uint64)
    bounds = tl.load(spots.bounds + values)
    for spot in range(count):
        following = tl.load(spots.bounds + (spot + 1) * BASE + values)
        rest = (state & TABLE - 1).to(tl.int32)
        below = bounds <= rest
        digit = tl.sum(below.to(tl.int32), 0) - 1
        low = tl.max(tl.where(below, bounds, 0), 0)
        high = tl.min(tl.where(below, TABLE, bounds), 0)
        state = (state >> TABLE_BITS) * (high - low).to(tl.uint64) + (rest - low).to(tl.uint64)
        taken = (state < WORD) & (left > 0)
        state = tl.where(taken, (state << WORD_BITS) | word, state)
        left -= taken.to(tl.int64)
        word = tl.load(queue + left - 1, mask=left > 0, other=0).to(tl.uint64)
        bounds = following
        if second:
            row = first + spot // lanes
            index = row.to(tl.int64) * width + step - 2 * row
            symbol = tl.load(spots.digit + spot) * BASE + digit
            tl.store(symbols + (index * sizes.colours + c) * lanes + spot % lanes, symbol.to(tl.uint8))
        else:
            tl.store(spots.digit + spot, digit)
    tl.store(coder, state.to(tl.int64, bitcast=True))
    tl.store(coder + 1, left)


@triton.jit(do_not_specialize=["height", "width"])
def close(net, band, spots, symbols, height, width, sizes: tl.constexpr):
    """A step's pixels are known: store what later ones see of them."""
    step, first, rows, here, idle = positions(band.clock, height, width, sizes)
    if idle:
        return
    colour = tl.arange(0, WIDE)[None, :]
    mine = spots_of(first, rows)[:, None] * WIDE + colour
    base = tl.load(spots.base + mine, mask=here[:, None], other=0)
    mean = mean_of(band, step, rows, here, height, width, MEAN_SCALE, sizes)
    known = known_of(symbols, step, rows, here, width, sizes.colours, sizes)
    if sizes.classes > 0:
        errors = errors_of(known, tl.load(spots.mean + mine, mask=here[:, None], other=0))
        place = ring(band.errors, step, rows, height, STORED)[:, None] + colour
        tl.store(place, errors.to(tl.int16), mask=here[:, None] & (colour < sizes.colours))
    leave(net, band, spread(known, sizes), base, mean, step, rows, here, height, width)
