"""A frozen layer over whole pictures without gathering: laid flat, a padded picture has each tap at one distance.

Where a position's sum begins at the top left of its neighbourhood, a tap at row r and column c lies r pitch + c
positions further on, for all positions alike. So a layer's sums are one product a tap, each of a slice that nobody
copies; they are added up in tiles that stay in the cache. Between two rows of the picture this makes as many sums that
nobody asked for as a row is padded by. Small pictures are laid flat together, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vlcodec.models.layers.carriers import CARRIER_LIMIT, Floats

ROWS = 4096  # of a product
LEAST_INPUTS = 32  # of a tap, below which products of gathered taps are quicker


def fill(
    out: Tensor,
    padded: Tensor,
    floats: Floats,
    corners: Sequence[tuple[int, int]],
    finish: Callable[[Tensor], Tensor],
) -> Tensor:
    """padded (n, rows, pitch, inputs) -> out (n, H, W, outputs).

    corners: where each tap's part of the padded picture begins. finish: scaled sums, overwritten, to outputs.
    """
    (height, width, outputs), (size, pitch, inputs) = out.shape[1:], padded.shape[1:]
    taps = [(r * pitch + c, part) for (r, c), part in zip(corners, floats.weight.split(inputs), strict=True)]
    size *= pitch
    many, rows = max(1, ROWS // size), max(1, ROWS // pitch)
    for pictures, made in zip(padded.to(floats.weight.dtype).split(many), out.split(many), strict=True):
        flat, n = pictures.reshape(-1, inputs), len(made)
        for r in range(0, height, rows):
            m = min(rows, height - r)
            whole = flat.new_empty((n - 1) * size + m * pitch, outputs)
            sums, first = whole[: len(whole) - pitch + width], r * pitch
            for number, (distance, weight) in enumerate(taps):
                part = flat[first + distance : first + distance + len(sums)]
                torch.addmm(sums if number else floats.bias, part, weight, out=sums)
            finished = finish(sums.mul_(floats.multiplier))
            strides = (size * outputs, pitch * outputs, outputs, 1)
            made[:, r : r + m] = finished.as_strided((n, m, width, outputs), strides)
    return out


def narrowed(floats: Floats, padded: Tensor) -> Floats:
    """In float32, where the largest values of each input (n, rows, pitch, inputs) keep every partial sum exact."""
    most = padded.reshape(-1, padded.shape[-1]).abs().amax(0).double()
    sums = most.repeat(len(floats.weight) // len(most)) @ floats.weight.double().abs()
    peak = float((sums + floats.bias.double().abs()).max())
    return Floats(*(part.float() for part in floats)) if peak < CARRIER_LIMIT[torch.float32] else floats
