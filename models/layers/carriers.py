"""What carries a frozen layer's integers through its product: floats, or int8 summed in int32.

There is one definition, sums of integers; every carrier gives the same bits. Floats hold integers exactly up to 2^24
(float32) or 2^53 (float64). int8 takes 8-bit weights and the inputs that fit 8 bits (`Narrow`): values in [0, 255] are
stored less 128, and 128 times the sum of a weight's row goes into the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vlcodec.codec.errors import BoundError

CARRIER_LIMIT = {torch.float32: 2**24, torch.float64: 2**53}
MIDDLE = 128  # what [0, 255] is stored less
BYTE = (-128, 127)
PADDED = ("cuda",)  # devices whose `_int_mm` takes inputs and outputs in multiples of STEP, and rows from LEAST_ROWS
STEP, LEAST_ROWS = 8, 17


class Stored(NamedTuple):
    """How activations are kept: an integer x as x - shift, in a dtype."""

    dtype: torch.dtype = torch.float32
    shift: int = 0

    def store(self, x: Tensor) -> Tensor:
        """Integers in float as they are kept; what is kept so already stays as it is."""
        if x.dtype == self.dtype:
            return x
        return (x - self.shift if self.shift else x).to(self.dtype)


FLOAT = Stored()
SIGNED_BYTES, BYTES = Stored(torch.int8), Stored(torch.int8, MIDDLE)


@dataclass(frozen=True)
class Narrow:
    """What of a layer fits 8 bits: its inputs, stored so; those beside, signed ones; its outputs, in [0, 255]."""

    inputs: Stored
    beside: bool = False
    outputs: bool = False


class Floats(NamedTuple):
    """Integers in floats: weight (fan_in, outputs), bias and multiplier (outputs,)."""

    weight: Tensor
    bias: Tensor
    multiplier: Tensor

    def scaled(self, columns: Tensor, _: Tensor | None = None) -> Tensor:
        """(n, fan_in) -> multiplier * (columns weight + bias), (n, outputs), exact."""
        return torch.addmm(self.bias, columns.to(self.weight.dtype), self.weight).mul_(self.multiplier)

    def part(self, inputs: slice, outputs: slice) -> Floats:
        """Of some inputs and outputs."""
        return Floats(self.weight[inputs, outputs], self.bias[outputs], self.multiplier[outputs])


class Bytes(NamedTuple):
    """Integers in int8: weight (narrow inputs, outputs), as padded as the device wants.

    added: (outputs,) the scaled bias, with all that shifts of inputs and outputs add. wide: (beside, outputs) scaled
    weights of inputs that stay in float32, or None.
    """

    weight: Tensor
    added: Tensor
    multiplier: Tensor
    wide: Tensor | None
    narrow: Narrow

    def columns(self, parts: Sequence[Tensor], beside: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Gathered taps and what stands beside -> what `scaled` takes."""
        parts = [self.narrow.inputs.store(part) for part in parts]
        if beside is not None and self.wide is None:
            parts.append(SIGNED_BYTES.store(beside))
        return torch.cat(parts, -1), None if self.wide is None else beside

    def scaled(self, columns: Tensor, beside: Tensor | None = None) -> Tensor:
        """(n, narrow inputs) int8, (n, wide inputs) float32 -> as `Floats.scaled`, less the shift of the outputs."""
        added = self.added
        if self.wide is not None and beside is not None:
            added = torch.addmm(added, beside, self.wide)
        sums = sums_of(columns, self.weight, len(self.multiplier))
        return torch.addcmul(added, sums, self.multiplier)


def padded(weight: Tensor) -> Tensor:
    """(inputs, outputs) int8 as `sums_of` takes it on the weight's device."""
    if weight.device.type in PADDED:
        weight = F.pad(weight, (0, -weight.shape[1] % STEP, 0, -len(weight) % STEP))
    return weight.contiguous()


def sums_of(columns: Tensor, weight: Tensor, outputs: int) -> Tensor:
    """(n, inputs) int8, `padded` weight -> (n, outputs) int32."""
    rows, inputs = columns.shape
    if columns.device.type in PADDED:
        columns = F.pad(columns, (0, len(weight) - inputs, 0, max(0, LEAST_ROWS - rows)))
    return torch._int_mm(columns, weight)[:rows, :outputs]


def in_bytes(floats: Floats, narrow: Narrow, beside: int) -> Bytes:
    """A layer's integers for int8; beside: inputs that stand beside the taps'.

    Raises BoundError where they do not fit: weights of more than 8 bits, or shifts that float32 would round.
    """
    weight, bias, multiplier = (part.double() for part in floats)
    taps = len(weight) - beside
    first = weight if narrow.beside else weight[:taps]
    shifted = bias + narrow.inputs.shift * weight[:taps].sum(0)
    if narrow.outputs:  # a sum may pass 2^24 by this shift; it is clamped then, and rounding does not lower it below
        shifted = shifted - MIDDLE / multiplier
        if float(multiplier.min()) * CARRIER_LIMIT[torch.float32] < 2 * MIDDLE:
            raise BoundError("outputs of so fine a grid do not fit int8")
    if float(first.abs().max()) > BYTE[1] or float(shifted.abs().max()) >= CARRIER_LIMIT[torch.float32]:
        raise BoundError("a layer's weights do not fit int8")
    wide = None if narrow.beside or not beside else (weight[taps:] * multiplier).float()
    return Bytes(padded(first.to(torch.int8)), (shifted * multiplier).float(), floats.multiplier, wide, narrow)
