"""Changes of low rank: what moves the weights of a pixel network's larger layers for a picture's sake.

    w' = clamp(w + round(k F 2^(e + u)), -127, 127)

w: integers of an output whose weights are w 2^-e. k: the output's RANK numbers, which a file sends. F: factors
(RANK, inputs), int8, learned from many pictures and the same for every file of a number. 2^u: a unit, in integers from
how large the layer's weights are (cf. CALLIC and HPAC-FT, whose files send both sides).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.layers.exact import Layer, layers
from vlcodec.models.layers.table import Table

LARGE = 40  # inputs and outputs, at least, of a layer whose weights change
WEIGHT_MAX = 127
FACTOR_UNIT = 32  # of a factor, in 1.0
UNIT_SHIFT = 10  # 2^u is 2^-10 of the power of two that the layer's mean |weight| reaches
FRACTION = 24  # bits of that mean after the point


def large_layers(decoder: PixelDecoder) -> list[Layer]:
    """The layers whose weights change."""
    return [layer for _, layer in layers(decoder) if min(layer.weight.shape) >= LARGE and not layer.precise]


def factors_of(decoder: PixelDecoder, rank: int) -> nn.ModuleList:
    """A table of factors for each of these layers."""
    return nn.ModuleList(Table(rank, layer.weight.shape[1]) for layer in large_layers(decoder))


def unit_of(weight: Tensor, exponent: Tensor) -> int:
    """u of integer weights (outputs, inputs) and their exponents (outputs,)."""
    total = int((weight.abs().long() << (FRACTION - exponent.round().long())[:, None]).sum())
    return (total // weight.numel()).bit_length() - 1 - FRACTION - UNIT_SHIFT


def moved_weights(
    weight: Tensor, exponent: Tensor, unit: int, changes: Tensor, factors: Tensor, rounded: Callable[[Tensor], Tensor]
) -> Tensor:
    """Integer weights (outputs, inputs) after changes (outputs, RANK), all of one float type.

    factors: (RANK, inputs), or more where the network is told something that these weights do not know. rounded: half
    to even; what it rounds is exact.
    """
    moves = changes @ factors[:, : weight.shape[1]].to(changes)
    return (weight + rounded(moves * torch.exp2(exponent.round() + unit)[:, None])).clamp(-WEIGHT_MAX, WEIGHT_MAX)
