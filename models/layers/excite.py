"""Squeeze-and-excitation (Hu et al. 2017) in integers: channels gated by what the whole picture says of them."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import torch
from torch import Tensor, nn

from vlcodec.codec.coding.lookup import sigmoid_table
from vlcodec.models.layers.activations import FINE_UNIT, Elu
from vlcodec.models.layers.exact import OWN, SQUARE
from vlcodec.models.layers.fine import fine_layer
from vlcodec.models.layers.mode import IntegerModule

_REACH = 8 * FINE_UNIT  # of the gate's argument, where the sigmoid is 0 or 1 to a thousandth


@cache
def _gates() -> Tensor:
    """round(FINE_UNIT / (1 + e^-(i / FINE_UNIT))) at i + _REACH."""
    return torch.from_numpy(sigmoid_table(Fraction(1, FINE_UNIT), _REACH, FINE_UNIT)).double()


class Excite(IntegerModule):
    """x sigmoid(expand(elu(shrink(sum of x over positions)))), the sum times a power of two near the mean's weight.

    Frozen sums and products are exact in float64.
    """

    table: Tensor

    def __init__(self, channels: int, squeezed: int, positions: int) -> None:
        super().__init__()
        self.share = 2.0 ** -(positions - 1).bit_length()
        self.elu = Elu()
        self.shrink = fine_layer(OWN, channels, squeezed)
        self.expand = fine_layer(OWN, squeezed, channels, init=0.3)
        self.register_buffer("table", _gates(), False)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, H, W, C) -> likewise."""
        frozen = self.mode == "frozen"
        total = x.sum((1, 2), dtype=torch.float64 if frozen else torch.float32) * self.share
        gate = self.expand(self.elu(self.shrink(total.round().float() if frozen else total)))[:, None, None]
        if not frozen:
            return x * torch.sigmoid(gate / FINE_UNIT).to(x.dtype)
        gate = self.table[gate.clamp(-_REACH, _REACH).long() + _REACH]
        return (x * gate / FINE_UNIT).round().float()


class ExcitedBlock(nn.Module):
    """x + excite(layer(elu(layer(elu(x))))): a residual block of two 3x3 layers with squeeze-and-excitation."""

    def __init__(self, channels: int, squeezed: int, positions: int) -> None:
        super().__init__()
        self.elu = Elu()
        self.first = fine_layer(SQUARE, channels, channels)
        self.second = fine_layer(SQUARE, channels, channels, init=0.2)
        self.excite = Excite(channels, squeezed, positions)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.excite(self.second(self.elu(self.first(self.elu(x)))))
