"""The loops of `binary_pixels`, compiled: of rows of pixels, from the first layer to the logits."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

LANES = 64  # samples side by side
LEAST = np.float32(-16)  # e^-16 is nothing in float32 beside 1
Reals = NDArray[np.float32]


@numba.njit(fastmath=True, inline="always")  # type: ignore[untyped-decorator]
def _exp(x: Any) -> Any:
    """Of a number from LEAST to 0: the fourth square of a polynomial's value at a sixteenth."""
    t = x * np.float32(0.0625)
    value = np.float32(1 / 120) + t * np.float32(1 / 720)
    value = np.float32(1 / 6) + t * (np.float32(1 / 24) + t * value)
    value = np.float32(1) + t * (np.float32(1) + t * (np.float32(0.5) + t * value))
    for _ in range(4):
        value *= value
    return value


@numba.njit(fastmath=True)  # type: ignore[untyped-decorator]
def _elu(out: Reals, x: Reals) -> None:
    """(channels, LANES)."""
    for i in range(len(x)):
        for lane in range(LANES):
            v = x[i, lane]
            out[i, lane] = max(v, np.float32(0)) + _exp(max(min(v, np.float32(0)), LEAST)) - np.float32(1)


@numba.njit(fastmath=True)  # type: ignore[untyped-decorator]
def _add(out: Reals, x: Reals, weight: Reals) -> None:
    """out (outputs, LANES) += x (inputs, LANES) weight (inputs, outputs)."""
    for i in range(len(weight)):
        for o in range(weight.shape[1]):
            w = weight[i, o]
            for lane in range(LANES):
                out[o, lane] += x[i, lane] * w


@numba.njit(fastmath=True)  # type: ignore[untyped-decorator]
def _mixed(h: Reals, active: Reals, between: Reals, weight: Reals, bias: Reals) -> None:
    """h + second(elu(first(elu(h)))), at one position."""
    _elu(active, h)
    for o in range(len(between)):
        for lane in range(LANES):
            between[o, lane] = bias[0, o]
    _add(between, active, weight[0])
    _elu(active, between)
    for o in range(len(h)):
        for lane in range(LANES):
            h[o, lane] += bias[1, o]
    _add(h, active, weight[1])


@numba.njit(fastmath=True)  # type: ignore[untyped-decorator]
def fill_logits(logits: Reals, features: Reals, seen: Reals, net: Any) -> None:
    """logits (blocks, 28, 28, LANES), features (blocks, 28, 28, F, LANES), seen (28, 28, c). net:
    `binary_pixels.Weights`."""
    layers, channels = net.near_bias.shape
    side = len(seen)
    rows = np.zeros((layers, 2, side + 2, channels, LANES), np.float32)  # activations of the row above and of this one
    h = np.zeros((channels, LANES), np.float32)
    active, between = np.zeros_like(h), np.zeros_like(h)
    for block in range(len(logits)):
        rows[:] = np.float32(0)
        for r in range(side):
            now, above = r % 2, (r + 1) % 2
            for c in range(side):
                for o in range(channels):
                    for lane in range(LANES):
                        h[o, lane] = seen[r, c, o]
                _add(h, features[block, r, c], net.first)
                _mixed(h, active, between, net.mix[0], net.mix_bias[0])
                for layer in range(layers):
                    here, up = rows[layer, now], rows[layer, above]
                    _elu(here[c + 1], h)
                    for o in range(channels):
                        for lane in range(LANES):
                            h[o, lane] += net.near_bias[layer, o]
                    _add(h, up[c], net.near[layer, 0])
                    _add(h, up[c + 1], net.near[layer, 1])
                    _add(h, up[c + 2], net.near[layer, 2])
                    _add(h, here[c], net.near[layer, 3])
                    _add(h, here[c + 1], net.near[layer, 4])
                    if layer % 2:
                        _mixed(h, active, between, net.mix[(layer + 1) // 2], net.mix_bias[(layer + 1) // 2])
                _mixed(h, active, between, net.mix[-1], net.mix_bias[-1])
                _elu(active, h)
                for lane in range(LANES):
                    logit = net.leave_bias[0]
                    for i in range(channels):
                        logit += active[i, lane] * net.leave[i]
                    logits[block, r, c, lane] = logit
