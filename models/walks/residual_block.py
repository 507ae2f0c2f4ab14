"""A grid of blocks of coefficients under a frozen prior, in both walks: of each step's blocks the extents, then what
lies within them, group after group. See `block_symbols` for the symbols, `latent_block` for the rest."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.codec.coding.tables import Categorical, Uniform
from vlcodec.codec.coding.units import FINE
from vlcodec.codec.interface import Ints, Step
from vlcodec.models.layers.causal_blocks import BlockPrior
from vlcodec.models.walks.block_symbols import BEYOND, BlockSymbols, further, saturated
from vlcodec.models.walks.compiled_latents import CompiledSteps, serves
from vlcodec.models.walks.dither import CENTRE
from vlcodec.models.walks.latent_steps import MixtureStep, TorchSteps, in_strips, mixtures_of, priced
from vlcodec.models.walks.net_walk import NetWalk
from vlcodec.models.walks.wavefront import Strips, fronts, steps_of

NO_DITHER = np.zeros(1, np.int64)


class ResidualBlock(NetWalk):
    """The symbols of blocks (h, w, symbols of a block), see `BlockSymbols`.

    Args:
        quality: of the quantiser's step, 0-based, and so many hundredths beyond, on the way to the next one.
        beside: (h w, C) what else the prior is told of each block.
    """

    def __init__(
        self, prior: BlockPrior, size: tuple[int, int], quality: int, beyond: int, beside: Tensor
    ) -> None:
        self.prior, self.device = prior, beside.device
        own = prior.own(quality, beyond, torch.zeros(1, 1, device=self.device))
        self._own = torch.cat((own.expand(len(beside), -1), beside), -1)
        self.layout = BlockSymbols(prior.latents, prior.groups, prior.large)
        self.height, self.width = size
        self.shape = (*size, self.layout.width)
        self.count = (prior.groups + 2) * steps_of(*size)

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        walk = self._walk()
        for at in fronts(self.height, self.width):
            walk.advance(at)
            extents = yield self._extents(walk.extents(), at.index)
            walk.tell(extents)
            for group, part in enumerate(self._parts):
                rows = np.flatnonzero(extents > group)
                if not len(rows):
                    break
                places = self._places(at.index[rows], part)
                symbols = yield MixtureStep(walk.mixtures(group, rows, NO_DITHER), places)
                known = symbols.reshape(len(rows), -1) - CENTRE
                if not group and (step := self._further(at.index[rows], symbols)) is not None:
                    beyond, large = (yield step), known[:, : self.prior.large]
                    at_end = saturated(large + CENTRE)
                    large[at_end] = further(large[at_end], beyond)
                walk.put(rows, part, FINE * known)
            walk.leave()

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        params, logits = self._outputs(symbols)
        flat = symbols.reshape(-1, self.layout.width)
        extent = flat[:, self.layout.coefficients]
        for at in fronts(self.height, self.width, reverse=True):
            for group in reversed(range(int(extent[at.index].max()))):
                index = at.index[extent[at.index] > group]
                part = self._parts[group]
                if not group and (step := self._further(index, flat[index, part])) is not None:
                    yield step
                here = params[index, part].astype(np.int64)
                mixtures = mixtures_of(here.reshape(-1, here.shape[-1]), NO_DITHER)
                yield MixtureStep(mixtures, self._places(index, part))
            yield self._extents(Categorical(logits[at.index].astype(np.int64)), at.index)

    def priced(self, symbols: Ints) -> tuple[Iterator[MixtureStep], Ints]:
        """Each coefficient within its block's extent, given all others of `symbols`, with its place among the
        coefficients; and (h w, groups + 1) logits of extents, in 1/32 nat: no walk, but what one would find."""
        params, logits = self._outputs(symbols)
        within = self.layout.within(symbols).reshape(-1)
        each = priced(params.reshape(len(within), -1), np.zeros(len(within), np.int64), np.flatnonzero(within))
        return each, logits.astype(np.int64)

    def values(self, symbols: Ints) -> Ints:
        """(h, w, coefficients) of symbols (block's shape), in 1/32 step."""
        return FINE * self.layout.steps(symbols)

    def _outputs(self, symbols: Ints) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """(h w, coefficients, 3 K) and (h w, groups + 1): every parameter, and logits of the extents."""
        strips, prior, logits = Strips(), self.prior, list[Tensor]()
        extent = symbols[..., self.layout.coefficients, None]

        def made(z: Tensor, rows: slice, own: Tensor) -> Tensor:
            params, extents = prior(strips.look, z, torch.from_numpy(extent[None, rows]).to(z), own)
            logits.append(extents.flatten(0, 2))
            return params

        found = in_strips(prior, self.values(symbols), self._own, made)
        return found, torch.cat(logits).cpu().numpy().astype(np.int16)

    def _walk(self) -> TorchSteps | CompiledSteps:
        if serves(self.prior, self.device):
            return CompiledSteps(self.prior, self._own, self.height, self.width)
        return TorchSteps(self.prior, self._own, self.height, self.device)

    def _extents(self, extents: Categorical, index: Ints) -> Step:
        return Step(extents, index * self.layout.width + self.layout.coefficients)

    def _further(self, index: Ints, symbols: Ints) -> Step | None:
        """How far large coefficients of the first group (n, group) go on, where some do."""
        rows, which = np.nonzero(saturated(symbols.reshape(len(index), -1)[:, : self.prior.large]))
        places = index[rows] * self.layout.width + self.layout.coefficients + 1 + which
        return Step(Uniform(len(places), BEYOND), places) if len(places) else None

    @cached_property
    def _parts(self) -> list[slice]:
        """The coefficients of each group."""
        size = self.layout.group
        return [slice(first, first + size) for first in range(0, self.layout.coefficients, size)]

    def _places(self, index: Ints, part: slice) -> Ints:
        """Of a group's coefficients in the blocks at grid positions, in the block."""
        places: Ints = (index[:, None] * self.layout.width + np.arange(part.start, part.stop)).reshape(-1)
        return places
