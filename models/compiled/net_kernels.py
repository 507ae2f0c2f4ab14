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
from vlcodec.models.compiled.front_kernels import first_row, last_row
from vlcodec.models.compiled.packed import OUTPUTS, Dense, Packed, Signed
from vlcodec.models.compiled.tiles import BYTE_MAX, ROWS, SHRINK, tile
from vlcodec.models.layers.activations import STREAM_MAX, UNIT
from vlcodec.models.layers.carriers import MIDDLE
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, SQUASH_HALF
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
    x, past, near, height, width = state.x, state.past, state.near, state.height, state.width
    slots, fewer = len(x), near.shape[1]
    skipped = first_row(step - 1, width) >= last_row(step - 1, height)
    for now in range(step - skipped, step + 1):
        if now >= slots:
            a, b = TOP + first_row(now - slots, width), TOP + last_row(now - slots, height)
            x[now % slots, a:b] = 0
            past[now % slots, a:b] = MIDDLE
        if now >= fewer:
            a, b = TOP + first_row(now - fewer, width), TOP + last_row(now - fewer, height)
            for layer in range(len(near)):
                near[layer, now % fewer, a:b] = 0


@passage
def predict(net: Packed, state: State, step: int, first: int, n: int) -> None:
    """The base of each position, and what it sees of itself: see `PixelDecoder.own`."""
    x, base, own, maps, taps = state.x, state.base, state.own, state.fz, net.first_taps
    width, features, bias, multiplier = state.width, maps.shape[1], net.predictor_bias, net.predictor_multiplier
    predictor, noise = net.predictor, net.noise
    for i in range(n):
        for c in range(COLOURS):
            base[i, c] = bias[c]
    for t in range(len(taps)):
        dr, dc = taps[t, 0], taps[t, 1]
        near, weight = x[(step + 2 * dr + dc) % len(x)], predictor[t * COLOURS : (t + 1) * COLOURS]
        for i in range(n):
            seen = near[TOP + first + i + dr]
            for c in range(COLOURS):
                base[i, c] += seen[0] * weight[0, c] + seen[1] * weight[1, c] + seen[2] * weight[2, c]
    for i in range(n):
        fz = maps[(first + i) * width + step - 2 * (first + i)]
        for k in range(features):
            own[i, k] = fz[k]
        for c in range(COLOURS):
            found = int(rounded(base[i, c] * multiplier[c], -PREDICTED, PREDICTED))
            base[i, c], own[i, features + c] = found, squashed(noise, MEAN_FINE * fz[c] - found)


@part
def at_taps(bases: Ints, taps: Ints, address: int, slots: int, rows: int, channels: int, step: int, first: int) -> None:
    """The address of each tap's first row in the buffer (slots, rows, channels) of bytes at an address."""
    for t in range(len(taps)):
        slot = (step + 2 * taps[t, 0] + taps[t, 1]) % slots
        bases[t] = address + (slot * rows + TOP + first + taps[t, 0]) * channels


@passage
def look_first(net: Packed, state: State, step: int, first: int, n: int) -> None:
    """The first layer: the stream, and its activations in the first near layer's buffer."""
    past, bases, sums, own, y, stream = state.past, state.bases, state.sums, state.own, state.row, state.stream
    taps, layer, beside = net.first_taps, net.first, net.own
    slots, rows, channels = past.shape
    at_taps(bases, taps, past.ctypes.data, slots, rows, channels, step, first)
    to_sums(layer, bases, len(taps), channels, n, sums)
    now, multiplier = state.near[0, step % state.near.shape[1]], layer.multiplier.reshape(-1)
    for i in range(n):
        for j in range(len(y)):
            y[j] = sums[i, j]
        for k in range(len(beside)):
            seen, weight = own[i, k], beside[k]
            for j in range(len(y)):
                y[j] += seen * weight[j]
        for j in range(len(y)):
            stream[i, j] = rounded(y[j] * multiplier[j], LEAST, MOST)
        for j in range(len(y)):
            now[TOP + first + i, j] = np.uint8(rounded(stream[i, j] * SHRUNK, ZERO, BYTE))


@passage
def trunk_at(net: Packed, state: State, step: int) -> None:
    """All of a step before its pixels: base, trunk, and the hidden layers' sums."""
    first = first_row(step, state.width)
    n = last_row(step, state.height) - first
    clear(state, step)
    predict(net, state, step, first, n)
    look_first(net, state, step, first, n)
    buffer, bases, between, activation, stream = state.near, state.bases, state.between, state.activation, state.stream
    near, out, taps = net.near, net.out, net.near_taps
    layers, slots, rows, channels = buffer.shape
    for i in range(layers):
        at_taps(bases, taps[i], buffer[i].ctypes.data, slots, rows, channels, step, first)
        to_bytes(Dense(near.weight[i], near.bias[i], near.multiplier[i]), bases, taps.shape[1], channels, n, between)
        to = activation.ctypes.data
        if i + 1 < layers:
            to = buffer[i + 1, step % slots, TOP + first].ctypes.data
        bases[0] = between.ctypes.data
        to_stream(Dense(out.weight[i], out.bias[i], out.multiplier[i]), bases, channels, n, stream, to)
    bases[0] = activation.ctypes.data
    to_sums(net.hidden, bases, 1, channels, n, state.sums)


@passage
def head_at(net: Packed, state: State, c: int, n: int) -> None:
    """A channel's parameters, told what the channels before it turned out to be."""
    weights, sums, seen, between, bases = net.seen, state.sums, state.seen, state.between, state.bases
    told, params, layer, low, high = state.told, state.params, net.params, net.low, net.high
    hidden, count = weights.shape[2], net.counts[c]
    multiplier, y = net.hidden.multiplier.reshape(-1)[c * hidden : (c + 1) * hidden], state.row[:hidden]
    for i in range(n):
        for j in range(hidden):
            y[j] = sums[i, c * hidden + j]
        for k in range(c):
            error, weight = np.float32(seen[i, k]), weights[c, k]
            for j in range(hidden):
                y[j] += error * weight[j]
        for j in range(hidden):
            between[i, j] = np.uint8(rounded(y[j] * multiplier[j], ZERO, BYTE))
    bases[0] = between.ctypes.data
    to_sums(Dense(layer.weight[c], layer.bias[c], layer.multiplier[c]), bases, 1, between.shape[1], n, told)
    scale = layer.multiplier[c, 0]
    for i in range(n):
        for j in range(count):
            params[i, j] = int(rounded(told[i, j] * scale[j], low[c, j], high[c, j]))


@passage
def miss_at(state: State, c: int, n: int) -> None:
    """The errors of a channel's values: see `correction.error`."""
    weight, centre, move, known, missed = state.weight, state.centre, state.move, state.known, state.missed
    for i in range(n):
        total = 0
        for k in range(weight.shape[1]):
            total += weight[i, k] * centre[i, k]
        error = FINE * known[i, c] - (total >> WEIGHT_BITS) + move[i] + (1 << ERROR_SHIFT - 1) >> ERROR_SHIFT
        missed[i, c] = min(max(error, -ERROR_MAX), ERROR_MAX)


@passage
def observe_at(net: Packed, state: State, c: int, n: int) -> None:
    """What a channel's values say to the channels after it, and to the correction."""
    colour, seen, known, base = net.colour, state.seen, state.known, state.base
    for i in range(n):
        seen[i, c] = squashed(colour, FINE * known[i, c] - base[i, c])
    if state.errors.shape[2]:
        miss_at(state, c, n)


@passage
def leave_at(net: Packed, state: State, step: int, colours: int) -> None:
    """Keep a step's pixels, and what later positions see of them: see `PixelDecoder.past`."""
    first, width, pixels, buffer, maps = first_row(step, state.width), state.width, state.x, state.past, state.fz
    known, base, errors, missed = state.known, state.base, state.errors, state.missed
    noise, edge, error, slots = net.noise, net.edge, net.error, len(pixels)
    now, left, up = pixels[step % slots], pixels[(step - 1) % slots], pixels[(step - 2) % slots]
    for i in range(last_row(step, state.height) - first):
        row = first + i
        column = step - 2 * row
        for c in range(colours, COLOURS):
            known[i, c] = known[i, 0]
        past, fz = buffer[step % slots, TOP + row], maps[row * width + column]
        for c in range(COLOURS):
            x = known[i, c]
            now[TOP + row, c] = x
            aside, above = FINE * (x - left[TOP + row, c]), FINE * (x - up[TOP + row - 1, c])
            past[c] = x + MIDDLE
            past[4 + c] = squashed(noise, aside) + MIDDLE
            past[7 + c] = squashed(noise, above) + MIDDLE
            past[10 + c] = squashed(edge, aside) + MIDDLE
            past[13 + c] = squashed(edge, above) + MIDDLE
            past[16 + c] = squashed(error, FINE * x - base[i, c]) + MIDDLE
            past[19 + c] = squashed(noise, FINE * x - MEAN_FINE * np.int64(fz[c])) + MIDDLE
            if c < errors.shape[2]:
                errors[SIDE + row, SIDE + column, c] = missed[i, c]
        past[3] = UNIT + MIDDLE
