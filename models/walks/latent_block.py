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
from torch import Tensor

from vlcodec.codec.coding.tables import LogisticMixture, Uniform
from vlcodec.codec.coding.units import FINE
from vlcodec.codec.interface import Ints, Step
from vlcodec.models.layers.causal_latents import LatentPrior
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.compiled_latents import CompiledSteps, serves
from vlcodec.models.walks.dither import BEYOND, reconstruct, saturated, steps_far
from vlcodec.models.walks.net_walk import NetWalk, to_numpy
from vlcodec.models.walks.wavefront import Front, Skewed, Strips, fronts, steps_of

AT_ONCE = 1 << 14  # symbols that are priced together
STRIP_VALUES = 1 << 24  # parameters that are made at once (64 MiB of float32)


@dataclass(frozen=True)
class MixtureStep(Step):
    """A step whose symbols have mixtures of logistics."""

    distribution: LogisticMixture


class LatentBlock(NetWalk):
    """The symbols k + 128 of a latent grid, given its dither; (2, h, w, latents) where latents reach far, see `dither`.

    Args:
        dither: of the symbols' shape, in 1/32 step; a latent is z = 32 k + dither.
        quality: 0-based, and so many hundredths beyond, on the way to the next one.
        beside: (h w, C) what else the prior is told of each position.
    """

    def __init__(
        self,
        prior: LatentPrior,
        dither: Ints,
        quality: int,
        device: torch.device,
        beyond: int = 0,
        beside: Tensor | None = None,
    ) -> None:
        self.prior, self.device = prior, device
        own = prior.own(quality, torch.zeros(1, 1, device=device), beyond)
        self._own = own if beside is None else torch.cat((own.expand(len(beside), -1), beside), -1)
        self.shape, self.far = dither.shape, prior.large > 0
        self.height, self.width, self.latents = dither.shape[-3:]
        self.count = prior.groups * steps_of(self.height, self.width) * (1 + self.far)
        self._area = self.height * self.width
        self._dither = dither.reshape(-1, self.latents)[: self._area]

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        walk = self._walk()
        for at in fronts(self.height, self.width):
            dither = self._dither[at.index]
            walk.advance(at)
            for group, part in enumerate(self._parts()):
                mixtures = walk.mixtures(group, dither[:, part].reshape(-1))
                step = MixtureStep(mixtures, self._places(at.index, part))
                symbols = yield step
                known = reconstruct(symbols, dither[:, part].reshape(-1))
                if self.far and (further := self._further(symbols, step.index)) is not None:
                    beyond, out = (yield further), saturated(symbols)
                    known[out] = FINE * steps_far(symbols[out], beyond)
                walk.put(part, known.reshape(-1, self.prior.group))
            walk.leave()

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        params, flat = self._outputs(symbols), symbols.reshape(-1)
        for at in fronts(self.height, self.width, reverse=True):
            here, dither = params[at.index].astype(np.int64), self._dither[at.index]
            for part in reversed(self._parts()):
                step = self._step(here[:, part], dither, at.index, part)
                if self.far and (further := self._further(flat[step.index], step.index)) is not None:
                    yield further
                yield step

    def given(self, symbols: Ints, places: Ints) -> Iterator[MixtureStep]:
        """Symbols at some places of the block, each given all others of `symbols`: no walk, but what one would find."""
        params, dither = self._outputs(symbols).reshape(self._dither.size, -1), self._dither.reshape(-1)
        for first in range(0, len(places), AT_ONCE):
            index = places[first : first + AT_ONCE]
            yield MixtureStep(_mixtures(params[index].astype(np.int64), dither[index]), index)

    def _outputs(self, symbols: Ints) -> NDArray[np.int16]:
        """(h w, latents, 3 K): every parameter, strip by strip; as int64 they would take gibibytes."""
        size = 3 * self.prior.mixtures * self.latents
        found = np.empty((self._area, self.latents, 3 * self.prior.mixtures), np.int16)
        whole, own, strips = self.values(symbols), self._own.expand(self._area, -1), Strips()
        own = own.view(1, self.height, self.width, -1)
        rows = max(1, STRIP_VALUES // (self.width * size))
        with exact_inference():
            for r in range(0, self.height, rows):
                grid = torch.from_numpy(whole[None, r : r + rows]).to(self.device, torch.float32)
                params = self.prior(strips.look, grid, own[:, r : r + rows]).cpu().numpy()
                found[r * self.width : (r + grid.shape[1]) * self.width] = params.reshape(-1, *found.shape[1:])
        return found

    def values(self, symbols: Ints) -> Ints:
        """(h, w, latents) of symbols (block's shape), in 1/32 step."""
        if self.far:
            return FINE * steps_far(*symbols)
        return reconstruct(symbols, self._dither.reshape(self.shape))

    def _walk(self) -> TorchSteps | CompiledSteps:
        if not self._dither.any() and serves(self.prior, self.device):
            return CompiledSteps(self.prior, self._own, self.height, self.width)
        return TorchSteps(self.prior, self._own, self.height, self.device)

    def _further(self, symbols: Ints, index: Ints) -> Step | None:
        """What more is told of a step's symbols, where some are the outermost."""
        places = index[saturated(symbols)]
        return Step(Uniform(len(places), BEYOND), places + self._area * self.latents) if len(places) else None

    def _parts(self) -> list[slice]:
        """The latents of each group."""
        size = self.prior.group
        return [slice(first, first + size) for first in range(0, self.latents, size)]

    def _step(self, params: Ints, dither: Ints, index: Ints, part: slice) -> MixtureStep:
        """params (n, group, 3 K), dither (n, latents): a group's latents at the grid positions index."""
        mixtures = _mixtures(params.reshape(-1, params.shape[-1]), dither[:, part].reshape(-1))
        return MixtureStep(mixtures, self._places(index, part))

    def _places(self, index: Ints, part: slice) -> Ints:
        """Of a group's latents at grid positions, in the block."""
        places: Ints = (index[:, None] * self.latents + np.arange(part.start, part.stop)).reshape(-1)
        return places


class TorchSteps:
    """The prior at a step's positions, by torch. own: (1 or h w, own)."""

    def __init__(self, prior: LatentPrior, own: Tensor, height: int, device: torch.device) -> None:
        self._prior, self._own, self._skewed = prior, own, Skewed(height, device)

    def advance(self, at: Front) -> None:
        """Go to a later step."""
        device = self._own.device
        self._z = torch.zeros(len(at.index), self._prior.latents, dtype=torch.float32, device=device)
        self._skewed.advance(at)
        self._base = self._prior.base(self._skewed.look, None)
        own = self._own if len(self._own) == 1 else self._own[torch.from_numpy(at.index).to(device)]
        self._h = self._prior.net.trunk(self._skewed.look, None, own.expand(len(self._z), -1))

    def mixtures(self, group: int, dither: Ints) -> LogisticMixture:
        """Of a group's latents at the step's positions, dither (n group,)."""
        params = to_numpy(self._prior.head(group, self._h, self._prior.seen(self._z, group), self._base))
        return _mixtures(params.reshape(-1, params.shape[-1]), dither)

    def put(self, part: slice, known: Ints) -> None:
        """A group's latents (n, group), in 1/32 step."""
        self._z[:, part] = torch.from_numpy(known).to(self._z)

    def leave(self) -> None:
        """All latents of the step are known."""
        self._skewed.put("past", self._prior.past(self._z))
        if self._prior.large:
            self._skewed.put("large", self._z[:, : self._prior.large])


def _mixtures(params: Ints, dither: Ints) -> LogisticMixture:
    """params (n, 3 K), dither (n,)."""
    k = params.shape[1] // 3
    return LogisticMixture(params[:, :k], params[:, k : 2 * k] - dither[:, None], params[:, 2 * k :])
