"""What a mean image lacks of its picture, as coefficients of 8 x 8 blocks: fixed transforms, in integers.

The residual, in 1/4 level, is turned into a brightness and two colours, and each block of these by the transform that
suits it: the discrete cosine transform, or one of those that were learned for blocks of edges (Sezer, Guleryuz &
Altunbasak, "Approximation and compression with sparse orthonormal transforms", 2015). A position of the grid at 1/8 has
192 coefficients, those that are used most first; of each frequency the brightness is known before the colours. The
first one is the mean in all transforms. All matrices are rounded to 1/4096, all products are of integers below 2^53,
held in float64: exact, in any order of summation.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT

SIDE = 8  # of a block, in pixels
PIXELS = SIDE * SIDE  # of a block
COEFFICIENTS = COLOURS * PIXELS
GROUP = 12  # coefficients that are coded together
STEP_UNIT = 16  # units of a quantiser's step per level
SHARES = (6, 14, 14)  # sixteenths of the step that the first coefficients have: means are seen most
MATRIX_UNIT = 4096
MOST = 1 << 16  # |coefficient|, in 1/16 level
KEPT = 29 / 32  # of a step: a coefficient of this size is about worth its bits
ROUGH_UNIT, SEARCH_UNIT = 1024, 32  # of matrices where a transform is looked for, and of a size that is worth its bits
LEARNED_PRICE = 365  # squares of the latter that a learned transform must save, for the bits that tell of it
AT_ONCE = 256  # blocks: their coefficients by all transforms stay in a processor's cache
_COLOURS = ((1, 1, 1), (2, -1, -1), (0, 1, -1))  # of G, R, B: brightness, green, red against blue
_DOWN = MATRIX_UNIT**2


def in_units(matrix: Tensor) -> Tensor:
    """Rows of length 1, in 1/4096, float64 of integers."""
    whole = matrix.double()
    return (MATRIX_UNIT * whole / whole.norm(dim=-1, keepdim=True)).round()


def _cosines() -> Tensor:
    """(64, 64): a transform's rows, low frequencies first."""
    rows = in_units(
        torch.tensor([[math.cos(math.pi * k * (2 * n + 1) / (2 * SIDE)) for n in range(SIDE)] for k in range(SIDE)])
    )
    low_first = sorted(range(PIXELS), key=lambda place: (place // SIDE + place % SIDE, place))
    return in_units(torch.kron(rows, rows)[low_first])


def _order() -> list[int]:
    """Places in (colour, rank), first ones first, in groups of 12: of brightness, then of both colours at half as many
    ranks, and so on; the last ones of colours, and then what is left, come last."""
    places = np.arange(COEFFICIENTS).reshape(COLOURS, PIXELS)
    bright, colours = places[0], places[1:].T.reshape(-1)
    whole, half = len(bright) // GROUP, len(colours) // GROUP
    parts = [side[GROUP * i : GROUP * (i + 1)] for i in range(half) for side in ([bright] * (i < whole) + [colours])]
    return [int(place) for part in (*parts, bright[GROUP * whole :], colours[GROUP * half :]) for place in part]


COSINES, COLOUR_MATRIX, ORDER = _cosines(), in_units(torch.tensor(_COLOURS)), torch.tensor(_order())


def steps_of(step: int) -> Tensor:
    """(192,) int64 steps of all coefficients, in 1/16 level."""
    shares = torch.full((COEFFICIENTS,), 16)
    shares[: len(SHARES)] = torch.tensor(SHARES)
    return (shares * step + 8) // 16


def planes_of(residual: Tensor) -> Tensor:
    """(N, 8 h, 8 w, 3) in 1/4 level, G, R, B -> (N h w, 3, 64) float64 of integers: brightness and colours of blocks,
    in 1/16384 level."""
    n, height, width, _ = residual.shape
    blocks = residual.double().view(n, height // SIDE, SIDE, width // SIDE, SIDE, COLOURS).permute(0, 1, 3, 5, 2, 4)
    return torch.einsum("kc,ncp->nkp", COLOUR_MATRIX.to(residual.device), blocks.reshape(-1, COLOURS, PIXELS))


def forms_of(planes: Tensor, matrices: Tensor, step: int | Tensor) -> Tensor:
    """(n,) which of the matrices (forms, 2, 64, 64) suits blocks of planes (n, 3, 64) best: it leaves least of what is
    not worth its bits, and has least that is. step: in 1/16 level, of all or (n,).

    In integers below 2^24, of whole levels and matrices in 1/1024 (rows of length 1): exact in float32.
    """
    levels = torch.floor(planes / (MEAN_UNIT * MATRIX_UNIT) + 0.5).float()
    scale = SEARCH_UNIT * STEP_UNIT / ROUGH_UNIT / KEPT / torch.as_tensor(step, device=planes.device).float()
    rough = (matrices[:, :, 1:] * (ROUGH_UNIT / MATRIX_UNIT)).round().float()  # the mean is the same in all

    def costs(rows: Tensor, some: Tensor) -> Tensor:
        bright, colours = (some[:, side].flatten(0, 1).t() for side in range(2))
        found = torch.cat((levels[rows, :1] @ bright, levels[rows, 1:] @ colours), 1)  # (rows, 3, forms 63)
        found *= scale if scale.dim() == 0 else scale[rows, None, None]
        found.abs_().round_().clamp_(max=SEARCH_UNIT).square_()
        return found.view(len(rows), COLOURS, len(some), PIXELS - 1).sum((1, 3))

    forms = torch.zeros(len(planes), dtype=torch.int64, device=planes.device)
    for part in torch.arange(len(planes), device=planes.device).split(AT_ONCE):
        least = costs(part, rough[:1])[:, 0] - LEARNED_PRICE
        rows = part[least > 0]
        if len(rows) and len(rough) > 1:
            found, form = costs(rows, rough[1:]).min(1)
            forms[rows] = torch.where(found < least[least > 0], 1 + form, 0)
    return forms


def coefficients(planes: Tensor, forms: Tensor, matrices: Tensor) -> Tensor:
    """Planes (n, 3, 64) of blocks by their transforms (n,), of matrices (forms, 2, 64, 64) -> (n, 192) in 1/16 level,
    not rounded; of planes' type."""
    found = _by_form(planes, forms, matrices.mT)
    return found.flatten(1)[:, ORDER.to(planes.device)] * (STEP_UNIT / MEAN_UNIT / _DOWN)


def _by_form(planes: Tensor, forms: Tensor, matrices: Tensor) -> Tensor:
    """Planes (n, 3, 64) times a matrix of brightness and one of colours, (forms, 2, 64, 64); of form -1 as they are."""
    found = planes.clone()
    for form in torch.unique(forms).tolist():
        if form >= 0:
            rows, (bright, colours) = torch.nonzero(forms == form)[:, 0], matrices[form].to(planes)
            here = planes[rows]
            found[rows] = torch.cat((here[:, :1] @ bright, here[:, 1:] @ colours), 1)
    return found


def restored(values: Tensor, forms: Tensor, matrices: Tensor) -> Tensor:
    """(N, h, w, 192) integers in 1/16 level, of transforms (N, h, w) -> the residual (N, 8 h, 8 w, 3) in 1/4 level,
    float32 of integers."""
    n, h, w, _ = values.shape
    ordered = torch.zeros(n * h * w, COEFFICIENTS, dtype=torch.float64, device=values.device)
    ordered[:, ORDER.to(values.device)] = values.double().clamp(-MOST, MOST).flatten(0, 2)
    used = torch.where(ordered.ne(0).any(1), forms.flatten(), -1)
    planes = _by_form(ordered.view(-1, COLOURS, PIXELS), used, matrices)
    found = torch.einsum("kc,nkp->ncp", COLOUR_MATRIX.to(planes.device), planes)
    whole = torch.floor(found / (_DOWN * STEP_UNIT // MEAN_UNIT) + 0.5)  # a power of two: exact
    blocks = whole.view(n, h, w, COLOURS, SIDE, SIDE).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, SIDE * h, SIDE * w, COLOURS).float()
