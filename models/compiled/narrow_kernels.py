"""The 8-bit pixel network over pictures side by side, compiled.

What `net_kernels` does at the rows of a wavefront is done here at the lanes of one position, whose activations are
bytes (places, lanes, channels).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.compiled import loop
from vlcodec.codec.interface import Ints
from vlcodec.models.compiled.net_kernels import BYTE, LEAST, MOST, SHRUNK, ZERO, rounded, to_bytes, to_stream, to_sums
from vlcodec.models.compiled.packed import Dense, Packed

Bytes = NDArray[np.uint8]
Reals = NDArray[np.float32]
Whole = NDArray[np.int32]


@loop
def trunk(
    net: Packed, past: Bytes, near: Bytes, places: Ints, first_taps: Ints, near_taps: Ints, own: Reals, bases: Ints,
    total: Whole, row: Reals, stream: Reals, between: Bytes, sums: Whole,
) -> None:  # fmt: skip
    """The trunk at n positions, and the hidden layers' sums (n, lanes, 3 hidden), biases included.

    past: see `PixelDecoder.past`, 128 larger. near: (layers + 1, places, lanes, channels), the inputs of each near
    layer, and the trunk's outputs. first_taps (n, taps), near_taps (layers, n, taps): places. own: (n, lanes, own).
    """
    layers, lanes, channels = len(near_taps), past.shape[1], near.shape[3]
    stride = past.shape[2]
    for p in range(len(places)):
        for t in range(first_taps.shape[1]):
            bases[t] = past.ctypes.data + first_taps[p, t] * lanes * stride
        to_sums(net.first, bases, first_taps.shape[1], stride, lanes, total)
        now, multiplier = near[0, places[p]], net.first.multiplier.reshape(-1)
        for i in range(lanes):
            for j in range(channels):
                row[j] = total[i, j]
            for k in range(own.shape[2]):
                seen, weight = own[p, i, k], net.own[k]
                for j in range(channels):
                    row[j] += seen * weight[j]
            for j in range(channels):
                stream[i, j] = rounded(row[j] * multiplier[j], LEAST, MOST)
            for j in range(channels):
                now[i, j] = np.uint8(rounded(stream[i, j] * SHRUNK, ZERO, BYTE))
        for layer in range(layers):
            for t in range(near_taps.shape[2]):
                bases[t] = near[layer].ctypes.data + near_taps[layer, p, t] * lanes * channels
            seeing = Dense(net.near.weight[layer], net.near.bias[layer], net.near.multiplier[layer])
            to_bytes(seeing, bases, near_taps.shape[2], channels, lanes, between)
            bases[0] = between.ctypes.data
            adding = Dense(net.out.weight[layer], net.out.bias[layer], net.out.multiplier[layer])
            to_stream(adding, bases, channels, lanes, stream, near[layer + 1, places[p]].ctypes.data)
        bases[0] = near[layers, places[p]].ctypes.data
        to_sums(net.hidden, bases, 1, channels, lanes, sums[p])


@loop
def head(
    net: Packed, c: int, sums: Whole, seen: Reals, bases: Ints, row: Reals, hidden: Bytes, told: Whole, params: Whole
) -> None:
    """Parameters (n, lanes, count) of a channel. seen: (n, lanes, c) squashed errors of the channels before."""
    width, count = net.seen.shape[2], params.shape[2]
    multiplier, scale = net.hidden.multiplier.reshape(-1)[c * width : (c + 1) * width], net.params.multiplier[c, 0]
    layer = Dense(net.params.weight[c], net.params.bias[c], net.params.multiplier[c])
    for p in range(len(params)):
        for i in range(len(hidden)):
            for j in range(width):
                row[j] = sums[p, i, c * width + j]
            for k in range(c):
                error, weight = seen[p, i, k], net.seen[c, k]
                for j in range(width):
                    row[j] += error * weight[j]
            for j in range(width):
                hidden[i, j] = np.uint8(rounded(row[j] * multiplier[j], ZERO, BYTE))
        bases[0] = hidden.ctypes.data
        to_sums(layer, bases, 1, hidden.shape[1], len(hidden), told)
        for i in range(len(hidden)):
            for j in range(count):
                params[p, i, j] = int(rounded(told[i, j] * scale[j], net.low[c, j], net.high[c, j]))
