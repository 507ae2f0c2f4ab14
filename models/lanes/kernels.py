"""Compiled twins of frozen layers, over many pictures side by side: sums of integers, lanes innermost.

Values are (positions, channels, lanes) int32, channels in multiples of BLOCK, so that four outputs of four inputs are
summed at once, in registers. They are the integers of `exact.Layer`, `activations` and `made.OneByOne`.
"""

from __future__ import annotations

import numpy as np

from vlcodec.codec.coding.compiled import part, wide_kernel
from vlcodec.models.lanes.pairs import VECTORS, add_pairs
from vlcodec.models.lanes.units import BLOCK, LOW, VECTOR, WIDTH, Sums, Wide

LOWEST = (1 << LOW) - 1
MOST = 4 * WIDTH  # sums that are found together, to leave no register empty


@part
def _add(sums: Wide, x: Wide, weight: Wide, row: int, column: int) -> None:
    """sums (m, lanes) += weight[row : row + m, column : column + n] x, of x (n, lanes), modulo 2^32."""
    for o in range(0, len(sums), BLOCK):
        s0, s1, s2, s3 = sums[o], sums[o + 1], sums[o + 2], sums[o + 3]
        w0, w1, w2, w3 = weight[row + o], weight[row + o + 1], weight[row + o + 2], weight[row + o + 3]
        for c in range(0, len(x), BLOCK):
            x0, x1, x2, x3 = x[c], x[c + 1], x[c + 2], x[c + 3]
            k = column + c
            a0, a1, a2, a3 = w0[k], w0[k + 1], w0[k + 2], w0[k + 3]
            b0, b1, b2, b3 = w1[k], w1[k + 1], w1[k + 2], w1[k + 3]
            c0, c1, c2, c3 = w2[k], w2[k + 1], w2[k + 2], w2[k + 3]
            d0, d1, d2, d3 = w3[k], w3[k + 1], w3[k + 2], w3[k + 3]
            for i in range(x.shape[1]):
                s0[i] = np.int32(s0[i] + a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i])
                s1[i] = np.int32(s1[i] + b0 * x0[i] + b1 * x1[i] + b2 * x2[i] + b3 * x3[i])
                s2[i] = np.int32(s2[i] + c0 * x0[i] + c1 * x1[i] + c2 * x2[i] + c3 * x3[i])
                s3[i] = np.int32(s3[i] + d0 * x0[i] + d1 * x1[i] + d2 * x2[i] + d3 * x3[i])


@part
def _requantise(out: Wide, total: Sums, shift: int, low: int, high: int) -> None:
    """Sums (lanes,) over 2^shift, rounded half to even, and clamped; computed in the sums' own type."""
    kind = total.dtype.type
    tie, by, least, most = kind(min(shift, 1)), kind(shift), kind(low), kind(high)
    half = kind(((1 << shift) >> 1) - tie)
    for i in range(len(out)):
        out[i] = min(max(kind(total[i] + half + (total[i] >> by & tie)) >> by, least), most)


@part
def _activate(out: Wide, table: Wide, most: int, shift: int) -> None:
    """See `lanes.Activation`, of (lanes,)."""
    reach = len(table) - 1
    if shift > 0:
        _requantise(out, out, shift, 0, most)
    for i in range(len(out)):
        out[i] = table[np.uint64(min(max(out[i], -reach), 0) + reach)] + min(max(out[i], 0), most)


@part
def _put_beside(near: Wide, seen: Wide, first: int, planes: int) -> None:
    """Values (channels, lanes) of a position into lanes first, first + 1, ... of near, as its sums take them.

    planes: 0 as they are, (channels, width). 1: two channels in one integer, (channels / 2, width). 2: likewise, their
    low LOW bits, and then what is above these.
    """
    lanes, half = seen.shape[1], len(seen) // 2
    if planes == 0:
        for c in range(len(seen)):
            for i in range(lanes):
                near[c, first + i] = seen[c, i]
        return
    for c in range(half):
        even, odd = seen[2 * c], seen[2 * c + 1]
        if planes == 1:
            for i in range(lanes):
                near[c, first + i] = np.int32(np.int32(even[i] & 0xFFFF) | np.int32(odd[i] << 16))
        else:
            for i in range(lanes):
                a, b = np.int32(even[i]), np.int32(odd[i])
                near[c, first + i] = np.int32((a & LOWEST) | np.int32((b & LOWEST) << 16))
                near[half + c, first + i] = np.int32(((a >> LOW) & 0xFFFF) | np.int32((b >> LOW) << 16))


@part
def _add_two(sums: Wide, x: Wide, weight: Wide, column: int) -> None:
    """As `_add`, of pairs of channels."""
    for o in range(0, len(sums), BLOCK):
        own, at = weight[o, column:], sums[o]
        for v in range(0, sums.shape[1], VECTORS * VECTOR):
            add_pairs(
                at[v:].ctypes.data, 4 * sums.shape[1], x[0, v:].ctypes.data, 4 * x.shape[1],
                own.ctypes.data, 4 * weight.shape[1], len(x),
            )  # fmt: skip


@part
def _together(lanes: int) -> int:
    """Positions that are summed side by side: as few as leave least of the registers empty."""
    step, least = VECTORS * VECTOR, max(1, WIDTH // lanes)
    found = least
    for m in range(least + 1, max(least, MOST // lanes) + 1):
        if -(-m * lanes // step) * found < -(-found * lanes // step) * m:
            found = m
    return found


@wide_kernel(3, 2, 1, 3, 2, 2, 0, 0, 3, 1, 0, 0, 3)
def layer(
    x: Wide,
    taps: Wide,
    at: Wide,
    beside: Wide,
    weight: Wide,
    ends: Wide,
    group: int,
    planes: int,
    stream: Wide,
    table: Wide,
    most: int,
    shift: int,
    out: Wide,
) -> None:
    """A layer at n positions, into out at the places `at`.

    taps: (n, taps) places in x, of which the last is outside the picture. beside: (n, channels, lanes), seen at the own
    position; none has no channels. ends: (4, outputs) bias, shift, low, high. group: so many taps' sums fit int32, and
    the bias with the first ones. planes: see `_put_beside`; with pairs of channels, weights are pairs too. stream: the
    outputs are added to it, and it is what is put out; none has no positions. table, most, shift: of the activation;
    none has an empty table. Where lanes are few, positions are summed side by side.
    """
    lanes, outputs, count = x.shape[2], weight.shape[0], taps.shape[1]
    channels, more = x.shape[1] // (1 + (planes > 0)), beside.shape[1] // (1 + (planes > 0))
    outside, wide, together = len(x) - 1, group < count, _together(lanes)
    at_once = count if planes == 2 else group
    width = -(-together * lanes // (VECTORS * VECTOR)) * VECTORS * VECTOR
    direct = planes == 0 and together == 1 and width == lanes
    rows = outputs * max(1, planes)
    sums, total = np.empty((rows, width), np.int32), np.empty((outputs * wide, width), np.int64)
    side = np.zeros((0 if direct else max(channels, more) * max(1, planes), width), np.int32)
    for n in range(0, len(at), together):
        m = min(together, len(at) - n)
        for o in range(outputs):
            sums[o, :] = ends[0, o]
        sums[outputs:, :] = 0
        total[:, :] = 0
        for first in range(0, count, at_once):
            last = min(first + at_once, count)
            for t in range(first, last + (last == count and more > 0)):
                size, known = more if t == count else channels, t == count
                near = side[: size * max(1, planes)]
                if direct:
                    near, known = beside[n] if known else x[taps[n, t]], known or taps[n, t] != outside
                else:
                    for j in range(m):
                        known = known or taps[n + j, t] != outside
                    if known:
                        for j in range(m):
                            _put_beside(near, beside[n + j] if t == count else x[taps[n + j, t]], j * lanes, planes)
                if known and planes == 0:
                    _add(sums, near, weight, 0, t * channels)
                elif known:
                    for plane in range(planes):
                        own = sums[plane * outputs : (plane + 1) * outputs]
                        _add_two(own, near[plane * size : (plane + 1) * size], weight, t * channels)
            if planes == 2 and wide:
                for o in range(outputs):
                    for i in range(width):
                        total[o, i] = sums[o, i] + (np.int64(sums[outputs + o, i]) << LOW)
            elif planes == 2:
                for o in range(outputs):
                    for i in range(width):
                        sums[o, i] += np.int32(sums[outputs + o, i] << LOW)
            elif wide:
                for o in range(outputs):
                    for i in range(width):
                        total[o, i] += sums[o, i]
                sums[:, :] = 0
        for j in range(m):
            p, mine = at[n + j], slice(j * lanes, (j + 1) * lanes)
            for o in range(outputs):
                row = out[p, o]
                if wide:
                    _requantise(row, total[o, mine], ends[1, o], ends[2, o], ends[3, o])
                else:
                    _requantise(row, sums[o, mine], ends[1, o], ends[2, o], ends[3, o])
                if len(stream) > 0:
                    for i in range(lanes):
                        stream[p, o, i] += row[i]
                        row[i] = stream[p, o, i]
                if len(table) > 0:
                    _activate(row, table, most, shift)


@part
def _rows(
    out: Wide, x: Wide, weight: Wide, ends: Wide, first: int, last: int, group: int, total: Sums, sums: Wide
) -> None:
    """Outputs first .. last - 1 of a 1x1 layer, in multiples of BLOCK, into the same rows of out; x: (n, lanes).

    group: so many inputs' sums fit int32.
    """
    count = last - first
    for o in range(count):
        total[o, :] = ends[0, first + o]
    for c in range(0, len(x), group):
        sums[:count] = 0
        _add(sums[:count], x[c : min(c + group, len(x))], weight, first, c)
        for o in range(count):
            for i in range(x.shape[1]):
                total[o, i] += sums[o, i]
    for o in range(count):
        _requantise(out[first + o], total[o], ends[1, first + o], ends[2, first + o], ends[3, first + o])


@wide_kernel(2, 1, 2, 2, 2, 2, 2, 2, 0, 0)
def unshifted(
    x: Wide,
    units: Wide,
    enter: Wide,
    enter_ends: Wide,
    middle: Wide,
    middle_ends: Wide,
    leave: Wide,
    leave_ends: Wide,
    group: int,
    period: int,
) -> None:
    """See `made.Flow.inverse`: one step's shifts are added to x (size, lanes), one after the other, on a cyclic grid.

    units: see `made.Made.ends`. What a unit does not see has weight 0, so that blocks may reach beyond it.
    """
    size, lanes = x.shape
    known, shift = np.zeros((enter.shape[1], lanes), np.int32), np.empty((leave.shape[0], lanes), np.int32)
    first, second = np.zeros((len(middle), lanes), np.int32), np.zeros((len(middle), lanes), np.int32)
    total, sums = np.empty((len(middle), lanes), np.int64), np.empty((len(middle), lanes), np.int32)
    for i in range(size):
        row = i // BLOCK * BLOCK
        seen = -(-units[i] // BLOCK) * BLOCK
        _rows(shift, second[:seen], leave, leave_ends, row, row + BLOCK, group, total, sums)
        for j in range(lanes):
            known[i, j] = (x[i, j] + shift[i, j] + period // 2) % period - period // 2
        begin, end = units[i] // BLOCK * BLOCK, -(-units[i + 1] // BLOCK) * BLOCK
        if units[i + 1] > units[i]:
            inputs = -(-(i + 1) // BLOCK) * BLOCK
            _rows(first, known[:inputs], enter, enter_ends, begin, end, group, total, sums)
            _rows(second, first[:end], middle, middle_ends, begin, end, group, total, sums)
    x[:, :] = known[:size]
