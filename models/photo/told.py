"""A PixelCNN that is told one thing once and for all: how noisy the pixels are that it sees.

The same everywhere, what it is told moves the biases of its first layer.
"""

from __future__ import annotations

import copy

from vlcodec.models.layers.carriers import FLOAT
from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.layers.exact import Layer


def told(decoder: PixelDecoder, value: int) -> PixelDecoder:
    """A frozen PixelCNN of f(z) alone, which computes what another does that is told a value besides."""
    first, made = decoder.net.first, copy.copy(decoder)
    weight, bias, exponent = first.integers()
    own = Layer(
        first.taps,
        first.inputs,
        first.outputs,
        beside=first.beside - 1,
        low=first.low.tolist(),
        high=first.high.tolist(),
        input_max=first.input_max,
        narrow=first.narrow,
    )
    own.load_integers(weight[:, :-1], bias + value * weight[:, -1], exponent)
    own.carry(first.stored is not FLOAT)
    made._modules = dict(decoder._modules)
    made.net = copy.copy(decoder.net)
    made.net._modules = dict(decoder.net._modules) | {"first": own}
    return made
