"""What a mean image lacks of its picture, as coefficients of 8 x 8 blocks: a fixed transform, in integers.

The residual, in 1/4 level, is turned into a brightness and two colours, and each block of these by the discrete cosine
transform. A position of the grid at 1/8 has 192 coefficients, low frequencies first; of each frequency the brightness
is known before the colours. All matrices are rounded to
1/1024, all products are of integers below 2^53, held in float64: exact, in any order of summation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT

SIDE = 8  # of a block, in pixels
COEFFICIENTS = COLOURS * SIDE * SIDE
GROUP = 12  # coefficients that are coded together
STEP_UNIT = 16  # units of a quantiser's step per level
SHARES = (6, 14, 14)  # sixteenths of the step that the first coefficients have: means are seen most
TINTS = slice(GROUP, GROUP + 2)  # means of both colours
TINT_STEP = 600  # in 1/16 level: with a quarter of the step, what these have at most
MATRIX_UNIT = 1024
MOST = 1 << 16  # |coefficient|, in 1/16 level
_COLOURS = ((1, 1, 1), (2, -1, -1), (0, 1, -1))  # of G, R, B: brightness, green, red against blue
_DOWN = MATRIX_UNIT**3


def _rows(matrix: Sequence[Sequence[float]]) -> Tensor:
    """Rows of length 1, in 1/1024."""
    return torch.tensor([[round(MATRIX_UNIT * v / math.hypot(*row)) for v in row] for row in matrix]).double()


def _cosines() -> Tensor:
    return _rows([[math.cos(math.pi * k * (2 * n + 1) / (2 * SIDE)) for n in range(SIDE)] for k in range(SIDE)])


def _order() -> list[int]:
    """Places in (colour, row, column), low frequencies first, in groups of 12: of brightness, then of both colours at
    half as many frequencies, and so on; the highest ones of colours, and then what is left, come last."""
    places = np.arange(COEFFICIENTS).reshape(COLOURS, SIDE * SIDE)
    low_first = sorted(range(SIDE * SIDE), key=lambda place: (place // SIDE + place % SIDE, place))
    bright, colours = places[0, low_first], places[1:, low_first].T.reshape(-1)
    whole, half = len(bright) // GROUP, len(colours) // GROUP
    parts = [side[GROUP * i : GROUP * (i + 1)] for i in range(half) for side in ([bright] * (i < whole) + [colours])]
    return [int(place) for part in (*parts, bright[GROUP * whole :], colours[GROUP * half :]) for place in part]


COSINES, COLOUR_MATRIX, ORDER = _cosines(), _rows(_COLOURS), torch.tensor(_order())


def steps_of(step: int | Tensor) -> Tensor:
    """(..., 192) int64 steps of all coefficients; step: (...) of most of them, in 1/16 level."""
    shares, whole = torch.full((COEFFICIENTS,), 16), torch.as_tensor(step).unsqueeze(-1)
    shares[: len(SHARES)] = torch.tensor(SHARES)
    steps = (shares * whole + 8) // 16
    steps[..., TINTS] = torch.minimum(whole, TINT_STEP + whole // 4)
    return steps


def coefficients(residual: Tensor) -> Tensor:
    """(N, 8 h, 8 w, 3) in 1/4 level, G, R, B -> (N, h, w, 192) float64 in 1/16 level, not rounded."""
    n, height, width, _ = residual.shape
    h, w, device = height // SIDE, width // SIDE, residual.device
    blocks = residual.double().view(n, h, SIDE, w, SIDE, COLOURS).permute(0, 1, 3, 5, 2, 4)
    cosines, colours = COSINES.to(device), COLOUR_MATRIX.to(device)
    found = cosines @ torch.einsum("kc,nhwcij->nhwkij", colours, blocks) @ cosines.t()
    return found.flatten(3)[..., ORDER.to(device)] * (STEP_UNIT / MEAN_UNIT / _DOWN)


def smooth_restored(values: Tensor) -> Tensor:
    """`restored` without rounding, in float32, for gradients."""
    cosines, colours = (part.to(values) / MATRIX_UNIT for part in (COSINES, COLOUR_MATRIX))
    blocks = _in_blocks(values)
    found = torch.einsum("kc,nhwkij->nhwcij", colours, cosines.t() @ blocks @ cosines)
    return _pixels(found * (MEAN_UNIT / STEP_UNIT))


def restored(values: Tensor) -> Tensor:
    """(N, h, w, 192) integers in 1/16 level -> the residual (N, 8 h, 8 w, 3) in 1/4 level, float32 of integers."""
    blocks, device = _in_blocks(values.double().clamp(-MOST, MOST)), values.device
    cosines, colours = COSINES.to(device), COLOUR_MATRIX.to(device)
    found = torch.einsum("kc,nhwkij->nhwcij", colours, cosines.t() @ blocks @ cosines)
    whole = torch.floor(found / (_DOWN * STEP_UNIT // MEAN_UNIT) + 0.5)  # a power of two: exact
    return _pixels(whole).float()


def _in_blocks(values: Tensor) -> Tensor:
    """(N, h, w, 192), low frequencies first -> (N, h, w, 3, 8, 8)."""
    places = torch.empty_like(ORDER).scatter_(0, ORDER, torch.arange(COEFFICIENTS)).to(values.device)
    return values[..., places].unflatten(-1, (COLOURS, SIDE, SIDE))


def _pixels(blocks: Tensor) -> Tensor:
    """(N, h, w, 3, 8, 8) -> (N, 8 h, 8 w, 3)."""
    n, h, w = blocks.shape[:3]
    return blocks.permute(0, 1, 4, 2, 5, 3).reshape(n, SIDE * h, SIDE * w, COLOURS)
