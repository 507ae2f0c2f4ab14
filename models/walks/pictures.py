"""Pictures (n, H, W, C) <-> the symbols and inputs of the nets that model pixels."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from vlcodec.codec.interface import Bytes, Ints
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, ORDER
from vlcodec.models.walks.dither import CENTRE
from vlcodec.models.walks.net_walk import to_numpy


def in_colour(pictures: Bytes) -> Bytes:
    """(n, H, W, 1 or 3) -> (n, H, W, 3): of grey pictures R = G = B."""
    return np.broadcast_to(pictures, (*pictures.shape[:3], COLOURS))


def levels_of(fz: Tensor) -> Bytes:
    """(..., H, W, 3 + features) of f(z) -> (..., H, W, 3) uint8 RGB: the mean image, rounded."""
    levels = (to_numpy(fz[..., :COLOURS]) + MEAN_UNIT // 2) // MEAN_UNIT + CENTRE
    return np.clip(levels, 0, 255)[..., ORDER].astype(np.uint8)


def to_symbols(pictures: Bytes) -> Ints:
    """(n, rows, W, C) uint8 RGB or grey -> (rows, W, C, n) in the order G, R, B."""
    ordered = pictures[..., ORDER] if pictures.shape[-1] == COLOURS else pictures
    return ordered.transpose(1, 2, 3, 0).astype(np.int64)


def to_pictures(symbols: Ints) -> Bytes:
    """The inverse of `to_symbols`."""
    pictures = symbols.transpose(3, 0, 1, 2)
    ordered = pictures[..., ORDER] if pictures.shape[-1] == COLOURS else pictures
    return np.ascontiguousarray(ordered).astype(np.uint8)
