"""A frozen layer over whole pictures whose inputs or weights need two bytes, in products of int8.

x = 256 high + low, and likewise w = 128 high + low where a weight needs it. Sums of halves are int32, and so is what
they come to: the integers that floats hold, in less time where a processor multiplies bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vlcodec.models.layers.carriers import BYTE, Floats, sums_of

SHIFT, WEIGHT_SHIFT = 8, 7  # of the higher half of an input, and of a weight
MOST = (BYTE[1] << SHIFT) + BYTE[1]  # |input|
MOST_WEIGHT = (BYTE[1] << WEIGHT_SHIFT) + (1 << WEIGHT_SHIFT - 1) - 1
SUM_LIMIT = 2**31
VALUES, ROWS = 1 << 21, 4096  # gathered inputs of one product, enough for two threads, and rows: as many as are probed


class Halves(NamedTuple):
    """weight: (fan_in, outputs) int8, or (fan_in, 2 outputs), high halves first, as padded as the device wants. bias,
    multiplier: (outputs,) of a layer's own float type."""

    weight: Tensor
    bias: Tensor
    multiplier: Tensor

    def scaled(self, columns: Tensor) -> Tensor:
        """(2, n, fan_in) int8, high halves first -> multiplier (x weight + bias), (n, outputs), as `Floats.scaled`."""
        outputs = len(self.bias)
        sums = sums_of(columns.flatten(0, 1), self.weight, self.weight.shape[1])
        if sums.shape[1] > outputs:
            sums = torch.add(sums[:, outputs:], sums[:, :outputs], alpha=1 << WEIGHT_SHIFT)
        high, low = sums.view(2, -1, outputs)
        return torch.add(low, high, alpha=1 << SHIFT).to(self.bias.dtype).add_(self.bias).mul_(self.multiplier)


def fits(floats: Floats, input_max: int) -> bool:
    """Whether halves are bytes, and all that they come to int32."""
    weight = floats.weight.abs().double()
    peak = float((weight.sum(0) * input_max + floats.bias.abs().double()).max())
    return input_max <= MOST and float(weight.max()) <= MOST_WEIGHT and peak < SUM_LIMIT


def in_halves(floats: Floats) -> Halves:
    """Of what `fits`."""
    weight = floats.weight.to(torch.int16)
    if int(weight.abs().max()) > BYTE[1]:
        high = (weight + (1 << WEIGHT_SHIFT - 1)) >> WEIGHT_SHIFT
        weight = torch.cat((high, weight - (high << WEIGHT_SHIFT)), 1)
    return Halves(weight.to(torch.int8).contiguous(), floats.bias, floats.multiplier)


def split(x: Tensor) -> Tensor:
    """Integers in floats, within MOST either way, (...) -> (2, ...) int8: high and low halves."""
    whole, found = x.to(torch.int16), torch.empty((2, *x.shape), dtype=torch.int8, device=x.device)
    found[1] = whole  # int8 keeps the lowest eight bits, as a signed number
    whole += 1 << SHIFT - 1
    whole >>= SHIFT
    found[0] = whole
    return found


def fill_by_halves(
    out: Tensor,
    padded: Tensor,
    beside: Tensor | None,
    halves: Halves,
    corners: Sequence[tuple[int, int]],
    finish: Callable[[Tensor], Tensor],
) -> Tensor:
    """padded (n, rows, pitch, inputs), beside (n, H, W, C) or None -> out (n, H, W, outputs).

    corners: where each tap's part of the padded picture begins. finish: scaled sums, overwritten, to outputs.
    """
    n, height, width, outputs = out.shape
    if n > ROWS // 2:
        for i in range(0, n, ROWS // 2):
            some = slice(i, i + ROWS // 2)
            fill_by_halves(out[some], padded[some], None if beside is None else beside[some], halves, corners, finish)
        return out
    taps, more = split(padded), None if beside is None else split(beside)
    across = min(width, max(1, ROWS // 2 // n))
    tall = max(1, min(ROWS // 2, VALUES // 2 // len(halves.weight)) // (n * across))
    for r in range(0, height, tall):
        m = min(tall, height - r)
        for c in range(0, width, across):
            w = min(across, width - c)
            parts = [taps[:, :, r + a : r + a + m, c + b : c + b + w] for a, b in corners]
            parts += [] if more is None else [more[:, :, r : r + m, c : c + w]]
            columns = torch.cat(parts, -1).view(2, n * m * w, -1)
            out[:, r : r + m, c : c + w] = finish(halves.scaled(columns)).view(n, m, w, outputs)
    return out
