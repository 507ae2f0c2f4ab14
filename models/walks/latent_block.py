"""A latent grid's symbols under a frozen Agave, in both walks.

What a walk computes at a position stands once, in `LatentPrior`; here are the orders of work, and the crossing from
network outputs (torch, on any device) to distributions (numpy). Pixels are walked in `pixel_block`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.interface import Ints, Step
from vlcodec.models.layers.causal_latents import LatentPrior
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.dither import reconstruct
from vlcodec.models.walks.net_walk import NetWalk, to_numpy
from vlcodec.models.walks.wavefront import Skewed, Strips, fronts, steps_of


@dataclass(frozen=True)
class MixtureStep(Step):
    """A step whose symbols have mixtures of logistics."""

    distribution: LogisticMixture


class LatentBlock(NetWalk):
    """The symbols k + 128 of a latent grid, given its dither.

    Args:
        dither: (h, w, latents) in 1/32 step; a latent is z = 32 k + dither.
        quality: 0-based.
    """

    def __init__(self, prior: LatentPrior, dither: Ints, quality: int, device: torch.device) -> None:
        self.prior, self.quality, self.device = prior, quality, device
        self.shape = dither.shape
        self.count = prior.groups * steps_of(*dither.shape[:2])
        self._dither = dither.reshape(-1, dither.shape[-1])  # (h w, latents)

    def sequential(self) -> Generator[MixtureStep, Ints, None]:
        """See codec.interface.Steps."""
        height, width, latents = self.shape
        prior, skewed = self.prior, Skewed(height, self.device)
        for at in fronts(height, width):
            dither = self._dither[at.index]
            z = torch.zeros(len(at.index), latents, dtype=torch.float32, device=self.device)
            skewed.advance(at)
            h = prior.net.trunk(skewed.look, None, prior.own(self.quality, z))
            for group in range(prior.groups):
                part = slice(group * prior.group, (group + 1) * prior.group)
                params = to_numpy(prior.head(group, h, prior.seen(z, group)))
                symbols = yield self._step(params, dither[:, part], at.index, group)
                known = reconstruct(symbols.reshape(-1, prior.group), dither[:, part])
                z[:, part] = torch.from_numpy(known).to(self.device, torch.float32)
            skewed.put("past", prior.past(z))

    def parallel(self, symbols: Ints) -> Iterator[MixtureStep]:
        """See codec.interface.Steps."""
        height, width, latents = self.shape
        with exact_inference():
            grid = torch.from_numpy(reconstruct(symbols.reshape(self._dither.shape), self._dither))
            grid = grid.to(self.device, torch.float32).view(1, height, width, latents)
            own = self.prior.own(self.quality, grid)
            params = self.prior(Strips().look, grid, own).cpu().numpy().astype(np.int16)  # int64 would take a gibibyte
            params = params.reshape(height * width, latents, -1)
        for at in fronts(height, width, reverse=True):
            for group in reversed(range(self.prior.groups)):
                part = slice(group * self.prior.group, (group + 1) * self.prior.group)
                here = params[at.index, part].astype(np.int64)
                yield self._step(here, self._dither[at.index, part], at.index, group)

    def _step(self, params: Ints, dither: Ints, index: Ints, group: int) -> MixtureStep:
        """params (n, group, 3 K), dither (n, group): the group's latents at the grid positions index."""
        logit, offset, scale = np.split(params.reshape(-1, params.shape[-1]), 3, 1)
        channels = np.arange(group * self.prior.group, (group + 1) * self.prior.group)
        places = index[:, None] * self.prior.latents + channels
        return MixtureStep(LogisticMixture(logit, offset - dither.reshape(-1, 1), scale), places.reshape(-1))
