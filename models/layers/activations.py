"""Activations on integers held in float tensors, and the units that layers compute in."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vlcodec.codec.coding.lookup import exp_table
from vlcodec.models.layers.carriers import BYTE, MIDDLE
from vlcodec.models.layers.mode import IntegerModule

UNIT = 64  # integer units per 1.0 of the real network, for every hidden activation of 8-bit layers
FINE_UNIT = 1024  # likewise of fine layers, which are rounded after training
FINE_MAX = 2**17 - 1  # their hidden activations are integers in [-FINE_MAX, FINE_MAX]
ACTIVATION_MAX = 1023  # hidden activations are integers in [0, 1023]
STREAM_MAX = 8191  # what one residual branch may add to a residual stream
_LESS = torch.tensor(-float(MIDDLE))
_ELU_REACH = 10 * FINE_UNIT  # below, e^x - 1 is -1


class _RoundThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def round_through(x: Tensor) -> Tensor:
    """Round half to even, with the gradient of the identity (straight-through estimator)."""
    rounded: Tensor = _RoundThrough.apply(x)
    return rounded


class _Requantised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, low: float, high: float) -> Tensor:
        y = x if scale == 1 else x * scale
        ctx.save_for_backward(y)
        ctx.about = scale, low, high
        return F.hardtanh(y, low, high).round_()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scale, low, high = ctx.about
        found = torch.ops.aten.hardtanh_backward(gradients[0], ctx.saved_tensors[0], low, high)
        return found if scale == 1 else found.mul_(scale), None, None, None


def requantised(x: Tensor, scale: float, low: float, high: float) -> Tensor:
    """round(scale x), clamped, whose gradient is that of the clamp: in few passes, as training spends most of its time
    on them where products are fast."""
    found: Tensor = _Requantised.apply(x, scale, low, high)
    return found


def relu(x: Tensor) -> Tensor:
    """Residual stream -> activation: integers clamped to [0, 1023]."""
    return F.hardtanh(x, 0, ACTIVATION_MAX)  # clamp, whose gradient takes five times as long


class Rectifier(IntegerModule):
    """ReLU from a residual stream to activations of so many bits: [0, 1023] in 1/64, or [0, 255] in 1/16."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.unit, self.most = UNIT >> (10 - bits), 2**bits - 1
        self._shrink, self._in_int8 = self.unit / UNIT, False

    def carry(self, in_int8: bool) -> None:
        """See `IntegerModule`."""
        self._in_int8 = in_int8 and self.most < 2 * MIDDLE

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape; rounded half to even, in training not at all. int8 carries values less 128."""
        if self._in_int8:
            return torch.add(_LESS, x, alpha=self._shrink).clamp_(*BYTE).round_().to(torch.int8)
        if self.mode == "simulated" and self._shrink < 1:
            return requantised(x, self._shrink, 0, self.most)
        y = x if self._shrink == 1 else x * self._shrink
        y = F.hardtanh(y, 0, self.most)  # clamp, whose gradient takes five times as long
        return y if self.mode == "training" or self._shrink == 1 else round_through(y)


def leaky(x: Tensor) -> Tensor:
    """Residual stream -> activation in [-1023, 1023]: negative values count an eighth, rounded half to even."""
    return round_through(F.hardtanh(F.leaky_relu(x, 1 / 8), -ACTIVATION_MAX, ACTIVATION_MAX))


def clip(x: Tensor, most: int = ACTIVATION_MAX) -> Tensor:
    """Residual stream -> the range that a layer takes, [-most, most], where no activation is wanted."""
    return F.hardtanh(x, -most, most)


@cache
def elu_table() -> Tensor:
    """round(FINE_UNIT (e^(i / FINE_UNIT) - 1)) at i + _ELU_REACH, for i in [-_ELU_REACH, 0]."""
    falling = exp_table(Fraction(-1, FINE_UNIT), _ELU_REACH + 1, Fraction(0), FINE_UNIT)
    return torch.from_numpy(falling[::-1].copy() - FINE_UNIT).float()


class Elu(IntegerModule):
    """x where it is positive, else e^x - 1, in units of FINE_UNIT (Clevert et al. 2015); frozen, by a table.

    most: of an output. What is less than FINE_MAX holds in training too.
    """

    table: Tensor

    def __init__(self, most: int = FINE_MAX) -> None:
        super().__init__()
        self.most = most
        self.register_buffer("table", elu_table(), False)

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape; frozen, integers up to FINE_MAX."""
        if self.mode != "frozen":
            y = torch.ops.aten.elu(x, FINE_UNIT, 1.0, 1 / FINE_UNIT)
            return y if self.most == FINE_MAX else y.clamp(max=self.most)
        place = x.clamp(-_ELU_REACH, 0).add_(_ELU_REACH).round_().int()
        below = self.table.index_select(0, place.reshape(-1)).view(x.shape)  # 0 where x is positive
        return below.add_(x.clamp(0, self.most))
