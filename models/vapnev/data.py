"""CIFAR-10, or any pictures of its kind, to learn from; the last 1,000 are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vlcodec.codec.errors import ImageError
from vlcodec.codec.interface import Bytes
from vlcodec.models.layers.causal_pixels import COLOURS
from vlcodec.models.vapnev.net import SIDE

FILE = "cifar10.npz"
HELD_OUT = 1000


def load(folder: Path) -> tuple[Bytes, Bytes]:
    """(N, 32, 32, 3) uint8 RGB pictures to learn from and held out: "train_images" of cifar10.npz in a folder.

    Raises ImageError where it is missing, or holds others.
    """
    try:
        with np.load(folder / FILE) as file:
            pictures: Bytes = file["train_images"]
    except (OSError, KeyError, ValueError) as error:
        raise ImageError(f"pictures must be at {FILE} in the data folder, as train_images: {error}") from None
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (SIDE, SIDE, COLOURS) or len(pictures) <= HELD_OUT:
        raise ImageError(f"pictures must be more than {HELD_OUT} of uint8 and 32 x 32 x 3, not {pictures.shape}")
    return pictures[:-HELD_OUT], pictures[-HELD_OUT:]
