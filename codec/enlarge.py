"""Pillow's bicubic filter in integers: what the format shows of a placeholder, enlarged, and the encoder's shrinking.

The weights are exact fractions, rounded to 22 bits, so that no last bit of a float can change a pixel.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

PRECISION: Final = 22  # fractional bits of a weight
_BLOCK: Final = 128  # rows at a time, which bounds the memory


def resized(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, C) uint8 -> (height, width, C) uint8: every row, then every column; a side that stays is let alone."""
    if width != pixels.shape[1]:
        pixels = _rows(pixels, width)
    if height != pixels.shape[0]:
        pixels = _rows(pixels.swapaxes(0, 1), height).swapaxes(0, 1)
    return np.ascontiguousarray(pixels)


def weights(old: int, new: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """(new,) the first of the old places that each new one is made of, and (new, taps) their weights in 2^-22.

    The filter is the cubic one with a = -1/2. In old places, the new place i has its middle at (i + 1/2) old / new, and
    the filter is stretched by old / new where that shrinks.
    """
    wide, place = max(old, new), 2 * np.arange(new, dtype=np.int64) + 1
    first = np.maximum((place * old - 4 * wide + new) // (2 * new), 0)
    last = np.minimum((place * old + 4 * wide + new) // (2 * new), old)
    taken = first[:, None] + np.arange((last - first).max())
    # the filter's argument is a fraction over d = 2 wide; Python's integers hold its cube
    d, n = 2 * wide, np.abs((2 * taken + 1) * new - place[:, None] * old).astype(object)
    near = 3 * n**3 - 5 * n**2 * d + 2 * d**3
    far = -(n**3) + 5 * n**2 * d - 8 * n * d**2 + 4 * d**3
    outside = (n >= 2 * d) | (taken >= last[:, None])
    exact = np.where(outside, 0, np.where(n < d, near, far))
    total = exact.sum(1, keepdims=True)
    rounded = ((np.abs(exact) << PRECISION + 1) + total) // (2 * total)
    return first, np.where(exact < 0, -rounded, rounded).astype(np.int32)


def _rows(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """(H, W, C) -> (H, width, C)."""
    first, weight = weights(pixels.shape[1], width)
    out = np.empty((pixels.shape[0], width, *pixels.shape[2:]), np.uint8)
    for top in range(0, len(out), _BLOCK):
        block = pixels[top : top + _BLOCK]
        total = np.full((len(block), *out.shape[1:]), 1 << PRECISION - 1, np.int32)  # sums are below 2^31
        if weight.shape[1] <= width:  # whichever loop is the shorter one
            for tap in range(weight.shape[1]):
                taken = block[:, np.minimum(first + tap, pixels.shape[1] - 1)]
                total += taken * weight[:, tap, None]
        else:
            for place in range(width):
                taken = block[:, first[place] : first[place] + weight.shape[1]]
                total[:, place] += np.einsum("rtc,t->rc", taken, weight[place, : taken.shape[1]], dtype=np.int32)
        out[top : top + _BLOCK] = np.clip(total >> PRECISION, 0, 255)
    return out
