"""The prior of a grid of latents, or of blocks of coefficients, at a wavefront's positions, compiled.

What is computed stands in `causal_latents`, `causal_blocks` and `masked`; these loops do the same integers, in float32,
from buffers as `wavefront.Skewed` has them. Inputs of 0, which most latents are, are passed over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.compiled import part, piece
from vlcodec.codec.coding.kernels import mixture_row, scale_row, weight_row
from vlcodec.codec.coding.units import FLOOR_SHIFT
from vlcodec.codec.interface import Ints
from vlcodec.models.compiled.front_kernels import first_row, last_row
from vlcodec.models.layers.activations import ACTIVATION_MAX, STREAM_MAX, UNIT
from vlcodec.models.layers.causal_blocks import AFAR, EXTENT_UNIT, LOGIT_MAX
from vlcodec.models.layers.causal_latents import SEEN_MAX
from vlcodec.models.walks.wavefront import TOP

DIGIT = 16  # values of a digit
LEAST, MOST, ZERO = np.float32(-STREAM_MAX), np.float32(STREAM_MAX), np.float32(0)
ACTIVE, SEEN, FLAG = np.float32(ACTIVATION_MAX), np.float32(SEEN_MAX), np.float32(UNIT)
EXTENT = np.float32(EXTENT_UNIT)
Reals = NDArray[np.float32]
Doubles = NDArray[np.float64]


class Dense(NamedTuple):
    """A layer, or several of one shape (first axes): weight (inputs, outputs), bias and multiplier (outputs,)."""

    weight: Reals
    bias: Reals
    multiplier: Reals


class Prior(NamedTuple):
    """A frozen net. taps: (taps, 2) of the first layer, of the near ones, and of the predictor.

    first, near: weights (taps, inputs, outputs); own: (own, channels) the first layer's of what stands beside. hidden,
    params: of each group; inputs that a group does not have are 0. low, high: (groups, outputs) of the parameters.
    told: (groups, outputs of hidden) what an extent adds there; of latents, which have none, it is empty, as are the
    layers that end in the extents' logits.
    """

    first_taps: Ints
    near_taps: Ints
    large_taps: Ints
    first: Dense
    own: Reals
    near: Dense
    out: Dense
    hidden: Dense
    params: Dense
    low: Reals
    high: Reals
    predictor: Doubles
    predictor_bias: Doubles
    predictor_multiplier: Doubles
    told: Reals
    extent_hidden: Dense
    extent_logits: Dense


class State(NamedTuple):
    """A walk: buffers of the last steps (slots, TOP + rows, channels), and values at a step's positions.

    own: (1 or all positions, channels) sums of what stands beside. z: (rows, latents) in 1/32 step. extent: (rows,)
    groups that are coded, and logits of it (rows, extents). base: (rows, large). Mixtures (rows group, K), and counts
    (rows group, 16) of a digit, of the rows that have a group.
    """

    height: int
    width: int
    own: Reals
    past: Reals
    near: Reals
    large: Reals
    stream: Reals
    top: Reals
    row: Reals
    between: Reals
    told: Reals
    z: Reals
    extent: Ints
    extent_logits: Ints
    base: Ints
    logit: Ints
    centre: Ints
    scale: Ints
    weight: Ints
    counts: Reals
    digit: Ints


class Tables(NamedTuple):
    """See codec.coding.units."""

    exponentials: Ints
    slopes: Ints
    sigmoids: Ints


@part
def add_row(row: Reals, x: Reals, weight: Reals) -> None:
    """row += x weight, of x (inputs,); four at a time, so that a row's sums are fetched and put back less often."""
    fours = len(x) // 4 * 4
    for k in range(0, fours, 4):
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        if a != ZERO or b != ZERO or c != ZERO or d != ZERO:
            one, two, three, four = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            for j in range(len(row)):
                row[j] += a * one[j] + b * two[j] + c * three[j] + d * four[j]
    for k in range(fours, len(x)):
        value = x[k]
        if value != ZERO:
            seen = weight[k]
            for j in range(len(row)):
                row[j] += value * seen[j]


@part
def requantise(row: Reals, bias: Reals, multiplier: Reals, low: np.float32, high: np.float32) -> None:
    """Sums -> outputs, in place."""
    for j in range(len(row)):
        row[j] = min(max(np.rint((row[j] + bias[j]) * multiplier[j]), low), high)


@piece
def advance_step(net: Prior, state: State, step: int) -> None:
    """The trunk at a step's positions, into `state.top`; what is foretold of the large latents, into `state.base`."""
    slots, layers, channels = len(state.past), len(state.near), state.stream.shape[1]
    first, last, width, now = first_row(step, state.width), last_row(step, state.height), state.width, step % slots
    past, near, large, row, between = state.past, state.near, state.large, state.row, state.between
    past[now] = ZERO
    large[now] = ZERO
    state.z[:] = ZERO
    for layer in range(layers):
        near[layer, now] = ZERO
    for i in range(last - first):
        at, stream = TOP + first + i, state.stream[i]
        index = (first + i) * width + step - 2 * (first + i)
        stream[:] = ZERO
        for t in range(len(net.first_taps)):
            down, aside = net.first_taps[t]
            add_row(stream, past[(step + 2 * down + aside) % slots, at + down], net.first.weight[t])
        for j in range(channels):
            stream[j] += state.own[min(index, len(state.own) - 1), j]
        requantise(stream, net.first.bias, net.first.multiplier, LEAST, MOST)
        for layer in range(layers):
            for j in range(channels):
                near[layer, now, at, j] = min(max(stream[j], ZERO), ACTIVE)
            row[:] = ZERO
            for t in range(len(net.near_taps)):
                down, aside = net.near_taps[t]
                add_row(row, near[layer, (step + 2 * down + aside) % slots, at + down], net.near.weight[layer, t])
            requantise(row, net.near.bias[layer], net.near.multiplier[layer], ZERO, ACTIVE)
            between[:channels] = ZERO
            add_row(between[:channels], row, net.out.weight[layer])
            requantise(between[:channels], net.out.bias[layer], net.out.multiplier[layer], LEAST, MOST)
            for j in range(channels):
                stream[j] += between[j]
        for j in range(channels):
            state.top[i, j] = min(max(stream[j], ZERO), ACTIVE)
        for a in range(state.base.shape[1]):
            total = net.predictor_bias[a]
            for t in range(len(net.large_taps)):
                down, aside = net.large_taps[t]
                seen = large[(step + 2 * down + aside) % slots, at + down]
                for k in range(len(seen)):
                    total += np.float64(seen[k]) * net.predictor[t, k, a]
            foretold = np.rint(total * net.predictor_multiplier[a])
            state.base[i, a] = np.int64(min(max(foretold, np.float64(LEAST)), np.float64(MOST)))


@piece
def extents_of_step(net: Prior, state: State, step: int) -> None:
    """Logits of the extents at a step's positions."""
    hidden, most = state.between[: net.extent_hidden.bias.shape[0]], np.float32(LOGIT_MAX)
    logits = state.told[: net.extent_logits.bias.shape[0]]
    for i in range(last_row(step, state.height) - first_row(step, state.width)):
        hidden[:] = ZERO
        add_row(hidden, state.top[i], net.extent_hidden.weight)
        requantise(hidden, net.extent_hidden.bias, net.extent_hidden.multiplier, ZERO, ACTIVE)
        logits[:] = ZERO
        add_row(logits, hidden, net.extent_logits.weight)
        requantise(logits, net.extent_logits.bias, net.extent_logits.multiplier, -most, most)
        for k in range(len(logits)):
            state.extent_logits[i, k] = np.int64(logits[k])


@part
def count_at(state: State, tables: Tables, at: int, first: int, width: int) -> None:
    """Counts of the digit whose values are so many levels wide, from a level on."""
    row = state.digit
    mixture_row(
        row, first, width, at, state.weight, state.centre, state.scale, FLOOR_SHIFT, tables.slopes, tables.sigmoids
    )
    scale_row(row)
    for a in range(DIGIT):
        state.counts[at, a] = row[a]


@piece
def head_of_group(net: Prior, state: State, tables: Tables, group: int, step: int) -> None:
    """A group's mixtures at those of a step's positions that have it, and counts of the first digit."""
    n = last_row(step, state.height) - first_row(step, state.width)
    channels, components = state.top.shape[1], state.logit.shape[1]
    size = net.params.bias.shape[1] // (3 * components)  # latents
    hidden, told, m = state.between[: net.hidden.bias.shape[1]], state.told[: net.params.bias.shape[1]], 0
    for i in range(n):
        if state.extent[i] <= group:
            continue
        hidden[:] = ZERO
        add_row(hidden, state.top[i], net.hidden.weight[group, :channels])
        for k in range(group * size):
            value = min(max(state.z[i, k], -SEEN), SEEN)
            if value != ZERO:
                seen = net.hidden.weight[group, channels + k]
                for j in range(len(hidden)):
                    hidden[j] += value * seen[j]
        if len(net.told):
            for j in range(len(hidden)):
                hidden[j] += EXTENT * np.float32(state.extent[i]) * net.told[group, j]
        requantise(hidden, net.hidden.bias[group], net.hidden.multiplier[group], ZERO, ACTIVE)
        told[:] = ZERO
        add_row(told, hidden, net.params.weight[group])
        for j in range(len(told)):
            value = np.rint((told[j] + net.params.bias[group, j]) * net.params.multiplier[group, j])
            told[j] = min(max(value, net.low[group, j]), net.high[group, j])
        for a in range(size):
            at, start = m * size + a, 3 * components * a
            moved = state.base[i, a] if group == 0 and a < state.base.shape[1] else 0
            for k in range(components):
                state.logit[at, k] = np.int64(told[start + k])
                state.centre[at, k] = np.int64(told[start + components + k]) + moved
                state.scale[at, k] = np.int64(told[start + 2 * components + k])
            weight_row(state.weight[at], state.logit[at], tables.exponentials)
            count_at(state, tables, at, 0, DIGIT)
        m += 1


@piece
def leave_step(net: Prior, state: State, step: int) -> None:
    """Keep what later positions see of a step's latents: see `LatentPrior.past` and `BlockPrior.past`."""
    slots, latents, large = len(state.past), state.z.shape[1], state.base.shape[1]
    first, now = first_row(step, state.width), step % slots
    for i in range(last_row(step, state.height) - first):
        seen, z = state.past[now, TOP + first + i], state.z[i]
        for k in range(latents):
            seen[k] = min(max(z[k], -SEEN), SEEN)
        for k in range(large):
            seen[latents + k] = min(max(np.rint(z[k] / np.float32(AFAR)), -SEEN), SEEN)
            state.large[now, TOP + first + i, k] = z[k]
        if len(net.told):
            seen[latents + large] = EXTENT * np.float32(state.extent[i])
        seen[-1] = FLAG
