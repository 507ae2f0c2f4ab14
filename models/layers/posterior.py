"""The two kinds of posterior, and the grids on which their latents are coded.

Gaussian: latents on a grid of 4096 cells of 1/128, for bits-back. Uniform, one step wide: latents in 1/32 step, for
dither; its prior is the mass of logistics on the step around z. A net may have several uniform posteriors, one for each
quality of lossy files.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vlcodec.models.layers.mixture import FINE, SCALE_LAST, SCALE_LOW, SCALE_UNIT
from vlcodec.models.layers.mode import Mode

Kind = Literal["gaussian", "uniform", "uniform-2", "uniform-3"]
UNIFORMS: tuple[Kind, ...] = ("uniform", "uniform-2", "uniform-3")  # by quality, the smallest first
CELL_UNIT = 128  # cells of the gaussian grid per 1.0
CELLS = 4096
UNIFORM_MAX = 128 * FINE  # |z| in 1/32 step
PRIOR_INDEX = 177  # scale index of a sigma of 1.0: 127.5 of 128 cells


def dither_like(centre: Tensor, mode: Mode) -> Tensor:
    """Noise of one step's width in 1/32 step; frozen on the coder's grid, on which centred latents rely."""
    if mode != "frozen":
        return FINE * (torch.rand_like(centre) - 0.5)
    return 2.0 * torch.randint_like(centre, FINE // 2) + 1 - FINE // 2


def sigma_of(scale: Tensor) -> Tensor:
    """Scale indices -> cells of the gaussian grid, or steps."""
    return torch.exp(scale.clamp(0, SCALE_LAST) / SCALE_UNIT) * SCALE_LOW
