"""The 8-bit pixel network at a wavefront's positions, compiled.

What is computed stands in `causal_pixels` and `masked`; these loops do the same integers from buffers as
`wavefront.Skewed` has them, activations in [0, 255] and `past` 128 larger, as bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.compiled import part, passage, piece
from vlcodec.codec.coding.units import FINE, WEIGHT_BITS
from vlcodec.codec.interface import Ints
from vlcodec.models.layers.activations import STREAM_MAX, UNIT
from vlcodec.models.layers.carriers import MIDDLE
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, SQUASH_HALF
from vlcodec.models.walks.packed import OUTPUTS, Dense, Packed, Signed
from vlcodec.models.walks.tiles import BYTE_MAX, ROWS, SHRINK, tile
from vlcodec.models.walks.units import ERROR_MAX, ERROR_SHIFT
from vlcodec.models.walks.wavefront import TOP

MEAN_FINE = FINE // MEAN_UNIT
PREDICTED = 8191  # |base|
SIDE = 2  # empty columns beside the errors
LEAST, MOST, ZERO = np.float32(-STREAM_MAX), np.float32(STREAM_MAX), np.float32(0)
BYTE, SHRUNK = np.float32(BYTE_MAX), np.float32(SHRINK)
BYTES_OUT, WHOLE_OUT = OUTPUTS, 4 * OUTPUTS  # bytes of a tile's row
_SUMS, _LAST_SUMS = tile(ROWS, "sums"), tile(1, "sums")
_BYTES, _LAST_BYTES = tile(ROWS, "bytes"), tile(1, "bytes")
_STREAM, _LAST_STREAM = tile(ROWS, "stream"), tile(1, "stream")


class State(NamedTuple):
    """A walk over a band: buffers of the last steps (slots, TOP + rows, channels), and values at a step's positions.

    fz: (rows W, 3 + features). known: (rows, 3) values; counts: (rows, 16) of a digit. errors: (2 + rows, W + 4,
    colours), without channels where nobody asks; missed: (rows, 3) those of the step. correction: (3, classes, 35)
    weights, no classes where there is none; edges: (classes - 1,). digit: (17,) cdf at a digit's edges. guide:
    variance, 0 where nothing is drawn. skipped: first rows that nothing is kept of. params: (rows, 32), mixtures
    (rows, K).
    """

    height: int
    width: int
    skipped: int
    guide: int
    fz: NDArray[np.int16]
    x: NDArray[np.int32]
    past: NDArray[np.uint8]
    near: NDArray[np.uint8]
    stream: NDArray[np.float32]
    activation: NDArray[np.uint8]
    between: NDArray[np.uint8]
    sums: NDArray[np.int32]
    told: NDArray[np.int32]
    own: NDArray[np.float32]
    row: NDArray[np.float32]
    bases: Ints
    base: Ints
    known: Ints
    seen: Ints
    params: Ints
    logit: Ints
    centre: Ints
    scale: Ints
    weight: Ints
    move: Ints
    counts: NDArray[np.float32]
    errors: NDArray[np.int16]
    missed: Ints
    correction: Ints
    edges: Ints
    digit: Ints


@part
def first_row(step: int, width: int) -> int:
    """See `wavefront.front`."""
    return max(0, (step - width + 2) // 2)


@part
def last_row(step: int, height: int) -> int:
    """See `wavefront.front`."""
    return min(height - 1, step // 2) + 1


@part
def addresses(layer: Dense, j: int) -> tuple[int, int, int]:
    """Of a tile's weight, bias and multiplier."""
    return layer.weight[j].ctypes.data, layer.bias[j].ctypes.data, layer.multiplier[j].ctypes.data


@piece
def to_sums(layer: Dense, bases: Ints, taps: int, stride: int, n: int, out: NDArray[np.int32]) -> None:
    """(n, outputs) sums of a layer, bias included."""
    quads, step, whole = layer.weight.shape[1] // taps, 4 * out.shape[1], n - n % ROWS
    for first in range(0, n, ROWS):
        for j in range(len(layer.weight)):
            weight, bias, _ = addresses(layer, j)
            to = out.ctypes.data + j * WHOLE_OUT
            if first < whole:
                _SUMS(bases.ctypes.data, taps, first, stride, quads, weight, bias, 0, to, step, 0, 0)
            else:
                for row in range(first, n):
                    _LAST_SUMS(bases.ctypes.data, taps, row, stride, quads, weight, bias, 0, to, step, 0, 0)


@piece
def to_bytes(layer: Dense, bases: Ints, taps: int, stride: int, n: int, out: NDArray[np.uint8]) -> None:
    """(n, outputs) activations of a layer."""
    quads, step, whole = layer.weight.shape[1] // taps, out.shape[1], n - n % ROWS
    for first in range(0, n, ROWS):
        for j in range(len(layer.weight)):
            weight, bias, scale = addresses(layer, j)
            to = out.ctypes.data + j * BYTES_OUT
            if first < whole:
                _BYTES(bases.ctypes.data, taps, first, stride, quads, weight, bias, scale, to, step, 0, 0)
            else:
                for row in range(first, n):
                    _LAST_BYTES(bases.ctypes.data, taps, row, stride, quads, weight, bias, scale, to, step, 0, 0)


@piece
def to_stream(
    layer: Dense, bases: Ints, stride: int, n: int, stream: NDArray[np.float32], out: int
) -> None:
    """Add (n, outputs) of a 1x1 layer to a stream, whose activations go to an address."""
    quads, step, whole = layer.weight.shape[1], 4 * stream.shape[1], n - n % ROWS
    for first in range(0, n, ROWS):
        for j in range(len(layer.weight)):
            weight, bias, scale = addresses(layer, j)
            to, kept = out + j * BYTES_OUT, stream.ctypes.data + j * WHOLE_OUT
            if first < whole:
                _STREAM(bases.ctypes.data, 1, first, stride, quads, weight, bias, scale, to, stride, kept, step)
            else:
                for row in range(first, n):
                    _LAST_STREAM(bases.ctypes.data, 1, row, stride, quads, weight, bias, scale, to, stride, kept, step)


@part
def squashed(table: Signed, value: int) -> int:
    """See `causal_pixels.Squash`; of a value in 1/32 level."""
    return int(table[min(max(value, -SQUASH_HALF), SQUASH_HALF) + SQUASH_HALF])


@part
def rounded(value: Any, low: Any, high: Any) -> Any:
    """Half to even, clamped."""
    return min(max(np.rint(value), low), high)


@passage
def clear(state: State, step: int) -> None:
    """Let the slots of a step stand for 0, and those of a step without positions before it."""
    skipped = first_row(step - 1, state.width) >= last_row(step - 1, state.height)
    for now in range(step - skipped, step + 1):
        slots = len(state.x)
        before = now - slots
        if before >= 0:
            a, b = TOP + first_row(before, state.width), TOP + last_row(before, state.height)
            state.x[now % slots, a:b] = 0
            state.past[now % slots, a:b] = MIDDLE
        slots = state.near.shape[1]
        before = now - slots
        if before >= 0:
            a, b = TOP + first_row(before, state.width), TOP + last_row(before, state.height)
            for layer in range(len(state.near)):
                state.near[layer, now % slots, a:b] = 0


@passage
def predict(net: Packed, state: State, step: int, first: int, n: int) -> None:
    """The base of each position, and what it sees of itself: see `PixelDecoder.own`."""
    features = state.fz.shape[1]
    for i in range(n):
        for c in range(COLOURS):
            state.base[i, c] = net.predictor_bias[c]
    for t in range(len(net.first_taps)):
        dr, dc = net.first_taps[t, 0], net.first_taps[t, 1]
        near, weight = state.x[(step + 2 * dr + dc) % len(state.x)], net.predictor[t * COLOURS : (t + 1) * COLOURS]
        for i in range(n):
            x = near[TOP + first + i + dr]
            for c in range(COLOURS):
                state.base[i, c] += x[0] * weight[0, c] + x[1] * weight[1, c] + x[2] * weight[2, c]
    for i in range(n):
        fz = state.fz[(first + i) * state.width + step - 2 * (first + i)]
        for k in range(features):
            state.own[i, k] = fz[k]
        for c in range(COLOURS):
            base = int(rounded(state.base[i, c] * net.predictor_multiplier[c], -PREDICTED, PREDICTED))
            state.base[i, c], state.own[i, features + c] = base, squashed(net.noise, MEAN_FINE * fz[c] - base)


@part
def at_taps(bases: Ints, taps: Ints, address: int, slots: int, rows: int, channels: int, step: int, first: int) -> None:
    """The address of each tap's first row in the buffer (slots, rows, channels) of bytes at an address."""
    for t in range(len(taps)):
        slot = (step + 2 * taps[t, 0] + taps[t, 1]) % slots
        bases[t] = address + (slot * rows + TOP + first + taps[t, 0]) * channels


@passage
def look_first(net: Packed, state: State, step: int, first: int, n: int) -> None:
    """The first layer: the stream, and its activations in the first near layer's buffer."""
    slots, rows, channels = state.past.shape
    at_taps(state.bases, net.first_taps, state.past.ctypes.data, slots, rows, channels, step, first)
    to_sums(net.first, state.bases, len(net.first_taps), channels, n, state.sums)
    now, y, multiplier = state.near[0, step % state.near.shape[1]], state.row, net.first.multiplier.reshape(-1)
    for i in range(n):
        for j in range(len(y)):
            y[j] = state.sums[i, j]
        for k in range(len(net.own)):
            seen, weight = state.own[i, k], net.own[k]
            for j in range(len(y)):
                y[j] += seen * weight[j]
        for j in range(len(y)):
            state.stream[i, j] = rounded(y[j] * multiplier[j], LEAST, MOST)
        for j in range(len(y)):
            now[TOP + first + i, j] = np.uint8(rounded(state.stream[i, j] * SHRUNK, ZERO, BYTE))


@passage
def trunk_at(net: Packed, state: State, step: int) -> None:
    """All of a step before its pixels: base, trunk, and the hidden layers' sums."""
    first = first_row(step, state.width)
    n = last_row(step, state.height) - first
    clear(state, step)
    predict(net, state, step, first, n)
    look_first(net, state, step, first, n)
    layers, slots, rows, channels = state.near.shape
    for i in range(layers):
        at_taps(state.bases, net.near_taps[i], state.near[i].ctypes.data, slots, rows, channels, step, first)
        near = Dense(net.near.weight[i], net.near.bias[i], net.near.multiplier[i])
        to_bytes(near, state.bases, net.near_taps.shape[1], channels, n, state.between)
        out = Dense(net.out.weight[i], net.out.bias[i], net.out.multiplier[i])
        to = state.activation.ctypes.data
        if i + 1 < layers:
            to = state.near[i + 1, step % slots, TOP + first].ctypes.data
        state.bases[0] = state.between.ctypes.data
        to_stream(out, state.bases, channels, n, state.stream, to)
    state.bases[0] = state.activation.ctypes.data
    to_sums(net.hidden, state.bases, 1, channels, n, state.sums)


@passage
def head_at(net: Packed, state: State, c: int, n: int) -> None:
    """A channel's parameters, told what the channels before it turned out to be."""
    hidden = net.seen.shape[2]
    multiplier = net.hidden.multiplier.reshape(-1)[c * hidden : (c + 1) * hidden]
    y = state.row[:hidden]
    for i in range(n):
        for j in range(hidden):
            y[j] = state.sums[i, c * hidden + j]
        for k in range(c):
            error, weight = np.float32(state.seen[i, k]), net.seen[c, k]
            for j in range(hidden):
                y[j] += error * weight[j]
        for j in range(hidden):
            state.between[i, j] = np.uint8(rounded(y[j] * multiplier[j], ZERO, BYTE))
    state.bases[0] = state.between.ctypes.data
    params = Dense(net.params.weight[c], net.params.bias[c], net.params.multiplier[c])
    to_sums(params, state.bases, 1, state.between.shape[1], n, state.told)
    multiplier = net.params.multiplier[c, 0]
    for i in range(n):
        for j in range(net.counts[c]):
            state.params[i, j] = int(rounded(state.told[i, j] * multiplier[j], net.low[c, j], net.high[c, j]))


@passage
def miss_at(state: State, c: int, n: int) -> None:
    """The errors of a channel's values: see `correction.error`."""
    for i in range(n):
        total = 0
        for k in range(state.weight.shape[1]):
            total += state.weight[i, k] * state.centre[i, k]
        mean = (total >> WEIGHT_BITS) - state.move[i]
        error = FINE * state.known[i, c] - mean + (1 << ERROR_SHIFT - 1) >> ERROR_SHIFT
        state.missed[i, c] = min(max(error, -ERROR_MAX), ERROR_MAX)


@passage
def observe_at(net: Packed, state: State, c: int, n: int) -> None:
    """What a channel's values say to the channels after it, and to the correction."""
    for i in range(n):
        state.seen[i, c] = squashed(net.colour, FINE * state.known[i, c] - state.base[i, c])
    if state.errors.shape[2]:
        miss_at(state, c, n)


@passage
def leave_at(net: Packed, state: State, step: int, colours: int) -> None:
    """Keep a step's pixels, and what later positions see of them: see `PixelDecoder.past`."""
    first = first_row(step, state.width)
    slots = len(state.x)
    now, left, up = state.x[step % slots], state.x[(step - 1) % slots], state.x[(step - 2) % slots]
    for i in range(last_row(step, state.height) - first):
        row = first + i
        column = step - 2 * row
        for c in range(colours, COLOURS):
            state.known[i, c] = state.known[i, 0]
        past = state.past[step % slots, TOP + row]
        for c in range(COLOURS):
            x = state.known[i, c]
            now[TOP + row, c] = x
            aside, above = FINE * (x - left[TOP + row, c]), FINE * (x - up[TOP + row - 1, c])
            mean = MEAN_FINE * np.int64(state.fz[row * state.width + column, c])
            past[c] = x + MIDDLE
            past[4 + c] = squashed(net.noise, aside) + MIDDLE
            past[7 + c] = squashed(net.noise, above) + MIDDLE
            past[10 + c] = squashed(net.edge, aside) + MIDDLE
            past[13 + c] = squashed(net.edge, above) + MIDDLE
            past[16 + c] = squashed(net.error, FINE * x - state.base[i, c]) + MIDDLE
            past[19 + c] = squashed(net.noise, FINE * x - mean) + MIDDLE
            if c < state.errors.shape[2]:
                state.errors[SIDE + row, SIDE + column, c] = state.missed[i, c]
        past[3] = UNIT + MIDDLE
