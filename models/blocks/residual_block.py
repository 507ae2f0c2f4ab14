"""A grid of blocks of coefficients under a frozen prior, in both walks: of each step's blocks the extents, then what
lies within them, group after group. See `block_symbols` for the symbols, `latent_block` for the rest."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.codec.coding.tables import Categorical, LogisticMixture, Uniform
from vlcodec.codec.coding.units import FINE
from vlcodec.codec.interface import Ints, Step
from vlcodec.models.blocks.turns import Turns, TurnsWalk, several_fronts
from vlcodec.models.compiled.latents import CompiledSteps, serves
from vlcodec.models.layers.causal_blocks import BlockPrior
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.block_symbols import BEYOND, BlockSymbols, further, saturated
from vlcodec.models.walks.dither import CENTRE
from vlcodec.models.walks.latent_steps import AT_ONCE, MixtureStep, TorchSteps, mixtures_of, rows_at_once
from vlcodec.models.walks.wavefront import Strips, fronts, steps_of

NO_DITHER = np.zeros(1, np.int64)


class Outputs(NamedTuple):
    """Of a prior that sees all blocks. logits: (h w, groups + 1) of extents. rows: (groups, h w) where a block's
    parameters stand among those of a group (n, coefficients, 3 K); -1 where it has none."""

    logits: NDArray[np.int16]
    rows: Ints
    params: list[NDArray[np.int16]]

    def mixtures(self, group: int, rows: Ints) -> LogisticMixture:
        """Of a group's coefficients in some rows."""
        here = self.params[group][rows].astype(np.int64)
        return mixtures_of(here.reshape(-1, here.shape[-1]), NO_DITHER)


def layout_of(prior: BlockPrior) -> BlockSymbols:
    """Of the symbols of a prior's blocks."""
    return BlockSymbols(prior.latents, prior.groups, prior.large)


class ResidualBlock(TurnsWalk):
    """The symbols of blocks (h, w, symbols of a block), see `BlockSymbols`.

    Args:
        quality: of the quantiser's step, 0-based, and so many hundredths beyond, on the way to the next one.
        beside: (h w, C) what else the prior is told of each block.
    """

    def __init__(
        self, prior: BlockPrior, size: tuple[int, int], quality: int, beyond: int, beside: Tensor
    ) -> None:
        self.prior, self.device = prior, beside.device
        own = prior.own(quality, beyond, torch.zeros(1, 1, dtype=torch.float32, device=self.device))
        self._own = torch.cat((own.expand(len(beside), -1), beside), -1)
        self.layout = layout_of(prior)
        self.height, self.width = size
        self.shape = (*size, self.layout.width)
        self.count = (prior.groups + 2) * steps_of(*size)

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        walk = TorchSteps(self.prior, self._own, self.height, self.device)
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
                if not group and len((step := self._further(at.index[rows], symbols)[0]).index):
                    beyond, large = (yield step), known[:, : self.prior.large]
                    at_end = saturated(large + CENTRE)
                    large[at_end] = further(large[at_end], beyond)
                walk.put(rows, part, FINE * known)
            walk.leave()

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        known = self._outputs(symbols)
        flat = symbols.reshape(-1, self.layout.width)
        extent = flat[:, self.layout.coefficients]
        for at in fronts(self.height, self.width, reverse=True):
            for group in reversed(range(int(extent[at.index].max()))):
                index = at.index[extent[at.index] > group]
                part = self._parts[group]
                if not group and len((step := self._further(index, flat[index, part])[0]).index):
                    yield step
                yield MixtureStep(known.mixtures(group, known.rows[group][index]), self._places(index, part))
            yield self._extents(Categorical(known.logits[at.index].astype(np.int64)), at.index)

    def in_turn(self, symbols: Ints) -> Iterator[Turns]:
        """See `turns.TurnsWalk`: of each step its extents, then group after group, what goes on beyond the first."""
        known, layout = self._outputs(symbols), self.layout
        flat = symbols.reshape(-1, layout.width)
        for steps, index in several_fronts(self.height, self.width, AT_ONCE // layout.coefficients):
            extents, first = flat[index, layout.coefficients], steps * (layout.groups + 2)
            turns: Turns = [(Categorical(known.logits[index].astype(np.int64)), extents, first)]
            for group in range(int(extents.max())):
                here = extents > group
                rows, turn = index[here], first[here] + 1 + group + min(group, 1)
                own = flat[rows, self._parts[group]].reshape(-1)
                turns.append((known.mixtures(group, known.rows[group][rows]), own, turn.repeat(layout.group)))
                if not group:
                    step, which = self._further(rows, own)
                    turns.append((step.distribution, symbols.reshape(-1)[step.index], turn[which] + 1))
            yield turns

    def priced(self, symbols: Ints) -> tuple[Iterator[MixtureStep], Ints]:
        """Each coefficient within its block's extent, given all others of `symbols`, with its place among the
        coefficients, whole groups of one number in each step; and (h w, groups + 1) logits of extents, in 1/32 nat: no
        walk, but what one would find."""
        known = self._outputs(symbols)

        def steps() -> Iterator[MixtureStep]:
            for group, rows in enumerate(known.rows):
                index = np.flatnonzero(rows >= 0)
                for first in range(0, len(index), AT_ONCE // self.layout.group):
                    here = index[first : first + AT_ONCE // self.layout.group]
                    part = self._parts[group]
                    places = here[:, None] * self.layout.coefficients + np.arange(part.start, part.stop)
                    yield MixtureStep(known.mixtures(group, rows[here]), places.reshape(-1))

        return steps(), known.logits.astype(np.int64)

    def values(self, symbols: Ints) -> Ints:
        """(h, w, coefficients) of symbols (block's shape), in 1/32 step."""
        return FINE * self.layout.steps(symbols)

    def _outputs(self, symbols: Ints) -> Outputs:
        """Strip by strip, of each group for those blocks alone that have it."""
        prior, groups, strips = self.prior, range(self.layout.groups), Strips()
        extents = symbols[..., self.layout.coefficients, None]
        own = self._own.view(1, self.height, self.width, -1)
        logits, params = list[Tensor](), [list[Tensor]() for _ in groups]
        rows = rows_at_once(self.width, 3 * prior.mixtures * prior.latents)
        with exact_inference():
            for r in range(0, self.height, rows):
                values = self.values(symbols[r : r + rows])
                z, extent = (torch.from_numpy(v[None]).to(self._own) for v in (values, extents[r : r + rows]))
                h, base = prior.trunk(strips.look, z, extent, own[:, r : r + rows])
                h, base, z, extent = (part.flatten(0, 2) for part in (h, base, z, extent))
                logits.append(prior.extents(h).cpu().to(torch.int16))
                for group in groups:
                    there = torch.nonzero(extent[:, 0] > group)[:, 0]
                    seen = prior.seen(z[there], group, extent[there])
                    params[group].append(prior.head(group, h[there], seen, base[there]).cpu().to(torch.int16))
        known = extents.reshape(-1) > np.arange(len(groups))[:, None]
        return Outputs(
            torch.cat(logits).numpy(),
            np.where(known, known.cumsum(1) - 1, -1),
            [torch.cat(parts).numpy() for parts in params],
        )

    def compiled(self) -> CompiledSteps | None:
        """See `turns.TurnsWalk`."""
        served = serves(self.prior, self.device)
        return CompiledSteps(self.prior, self._own, self.height, self.width) if served else None

    def _extents(self, extents: Categorical, index: Ints) -> Step:
        return Step(extents, index * self.layout.width + self.layout.coefficients)

    def _further(self, index: Ints, symbols: Ints) -> tuple[Step, Ints]:
        """How far large coefficients of the first group (n, group) go on, where some do; and at which of the n."""
        rows, which = np.nonzero(saturated(symbols.reshape(len(index), -1)[:, : self.prior.large]))
        places = index[rows] * self.layout.width + self.layout.coefficients + 1 + which
        return Step(Uniform(len(places), BEYOND), places), rows

    @cached_property
    def _parts(self) -> list[slice]:
        """The coefficients of each group."""
        size = self.layout.group
        return [slice(first, first + size) for first in range(0, self.layout.coefficients, size)]

    def _places(self, index: Ints, part: slice) -> Ints:
        """Of a group's coefficients in the blocks at grid positions, in the block."""
        places: Ints = (index[:, None] * self.layout.width + np.arange(part.start, part.stop)).reshape(-1)
        return places
