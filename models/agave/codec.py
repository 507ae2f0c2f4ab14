"""The family `agave`: a frozen LadderAgave as a codec of small colour pictures, many of one size at a time, in lanes.

The gaussian posterior serves archives, by bits-back (`Chained`); the uniform ones serve lossy files, one for each
quality, and the first of them lossless pictures and an archive's first links, by dither (`Dithered`). Prior and
posterior are walked level by level, from the top.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.noise import Likeliest
from vlcodec.codec.coding.tables import variances
from vlcodec.codec.coding.walk import Settled
from vlcodec.codec.errors import BoundError
from vlcodec.codec.interface import Bytes, Ints
from vlcodec.models.agave.blocks import LadderBlock, LaneLadderBlock
from vlcodec.models.agave.lanes import LadderLanes
from vlcodec.models.agave.net import SIDE, LadderAgave
from vlcodec.models.agave.pixel_block import LanePixelBlock
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.compiled.band import serves
from vlcodec.models.lanes.layers import in_shares, serve, to_lanes
from vlcodec.models.layers.causal_pixels import COLOURS, centred
from vlcodec.models.layers.posterior import CELLS, Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.by_quality import ByQuality
from vlcodec.models.walks.dither import quantise, reconstruct
from vlcodec.models.walks.golden import both_walks
from vlcodec.models.walks.net_walk import to_numpy
from vlcodec.models.walks.pictures import in_colour, levels_of, to_pictures, to_symbols

CROP = 8  # of the golden pictures' pixels, which are walked step by step


class _Lanes:
    """What both kinds share: a net on a device, and pictures as its inputs and outputs."""

    kind: Kind

    def __init__(self, net: LadderAgave, device: torch.device) -> None:
        self.net, self.device = net.to(device).eval(), device
        self.latents = sum(net.shape.counts)
        with exact_inference():
            scales = to_numpy(net.aux_scale(torch.zeros(1, 1, device=device)))
        self.guide = int(variances(scales).sum()) // COLOURS  # levels^2

    def shape(self, n: int, height: int, width: int) -> tuple[int, ...]:
        """(n, latents)."""
        return n, self.latents

    @cached_property
    def _packed(self) -> LadderLanes | None:
        try:
            return LadderLanes(self.net)
        except BoundError:
            return None

    @property
    def _over_lanes(self) -> LadderLanes | None:
        """The net in layers over lanes, where these serve."""
        return self._packed if serve(self.device) else None

    def _levels(self, n: int, pictures: Bytes | None = None, dither: Ints | None = None) -> LadderBlock:
        """The latents of n pictures: of the posterior where these are given, else of the prior."""
        x = None if pictures is None else centred(in_colour(pictures)).to(self.device)
        if lanes := self._over_lanes:
            features = None if x is None else in_shares(lambda part: lanes.encoder(to_lanes(x[part])), n)
            return LaneLadderBlock(self.net, self.kind, n, lanes, features, dither)
        with exact_inference():
            seen = None if x is None else self.net.encoder(x)
        return LadderBlock(self.net, self.kind, n, seen, dither)

    def _decoded(self, z: Ints) -> Tensor:
        """f(z) (n, 32, 32, 3 + features) of latents (n, latents), in cells or in 1/32 step."""
        walk = self._levels(len(z)).levels()
        part, _, _ = next(walk)
        try:
            while True:
                part, _, _ = walk.send(z[:, part])
        except StopIteration as end:
            fz: Tensor = end.value
            return fz

    def mean_images(self, fz: Tensor, height: int, width: int) -> Bytes:
        """(n, 32, 32, 3) uint8: the auxiliary decoder's mean, rounded."""
        return levels_of(fz)

    def pixels(self, fz: Tensor, rows: range, width: int, colours: int, guided: bool = False) -> PixelBlock:
        """Block (32, 32, 1 or 3, n); guided for sampling."""
        grey, guide, lanes = colours == 1, self.guide if guided else None, self._over_lanes
        if lanes is None or serves(self.net.pixels, len(fz)):
            return PixelBlock(self.net.pixels, fz, grey, guide)
        return LanePixelBlock(self.net.pixels, fz, grey, guide, lanes.pixels)

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(n, 32, 32, C) uint8 -> (32, 32, C, n): G, R, B, or the one channel of grey pictures."""
        return to_symbols(pictures)

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        return to_pictures(symbols)


class Chained(_Lanes):
    """See codec.interface.LatentNet: a gaussian posterior and prior on one grid."""

    posterior_kind: Literal["bits-back"] = "bits-back"
    kind: Kind = "gaussian"
    least_ratio = 1

    def posterior(self, pictures: Bytes, u: Ints) -> LadderBlock:
        """q(z | x): symbols (n, latents) in [0, 4096)."""
        return self._levels(len(pictures), pictures)

    def prior(self, u: Ints) -> LadderBlock:
        """p(z)."""
        return self._levels(len(u))

    def features(self, symbols: Ints, u: Ints) -> Tensor:
        """f(z)."""
        return self._decoded(symbols - CELLS // 2)


class Dithered(_Lanes):
    """See codec.interface.LatentNet: a uniform posterior of one step, latents in 1/32 step.

    short_code: see codec.coding.groups.Short.
    """

    posterior_kind: Literal["dithered"] = "dithered"
    least_ratio = 0

    def __init__(self, net: LadderAgave, device: torch.device, kind: Kind, short_code: bool) -> None:
        super().__init__(net, device)
        self.kind, self.short_code = kind, short_code

    def posterior(self, pictures: Bytes, u: Ints) -> Settled:
        """Symbols k + 128 (n, latents)."""
        symbols = np.empty_like(u)
        walk = self._levels(len(pictures), pictures).levels()
        part, centre, _ = next(walk)
        try:
            while True:
                symbols[:, part] = quantise(centre, u[:, part])
                part, centre, _ = walk.send(reconstruct(symbols[:, part], u[:, part]))
        except StopIteration:
            return Settled(symbols)

    def prior(self, u: Ints) -> LadderBlock:
        """p(z)."""
        return self._levels(len(u), dither=u)

    def features(self, symbols: Ints, u: Ints) -> Tensor:
        """f(z)."""
        return self._decoded(reconstruct(symbols, u))


class LadderModel(ByQuality[Chained, Dithered]):
    """See codec.interface.Model. short_code: see `Dithered`."""

    def __init__(self, net: LadderAgave, device: torch.device, short_code: bool = False) -> None:
        singles = [Dithered(net, device, kind, short_code) for kind in net.kinds if kind != "gaussian"]
        super().__init__(Chained(net, device), *singles)
        self.net = net

    def golden(self) -> Iterator[Ints]:
        """All integers that tables and pixels are made of, on golden pictures and of both kinds."""
        pictures = golden_pictures()
        u = np.ones((len(pictures), self._chained.latents), np.int64)
        posterior = self._chained.posterior(pictures, u)
        z, codes = posterior.pop(Likeliest()), [net.posterior(pictures, u).symbols for net in self._singles]
        yield from (z, *codes)
        yield from both_walks(posterior, z)
        yield from both_walks(self._chained.prior(u), z)
        lanes: list[tuple[_Lanes, Tensor]] = [(self._chained, self._chained.features(z, u))]
        for net, k in zip(self._singles, codes, strict=True):
            yield from both_walks(net.prior(u), k)
            lanes.append((net, net.features(k, u)))
        for own, fz in lanes:
            yield to_numpy(fz)
            part = fz[:, :CROP, :CROP].contiguous()
            block = own.pixels(part, range(CROP), CROP, COLOURS, guided=own is not self._chained)
            yield from both_walks(block, own.to_symbols(pictures[:, :CROP, :CROP]))


def golden_pictures() -> Bytes:
    """(2, 32, 32, 3) uint8: edges and gradients, and pseudo-random texture, from integers alone."""
    r, c, k = np.indices((SIDE, SIDE, COLOURS), dtype=np.int64)
    smooth = 5 * r + 3 * c + 50 * k + 90 * ((r // 11 + c // 13) % 2)
    texture = 4 * r + 40 * k + (((r * 57 + c * 131 + k * 17) * 2654435761) >> 13) % 90
    return np.asarray(np.stack([smooth, texture]) % 256, np.uint8)
