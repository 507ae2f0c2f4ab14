"""The family `vapnev`: a frozen Vapnev as a codec of small colour pictures, many of one size at a time, in lanes.

The gaussian posterior serves archives, by bits-back (`Chained`); the uniform one lossy files, by dither (`Dithered`).
Pixels are coded through the flow, which takes bits off the stack first: so a single picture has no lossless file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.latents import primed
from vlcodec.codec.coding.tables import GaussianGrid, LogisticMixture, Uniforms
from vlcodec.codec.coding.walk import OneStep, Settled
from vlcodec.codec.errors import BoundError
from vlcodec.codec.interface import Bytes, Distribution, Ints
from vlcodec.models.lanes.layers import serve
from vlcodec.models.layers.causal_pixels import COLOURS, centred
from vlcodec.models.layers.mixture import FINE
from vlcodec.models.layers.posterior import CELLS, PRIOR_INDEX, Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.vapnev.blocks import FlowBlock
from vlcodec.models.vapnev.integer_flow import IntegerFlow, spread, unspread
from vlcodec.models.vapnev.lanes import VapnevLanes
from vlcodec.models.vapnev.net import SIDE, Vapnev
from vlcodec.models.vapnev.prior import YPrior
from vlcodec.models.walks.by_quality import ByQuality
from vlcodec.models.walks.dither import quantise, reconstruct
from vlcodec.models.walks.net_walk import to_numpy
from vlcodec.models.walks.pictures import in_colour, to_pictures, to_symbols


class Middle:
    """A source of uniform symbols' middle values: by these a mean image is inverted."""

    exhausted = False

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols."""
        assert isinstance(distribution, Uniforms)
        return distribution.sizes // 2


@dataclass(frozen=True)
class Seen:
    """What z says: the flow whose couplings see it, and y's prior."""

    flow: IntegerFlow
    prior: YPrior


class _Lanes:
    """What both kinds share: a net on a device, and pictures as its inputs and outputs."""

    kind: Kind

    def __init__(self, net: Vapnev, device: torch.device) -> None:
        self.net, self.device = net.to(device).eval(), device
        self.latents = net.shape.latents

    def shape(self, n: int, height: int, width: int) -> tuple[int, ...]:
        """(n, latents)."""
        return n, self.latents

    @cached_property
    def _packed(self) -> VapnevLanes | None:
        try:
            return VapnevLanes(self.net)
        except BoundError:
            return None

    def _over_lanes(self) -> VapnevLanes | None:
        """The net in layers over lanes, where these serve."""
        return self._packed if serve(self.device) else None

    def _parameters(self, pictures: Bytes) -> list[Ints]:
        """Centres and scale indices of the posterior, (n, latents)."""
        x = centred(in_colour(pictures))
        if lanes := self._over_lanes():
            return lanes.parameters(self.kind, x)
        with exact_inference():
            return [to_numpy(p) for p in self.net.ends_of(self.kind).posterior(self.net.encoder(x.to(self.device)))]

    def _seen(self, z: Ints) -> Seen:
        """z (n, latents), in cells or in 1/32 step."""
        if lanes := self._over_lanes():
            e = lanes.features(self.kind, z)
            return Seen(IntegerFlow(partial(lanes.told, e=e)), YPrior(*lanes.of_y(e)))
        with exact_inference():
            features = self.net.ends_of(self.kind).features(torch.from_numpy(z).to(self.device, torch.float32))
            of_y = [_innermost(each) for each in self.net.decoder(features)]
        return Seen(IntegerFlow(partial(self._told, e=features)), YPrior(*of_y))

    def _told(self, which: tuple[int, int, int], seen: Ints, e: Tensor) -> Ints:
        """See `integer_flow.Told`."""
        scale, kind, turn = which
        with exact_inference():
            x = torch.from_numpy(np.moveaxis(seen, -1, 0).copy()).to(self.device, torch.float32)
            return _innermost(self.net.flow.turns(scale)[kind].coupling(turn)(x, e))

    def mean_images(self, fz: Seen, height: int, width: int) -> Bytes:
        """(n, 32, 32, 3) uint8: the picture whose y is mu_y."""
        return to_pictures(unspread(fz.flow.pop(fz.prior.mean(), Middle()), Middle()))

    def pixels(self, fz: Seen, rows: range, width: int, colours: int, guided: bool = False) -> FlowBlock:
        """Block (32, 32, 1 or 3, n); sampling needs no guide."""
        return FlowBlock(fz.flow, fz.prior, colours)

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(n, 32, 32, C) uint8 -> (32, 32, C, n): G, R, B, or the one channel of grey pictures."""
        return to_symbols(pictures)

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        return to_pictures(symbols)


def _innermost(x: Tensor) -> Ints:
    """(n, ...) -> (..., n), integers."""
    return np.moveaxis(to_numpy(x), 0, -1)


class Chained(_Lanes):
    """See codec.interface.LatentNet: a gaussian posterior and prior on one grid."""

    posterior_kind: Literal["bits-back"] = "bits-back"
    kind: Kind = "gaussian"
    least_ratio = 3

    def posterior(self, pictures: Bytes, u: Ints) -> OneStep:
        """q(z | x): symbols (n, latents) in [0, 4096)."""
        centre, scale = self._parameters(pictures)
        return OneStep(GaussianGrid(centre.reshape(-1), scale.reshape(-1)), centre.shape)

    def prior(self, u: Ints) -> OneStep:
        """p(z)."""
        return OneStep(GaussianGrid(np.zeros(u.size, np.int64), np.full(u.size, PRIOR_INDEX)), u.shape)

    def features(self, symbols: Ints, u: Ints) -> Seen:
        """f(z)."""
        return self._seen(symbols - CELLS // 2)


class Dithered(_Lanes):
    """See codec.interface.LatentNet: a uniform posterior of one step, latents in 1/32 step."""

    posterior_kind: Literal["dithered"] = "dithered"
    kind: Kind = "uniform"
    least_ratio = 0

    def posterior(self, pictures: Bytes, u: Ints) -> Settled:
        """Symbols k + 128 (n, latents)."""
        return Settled(quantise(self.centres(pictures), u))

    def centres(self, pictures: Bytes) -> Ints:
        """(n, latents), in 1/32 step."""
        return self._parameters(pictures)[0]

    @cached_property
    def spread(self) -> Ints:
        """(1, latents) scale indices of the prior."""
        with exact_inference():
            return to_numpy(self.net.ends_of(self.kind).spread(torch.zeros(1, 1, device=self.device)))

    def prior(self, u: Ints) -> OneStep:
        """p(z): a logistic for each latent."""
        centre = -u.reshape(-1, 1)
        scale = np.broadcast_to(self.spread, u.shape).reshape(-1, 1)
        return OneStep(LogisticMixture(np.zeros_like(centre), centre, scale), u.shape)

    def features(self, symbols: Ints, u: Ints) -> Seen:
        """f(z)."""
        return self._seen(reconstruct(symbols, u))


class VapnevModel(ByQuality[Chained, Dithered]):
    """See codec.interface.Model."""

    def __init__(self, net: Vapnev, device: torch.device) -> None:
        super().__init__(Chained(net, device), Dithered(net, device))

    def golden(self) -> Iterator[Ints]:
        """All integers that tables and pixels are made of, on golden pictures and of both kinds: posteriors, priors,
        what couplings say, and y."""
        pictures = golden_pictures()
        chained, (dithered,) = self._chained, self._singles
        centre, scale = chained._parameters(pictures)
        u = np.ones_like(centre)
        k = dithered.posterior(pictures, u).symbols
        yield from (centre, scale, dithered.centres(pictures), dithered.spread)
        nets: tuple[tuple[_Lanes, Seen], ...] = (
            (chained, chained.features(centre // FINE + CELLS // 2, u)),
            (dithered, dithered.features(k, u)),
        )
        for net, seen in nets:
            yield from (seen.prior.centre, seen.prior.scale)
            stack = primed(len(pictures), 0)
            yield seen.flow.push(spread(net.to_symbols(pictures), stack), stack)
            yield net.mean_images(seen, SIDE, SIDE).astype(np.int64)


def golden_pictures() -> Bytes:
    """(2, 32, 32, 3) uint8: edges and gradients, and pseudo-random texture, from integers alone."""
    r, c, k = np.indices((SIDE, SIDE, COLOURS), dtype=np.int64)
    smooth = 5 * r + 3 * c + 50 * k + 90 * ((r // 11 + c // 13) % 2)
    texture = 4 * r + 40 * k + (((r * 57 + c * 131 + k * 17) * 2654435761) >> 13) % 90
    return np.asarray(np.stack([smooth, texture]) % 256, np.uint8)
