"""A VLAE's PixelCNN of black and white pictures, in float32, for many latents of one picture at a time.

torch's convolutions of twelve channels keep a core waiting: they take two thirds of an importance-sampled likelihood.
Here a picture's pixels pass through all layers one after the other, many samples side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.exact import Layer
from vlcodec.models.layers.resnet import Block
from vlcodec.models.vlae.net import SIDE, BinaryPixels, VlaeShape

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
    from binary_kernels import LANES, fill_logits  # numba is loaded where it is needed

    count = -(-len(features) // LANES) * LANES
    padded = np.zeros((count, SIDE, SIDE, features.shape[-1]), np.float32)
    padded[: len(features)] = features.float().numpy() / FINE_UNIT
    lanes = np.ascontiguousarray(padded.reshape(-1, LANES, *padded.shape[1:]).transpose(0, 2, 3, 4, 1))
    logits = np.zeros((len(lanes), SIDE, SIDE, LANES), np.float32)
    fill_logits(logits, lanes, _floats(seen.numpy()), weights)
    signed = torch.from_numpy(logits) * (1 - 2 * x[..., None])
    return F.softplus(signed).sum((1, 2)).reshape(-1)[: len(features)]
