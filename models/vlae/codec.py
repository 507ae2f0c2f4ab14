"""The models `vlae-*`: frozen VLAEs as codecs of binary pictures, many of one size at a time, in lanes.

A model has two nets. The one with a gaussian posterior serves archives, by bits-back (`Chained`); the one with a
uniform posterior serves lossy files, single pictures and an archive's first links, by dither (`Dithered`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from vlcodec.codec.coding.dither import CENTRE, quantise, reconstruct
from vlcodec.codec.coding.stack import Likeliest
from vlcodec.codec.coding.tables import Bernoulli, GaussianGrid, LogisticMixture
from vlcodec.codec.coding.walk import OneStep, decode
from vlcodec.codec.interface import Bytes, Ints, Step, Steps
from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.made import OneByOne
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mixture import FINE
from vlcodec.models.layers.posterior import CELLS, PRIOR_INDEX
from vlcodec.models.layers.settings import exact_inference, stepwise
from vlcodec.models.vlae.net import SIDE, Vlae, VlaeShape
from vlcodec.models.walks.golden import both_walks
from vlcodec.models.walks.latent_block import to_numpy
from vlcodec.models.walks.wavefront import Skewed, fronts, steps_of

WHITE = 255  # the value of a one in a picture


@dataclass(frozen=True)
class BinaryPixelBlock:
    """The pixels of pictures side by side, each a bit: block (28, 28, 1, N). features: (N, 28, 28, F)."""

    net: Vlae
    features: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """See codec.interface.Steps."""
        return SIDE, SIDE, 1, len(self.features)

    @property
    def count(self) -> int:
        """See codec.interface.Steps."""
        return steps_of(SIDE, SIDE)

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        lanes, _, _, channels = self.features.shape
        flat = self.features.permute(1, 2, 0, 3).reshape(SIDE * SIDE, lanes, channels)
        skewed = Skewed(SIDE, self.features.device, lanes)
        with stepwise():
            for at in fronts(SIDE, SIDE):
                skewed.advance(at)
                here = flat[torch.from_numpy(at.index).to(flat.device)].reshape(len(at.index) * lanes, channels)
                logit = to_numpy(self.net.pixels.trunk(skewed.look, None, here))[:, 0]
                bits = yield self._step(logit, at.index)
                value = torch.from_numpy(FINE_UNIT * (2 * bits - 1)).to(flat.device, torch.float32)
                skewed.put("past", value[:, None])

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        with exact_inference():
            x = torch.from_numpy(FINE_UNIT * (2 * symbols - 1)).to(self.features.device, torch.float32)
            logit = self.net.pixels.trunk(look_whole, x.permute(3, 0, 1, 2).contiguous(), self.features)
            flat = to_numpy(logit[..., 0].permute(1, 2, 0).reshape(SIDE * SIDE, -1))
        for at in fronts(SIDE, SIDE, reverse=True):
            yield self._step(flat[at.index].reshape(-1), at.index)

    def _step(self, logit: Ints, index: Ints) -> Step:
        lanes = len(self.features)
        return Step(Bernoulli(logit), (index[:, None] * lanes + np.arange(lanes)).reshape(-1))


class FlowBlock:
    """Latents' symbols k + 128 under the flow prior of a uniform posterior; dither: (..., latents) is the block's."""

    def __init__(self, net: Vlae, dither: Ints) -> None:
        self.net, self.shape, self.count = net, dither.shape, dither.shape[-1]
        self.device = next(net.parameters()).device
        self._dither = dither.reshape(-1, dither.shape[-1])
        with exact_inference():
            self._spread = to_numpy(net.spread(torch.zeros(1, 1, device=self.device)))[0]

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        n = len(self._dither)
        with stepwise():
            walks = [OneByOne(made, n, self.device) for made in self.net.flow.mades()]
            for i in range(self.count):
                shifts = [walk.shift(i) for walk in walks]
                centre = sum((to_numpy(shift) for shift in shifts), np.zeros(n, np.int64))
                symbols = yield self._step(i, centre)
                z = torch.from_numpy(reconstruct(symbols, self._dither[:, i]))
                value = z.to(self.device, torch.float32)
                for walk, shift in zip(walks, shifts, strict=True):
                    walk.put(i, value)
                    value = value - shift

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        z = reconstruct(symbols.reshape(self._dither.shape), self._dither)
        with exact_inference():
            centre = z - to_numpy(self.net.flow(torch.from_numpy(z).to(self.device, torch.float32)))
        for i in reversed(range(self.count)):
            yield self._step(i, centre[:, i])

    def _step(self, i: int, centre: Ints) -> Step:
        column = (centre - self._dither[:, i])[:, None]
        mixture = LogisticMixture(np.zeros_like(column), column, np.full_like(column, self._spread[i]))
        return Step(mixture, np.arange(len(column), dtype=np.int64) * self.count + i)


class BinaryNets(nn.ModuleDict):
    """The nets of a model: "gaussian" and "uniform", while it is being trained perhaps one alone."""

    def __init__(self, kinds: Iterable[str] = ("gaussian", "uniform")) -> None:
        nets: dict[str, nn.Module] = {}
        for kind in kinds:
            nets[kind] = Vlae(VlaeShape(posterior="gaussian" if kind == "gaussian" else "uniform"))
        super().__init__(nets)


class _Frozen:
    """What both kinds share: a net on a device, and pictures as its inputs and outputs."""

    def __init__(self, net: Vlae, device: torch.device) -> None:
        self.net, self.device = net.to(device).eval(), device
        self.latents = net.shape.latents

    def _parameters(self, pictures: Bytes) -> list[Ints]:
        with exact_inference():
            bits = torch.from_numpy((pictures > 0).astype(np.float32)).to(self.device)[..., None]
            return [to_numpy(p) for p in self.net.encoder(FINE_UNIT * (2 * bits - 1))]

    def _features(self, z: Ints) -> Tensor:
        with exact_inference():
            features: Tensor = self.net.decoder(torch.from_numpy(z).to(self.device, torch.float32))
            return features

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(N, 28, 28) uint8, 0 or 255 -> (28, 28, 1, N) bits."""
        return (pictures > 0).transpose(1, 2, 0)[:, :, None].astype(np.int64)

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        return np.ascontiguousarray(WHITE * symbols[:, :, 0].transpose(2, 0, 1)).astype(np.uint8)


class Chained(_Frozen):
    """See codec.interface.ChainedModel: a gaussian posterior on a cyclic grid, the flow a bijection of it."""

    posterior: Literal["gaussian"] = "gaussian"
    least_ratio = 4

    def given(self, pictures: Bytes) -> OneStep:
        """q(z | x) of (N, 28, 28) pictures."""
        centre, scale = self._parameters(pictures)
        return OneStep(GaussianGrid(centre.reshape(-1), scale.reshape(-1)), centre.shape)

    def prior(self, n: int) -> OneStep:
        """p of the noise symbols of n pictures."""
        size = n * self.latents
        noise = GaussianGrid(np.zeros(size, np.int64), np.full(size, PRIOR_INDEX, np.int64))
        return OneStep(noise, (n, self.latents))

    def to_noise(self, z: Ints) -> Ints:
        """Symbols of latents (n, latents) in [0, 4096) -> symbols of the noise, a bijection."""
        with exact_inference():
            return to_numpy(self.net.flow(self._centred(z))) + CELLS // 2

    def from_noise(self, noise: Ints) -> Ints:
        """The inverse of to_noise, one latent after the other."""
        with stepwise():
            return to_numpy(self.net.flow.inverse(self._centred(noise))) + CELLS // 2

    def pixels(self, z: Ints) -> Steps:
        """p(x | z) of symbols z (n, latents): block (28, 28, 1, n)."""
        return BinaryPixelBlock(self.net, self._features(z - CELLS // 2))

    def _centred(self, symbols: Ints) -> Tensor:
        return torch.from_numpy(symbols - CELLS // 2).to(self.device, torch.float32)


class Dithered(_Frozen):
    """See codec.interface.DitheredModel: a uniform posterior of one step, latents in 1/32 step."""

    posterior: Literal["uniform"] = "uniform"

    def encode(self, pictures: Bytes, dither: Ints) -> Ints:
        """(N, 28, 28) pictures -> (N, latents) symbols, given the dither."""
        return quantise(self.centres(pictures), dither)

    def centres(self, pictures: Bytes) -> Ints:
        """(N, 28, 28) pictures -> (N, latents) centres of the posterior, in 1/32 step."""
        return self._parameters(pictures)[0]

    def prior(self, dither: Ints) -> Steps:
        """The latents' symbols, k + 128, given the dither (N, latents) in 1/32 step."""
        return FlowBlock(self.net, dither)

    def pixels(self, z: Ints) -> Steps:
        """p(x | z), z (N, latents) in 1/32 step: block (28, 28, 1, N)."""
        return BinaryPixelBlock(self.net, self._features(z))


class BinaryModel:
    """Both nets for archives, and codec.interface.ImageModel for a picture of its own, by dither."""

    posterior: Literal["uniform"] = "uniform"
    qualities, stride = 1, SIDE

    def __init__(self, nets: BinaryNets, device: torch.device) -> None:
        gaussian, uniform = nets["gaussian"], nets["uniform"]
        assert isinstance(gaussian, Vlae)
        assert isinstance(uniform, Vlae)
        self.chained, self.dithered = Chained(gaussian, device), Dithered(uniform, device)
        self.latents = self.dithered.latents

    def encode(self, pixels: Bytes, quality: int, dither: Ints) -> Ints:
        """(28, 28, 3) uint8 -> (1, 1, latents) symbols, given the dither."""
        return self.dithered.encode(pixels[None, :, :, 0], dither[0])[None]

    def prior(self, dither: Ints, quality: int) -> Steps:
        """The latents' symbols, given the dither (1, 1, latents)."""
        return self.dithered.prior(dither)

    def decode(self, z: Ints, quality: int) -> Ints:
        """(1, 1, latents) in 1/32 step -> the same for `pixels`, (1, latents)."""
        return z.reshape(1, -1)

    def mean_image(self, fz: Ints, height: int, width: int) -> Bytes:
        """(28, 28, 3) uint8: the likeliest value of each pixel after the ones before it."""
        return self.to_pixels(decode(self.dithered.pixels(fz), Likeliest()))

    def pixels(self, fz: Ints, first_row: int, rows: int, width: int, grey: bool, guided: bool = False) -> Steps:
        """The pixels, block (28, 28, 1, 1). Sampling needs no guide: the latents hold what is global."""
        return self.dithered.pixels(fz)

    def to_symbols(self, pixels: Bytes, grey: bool) -> Ints:
        """(28, 28, 3) uint8 -> (28, 28, 1, 1) bits."""
        return self.dithered.to_symbols(pixels[None, :, :, 0])

    def to_pixels(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        return np.repeat(self.dithered.to_pictures(symbols)[0][..., None], 3, 2)

    def golden(self) -> Iterator[Ints]:
        """All integers that tables are made of, on golden pictures: posteriors, flows, and pixel logits."""
        pictures = golden_pictures()
        given = self.chained.given(pictures).distribution
        assert isinstance(given, GaussianGrid)
        yield given.centre
        yield given.scale
        z = (given.centre // FINE + CELLS // 2).reshape(len(pictures), -1)
        noise = self.chained.to_noise(z)
        yield noise
        yield self.chained.from_noise(noise[::-1])
        centres = self.dithered.centres(pictures)
        yield centres
        k = centres // FINE
        blocks = [
            (self.chained.pixels(z), self.chained.to_symbols(pictures)),
            (self.dithered.pixels(FINE * k + 1), self.dithered.to_symbols(pictures)),
            (self.dithered.prior(np.ones_like(k)), k + CENTRE),
        ]
        for steps, symbols in blocks:
            yield from both_walks(steps, symbols)


def golden_pictures() -> Bytes:
    """(3, 28, 28) uint8, 0 or 255: a disc, bars, and pseudo-random dots, from integers alone."""
    r, c = np.indices((SIDE, SIDE), dtype=np.int64)
    disc = (2 * r - 27) ** 2 + (2 * c - 25) ** 2 < 400
    bars = (r + 2 * c) % 13 < 5
    dots = (((r * 57 + c * 131) * 2654435761) >> 13) % 7 == 0
    return (WHITE * np.stack([disc, bars, dots])).astype(np.uint8)
