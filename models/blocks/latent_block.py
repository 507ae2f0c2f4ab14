"""A latent grid's symbols under a frozen Agave, in both walks.

What a walk computes at a position stands once, in `LatentPrior`; here are the orders of work, and the crossing from
network outputs (torch, on any device) to distributions (numpy). Pixels are walked in `pixel_block`, coefficients in
`residual_block`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from vlcodec.codec.interface import Ints, Step
from vlcodec.models.blocks.turns import Turns, TurnsWalk, several_fronts
from vlcodec.models.compiled.latents import CompiledSteps, serves
from vlcodec.models.layers.causal_latents import LatentPrior
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.dither import reconstruct
from vlcodec.models.walks.latent_steps import AT_ONCE, MixtureStep, TorchSteps, mixtures_of, rows_at_once
from vlcodec.models.walks.wavefront import Strips, fronts, steps_of


class LatentBlock(TurnsWalk):
    """The symbols k + 128 of a latent grid, given its dither.

    Args:
        dither: (h, w, latents) in 1/32 step; a latent is z = 32 k + dither.
        quality: 0-based.
    """

    def __init__(self, prior: LatentPrior, dither: Ints, quality: int, device: torch.device) -> None:
        self.prior, self.device = prior, device
        self._own = prior.own(quality, torch.zeros(1, 1, dtype=torch.float32, device=device))
        self.shape = dither.shape
        self.height, self.width, self.latents = dither.shape
        self.count = prior.groups * steps_of(self.height, self.width)
        self._dither = dither.reshape(-1, self.latents)

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        walk = TorchSteps(self.prior, self._own, self.height, self.device)
        for at in fronts(self.height, self.width):
            dither, rows = self._dither[at.index], np.arange(len(at.index))
            walk.advance(at)
            for group, part in enumerate(self._parts()):
                mixtures = walk.mixtures(group, rows, dither[:, part].reshape(-1))
                symbols = yield MixtureStep(mixtures, self._places(at.index, part))
                walk.put(rows, part, reconstruct(symbols, dither[:, part].reshape(-1)).reshape(-1, self.prior.group))
            walk.leave()

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        params = self._outputs(symbols)
        for at in fronts(self.height, self.width, reverse=True):
            here, dither = params[at.index].astype(np.int64), self._dither[at.index]
            for part in reversed(self._parts()):
                own = here[:, part].reshape(-1, here.shape[-1])
                yield MixtureStep(mixtures_of(own, dither[:, part].reshape(-1)), self._places(at.index, part))

    def in_turn(self, symbols: Ints) -> Iterator[Turns]:
        """See `turns.TurnsWalk`."""
        params, flat = self._outputs(symbols), symbols.reshape(-1, self.latents)
        group = np.arange(self.latents) // self.prior.group
        for steps, index in several_fronts(self.height, self.width, AT_ONCE // self.latents):
            own = params[index].astype(np.int64).reshape(-1, params.shape[-1])
            turns = (steps[:, None] * self.prior.groups + group).reshape(-1)
            yield [(mixtures_of(own, self._dither[index].reshape(-1)), flat[index].reshape(-1), turns)]

    def given(self, symbols: Ints, places: Ints) -> Iterator[MixtureStep]:
        """Symbols at some places of the block, each given all others of `symbols`: no walk, but what one would find."""
        params, dither = self._outputs(symbols).reshape(self._dither.size, -1), self._dither.reshape(-1)
        for first in range(0, len(places), AT_ONCE):
            index = places[first : first + AT_ONCE]
            yield MixtureStep(mixtures_of(params[index].astype(np.int64), dither[index]), index)

    def values(self, symbols: Ints) -> Ints:
        """(h, w, latents) of symbols (block's shape), in 1/32 step."""
        return reconstruct(symbols, self._dither.reshape(self.shape))

    def _outputs(self, symbols: Ints) -> NDArray[np.int16]:
        """(h w, latents, 3 K): every parameter, strip by strip; as int64 they would take gibibytes."""
        size, area = 3 * self.prior.mixtures, self.height * self.width
        found = np.empty((area, self.latents, size), np.int16)
        whole, strips = self.values(symbols), Strips()
        own = self._own.expand(area, -1).view(1, self.height, self.width, -1)
        rows = rows_at_once(self.width, self.latents * size)
        with exact_inference():
            for r in range(0, self.height, rows):
                grid = torch.from_numpy(whole[None, r : r + rows]).to(self.device, torch.float32)
                params = self.prior(strips.look, grid, own[:, r : r + rows]).cpu().numpy()
                found[r * self.width : (r + grid.shape[1]) * self.width] = params.reshape(-1, *found.shape[1:])
        return found

    def compiled(self) -> CompiledSteps | None:
        """See `turns.TurnsWalk`."""
        served = not self._dither.any() and serves(self.prior, self.device)
        return CompiledSteps(self.prior, self._own, self.height, self.width) if served else None

    def _parts(self) -> list[slice]:
        """The latents of each group."""
        size = self.prior.group
        return [slice(first, first + size) for first in range(0, self.latents, size)]

    def _places(self, index: Ints, part: slice) -> Ints:
        """Of a group's latents at grid positions, in the block."""
        places: Ints = (index[:, None] * self.latents + np.arange(part.start, part.stop)).reshape(-1)
        return places
