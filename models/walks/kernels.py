"""Compiled twins of what `pixel_block` and `correction` do with numpy at a step's positions.

They return the same integers as the functions that are named in their docstrings, which say what these are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.compiled import kernel, loop
from vlcodec.codec.coding.units import FINE
from vlcodec.codec.interface import Ints
from vlcodec.models.walks.units import ERROR_MAX, ERROR_SHIFT, MOVE_SHIFT, SHARE_SHIFT, SIDE, TOP


@kernel(0, 2, 2, 2, 2, 2)
def centres(channel: int, offset: Ints, share: Ints, base: Ints, mean: Ints, known: Ints) -> Ints:
    """See `pixel_block.PixelBlock._mixture`: the centres alone, (n, K)."""
    n, components = offset.shape
    centre = np.empty((n, components), np.int64)
    for i in range(n):
        moved = share[i, channel] * (mean[i, channel] - base[i, channel])
        for j in range(channel):
            moved += share[i, j] * (FINE * known[i, j] - base[i, j])
        middle = base[i, channel] + (moved + (1 << SHARE_SHIFT - 1) >> SHARE_SHIFT)
        for k in range(components):
            centre[i, k] = middle + offset[i, k]
    return centre


@kernel(0, 3, 2, 2, 2, 1, 2)
def moves(channel: int, around: Ints, own: Ints, logit: Ints, scale: Ints, edges: Ints, weights: Ints) -> Ints:
    """See `correction.Correction.move`. edges: of the classes. weights: (classes, channel)."""
    n, components = logit.shape
    move = np.empty(n, np.int64)
    for i in range(n):
        likeliest = 0
        for k in range(1, components):
            if logit[i, k] > logit[i, likeliest]:
                likeliest = k
        which = 0
        for edge in edges:
            which += scale[i, likeliest] >= edge
        total = around[i, channel, which]
        for j in range(channel):
            total += own[i, j] * weights[which, j]
        move[i] = total + (1 << MOVE_SHIFT - 1) >> MOVE_SHIFT
    return move


@kernel(1, 1)
def errors(value: Ints, mean: Ints) -> Ints:
    """See `correction.error`."""
    found = np.empty(len(value), np.int64)
    for i in range(len(value)):
        error = FINE * value[i] - mean[i] + (1 << ERROR_SHIFT - 1) >> ERROR_SHIFT
        found[i] = min(max(error, -ERROR_MAX), ERROR_MAX)
    return found


@loop
def add_squares(
    squares: NDArray[np.float64], products: NDArray[np.float64], known: NDArray[np.float64],
    errors: NDArray[np.int16], scales: NDArray[np.int16],
    start: int, stop: int, channel: int, taps: Ints, edges: Ints, precisions: Ints, limits: Ints,
) -> None:  # fmt: skip
    """See `correction.add_squares`: of the places start .. stop - 1. errors: with empty places around, see Errors.

    known: (n,) to work in.
    """
    width, size = errors.shape[1] - 2 * SIDE, products.shape[1]
    for index in range(start, stop):
        row, column = index // width + TOP, index % width + SIDE
        scale, which, at = np.int64(scales[index, channel]), 0, 0
        for edge in edges:
            which += scale >= edge
        for t in range(len(taps)):
            near = errors[row + taps[t, 0], column + taps[t, 1]]
            for j in range(len(near)):
                known[at] = near[j]
                at += 1
        for j in range(channel):
            known[at + j] = errors[row, column, j]
        target = min(max(np.int64(errors[row, column, channel]), -limits[scale]), limits[scale])
        for j in range(size):
            weighted = known[j] * precisions[scale]
            products[which, j] += weighted * target
            for k in range(size):
                squares[which, j, k] += weighted * known[k]
