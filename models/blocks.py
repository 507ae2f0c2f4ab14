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

from vlcodec.codec.interface import Ints, Step
from vlcodec.codec.tables import LogisticMixture, guided
from vlcodec.models.causal_latents import LatentPrior
from vlcodec.models.causal_pixels import COLOURS, MEAN_UNIT, PixelDecoder
from vlcodec.models.exact import exact_inference, one_thread
from vlcodec.models.mixture import FINE
from vlcodec.models.wavefront import Skewed, Strips, fronts, steps_of

CENTRE = 128  # a symbol s stands for the value s - 128
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
        with one_thread():
            for at in fronts(height, width):
                dither = self._dither[at.index]
                z = torch.zeros(len(at.index), latents, dtype=torch.float32, device=self.device)
                with exact_inference():
                    skewed.advance(at)
                    h = prior.net.trunk(skewed.look, None, prior.own(self.quality, z))
                for group in range(prior.groups):
                    part = slice(group * prior.group, (group + 1) * prior.group)
                    with exact_inference():
                        params = to_numpy(prior.head(group, h, prior.seen(z, group)))
                    symbols = yield self._step(params, dither[:, part], at.index, group)
                    known = FINE * (symbols.reshape(-1, prior.group) - CENTRE) + dither[:, part]
                    z[:, part] = torch.from_numpy(known).to(self.device, torch.float32)
                with exact_inference():
                    skewed.put("past", prior.past(z))

    def parallel(self, symbols: Ints) -> Iterator[MixtureStep]:
        """See codec.interface.Steps."""
        height, width, latents = self.shape
        z = FINE * (symbols.reshape(self._dither.shape) - CENTRE) + self._dither
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
    """The symbols of one band of pixels given f(z): levels in [0, 255], channels in the order G, R, B (grey: G alone).

    Args:
        fz: (rows, W, 3 + features) of the band, on the device.
        guide: variance (levels^2) of the auxiliary decoder, for sampling: see `_step`.
    """

    def __init__(self, decoder: PixelDecoder, fz: Tensor, grey: bool, guide: int | None = None) -> None:
        self.decoder, self.device, self.guide = decoder, fz.device, guide
        rows, width, _ = fz.shape
        self.colours = 1 if grey else COLOURS
        self.shape = (rows, width, self.colours)
        self.count = self.colours * steps_of(rows, width)
        self._fz = fz
        self._mean = (fz[..., :COLOURS].cpu().numpy().astype(np.int64) * (FINE // MEAN_UNIT)).reshape(-1, COLOURS)

    def sequential(self) -> Generator[MixtureStep, Ints, None]:
        """See codec.interface.Steps."""
        rows, width, _ = self.shape
        decoder, skewed = self.decoder, Skewed(rows, self.device)
        flat = self._fz.reshape(rows * width, -1)
        with one_thread():
            for at in fronts(rows, width):
                mean, known = self._mean[at.index], np.zeros((len(at.index), COLOURS), np.int64)
                with exact_inference():
                    skewed.advance(at)
                    fz = flat[torch.from_numpy(at.index).to(self.device)]
                    base = skewed.look("x", decoder.predictor, None, None)
                    h = decoder.net.trunk(skewed.look, None, decoder.own(base, fz))
                base_here, errors = to_numpy(base), list[Tensor]()
                for c in range(self.colours):
                    with exact_inference():
                        params = to_numpy(decoder.net.head(c, h, decoder.seen(errors)))
                    symbols = yield self._step(c, params, base_here, mean, known, at.index)
                    known[:, c] = symbols - CENTRE
                    value = torch.from_numpy(known[:, c : c + 1]).to(self.device, torch.float32)
                    errors.append(FINE * value - base[:, c : c + 1])
                if self.colours == 1:
                    known[:, 1:] = known[:, :1]
                with exact_inference():
                    x = torch.from_numpy(known).to(self.device, torch.float32)
                    left, up = (skewed.at("x", *tap, COLOURS) for tap in ((0, -1), (-1, 0)))
                    past = decoder.past(x, left, up, base, fz[:, :COLOURS])
                    skewed.put("x", x)
                    skewed.put("past", past)

    def parallel(self, symbols: Ints) -> Iterator[MixtureStep]:
        """See codec.interface.Steps."""
        rows, width, _ = self.shape
        known = np.repeat(symbols - CENTRE, COLOURS // self.colours, 2).reshape(-1, COLOURS)
        params, base = self._outputs(known.reshape(rows, width, COLOURS))
        for at in fronts(rows, width, reverse=True):
            i = at.index
            for c in reversed(range(self.colours)):
                raw = params[c][i].astype(np.int64)
                yield self._step(c, raw, base[i].astype(np.int64), self._mean[i], known[i], i)

    def _outputs(self, known: Ints) -> tuple[list[Shorts], Shorts]:
        """Every network output of the band, as small integers: per channel (rows W, 3 K + c + 1), and the base."""
        rows, width, _ = self.shape
        strips, decoder = Strips(), self.decoder
        height = max(1, STRIP_PIXELS // width)
        above = torch.zeros(1, 1, width, COLOURS, dtype=torch.float32, device=self.device)
        heads: list[list[Shorts]] = [[] for _ in range(self.colours)]
        bases: list[Shorts] = []
        with exact_inference():
            for r in range(0, rows, height):
                x = torch.from_numpy(known[None, r : r + height]).to(self.device, torch.float32)
                up = torch.cat((above, x), 1)[:, :-1]
                raw, base = decoder(strips.look, x, up, self._fz[None, r : r + height], self.colours)
                above = x[:, -1:]
                bases.append(base.cpu().numpy().astype(np.int16).reshape(-1, COLOURS))
                for c in range(self.colours):
                    heads[c].append(raw[c].cpu().numpy().astype(np.int16).reshape(-1, raw[c].shape[-1]))
        return [np.concatenate(parts) for parts in heads], np.concatenate(bases)

    def _step(self, c: int, params: Ints, base: Ints, mean: Ints, known: Ints, index: Ints) -> MixtureStep:
        """params (n, 3 K + c + 1), base and mean (n, 3) in 1/32 level, known (n, 3) values: channel c's symbols.

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
        return MixtureStep(mixture, index * self.colours + c)
