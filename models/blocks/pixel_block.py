"""A band of pixels under a frozen Agave, in both walks.

What a walk computes at a position stands once, in `PixelDecoder`; here are the orders of work, and the crossing from
network outputs (torch, on any device) to distributions (numpy). What fits a band's correction is `corrected_block`.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.tables import DrawnMixture, guided, guided_parameters, mixture_mean
from vlcodec.codec.interface import Ints, Source, Tick
from vlcodec.models.compiled.band import band_of, serves
from vlcodec.models.gpu.band import GpuBand
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, PixelDecoder
from vlcodec.models.layers.mixture import FINE
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.correction import Correction, Errors, Mover, error, likeliest_scale, strips
from vlcodec.models.walks.dither import CENTRE
from vlcodec.models.walks.latent_steps import MixtureStep
from vlcodec.models.walks.net_walk import NetWalk, to_numpy
from vlcodec.models.walks.units import SHARE_SHIFT
from vlcodec.models.walks.wavefront import Skewed, Strips, fronts, steps_of

STRIP_PIXELS = 1 << 16  # of one pass over a band
Shorts = NDArray[np.int16]


class Pass(NamedTuple):
    """Every network output of a band with its pixels, as small integers.

    params: (rows W, N, colours, 3 K + 3), of which channel c has 3 K + c + 1. base, and known values: (rows W, N, 3).
    missed: what `PixelBlock.errors` gives, where the pass has found it.
    """

    params: Shorts
    base: Shorts
    known: Shorts
    missed: tuple[Errors, Shorts] | None = None


class PixelBlock(NetWalk):
    """The symbols of a band of pixels given f(z): levels in [0, 255], channels in the order G, R, B (grey: G alone).

    Pictures of one size lie side by side, in lanes: block (rows, W, 1 or 3, N).

    Args:
        fz: (N, rows, W, 3 + features) of the band, on the device.
        guide: variance (levels^2) of the auxiliary decoder, for sampling: see `step`.
        correction: of the band's own, which moves the mixtures; of one picture, without lanes.
    """

    def __init__(
        self,
        decoder: PixelDecoder,
        fz: Tensor,
        grey: bool,
        guide: int | None = None,
        correction: Correction | None = None,
    ) -> None:
        self.decoder, self.device, self.guide = decoder, fz.device, guide
        self.lanes, rows, width, _ = fz.shape
        self.colours = 1 if grey else COLOURS
        self.shape = (rows, width, self.colours, self.lanes)
        self.count = self.colours * steps_of(rows, width)
        self.fz, self._correction = fz, correction

    @cached_property
    def _mean(self) -> Ints:
        """(rows W, N, 3) in 1/32 level; compiled steps do without."""
        return to_numpy(self._by_position(self.fz)[..., :COLOURS]) * (FINE // MEAN_UNIT)

    @cached_property
    def _streams(self) -> list[Tensor]:
        with exact_inference():
            return self.decoder.streams(self.fz)

    def _by_position(self, x: Tensor) -> Tensor:
        """(N, rows, W, C) -> (rows W, N, C)."""
        return x.permute(1, 2, 0, 3).reshape(-1, self.lanes, x.shape[-1])

    def sequential(self) -> Generator[MixtureStep, Ints, None]:
        """See codec.interface.Steps."""
        if self._compiles():
            yield from band_of(self.decoder, self.fz, self.colours, correction=self._correction).sequential()
            return
        rows, width, _, lanes = self.shape
        decoder, skewed = self.decoder, Skewed(rows, self.device, lanes)
        mover = self.mover()
        flat, streams = self._by_position(self.fz), [self._by_position(s) for s in self._streams]
        for at in fronts(rows, width):
            mean = self._mean[at.index].reshape(-1, COLOURS)
            known = np.zeros_like(mean)
            skewed.advance(at)
            mover.enter(at.index)
            here = torch.from_numpy(at.index).to(self.device)
            fz, *beside = (t[here].flatten(0, 1) for t in (flat, *streams))
            base = skewed.look("x", decoder.predictor, None, None)
            h = decoder.net.trunk(skewed.look, None, decoder.own(base, fz), beside)
            base_here, errors = to_numpy(base), list[Tensor]()
            for c in range(self.colours):
                params = to_numpy(decoder.net.head(c, h, decoder.seen(errors)))
                step = self.step(c, params, base_here, mean, known, at.index, mover)
                symbols = yield step
                known[:, c] = symbols - CENTRE
                mover.observe(c, known[:, c])
                value = torch.from_numpy(known[:, c : c + 1]).to(self.device, torch.float32)
                errors.append(FINE * value - base[:, c : c + 1])
            if self.colours == 1:
                known[:, 1:] = known[:, :1]
            x = decoder.context(torch.from_numpy(known).to(self.device, torch.float32))
            left, up = (skewed.at("x", *tap, COLOURS) for tap in decoder.beside)
            past = decoder.past(x, left, up, base, fz[:, :COLOURS])
            mover.leave(at.index)
            skewed.put("x", x)
            skewed.put("past", past)

    def mover(self) -> Mover:
        """What moves the mixtures of a walk that meets its errors on the way."""
        rows, width, _, _ = self.shape
        return Mover(self._correction, None if self._correction is None else Errors(rows, width, self.colours))

    def _compiles(self) -> bool:
        """Whether compiled steps walk the band, symbol by symbol."""
        return self.guide is None and serves(self.decoder, self.lanes)

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block; in one go on a GPU, and where noise is inverted by compiled steps."""
        if self.guide is not None and not self.decoder.narrow:
            return super().pop(source, tick)
        on_gpu = GpuBand(self.decoder, self.fz, self.colours, self.guide, self._correction)
        if on_gpu.serves(source):
            return on_gpu.pop(source, tick)
        compiled.expect(prod(self.shape))
        if self.guide is None or not isinstance(source, Noise) or not serves(self.decoder, self.lanes):
            return super().pop(source, tick)
        band = band_of(self.decoder, self.fz, self.colours, self.guide)
        return band.draw(source.words(), tick).reshape(self.shape)

    def parallel(self, symbols: Ints) -> Iterator[MixtureStep]:
        """See codec.interface.Steps."""
        outputs = self.see(symbols)
        return self.backwards(outputs, None if self._correction is None else self.errors(outputs)[0])

    def backwards(self, outputs: Pass, errors: Errors | None) -> Iterator[MixtureStep]:
        """The encoder's walk over what a pass gave; errors: of all pixels, if the band has a correction."""
        if self._compiles():
            band = band_of(self.decoder, self.fz, self.colours, correction=self._correction)
            yield from band.backwards(*self._single(outputs), errors)
            return
        rows, width, _, _ = self.shape
        mover = Mover(self._correction, errors)
        for at in fronts(rows, width, reverse=True):
            mover.enter(at.index)
            for c in reversed(range(self.colours)):
                yield self.step(c, *self._at(outputs, c, at.index), at.index, mover)

    def corrected(self, correction: Correction) -> PixelBlock:
        """The same band with a correction."""
        other = copy.copy(self)
        other._correction = correction
        return other

    def errors(self, outputs: Pass) -> tuple[Errors, Shorts]:
        """Every error of a band's pixels, and the `likeliest_scale` of its mixtures, (rows W, colours)."""
        if outputs.missed is not None:
            return outputs.missed
        rows, width, _, _ = self.shape
        errors = Errors(rows, width, self.colours)
        scales = np.empty((len(outputs.known), self.colours), np.int16)
        for index in strips(len(scales)):
            own = np.empty((len(index), self.colours), np.int64)
            for c in range(self.colours):
                params, base, mean, known = self._at(outputs, c, index)
                logit, centre, scale = self._mixture(c, params, base, mean, known)
                own[:, c] = error(known[:, c], mixture_mean(logit, centre))
                scales[index, c] = likeliest_scale(logit, scale)
            errors.put(index, own)
        return errors, scales

    def see(self, symbols: Ints) -> Pass:
        """One network pass over known symbols (block's shape)."""
        compiled.expect(symbols.size)
        values = np.repeat((symbols - CENTRE).astype(np.int16), COLOURS // self.colours, 2)  # (rows, W, 3, N)
        if serves(self.decoder, self.lanes):
            known = values.reshape(-1, COLOURS)
            told, base, errors, scales = band_of(self.decoder, self.fz, self.colours).see(known)
            return Pass(told[:, None], base[:, None], known[:, None], (errors, scales))
        params, base = self._outputs(np.moveaxis(values, 3, 0))
        return Pass(params, base, np.moveaxis(values, 3, 2).reshape(-1, self.lanes, COLOURS))

    def _single(self, found: Pass) -> tuple[Shorts, Shorts, Shorts]:
        """A pass over a single picture, without its lane."""
        return found.params[:, 0], found.base[:, 0], found.known[:, 0]

    def _at(self, found: Pass, c: int, index: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """What `_mixture` takes for channel c of all lanes at the positions index."""
        base = found.base[index].astype(np.int64).reshape(-1, COLOURS)
        mean, known = self._mean[index].reshape(-1, COLOURS), found.known[index].astype(np.int64).reshape(-1, COLOURS)
        params = found.params[index, :, c, : 3 * self.decoder.mixtures + c + 1].astype(np.int64)
        return params.reshape(-1, params.shape[-1]), base, mean, known

    def _outputs(self, known: Shorts) -> tuple[Shorts, Shorts]:
        """Every network output of the band, as small integers: see `Pass`.

        known: (N, rows, W, 3).
        """
        rows, width, _, lanes = self.shape
        strips, decoder = Strips(), self.decoder
        height = max(1, STRIP_PIXELS // (width * lanes))
        above = torch.zeros(lanes, decoder.spacing, width, COLOURS, dtype=torch.float32, device=self.device)
        params = np.zeros((rows * width, lanes, self.colours, 3 * decoder.mixtures + COLOURS), np.int16)
        bases = np.empty((rows * width, lanes, COLOURS), np.int16)
        with exact_inference():
            for r in range(0, rows, height):
                x = torch.from_numpy(known[:, r : r + height]).to(self.device, torch.float32)
                whole = torch.cat((above, x), 1)
                up, above = whole[:, : -decoder.spacing], whole[:, -decoder.spacing :]
                fz, *streams = (t[:, r : r + height] for t in (self.fz, *self._streams))
                raw, base = decoder(strips.look, x, up, fz, streams, self.colours)
                here = slice(r * width, (r + x.shape[1]) * width)
                bases[here] = self._by_position(base).cpu().numpy()
                for c in range(self.colours):
                    params[here, :, c, : raw[c].shape[-1]] = self._by_position(raw[c]).cpu().numpy()
        return params, bases

    def _mixture(self, c: int, params: Ints, base: Ints, mean: Ints, known: Ints) -> tuple[Ints, Ints, Ints]:
        """Logits, centres and scales, (n, K), of channel c.

        params (n, 3 K + c + 1), base and mean (n, 3) in 1/32 level, known (n, 3) values.
        """
        k = self.decoder.mixtures
        logit, offset, scale, share = params[:, :k], params[:, k : 2 * k], params[:, 2 * k : 3 * k], params[:, 3 * k :]
        if compiled.runs():
            from vlcodec.models.walks import kernels

            return logit, kernels.centres(c, offset, share, base, mean, known), scale
        references = np.concatenate((FINE * known[:, :c] - base[:, :c], mean[:, c : c + 1] - base[:, c : c + 1]), 1)
        centre = base[:, c] + (((share * references).sum(1) + (1 << SHARE_SHIFT - 1)) >> SHARE_SHIFT)
        return logit, centre[:, None] + offset, scale

    def step(self, c: int, params: Ints, base: Ints, mean: Ints, known: Ints, index: Ints, mover: Mover) -> MixtureStep:
        """Channel c's symbols of all lanes at the positions index; the rest as for `_mixture`.

        Guided, the mixture is multiplied by the auxiliary decoder's gaussian: both decoders describe the same pixel.
        Without it a long sample drifts from the mean image, since a local PixelCNN trusts its neighbours.
        """
        mixture = mover.mixture(c, *self._mixture(c, params, base, mean, known))
        if self.guide is not None and self.decoder.narrow:
            mixture = DrawnMixture(*guided_parameters(mixture, mean[:, c], self.guide))
        elif self.guide is not None:
            mixture = guided(mixture, mean[:, c], self.guide)
        places = (index * self.colours + c)[:, None] * self.lanes + np.arange(self.lanes)
        return MixtureStep(mixture, places.reshape(-1))
