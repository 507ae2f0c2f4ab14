"""The pixel network at a block of positions, as parts of Triton kernels: int8 products, summed in int32.

A program has M positions of one lane: blocks are (M, channels), and a vector of colours is a block (M, WIDE) of which
the first three columns count. Activations lie in rings of SLOTS wavefronts (see `wavefront`), (lanes, SLOTS, rows,
channels); what lies outside the picture is never read, so that nothing has to be cleared. [0, 255] is stored less 128.

    step, rows (M,), here (M,)    the present positions: row r is at column step - 2 r; which of them there are
"""

from __future__ import annotations

import triton
import triton.language as tl

from vlcodec.codec.coding.units import FINE as _FINE
from vlcodec.models.gpu import tensors as tensors
from vlcodec.models.layers.activations import UNIT as _UNIT
from vlcodec.models.layers.carriers import MIDDLE as _MIDDLE
from vlcodec.models.layers.causal_pixels import COLOURS as _COLOURS
from vlcodec.models.layers.causal_pixels import SQUASH_HALF as _SQUASH_HALF
from vlcodec.models.walks.wavefront import SLOTS as _SLOTS

FINE, UNIT, MIDDLE, COLOURS = tl.constexpr(_FINE), tl.constexpr(_UNIT), tl.constexpr(_MIDDLE), tl.constexpr(_COLOURS)
SLOTS, SQUASH_HALF = tl.constexpr(_SLOTS), tl.constexpr(_SQUASH_HALF)
WIDE, STORED, PAST = tl.constexpr(tensors.WIDE), tl.constexpr(tensors.STORED), tl.constexpr(tensors.PAST)
TAPS, INPUTS, AROUND = tl.constexpr(tensors.TAPS), tl.constexpr(tensors.INPUTS), tl.constexpr(tensors.AROUND)
BEFORE, SQUASHED, DIGIT = tl.constexpr(tensors.BEFORE), tl.constexpr(tensors.SQUASHED), tl.constexpr(tensors.DIGIT)
EDGE, NOISE, ERROR, COLOUR = (tl.constexpr(i) for i in range(4))  # the order of squash tables


@triton.jit
def front(clock, height, width):
    """See `wavefront.front`: the step, its first row, and the row after its last one."""
    step = tl.load(clock)
    return step, tl.maximum((step - width + 2) // 2, 0), tl.minimum(step // 2, height - 1) + 1


@triton.jit
def positions(clock, height, width, sizes: tl.constexpr):
    """A program's: step, its first row, rows, here; and whether there are none."""
    step, first, last = front(clock, height, width)
    start = first + tl.program_id(0) * sizes.block
    rows = start + tl.arange(0, sizes.block)
    return step, first, rows, rows < last, start >= last


@triton.jit
def nothing(rows: tl.constexpr, columns: tl.constexpr):
    """(rows, columns) int32 of 0."""
    return tl.zeros((rows, columns), tl.int32)


@triton.jit
def column(x, c):
    """(M,) of (M, WIDE)."""
    return tl.sum(tl.where(tl.arange(0, WIDE)[None, :] == c, x, 0), 1)


@triton.jit
def rounded(x, shift):
    """x / 2^shift, rounded half to even; shift >= 0."""
    return (x + ((1 << shift) - 1 >> 1) + (x >> shift & tl.minimum(shift, 1))) >> shift


@triton.jit
def requantised(sums, rule, outputs: tl.constexpr):
    """(M, outputs) sums -> what the layer gives, int32. rule: (4, outputs) bias, shift, lowest, highest."""
    place = tl.arange(0, outputs)
    bias, shift = tl.load(rule + place), tl.load(rule + outputs + place)
    low, high = tl.load(rule + 2 * outputs + place), tl.load(rule + 3 * outputs + place)
    found = rounded(sums + bias[None, :], shift[None, :])
    return tl.minimum(tl.maximum(found, low[None, :]), high[None, :])


@triton.jit
def product(x, weight, inputs: tl.constexpr, outputs: tl.constexpr):
    """(M, inputs) int8 times the weights (outputs, inputs) int8 -> (M, outputs) int32."""
    k, n = tl.arange(0, inputs), tl.arange(0, outputs)
    return tl.dot(x, tl.load(weight + k[:, None] + inputs * n[None, :]), out_dtype=tl.int32)


@triton.jit
def squashed(table, which: tl.constexpr, v):
    """See `causal_pixels.Squash`; v in 1/32 level."""
    place = tl.minimum(tl.maximum(v, -SQUASH_HALF), SQUASH_HALF) + SQUASH_HALF
    return tl.load(table + which * SQUASHED + place).to(tl.int32)


@triton.jit
def ring(buffer, step, row, height, channels: tl.constexpr):
    """Where a row's channels begin in the slot of a step."""
    return buffer + ((tl.program_id(1) * SLOTS + (step & SLOTS - 1)) * height + row) * channels


@triton.jit
def neighbours(buffer, dr, dc, step, rows, here, height, width, channels: tl.constexpr, outside: tl.constexpr):
    """(M, channels) of the neighbours at one tap."""
    columns = step - 2 * rows + dc
    inside = here & (rows + dr >= 0) & (columns >= 0) & (columns < width)
    place = ring(buffer, step + 2 * dr + dc, rows + dr, height, channels)
    return tl.load(place[:, None] + tl.arange(0, channels)[None, :], mask=inside[:, None], other=outside)


@triton.jit
def around(buffer, taps, step, rows, here, height, width):
    """(M, AROUND) of all taps and colours, of which INPUTS are not 0. taps: (3, AROUND) rows, columns, colours."""
    k = tl.arange(0, AROUND)
    dr, dc, colour = tl.load(taps + k)[None, :], tl.load(taps + AROUND + k)[None, :], tl.load(taps + 2 * AROUND + k)
    row, col = rows[:, None] + dr, (step - 2 * rows)[:, None] + dc
    inside = here[:, None] & (k < INPUTS)[None, :] & (row >= 0) & (col >= 0) & (col < width)
    place = ring(buffer, step + 2 * dr + dc, row, height, STORED) + colour[None, :]
    return tl.load(place, mask=inside, other=0)


@triton.jit
def predicted(net, band, step, rows, here, height, width):
    """(M, WIDE) the predictor's base, in 1/32 level; its weights are two digits."""
    x = around(band.x, net.around, step, rows, here, height, width)
    high = product(x, net.predictor, AROUND, WIDE)
    low = product(x, net.predictor + WIDE * AROUND, AROUND, WIDE)
    return requantised(high * DIGIT + low, net.predictor_rule, WIDE)


@triton.jit
def mean_of(band, step, rows, here, height, width, scale: tl.constexpr, sizes: tl.constexpr):
    """(M, WIDE) the mean image, in 1/32 level."""
    c = tl.arange(0, WIDE)[None, :]
    place = features(band, step, rows, height, width, sizes)[:, None] + c
    return tl.load(place, mask=here[:, None] & (c < COLOURS), other=0).to(tl.int32) * scale


@triton.jit
def features(band, step, rows, height, width, sizes: tl.constexpr):
    """Where f(z) of the positions begins."""
    place = (tl.program_id(1).to(tl.int64) * height + rows) * width + step - 2 * rows
    return band.fz + place * sizes.features


@triton.jit
def activated(stream, sizes: tl.constexpr):
    """See `activations.Rectifier`: as int8 holds it."""
    found = rounded(stream, sizes.shrink)
    return (tl.minimum(tl.maximum(found, 0), 2 * MIDDLE - 1) - MIDDLE).to(tl.int8)


@triton.jit
def trunk(net, band, base, mean, step, rows, here, height, width, sizes: tl.constexpr):
    """See `masked.CausalNet.trunk`: (M, channels), as int8 holds it. Each layer's input goes into its ring."""
    channels = tl.arange(0, sizes.channels)
    sums = nothing(sizes.block, sizes.channels)
    for tap in range(TAPS):
        dr, dc = tl.load(net.first_taps + 2 * tap), tl.load(net.first_taps + 2 * tap + 1)
        past = neighbours(band.past, dr, dc, step, rows, here, height, width, PAST, 0)
        sums += product(past, net.first + tap * sizes.channels * PAST, PAST, sizes.channels)
    own = features(band, step, rows, height, width, sizes)
    for k in range(sizes.features):
        value = tl.load(own + k, mask=here, other=0).to(tl.int32)
        sums += value[:, None] * tl.load(net.own + k * sizes.channels + channels)[None, :]
    off = squashed(net.squash, NOISE, mean - base)
    for c in range(COLOURS):
        weight = tl.load(net.own + (sizes.features + c) * sizes.channels + channels)
        sums += column(off, c)[:, None] * weight[None, :]
    stream = requantised(sums, net.first_rule, sizes.channels)
    size = sizes.channels * sizes.channels
    for layer in range(sizes.depth):
        x = activated(stream, sizes)
        buffer = band.near + layer * tl.num_programs(1) * SLOTS * height * sizes.channels
        place = ring(buffer, step, rows, height, sizes.channels)
        tl.store(place[:, None] + channels[None, :], x, mask=here[:, None])
        weight = net.near + layer * (BEFORE + 1) * size
        sums = product(x, weight + BEFORE * size, sizes.channels, sizes.channels)
        for tap in range(BEFORE):
            dr = tl.load(net.near_taps + 2 * (layer * BEFORE + tap))
            dc = tl.load(net.near_taps + 2 * (layer * BEFORE + tap) + 1)
            near = neighbours(buffer, dr, dc, step, rows, here, height, width, sizes.channels, -MIDDLE)
            sums += product(near, weight + tap * size, sizes.channels, sizes.channels)
        y = requantised(sums, net.near_rule + 4 * layer * sizes.channels, sizes.channels)
        sums = product((y - MIDDLE).to(tl.int8), net.out + layer * size, sizes.channels, sizes.channels)
        stream += requantised(sums, net.out_rule + 4 * layer * sizes.channels, sizes.channels)
    return activated(stream, sizes)


@triton.jit
def hidden(net, h, errors, c: tl.constexpr, sizes: tl.constexpr):
    """A head's hidden layer: (M, hidden), as int8 holds it. errors: (M, WIDE) in 1/32 level, of which c are known."""
    sums = product(h, net.hidden + c * sizes.hidden * sizes.channels, sizes.channels, sizes.hidden)
    seen = squashed(net.squash, COLOUR, errors)
    for k in tl.static_range(c):
        weight = tl.load(net.seen + (c * COLOURS + k) * sizes.hidden + tl.arange(0, sizes.hidden))
        sums += column(seen, k)[:, None] * weight[None, :]
    return (requantised(sums, net.hidden_rule + 4 * c * sizes.hidden, sizes.hidden) - MIDDLE).to(tl.int8)


@triton.jit
def parameters(net, x, c: tl.constexpr, kind: tl.constexpr, sizes: tl.constexpr):
    """(M, WIDE) of a head's logits (0), offsets (1), scales (2) or shares (3); x: its hidden layer."""
    part = c * 4 + kind
    sums = product(x, net.params + part * WIDE * sizes.hidden, sizes.hidden, WIDE)
    return requantised(sums, net.params_rule + part * 4 * WIDE, WIDE)


@triton.jit
def leave(net, band, known, base, mean, step, rows, here, height, width):
    """Store what later positions see of these. known: (M, WIDE) values of three colours."""
    c = tl.arange(0, WIDE)[None, :]
    colour = here[:, None] & (c < COLOURS)
    left = tl.load(_colours(band.x, 0, -1, step, rows, height), mask=colour & _inside(rows, step - 1, width), other=0)
    up = tl.load(_colours(band.x, -1, 0, step, rows, height), mask=colour & (rows > 0)[:, None], other=0)
    tl.store(_colours(band.x, 0, 0, step, rows, height), known.to(tl.int8), mask=colour)
    past = ring(band.past, step, rows, height, PAST)[:, None] + c
    from_left, from_up, squash = (known - left) * FINE, (known - up) * FINE, net.squash
    tl.store(past, known.to(tl.int8), mask=colour)
    tl.store(past + COLOURS, tl.full(known.shape, UNIT, tl.int8), mask=here[:, None] & (c == 0))
    past += COLOURS + 1
    tl.store(past, squashed(squash, NOISE, from_left).to(tl.int8), mask=colour)
    tl.store(past + COLOURS, squashed(squash, NOISE, from_up).to(tl.int8), mask=colour)
    tl.store(past + 2 * COLOURS, squashed(squash, EDGE, from_left).to(tl.int8), mask=colour)
    tl.store(past + 3 * COLOURS, squashed(squash, EDGE, from_up).to(tl.int8), mask=colour)
    tl.store(past + 4 * COLOURS, squashed(squash, ERROR, known * FINE - base).to(tl.int8), mask=colour)
    tl.store(past + 5 * COLOURS, squashed(squash, NOISE, known * FINE - mean).to(tl.int8), mask=colour)


@triton.jit
def _inside(rows, step, width):
    """(M, 1): whether the positions of a step lie within the picture's columns."""
    columns = step - 2 * rows
    return ((columns >= 0) & (columns < width))[:, None]


@triton.jit
def _colours(buffer, dr: tl.constexpr, dc: tl.constexpr, step, rows, height):
    """(M, WIDE): where colours of a neighbour stand."""
    return ring(buffer, step + 2 * dr + dc, rows + dr, height, STORED)[:, None] + tl.arange(0, WIDE)[None, :]
