"""Which of two symbols, in compiled loops: the integers of `rounding`."""

from __future__ import annotations

import numpy as np

from vlcodec.codec.coding.compiled import TABLE, kernel, part
from vlcodec.codec.coding.kernels import mixture_row
from vlcodec.codec.coding.units import FINE, LEVELS
from vlcodec.codec.interface import Ints
from vlcodec.models.walks.dither import CENTRE


@part
def log_of(mass: int, masses: Ints) -> int:
    """See `rounding.log_mass`: how many of the masses are no larger."""
    low, high = 0, len(masses)
    while low < high:
        middle = (low + high) // 2
        if masses[middle] <= mass:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(1, 1, 0, 2, 2, 2, 0, TABLE, TABLE, TABLE)
def nearer(
    k: Ints,
    mu: Ints,
    price: int,
    weight: Ints,
    centre: Ints,
    scale: Ints,
    shift: int,
    slopes: Ints,
    sigmoids: Ints,
    masses: Ints,
) -> tuple[Ints, Ints]:
    """See `rounding.nearer_of`; masses: of its logarithms."""
    chosen, asked, cdf = np.empty(len(k), np.int64), np.empty(len(k), np.int64), np.empty(3, np.int64)
    for i in range(len(k)):
        other = k[i] - 1 if k[i] > 0 else (k[i] + 1 if k[i] < 0 else 0)
        lower = min(max(min(k[i], other), -CENTRE), LEVELS - 2 - CENTRE) + CENTRE
        mixture_row(cdf, lower, 1, i, weight, centre, scale, shift, slopes, sigmoids)
        here, beside = log_of(cdf[1] - cdf[0], masses), log_of(cdf[2] - cdf[1], masses)
        if k[i] > lower - CENTRE:
            here, beside = beside, here
        added = (mu[i] - FINE * other) ** 2 - (mu[i] - FINE * k[i]) ** 2
        moved = k[i] != other and FINE * (beside - here) > price * added
        chosen[i] = other if moved else k[i]
        asked[i] = len(masses) - 1 - (beside if moved else here)
    return chosen, asked
