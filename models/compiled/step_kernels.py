"""A band's walk, compiled: at each step the network, its mixtures, and the tables or the draws of their symbols.

What is computed stands in `pixel_block`, `correction` and `tables`; these loops do the same integers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.compiled import loop, part, passage
from vlcodec.codec.coding.kernels import guide_row, inverse_of, mixture_row, scale_row, weight_row
from vlcodec.codec.coding.units import CDF_BITS, FINE, FLOOR_SHIFT, LOWEST, SPAN, TAIL
from vlcodec.codec.interface import Ints
from vlcodec.models.compiled.front_kernels import first_row, last_row
from vlcodec.models.compiled.net_kernels import (
    MEAN_FINE,
    SIDE,
    State,
    head_at,
    leave_at,
    observe_at,
    trunk_at,
)
from vlcodec.models.compiled.packed import Packed
from vlcodec.models.layers.causal_pixels import COLOURS
from vlcodec.models.walks.units import MOVE_SHIFT, SHARE_SHIFT

DIGIT = 16  # values of a digit
COUNT, DRAW, SEE, TELL = range(4)  # what a walk is for


class Tables(NamedTuple):
    """See codec.coding.units."""

    exponentials: Ints
    slopes: Ints
    sigmoids: Ints
    variances: Ints


class Band(NamedTuple):
    """Values at all positions of a band, those that a walk is for.

    DRAW: words of noise and symbols (rows W colours,). SEE, from known (rows W, 3): told (rows W, colours, parameters),
    base (rows W, 3), scales of likeliest components (rows W, colours). TELL, from known, told and base: counts
    (colours, 2, rows, 16) of a step's digits, mixtures (colours, 3, rows, K): logits, centres, scales.
    """

    known: NDArray[np.int16]
    told: NDArray[np.int16]
    base: NDArray[np.int16]
    scales: NDArray[np.int16]
    words: NDArray[np.uint64]
    symbols: Ints
    counts: NDArray[np.float32]
    mixtures: Ints


@part
def likeliest_of(logit: Ints) -> int:
    """Of components (K,), the first of equals."""
    likeliest = 0
    for k in range(1, len(logit)):
        likeliest = k if logit[k] > logit[likeliest] else likeliest
    return likeliest


@passage
def mixture_at(net: Packed, state: State, tables: Tables, c: int, step: int, n: int) -> None:
    """A channel's mixtures, from its parameters: corrected, and guided, as the band has it."""
    logit, centre, scale, weight, move = state.logit, state.centre, state.scale, state.weight, state.move
    params, base, known, missed, errors = state.params, state.base, state.known, state.missed, state.errors
    correction, edges, maps, width, guide = state.correction, state.edges, state.fz, state.width, state.guide
    taps, exponentials, variances = net.first_taps, tables.exponentials, tables.variances
    components, first = logit.shape[1], first_row(step, width)
    for i in range(n):
        row = first + i
        column = step - 2 * row
        told = params[i]
        share = told[3 * components :]
        mean = MEAN_FINE * np.int64(maps[row * width + column, c])
        moved = share[c] * (mean - base[i, c])
        for j in range(c):
            moved += share[j] * (FINE * known[i, j] - base[i, j])
        middle = base[i, c] + (moved + (1 << SHARE_SHIFT - 1) >> SHARE_SHIFT)
        for k in range(components):
            logit[i, k], scale[i, k] = told[k], told[2 * components + k]
        if correction.shape[1]:
            which, likeliest = 0, likeliest_of(logit[i])
            for edge in edges:
                which += scale[i, likeliest] >= edge
            weights, total, at = correction[c, which], 0, 0
            for t in range(len(taps)):
                near = errors[SIDE + row + taps[t, 0], SIDE + column + taps[t, 1]]
                for j in range(len(near)):
                    total += weights[at] * near[j]
                    at += 1
            for j in range(c):
                total += weights[at + j] * missed[i, j]
            move[i] = total + (1 << MOVE_SHIFT - 1) >> MOVE_SHIFT
            middle += move[i]
        for k in range(components):
            centre[i, k] = middle + told[components + k]
        if guide:
            guide_row(logit[i], centre[i], scale[i], mean, guide, variances)
        weight_row(weight[i], logit[i], exponentials)


@part
def count_row(
    row: Ints, first: int, width: int, i: int, weight: Ints, centre: Ints, scale: Ints, slopes: Ints, sigmoids: Ints,
    counts: NDArray[np.float32],
) -> None:  # fmt: skip
    """Mixture i's counts (16,) of the digit whose values are so many levels wide, from a level on."""
    mixture_row(row, first, width, i, weight, centre, scale, FLOOR_SHIFT, slopes, sigmoids)
    scale_row(row)
    for a in range(DIGIT):
        counts[a] = row[a]


@passage
def count_at(state: State, tables: Tables, n: int) -> None:
    """Counts of a channel's first digit."""
    row, weight, centre, scale, counts = state.digit, state.weight, state.centre, state.scale, state.counts
    slopes, sigmoids = tables.slopes, tables.sigmoids
    for i in range(n):
        count_row(row, 0, DIGIT, i, weight, centre, scale, slopes, sigmoids, counts[i])


@passage
def draw_at(state: State, tables: Tables, band: Band, c: int, step: int, n: int, colours: int) -> None:
    """A channel's values: see `tables.DrawnMixture`."""
    weight, centre, scale, known = state.weight, state.centre, state.scale, state.known
    words, symbols, slopes, sigmoids = band.words, band.symbols, tables.slopes, tables.sigmoids
    first, width = first_row(step, state.width), state.width
    for i in range(n):
        at = ((first + i) * width + step - 2 * (first + i)) * colours + c
        word = np.int64(words[at] >> np.uint64(64 - CDF_BITS))
        drawn = TAIL + (word * (SPAN - 2 * TAIL) >> CDF_BITS)
        symbols[at] = inverse_of(drawn, weight[i], centre[i], scale[i], slopes, sigmoids)
        known[i, c] = symbols[at] + LOWEST


@passage
def keep_at(net: Packed, state: State, band: Band, c: int, step: int, n: int) -> None:
    """Keep a channel's parameters and base; its values are those of the band."""
    first, width, skipped, count = first_row(step, state.width), state.width, state.skipped, net.counts[c]
    known, base, params, logit, scale = state.known, state.base, state.params, state.logit, state.scale
    values, told, bases, scales = band.known, band.told, band.base, band.scales
    for i in range(n):
        at = (first + i) * width + step - 2 * (first + i)
        known[i, c] = values[at, c]
        if first + i < skipped:
            continue
        scales[at, c] = scale[i, likeliest_of(logit[i])]
        for j in range(COLOURS):
            bases[at, j] = base[i, j]
        for j in range(count):
            told[at, c, j] = params[i, j]


@passage
def recall_at(net: Packed, state: State, band: Band, c: int, step: int, n: int, colours: int) -> None:
    """What a walk that saw has kept of a channel at a step: parameters, base, values, and errors so far known."""
    first, width, count = first_row(step, state.width), state.width, net.counts[c]
    known, base, params, missed, errors = state.known, state.base, state.params, state.missed, state.errors
    values, told, bases = band.known, band.told, band.base
    for i in range(n):
        row = first + i
        column = step - 2 * row
        at = row * width + column
        for j in range(COLOURS):
            base[i, j], known[i, j] = bases[at, j], values[at, j]
        for j in range(colours):
            missed[i, j] = errors[SIDE + row, SIDE + column, j]
        for j in range(count):
            params[i, j] = told[at, c, j]


@passage
def tell_at(state: State, tables: Tables, band: Band, c: int, n: int) -> None:
    """Both digits' counts of a channel's known values, and its mixtures."""
    row, weight, centre, scale, known = state.digit, state.weight, state.centre, state.scale, state.known
    logit, slopes, sigmoids, counts, mixtures = state.logit, tables.slopes, tables.sigmoids, band.counts, band.mixtures
    for i in range(n):
        for k in range(logit.shape[1]):
            mixtures[c, 0, i, k], mixtures[c, 1, i, k] = logit[i, k], centre[i, k]
            mixtures[c, 2, i, k] = scale[i, k]
        second = (known[i, c] - LOWEST) // DIGIT * DIGIT
        count_row(row, 0, DIGIT, i, weight, centre, scale, slopes, sigmoids, counts[c, 0, i])
        count_row(row, second, 1, i, weight, centre, scale, slopes, sigmoids, counts[c, 1, i])


@loop
def walk(
    net: Packed, state: State, tables: Tables, band: Band, before: int, start: int, stop: int, channel: int,
    colours: int, why: int,
) -> None:  # fmt: skip
    """Go through steps; before: the last step with positions before the first, or -1.

    SEE, DRAW and TELL walk all channels of each. COUNT makes counts of the first digit of one channel of one step, and
    what was known last is in `state.known`. SEE ends with a step that has no positions.
    """
    for step in range(start, stop):
        n = last_row(step, state.height) - first_row(step, state.width)
        for c in range(channel, channel + 1 if why == COUNT else colours):
            at = before if c == 0 else step
            if why != TELL and at >= 0 and (n > 0 or c == 0):
                observe_at(net, state, (c - 1) % colours, last_row(at, state.height) - first_row(at, state.width))
                if c == 0:
                    leave_at(net, state, at, colours)
                    before = -1
            if n <= 0:
                continue
            if why == TELL:
                recall_at(net, state, band, c, step, n, colours)
            else:
                if c == 0:
                    trunk_at(net, state, step)
                head_at(net, state, c, n)
            mixture_at(net, state, tables, c, step, n)
            if why == TELL:
                tell_at(state, tables, band, c, n)
            elif why == COUNT:
                count_at(state, tables, n)
            elif why == SEE:
                keep_at(net, state, band, c, step, n)
            else:
                draw_at(state, tables, band, c, step, n, colours)
        before = step if n > 0 else before


@loop
def count_second(state: State, tables: Tables, digits: Ints) -> None:
    """Counts of the second digit, given the first (n,)."""
    row, weight, centre, scale, counts = state.digit, state.weight, state.centre, state.scale, state.counts
    slopes, sigmoids = tables.slopes, tables.sigmoids
    for i in range(len(digits)):
        count_row(row, digits[i] * DIGIT, 1, i, weight, centre, scale, slopes, sigmoids, counts[i])
