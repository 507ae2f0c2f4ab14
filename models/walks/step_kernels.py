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
from vlcodec.models.layers.causal_pixels import COLOURS
from vlcodec.models.walks.net_kernels import (
    MEAN_FINE,
    SIDE,
    State,
    first_row,
    head_at,
    last_row,
    leave_at,
    observe_at,
    trunk_at,
)
from vlcodec.models.walks.packed import Packed
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
    components, first = state.logit.shape[1], first_row(step, state.width)
    for i in range(n):
        row = first + i
        column = step - 2 * row
        told, base = state.params[i], state.base[i]
        share = told[3 * components :]
        mean = MEAN_FINE * np.int64(state.fz[row * state.width + column, c])
        moved = share[c] * (mean - base[c])
        for j in range(c):
            moved += share[j] * (FINE * state.known[i, j] - base[j])
        middle = base[c] + (moved + (1 << SHARE_SHIFT - 1) >> SHARE_SHIFT)
        for k in range(components):
            state.logit[i, k], state.scale[i, k] = told[k], told[2 * components + k]
        if state.correction.shape[1]:
            which, likeliest = 0, likeliest_of(state.logit[i])
            for edge in state.edges:
                which += state.scale[i, likeliest] >= edge
            weights, total, at = state.correction[c, which], 0, 0
            for t in range(len(net.first_taps)):
                near = state.errors[SIDE + row + net.first_taps[t, 0], SIDE + column + net.first_taps[t, 1]]
                for j in range(len(near)):
                    total += weights[at] * near[j]
                    at += 1
            for j in range(c):
                total += weights[at + j] * state.missed[i, j]
            state.move[i] = total + (1 << MOVE_SHIFT - 1) >> MOVE_SHIFT
            middle += state.move[i]
        for k in range(components):
            state.centre[i, k] = middle + told[components + k]
        if state.guide:
            guide_row(state.logit[i], state.centre[i], state.scale[i], mean, state.guide, tables.variances)
        weight_row(state.weight[i], state.logit[i], tables.exponentials)


@part
def count_row(state: State, tables: Tables, i: int, first: int, width: int, counts: NDArray[np.float32]) -> None:
    """A position's counts (16,) of the digit whose values are so many levels wide, from a level on."""
    row = state.digit
    weight, centre, scale = state.weight, state.centre, state.scale
    mixture_row(row, first, width, i, weight, centre, scale, FLOOR_SHIFT, tables.slopes, tables.sigmoids)
    scale_row(row)
    for a in range(DIGIT):
        counts[a] = row[a]


@passage
def draw_at(state: State, tables: Tables, band: Band, c: int, step: int, n: int, colours: int) -> None:
    """A channel's values: see `tables.DrawnMixture`."""
    first = first_row(step, state.width)
    for i in range(n):
        at = ((first + i) * state.width + step - 2 * (first + i)) * colours + c
        word = np.int64(band.words[at] >> np.uint64(64 - CDF_BITS))
        drawn = TAIL + (word * (SPAN - 2 * TAIL) >> CDF_BITS)
        band.symbols[at] = inverse_of(
            drawn, state.weight[i], state.centre[i], state.scale[i], tables.slopes, tables.sigmoids
        )
        state.known[i, c] = band.symbols[at] + LOWEST


@passage
def keep_at(net: Packed, state: State, band: Band, c: int, step: int, n: int) -> None:
    """Keep a channel's parameters and base; its values are those of the band."""
    first = first_row(step, state.width)
    for i in range(n):
        at = (first + i) * state.width + step - 2 * (first + i)
        state.known[i, c] = band.known[at, c]
        if first + i < state.skipped:
            continue
        band.scales[at, c] = state.scale[i, likeliest_of(state.logit[i])]
        for j in range(COLOURS):
            band.base[at, j] = state.base[i, j]
        for j in range(net.counts[c]):
            band.told[at, c, j] = state.params[i, j]


@passage
def recall_at(net: Packed, state: State, band: Band, c: int, step: int, n: int, colours: int) -> None:
    """What a walk that saw has kept of a channel at a step: parameters, base, values, and errors so far known."""
    first = first_row(step, state.width)
    for i in range(n):
        row = first + i
        column = step - 2 * row
        at = row * state.width + column
        for j in range(COLOURS):
            state.base[i, j], state.known[i, j] = band.base[at, j], band.known[at, j]
        for j in range(colours):
            state.missed[i, j] = state.errors[SIDE + row, SIDE + column, j]
        for j in range(net.counts[c]):
            state.params[i, j] = band.told[at, c, j]


@passage
def tell_at(state: State, tables: Tables, band: Band, c: int, n: int) -> None:
    """Both digits' counts of a channel's known values, and its mixtures."""
    for i in range(n):
        for k in range(state.logit.shape[1]):
            band.mixtures[c, 0, i, k], band.mixtures[c, 1, i, k] = state.logit[i, k], state.centre[i, k]
            band.mixtures[c, 2, i, k] = state.scale[i, k]
        count_row(state, tables, i, 0, DIGIT, band.counts[c, 0, i])
        count_row(state, tables, i, (state.known[i, c] - LOWEST) // DIGIT * DIGIT, 1, band.counts[c, 1, i])


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
                for i in range(n):
                    count_row(state, tables, i, 0, DIGIT, state.counts[i])
            elif why == SEE:
                keep_at(net, state, band, c, step, n)
            else:
                draw_at(state, tables, band, c, step, n, colours)
        before = step if n > 0 else before


@loop
def count_second(state: State, tables: Tables, digits: Ints) -> None:
    """Counts of the second digit, given the first (n,)."""
    for i in range(len(digits)):
        count_row(state, tables, i, digits[i] * DIGIT, 1, state.counts[i])
