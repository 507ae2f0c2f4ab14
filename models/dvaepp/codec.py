"""The family `dvaepp`: a frozen DVAE++ as a codec of small pictures, many of one size at a time.

The gaussian posterior serves archives, by bits-back, its bits among them (`Chained`); the uniform one serves lossy
files, single pictures and an archive's first links: bits at their mode, groups by dither (`Dithered`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.noise import Likeliest
from vlcodec.codec.coding.tables import Bernoulli, LogisticMixture
from vlcodec.codec.coding.walk import OneStep, Settled
from vlcodec.codec.interface import Block, Bytes, Distribution, Ints
from vlcodec.models.dvaepp.blocks import BitByBit, LatentPrior, LatentWalk, LatticeBlock, Memo, Seen
from vlcodec.models.dvaepp.net import Dvaepp
from vlcodec.models.layers.causal_pixels import COLOURS, centred
from vlcodec.models.layers.mixture import FINE
from vlcodec.models.layers.posterior import CELLS, Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.by_quality import ByQuality
from vlcodec.models.walks.dither import CENTRE, quantise, reconstruct
from vlcodec.models.walks.golden import both_walks
from vlcodec.models.walks.net_walk import to_numpy
from vlcodec.models.walks.pictures import in_colour, to_pictures, to_symbols

WHITE = 255  # the value of a one in a picture


class _Lanes:
    """What both kinds share: a net on a device, and pictures as its inputs and outputs."""

    kind: Kind

    def __init__(self, net: Dvaepp, device: torch.device) -> None:
        self.net, self.device = net.to(device).eval(), device
        self.bits, self.memo = net.shape.bits, Memo()
        self.latents = self.bits + net.shape.groups * net.shape.locals * net.shape.grid**2

    def shape(self, n: int, height: int, width: int) -> tuple[int, ...]:
        """(n, latents)."""
        return n, self.latents

    def _seen(self, pictures: Bytes) -> Seen:
        if self.net.shape.mixtures:
            x = centred(in_colour(pictures))
        else:
            x = torch.from_numpy((pictures > 0).astype(np.float32))
        with exact_inference():
            found: Seen = self.net.encoder(self.net.inputs(x.to(self.device)))
        return found

    def _decoded(self, walk: LatentWalk, values: Ints) -> Tensor:
        """The stream that pixels are told by, of latents (n, latents): bits, and cells or 1/32 steps."""
        levels = walk.levels()
        part, _, _ = next(levels)
        try:
            while True:
                part, _, _ = levels.send(values[:, part])
        except StopIteration as end:
            stream: Tensor = end.value
            return stream

    def mean_images(self, fz: Tensor, height: int, width: int) -> Bytes:
        """(n, side, side, C) uint8: of each pixel after the coarser ones the likeliest bit, or the mean colour."""
        return self.to_pictures(self.pixels(fz, range(height), width, self.net.shape.colours).pop(_Middle()))

    def pixels(self, fz: Tensor, rows: range, width: int, colours: int, guided: bool = False) -> LatticeBlock:
        """Block (side, side, C, n). Sampling needs no guide: the scales are few."""
        return LatticeBlock(self.net, fz, colours)

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(n, side, side, C) uint8 -> (side, side, C, n): bits of 0 or 255, or G, R, B, or G alone of grey pictures."""
        if self.net.shape.mixtures:
            return to_symbols(pictures)
        return (pictures > 0).transpose(1, 2, 3, 0).astype(np.int64)

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        if self.net.shape.mixtures:
            return to_pictures(symbols)
        return np.ascontiguousarray(WHITE * symbols.transpose(3, 0, 1, 2)).astype(np.uint8)


class Chained(_Lanes):
    """See codec.interface.LatentNet: bits, and gaussians on a grid."""

    posterior_kind: Literal["bits-back"] = "bits-back"
    kind: Kind = "gaussian"

    @property
    def least_ratio(self) -> int:
        """See codec.interface.LatentNet."""
        return 1 if self.net.shape.mixtures else 16

    def posterior(self, pictures: Bytes, u: Ints) -> LatentWalk:
        """q(z, h | x): symbols (n, latents), bits and cells in [0, 4096)."""
        return LatentWalk(self.net, self.kind, len(pictures), self.memo, seen=self._seen(pictures))

    def prior(self, u: Ints) -> LatentPrior:
        """p(z, h)."""
        return LatentPrior(self.net, self.kind, len(u), self.memo)

    def features(self, symbols: Ints, u: Ints) -> Tensor:
        """The stream that pixels are told by."""
        walk = self.prior(u).rest(symbols[:, : self.net.rbm.bits])
        return self._decoded(walk, np.concatenate((symbols[:, : self.bits], symbols[:, self.bits :] - CELLS // 2), 1))


class Dithered(_Lanes):
    """See codec.interface.LatentNet and codec.coding.groups.Grouped: bits at their mode, and a uniform posterior of one
    step for so many groups."""

    posterior_kind: Literal["dithered"] = "dithered"
    kind: Kind = "uniform"
    least_ratio = 0

    def __init__(self, net: Dvaepp, device: torch.device, groups: int) -> None:
        super().__init__(net, device)
        self._groups, local = groups, net.shape.locals * net.shape.grid**2
        self.latents = self.bits + groups * local
        edges = [0, *range(self.bits, self.latents + 1, local)]
        self.parts = [slice(*pair) for pair in pairwise(edges)]

    def posterior(self, pictures: Bytes, u: Ints) -> Settled:
        """Bits, and symbols k + 128 (n, latents)."""
        symbols = np.empty_like(u)
        seen = self._seen(pictures)
        walk = LatentWalk(self.net, self.kind, len(pictures), self.memo, seen=seen, dither=u, groups=self._groups)
        levels = walk.levels()
        part, centre, _ = next(levels)
        try:
            while True:
                symbols[:, part] = centre > 0 if part.stop <= self.bits else quantise(centre, u[:, part])
                part, centre, _ = levels.send(walk.values(part, symbols[:, part]))
        except StopIteration:
            return Settled(symbols)

    def prior(self, u: Ints) -> LatentPrior:
        """p(z, h)."""
        return LatentPrior(self.net, self.kind, len(u), self.memo, u, self._groups)

    def part(self, number: int, symbols: Ints, u: Ints) -> Block:
        """See codec.coding.groups.Grouped."""
        if not number:
            return LatentPrior(self.net, self.kind, len(u), self.memo, u, 0)
        walk = LatentPrior(self.net, self.kind, len(u), self.memo, u, number).rest(symbols[:, : self.net.rbm.bits])
        levels = walk.levels()
        place, centre, scale = next(levels)
        while place != self.parts[number]:
            place, centre, scale = levels.send(walk.values(place, symbols[:, place]))
        levels.close()
        return OneStep(walk.distribution(place, centre, scale), centre.shape)

    def features(self, symbols: Ints, u: Ints) -> Tensor:
        """The stream that pixels are told by."""
        walk = self.prior(u).rest(symbols[:, : self.net.rbm.bits])
        groups = reconstruct(symbols[:, self.bits :], u[:, self.bits :])
        return self._decoded(walk, np.concatenate((symbols[:, : self.bits], groups), 1))


class _Middle(Likeliest):
    """A source that gives colours their mixture's mean, and bits their likelier value."""

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """See codec.interface.Source."""
        if isinstance(distribution, LogisticMixture):
            return np.asarray(((distribution.mean() + FINE // 2) // FINE + CENTRE).clip(0, 255))
        assert isinstance(distribution, Bernoulli)
        return (distribution.logit > 0).astype(np.int64)


class DvaeppModel(ByQuality[Chained, Dithered]):
    """See codec.interface.Model. The quality counts the groups of a file's latents, the bits being the first."""

    def __init__(self, net: Dvaepp, device: torch.device) -> None:
        self.net = net
        singles = (Dithered(net, device, groups) for groups in range(1 + net.shape.groups))
        super().__init__(Chained(net, device), *singles)

    def golden(self) -> Iterator[Ints]:
        """All integers that tables and pixels are made of, on golden pictures and of both kinds."""
        pictures = golden_pictures(self.net.shape.side, self.net.shape.colours)
        single = self._singles[-1]
        u = np.ones((len(pictures), single.latents), np.int64)
        posterior = self._chained.posterior(pictures, u)
        z, k = posterior.pop(Likeliest()), single.posterior(pictures, u).symbols
        yield from (z, k)
        yield from both_walks(posterior, z)
        lanes: tuple[tuple[Chained | Dithered, Ints], ...] = ((self._chained, z), (single, k))
        for net, symbols in lanes:
            prior, first = net.prior(u), symbols[:, : self.net.rbm.bits]
            yield from both_walks(prior.rest(first), symbols)
            fz = net.features(symbols, u)
            yield to_numpy(fz)
            block = net.pixels(fz, range(fz.shape[1]), fz.shape[2], self.net.shape.colours)
            yield from both_walks(block, net.to_symbols(pictures))
        way = self._chained.prior(u).first()
        if isinstance(way, BitByBit):
            yield from both_walks(way, z[:, : self.net.rbm.bits])
        else:
            with exact_inference():
                yield to_numpy(self.net.rbm.table(torch.zeros(1, 1, device=self.net.start.weight.device)))


def golden_pictures(side: int, colours: int) -> Bytes:
    """(2, side, side, C) uint8: a ring and rectangles, or edges and texture, from integers alone."""
    r, c, k = np.indices((side, side, colours), dtype=np.int64)
    noise = ((r * 57 + c * 131 + k * 17) * 2654435761) >> 13
    if colours == COLOURS:
        smooth = 5 * r + 3 * c + 50 * k + 90 * ((r // 11 + c // 13) % 2)
        return np.asarray(np.stack([smooth, 4 * r + 40 * k + noise % 90]) % 256, np.uint8)
    distance = (2 * r - side + 1) ** 2 + (2 * c - side + 1) ** 2
    ring = (distance > 150) & (distance < 420)
    shapes = ((r // 9 + c // 7) % 2 > 0) ^ (noise % 16 == 0)
    return np.asarray(WHITE * np.stack([ring, shapes]), np.uint8)
