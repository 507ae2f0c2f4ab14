"""A latent grid's symbols under a frozen Agave, in both walks.

What a walk computes at a position stands once, in `LatentPrior`; here are the orders of work, and the crossing from
network outputs (torch, on any device) to distributions (numpy). Pixels are walked in `pixel_block`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.interface import Ints, Step
from vlcodec.models.layers.causal_latents import LatentPrior
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.dither import reconstruct
from vlcodec.models.walks.net_walk import NetWalk, to_numpy
from vlcodec.models.walks.wavefront import Skewed, Strips, fronts, steps_of

AT_ONCE = 1 << 14  # symbols that are priced together


@dataclass(frozen=True)
class MixtureStep(Step):
    """A step whose symbols have mixtures of logistics."""

    distribution: LogisticMixture


class LatentBlock(NetWalk):
    """The symbols k + 128 of a latent grid, given its dither.

    Args:
        dither: (h, w, latents) in 1/32 step; a latent is z = 32 k + dither.
        quality: 0-based; between two that were trained, a fraction.
    """

    def __init__(self, prior: LatentPrior, dither: Ints, quality: float, device: torch.device) -> None:
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
            base = prior.base(skewed.look, None)
            h = prior.net.trunk(skewed.look, None, prior.own(self.quality, z))
            for group, part in enumerate(self._parts()):
                params = to_numpy(prior.head(group, h, prior.seen(z, group), base))
                symbols = yield self._step(params, dither, at.index, part)
                known = reconstruct(symbols.reshape(-1, prior.group), dither[:, part])
                z[:, part] = torch.from_numpy(known).to(self.device, torch.float32)
            skewed.put("past", prior.past(z))
            if prior.large:
                skewed.put("large", z[:, : prior.large])

    def parallel(self, symbols: Ints) -> Iterator[MixtureStep]:
        """See codec.interface.Steps."""
        height, width, _ = self.shape
        params = self._outputs(symbols)
        for at in fronts(height, width, reverse=True):
            here, dither = params[at.index].astype(np.int64), self._dither[at.index]
            for part in reversed(self._parts()):
                yield self._step(here[:, part], dither, at.index, part)

    def given(self, symbols: Ints, places: Ints) -> Iterator[MixtureStep]:
        """Symbols at some places of the block, each given all others of `symbols`: no walk, but what one would find."""
        params, dither = self._outputs(symbols).reshape(symbols.size, -1), self._dither.reshape(-1)
        for first in range(0, len(places), AT_ONCE):
            index = places[first : first + AT_ONCE]
            yield MixtureStep(_mixtures(params[index].astype(np.int64), dither[index]), index)

    def _outputs(self, symbols: Ints) -> NDArray[np.int16]:
        """(h w, latents, 3 K): every parameter, in one pass; as int64 it would take a gibibyte."""
        height, width, latents = self.shape
        with exact_inference():
            grid = torch.from_numpy(reconstruct(symbols.reshape(self._dither.shape), self._dither))
            grid = grid.to(self.device, torch.float32).view(1, height, width, latents)
            params = self.prior(Strips().look, grid, self.prior.own(self.quality, grid))
            return params.cpu().numpy().astype(np.int16).reshape(height * width, latents, -1)

    def _parts(self) -> list[slice]:
        """The latents of each group."""
        size = self.prior.group
        return [slice(first, first + size) for first in range(0, self.shape[2], size)]

    def _step(self, params: Ints, dither: Ints, index: Ints, part: slice) -> MixtureStep:
        """params (n, group, 3 K), dither (n, latents): a group's latents at the grid positions index."""
        places = index[:, None] * self.shape[2] + np.arange(part.start, part.stop)
        mixtures = _mixtures(params.reshape(-1, params.shape[-1]), dither[:, part].reshape(-1))
        return MixtureStep(mixtures, places.reshape(-1))


def _mixtures(params: Ints, dither: Ints) -> LogisticMixture:
    """params (n, 3 K), dither (n,)."""
    k = params.shape[1] // 3
    return LogisticMixture(params[:, :k], params[:, k : 2 * k] - dither[:, None], params[:, 2 * k :])
