"""Pools of pictures, with what a trained model makes of each, and patches that are cut out of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vlcodec.models.photo.data import Pixels, read_rgb, widen

WIDENED = 0.75  # of the pictures


def random_part(path: Path, rng: np.random.Generator, smallest: int, largest: int) -> Pixels:
    """(H, W, 3) uint8: a picture, perhaps widened, mirrored or transposed; at most so many rows and columns of it."""
    pixels = read_rgb(path)
    pixels = widen(pixels, rng, smallest) if rng.random() < WIDENED else pixels
    pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    pixels = pixels.transpose(1, 0, 2) if rng.random() < 0.5 else pixels
    top, left = (int(rng.integers(max(1, side - largest + 1))) for side in pixels.shape[:2])
    return pixels[top : top + largest, left : left + largest]


def patches(pool: Sequence[Sequence[Tensor]], count: int, side: int, rng: torch.Generator) -> list[Tensor]:
    """Random patches (count, side, side, C) of each of a picture's maps (H, W, C), every position about as often."""
    areas = torch.tensor([maps[0].shape[0] * maps[0].shape[1] for maps in pool], dtype=torch.float64)
    chosen = torch.multinomial(areas, count, True, generator=rng).tolist()
    return [torch.stack(parts) for parts in zip(*(cut(pool[i], side, rng) for i in chosen), strict=True)]


def cut(maps: Sequence[Tensor], side: int, rng: torch.Generator) -> list[Tensor]:
    """A random patch, side x side, of maps (H, W, C) of one picture."""
    top, left = (int(torch.randint(0, whole - side + 1, (), generator=rng)) for whole in maps[0].shape[:2])
    return [each[top : top + side, left : left + side] for each in maps]
