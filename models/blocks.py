"""Blocks of symbols under a frozen Agave: a latent grid and a band of pixels, each in both walks.

What a walk computes at a position stands once, in `LatentPrior` and `PixelDecoder`; here are the orders of work, and
the crossing from network outputs (torch, on any device) to distributions (numpy).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.codec.dither import CENTRE, reconstruct
from vlcodec.codec.interface import Ints, Step
from vlcodec.codec.tables import LogisticMixture, guided
from vlcodec.models.causal_latents import LatentPrior
from vlcodec.models.causal_pixels import COLOURS, MEAN_UNIT, PixelDecoder
from vlcodec.models.exact import exact_inference, stepwise
from vlcodec.models.mixture import FINE
from vlcodec.models.wavefront import Skewed, Strips, fronts, steps_of

STRIP_PIXELS = 1 << 16  # of one pass over a band
Shorts = NDArray[np.int16]


@dataclass(frozen=True)
class MixtureStep(Step):
    """A step whose symbols have mixtures of logistics."""

    distribution: LogisticMixture


def to_numpy(x: Tensor) -> Ints:
    """Integers of a network's output, on the CPU."""
    return x.cpu().numpy().astype(np.int64)


class LatentBlock:
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
        with stepwise():
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
        z = reconstruct(symbols.reshape(self._dither.shape), self._dither)
        with exact_inference():
            grid = torch.from_numpy(z).to(self.device, torch.float32).view(1, height, width, latents)
            own = self.prior.own(self.quality, grid)
            params = to_numpy(self.prior(Strips().look, grid, own))[0].reshape(height * width, latents, -1)
        for at in fronts(height, width, reverse=True):
            for group in reversed(range(self.prior.groups)):
                part = slice(group * self.prior.group, (group + 1) * self.prior.group)
                yield self._step(params[at.index, part], self._dither[at.index, part], at.index, group)

    def _step(self, params: Ints, dither: Ints, index: Ints, group: int) -> MixtureStep:
        """params (n, group, 3 K), dither (n, group): the group's latents at the grid positions index."""
        logit, offset, scale = np.split(params.reshape(-1, params.shape[-1]), 3, 1)
        channels = np.arange(group * self.prior.group, (group + 1) * self.prior.group)
        places = index[:, None] * self.prior.latents + channels
        return MixtureStep(LogisticMixture(logit, offset - dither.reshape(-1, 1), scale), places.reshape(-1))


class PixelBlock:
    """The symbols of a band of pixels given f(z): levels in [0, 255], channels in the order G, R, B (grey: G alone).

    Pictures of one size lie side by side, in lanes: block (rows, W, 1 or 3, N).

    Args:
        fz: (N, rows, W, 3 + features) of the band, on the device.
        guide: variance (levels^2) of the auxiliary decoder, for sampling: see `_step`.
    """

    def __init__(self, decoder: PixelDecoder, fz: Tensor, grey: bool, guide: int | None = None) -> None:
        self.decoder, self.device, self.guide = decoder, fz.device, guide
        self.lanes, rows, width, _ = fz.shape
        self.colours = 1 if grey else COLOURS
        self.shape = (rows, width, self.colours, self.lanes)
        self.count = self.colours * steps_of(rows, width)
        self._fz = fz
        with exact_inference():
            self._streams = decoder.streams(fz)
        self._mean = to_numpy(self._by_position(fz)[..., :COLOURS]) * (FINE // MEAN_UNIT)

    def _by_position(self, x: Tensor) -> Tensor:
        """(N, rows, W, C) -> (rows W, N, C)."""
        return x.permute(1, 2, 0, 3).reshape(-1, self.lanes, x.shape[-1])

    def sequential(self) -> Generator[MixtureStep, Ints, None]:
        """See codec.interface.Steps."""
        rows, width, _, lanes = self.shape
        decoder, skewed = self.decoder, Skewed(rows, self.device, lanes)
        flat, streams = self._by_position(self._fz), [self._by_position(s) for s in self._streams]
        with stepwise():
            for at in fronts(rows, width):
                mean = self._mean[at.index].reshape(-1, COLOURS)
                known = np.zeros_like(mean)
                skewed.advance(at)
                here = torch.from_numpy(at.index).to(self.device)
                fz, *beside = (t[here].flatten(0, 1) for t in (flat, *streams))
                base = skewed.look("x", decoder.predictor, None, None)
                h = decoder.net.trunk(skewed.look, None, decoder.own(base, fz), beside)
                base_here, errors = to_numpy(base), list[Tensor]()
                for c in range(self.colours):
                    params = to_numpy(decoder.net.head(c, h, decoder.seen(errors)))
                    symbols = yield self._step(c, params, base_here, mean, known, at.index)
                    known[:, c] = symbols - CENTRE
                    value = torch.from_numpy(known[:, c : c + 1]).to(self.device, torch.float32)
                    errors.append(FINE * value - base[:, c : c + 1])
                if self.colours == 1:
                    known[:, 1:] = known[:, :1]
                x = torch.from_numpy(known).to(self.device, torch.float32)
                left, up = (skewed.at("x", *tap, COLOURS) for tap in ((0, -1), (-1, 0)))
                past = decoder.past(x, left, up, base, fz[:, :COLOURS])
                skewed.put("x", x)
                skewed.put("past", past)

    def parallel(self, symbols: Ints) -> Iterator[MixtureStep]:
        """See codec.interface.Steps."""
        rows, width, _, lanes = self.shape
        values = np.repeat(symbols - CENTRE, COLOURS // self.colours, 2)  # (rows, W, 3, N)
        known = np.moveaxis(values, 3, 2).reshape(-1, lanes, COLOURS)
        params, base = self._outputs(np.moveaxis(values, 3, 0))
        for at in fronts(rows, width, reverse=True):
            base_here = base[at.index].astype(np.int64).reshape(-1, COLOURS)
            mean, before = (part[at.index].reshape(-1, COLOURS) for part in (self._mean, known))
            for c in reversed(range(self.colours)):
                raw = params[c][at.index].astype(np.int64).reshape(-1, params[c].shape[-1])
                yield self._step(c, raw, base_here, mean, before, at.index)

    def _outputs(self, known: Ints) -> tuple[list[Shorts], Shorts]:
        """Every network output of the band, as small integers: per channel (rows W, N, 3 K + c + 1), and the base.

        known: (N, rows, W, 3).
        """
        rows, width, _, lanes = self.shape
        strips, decoder = Strips(), self.decoder
        height = max(1, STRIP_PIXELS // (width * lanes))
        above = torch.zeros(lanes, 1, width, COLOURS, dtype=torch.float32, device=self.device)
        heads: list[list[Shorts]] = [[] for _ in range(self.colours)]
        bases: list[Shorts] = []
        with exact_inference():
            for r in range(0, rows, height):
                x = torch.from_numpy(known[:, r : r + height]).to(self.device, torch.float32)
                up = torch.cat((above, x), 1)[:, :-1]
                fz, *streams = (t[:, r : r + height] for t in (self._fz, *self._streams))
                raw, base = decoder(strips.look, x, up, fz, streams, self.colours)
                above = x[:, -1:]
                bases.append(self._by_position(base).cpu().numpy().astype(np.int16))
                for c in range(self.colours):
                    heads[c].append(self._by_position(raw[c]).cpu().numpy().astype(np.int16))
        return [np.concatenate(parts) for parts in heads], np.concatenate(bases)

    def _step(self, c: int, params: Ints, base: Ints, mean: Ints, known: Ints, index: Ints) -> MixtureStep:
        """params (n, 3 K + c + 1), base and mean (n, 3) in 1/32 level, known (n, 3) values: channel c's symbols of all
        lanes at the positions index.

        Guided, the mixture is multiplied by the auxiliary decoder's gaussian: both decoders describe the same pixel.
        Without it a long sample drifts from the mean image, since a local PixelCNN trusts its neighbours.
        """
        k = self.decoder.mixtures
        logit, offset, scale, share = np.split(params, [k, 2 * k, 3 * k], 1)
        references = np.concatenate((FINE * known[:, :c] - base[:, :c], mean[:, c : c + 1] - base[:, c : c + 1]), 1)
        centre = base[:, c] + (((share * references).sum(1) + 32) >> 6)
        mixture = LogisticMixture(logit, centre[:, None] + offset, scale)
        if self.guide is not None:
            mixture = guided(mixture, mean[:, c], self.guide)
        places = (index * self.colours + c)[:, None] * self.lanes + np.arange(self.lanes)
        return MixtureStep(mixture, places.reshape(-1))
