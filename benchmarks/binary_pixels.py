"""A VLAE's PixelCNN of black and white pictures, in float32, for many latents of one picture at a time.

torch's convolutions of twelve channels keep a core waiting: they take two thirds of an importance-sampled likelihood.
Here a picture's pixels pass through all layers one after the other, many samples side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numba
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.exact import Layer
from vlcodec.models.layers.resnet import Block
from vlcodec.models.vlae.net import SIDE, BinaryPixels, VlaeShape

LANES = 64  # samples side by side
LEAST = np.float32(-16)  # e^-16 is nothing in float32 beside 1
Reals = NDArray[np.float32]


def serves(shape: VlaeShape) -> bool:
    """Whether a net has the layers that are computed here."""
    return shape.window > 1 and shape.dilation == 1 and shape.posterior != "none"


class Weights(NamedTuple):
    """first: of features (features, c), beside what the picture adds to each pixel. near: (layers, 5, c, c), biases
    (layers, c). mix: (blocks, 2, c, c), biases (blocks, 2, c). leave: (c,), bias (1,). All (inputs, outputs)."""

    first: Reals
    near: Reals
    near_bias: Reals
    mix: Reals
    mix_bias: Reals
    leave: Reals
    leave_bias: Reals


def weights_of(pixels: BinaryPixels) -> Weights:
    """Of real weights, in units of 1.0."""

    def both(layer: Any) -> tuple[Reals, Reals]:
        found = cast(Layer, layer)
        return found.used().detach().numpy().T, found.bias.detach().numpy()

    near = [both(layer) for layer in pixels.near]
    mix = [[both(block.first), both(block.second)] for block in pixels.mix if isinstance(block, Block)]
    leave, leave_bias = both(pixels.leave)
    channels = len(leave)
    return Weights(
        _floats(both(pixels.first)[0][len(pixels.first.taps) :]),
        _floats([weight.reshape(-1, channels, channels) for weight, _ in near]),
        _floats([bias for _, bias in near]),
        _floats([[weight for weight, _ in pair] for pair in mix]),
        _floats([[bias for _, bias in pair] for pair in mix]),
        _floats(leave[:, 0]),
        _floats(leave_bias),
    )


def _floats(values: Any) -> Reals:
    return np.ascontiguousarray(np.array(values), np.float32)


def pixel_nats(pixels: BinaryPixels, weights: Weights, x: Tensor, features: Tensor) -> Tensor:
    """(N,) -ln p(x | f(z)) of one picture x (28, 28) of 0 and 1, features (N, 28, 28, F) as the decoder gives them."""
    with torch.no_grad():
        nothing = torch.zeros(1, SIDE, SIDE, features.shape[-1])
        seen = pixels.first(FINE_UNIT * (2 * x[None, ..., None] - 1), nothing)[0] / FINE_UNIT
    count = -(-len(features) // LANES) * LANES
    padded = np.zeros((count, SIDE, SIDE, features.shape[-1]), np.float32)
    padded[: len(features)] = features.float().numpy() / FINE_UNIT
    lanes = np.ascontiguousarray(padded.reshape(-1, LANES, *padded.shape[1:]).transpose(0, 2, 3, 4, 1))
    logits = np.zeros((len(lanes), SIDE, SIDE, LANES), np.float32)
    _logits(logits, lanes, _floats(seen.numpy()), weights)
    signed = torch.from_numpy(logits) * (1 - 2 * x[..., None])
    return F.softplus(signed).sum((1, 2)).reshape(-1)[: len(features)]


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
def _logits(logits: Reals, features: Reals, seen: Reals, net: Weights) -> None:
    """logits (blocks, 28, 28, LANES), features (blocks, 28, 28, F, LANES), seen (28, 28, c)."""
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
