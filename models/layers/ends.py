"""The layers at a group of latents of a ladder: a prior told from above, and a posterior as a difference to it.

A latent that carries nothing has a difference of exactly 0, and costs exactly nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.exact import OWN, Layer
from vlcodec.models.layers.fine import fine_layer
from vlcodec.models.layers.mixture import FINE, SCALE_LAST, SCALE_LOW, SCALE_UNIT, nats
from vlcodec.models.layers.mode import IntegerModule
from vlcodec.models.layers.posterior import CELL_UNIT, CELLS, UNIFORM_MAX, Kind, dither_like, sigma_of

SPREAD = 0.15  # initial scale of a uniform posterior's prior, in steps
GAUSSIAN_LIMIT = FINE * (CELLS // 2 - 1)  # of centres, in 1/32 cell
UNIFORM_LIMIT = UNIFORM_MAX // 2 - FINE  # of halves of centres, in 1/16 step: the dither's grid


class Ends(IntegerModule):
    """The layers at one group of latents, for one kind of posterior.

    cells: of the gaussian's grid per 1.0. least: the smallest scale index of a gaussian; one of a cell's width keeps a
    density from meaning less than nothing on a coarse grid.
    """

    def __init__(self, kind: Kind, width: int, latents: int, cells: int = CELL_UNIT, least: int = 0) -> None:
        super().__init__()
        self.gaussian = kind == "gaussian"
        if self.gaussian:
            gain, limit, index = FINE * cells / FINE_UNIT, GAUSSIAN_LIMIT, math.log(cells / SCALE_LOW)
            self.narrowing = head(width, latents, SCALE_UNIT / FINE_UNIT, -SCALE_LAST, SCALE_LAST)
        else:
            gain, limit, index = FINE / 2 / FINE_UNIT, UNIFORM_LIMIT, math.log(SPREAD / SCALE_LOW)
        self.limit, self.unit = limit, cells if self.gaussian else FINE
        self.least = least if self.gaussian else 0
        self.centre, self.shift = (head(width, latents, gain, -limit, limit) for _ in range(2))
        self.scale = head(width, latents, SCALE_UNIT / FINE_UNIT, self.least, SCALE_LAST)
        most = CELLS // 2 if self.gaussian else UNIFORM_MAX + FINE
        self.enter = fine_layer(OWN, latents, width, gain=FINE_UNIT / self.unit, unit=self.unit, input_max=most)
        with torch.no_grad():
            self.scale.bias.fill_(index)

    def prior(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """h (N, s, s, width) -> centre (in 1/32 cell or step) and scale index, (N, s, s, latents)."""
        return self.centre(h) * (1 if self.gaussian else 2), self.scale(h).clamp(self.least, SCALE_LAST)

    def posterior(self, merged: Tensor, prior: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Centre and scale index (of a uniform one the prior's, without a meaning), like `prior`."""
        centre, scale = prior
        if self.gaussian:
            centre = (centre + self.shift(merged)).clamp(-self.limit, self.limit)
            return centre, (scale + self.narrowing(merged)).clamp(self.least, SCALE_LAST)
        return (centre + 2 * self.shift(merged)).clamp(-2 * self.limit, 2 * self.limit), scale

    def middle(self, prior: tuple[Tensor, Tensor]) -> Tensor:
        """z at the prior's centre, in cells or in 1/32 step, of latents that a file does not have."""
        return prior[0] / FINE if self.gaussian else prior[0]

    def draw(self, prior: tuple[Tensor, Tensor], posterior: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """z ~ q (in cells, or in 1/32 step), KL(q || p) and its one-sample estimate, (N, s, s, latents) in nats.

        Of a uniform posterior the two are the same.
        """
        centre, scale = posterior
        if self.gaussian:
            sigma, prior_sigma = sigma_of(scale), sigma_of(prior[1])
            noise = torch.randn_like(sigma)
            z = centre / FINE + sigma * noise
            distance = (centre - prior[0]) / FINE / prior_sigma
            ratio = sigma / prior_sigma
            kl = 0.5 * (ratio.square() + distance.square() - 1) - torch.log(ratio)
            sampled = 0.5 * ((distance + ratio * noise).square() - noise.square()) - torch.log(ratio)
            return z, kl, sampled
        z = centre + dither_like(centre, self.mode)
        value = (z - prior[0]) / FINE
        zero = torch.zeros_like(value)[..., None]
        kl = nats(zero, zero, prior[1][..., None], value)
        return z, kl, kl


def head(width: int, latents: int, gain: float, low: float, high: float) -> Layer:
    return fine_layer(OWN, width, latents, gain=gain, low=low, high=high, precise=True, init=0.1)
