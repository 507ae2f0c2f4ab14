"""The models `agave-*`: a frozen LadderAgave as a codec of small colour pictures, many of one size at a time, in lanes.

The gaussian posterior serves archives, by bits-back (`Chained`); the uniform one serves lossy files, single pictures
and an archive's first links, by dither (`Dithered`). Prior and posterior are walked level by level, from the top.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.dither import CENTRE, quantise, reconstruct
from vlcodec.codec.coding.stack import Likeliest
from vlcodec.codec.coding.tables import GaussianGrid, LogisticMixture, variances
from vlcodec.codec.coding.walk import decode
from vlcodec.codec.interface import Bytes, Distribution, Ints, Step, Steps
from vlcodec.models.agave.net import SIDE, LadderAgave
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, ORDER, centred
from vlcodec.models.layers.posterior import CELLS, Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.golden import both_walks
from vlcodec.models.walks.latent_block import to_numpy
from vlcodec.models.walks.pixel_block import PixelBlock


class LadderBlock:
    """The latents of N pictures, top level first: block (N, latents). Of the posterior where pictures are given, else
    of the prior. dither: (N, latents) in 1/32 step, of a uniform posterior's prior."""

    def __init__(
        self, net: LadderAgave, kind: Kind, n: int, seen: list[Tensor] | None = None, dither: Ints | None = None
    ) -> None:
        self._net, self._kind, self._seen, self._counts = net, kind, seen, net.shape.counts
        self._size = (n, sum(self._counts))
        self._dither = None if dither is None else dither.reshape(self._size)
        self.shape, self.count = self._size if dither is None else dither.shape, len(self._counts)

    def levels(self) -> Generator[tuple[slice, Ints, Ints], Ints, Tensor]:
        """Each level's place among a picture's latents, with their centres and scales (N, count), is answered by z
        (N, count); returns f(z)."""
        n, first = self._size[0], 0
        walk = self._net.walk(self._kind, self._seen, n, self._net.start.weight)
        z: Tensor | None = None
        for count, side in zip(self._counts, self._net.shape.sides, strict=True):
            with exact_inference():
                _, prior, posterior = walk.send(z) if z is not None else next(walk)
                centre, scale = (to_numpy(t).reshape(n, count) for t in posterior or prior)
            known = yield slice(first, first + count), centre, scale
            z = torch.from_numpy(known.reshape(n, side, side, -1)).to(self._net.start.weight.device, torch.float32)
            first += count
        with exact_inference():
            try:
                walk.send(z if z is not None else torch.zeros(0))
            except StopIteration as end:
                return end.value
        raise RuntimeError("a walk has as many levels as its shape says")

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        n, total = self._size
        walk = self.levels()
        part, centre, scale = next(walk)
        for level in range(self.count):
            places = np.arange(n)[:, None] * total + np.arange(part.start, part.stop)
            symbols = (yield Step(self._distribution(part, centre, scale), places.reshape(-1))).reshape(n, -1)
            if level + 1 < self.count:
                part, centre, scale = walk.send(self._values(part, symbols))
        walk.close()

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps: all levels are few steps, walked forwards and handed out backwards."""
        flat, walk, steps = symbols.reshape(-1), self.sequential(), list[Step]()
        try:
            steps.append(next(walk))
            while True:
                steps.append(walk.send(flat[steps[-1].index]))
        except StopIteration:
            return iter(steps[::-1])

    def _distribution(self, part: slice, centre: Ints, scale: Ints) -> Distribution:
        if self._kind == "gaussian":
            return GaussianGrid(centre.reshape(-1), scale.reshape(-1))
        assert self._dither is not None
        column = (centre - self._dither[:, part]).reshape(-1, 1)
        return LogisticMixture(np.zeros_like(column), column, scale.reshape(-1, 1))

    def _values(self, part: slice, symbols: Ints) -> Ints:
        """z of a level's symbols: in cells, or in 1/32 step."""
        if self._kind == "gaussian":
            return symbols - CELLS // 2
        assert self._dither is not None
        return reconstruct(symbols, self._dither[:, part])


class _Frozen:
    """What both kinds share: a net on a device, and pictures as its inputs and outputs."""

    kind: Kind

    def __init__(self, net: LadderAgave, device: torch.device) -> None:
        self.net, self.device = net.to(device).eval(), device
        self.latents = sum(net.shape.counts)

    def _seen(self, pictures: Bytes) -> list[Tensor]:
        with exact_inference():
            seen: list[Tensor] = self.net.encoder(centred(pictures).to(self.device))
            return seen

    def features(self, z: Ints) -> Tensor:
        """f(z) (N, 32, 32, 3 + features) of latents (N, latents), in cells or in 1/32 step."""
        walk = LadderBlock(self.net, self.kind, len(z)).levels()
        part, _, _ = next(walk)
        try:
            while True:
                part, _, _ = walk.send(z[:, part])
        except StopIteration as end:
            fz: Tensor = end.value
            return fz

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(N, 32, 32, 3) uint8 RGB -> (32, 32, 3, N) in the order G, R, B."""
        return pictures[..., ORDER].transpose(1, 2, 3, 0).astype(np.int64)

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        return np.ascontiguousarray(symbols.transpose(3, 0, 1, 2)[..., ORDER]).astype(np.uint8)


class Chained(_Frozen):
    """See codec.interface.ChainedModel: a gaussian posterior and prior on one grid."""

    posterior: Literal["gaussian"] = "gaussian"
    kind: Kind = "gaussian"
    least_ratio = 1

    def given(self, pictures: Bytes) -> LadderBlock:
        """q(z | x) of (N, 32, 32, 3) pictures."""
        return LadderBlock(self.net, "gaussian", len(pictures), self._seen(pictures))

    def prior(self, n: int) -> LadderBlock:
        """p of the latents of n pictures."""
        return LadderBlock(self.net, "gaussian", n)

    def to_noise(self, z: Ints) -> Ints:
        """The identity: the prior is that of the latents."""
        return z

    from_noise = to_noise

    def pixels(self, z: Ints) -> Steps:
        """p(x | z) of symbols z (N, latents): block (32, 32, 3, N)."""
        return PixelBlock(self.net.pixels, self.features(z - CELLS // 2), False)


class Dithered(_Frozen):
    """See codec.interface.DitheredModel: a uniform posterior of one step, latents in 1/32 step."""

    posterior: Literal["uniform"] = "uniform"
    kind: Kind = "uniform"

    def encode(self, pictures: Bytes, dither: Ints) -> Ints:
        """(N, 32, 32, 3) pictures -> (N, latents) symbols, given the dither."""
        symbols = np.empty_like(dither)
        walk = LadderBlock(self.net, "uniform", len(pictures), self._seen(pictures)).levels()
        part, centre, _ = next(walk)
        try:
            while True:
                symbols[:, part] = quantise(centre, dither[:, part])
                part, centre, _ = walk.send(reconstruct(symbols[:, part], dither[:, part]))
        except StopIteration:
            return symbols

    def prior(self, dither: Ints) -> LadderBlock:
        """The latents' symbols, k + 128, given the dither (..., latents) in 1/32 step; block of its shape."""
        return LadderBlock(self.net, "uniform", dither.size // self.latents, dither=dither)

    def pixels(self, z: Ints) -> Steps:
        """p(x | z), z (N, latents) in 1/32 step: block (32, 32, 3, N)."""
        return PixelBlock(self.net.pixels, self.features(z), False)


class SmallModel:
    """Both posteriors for archives, and codec.interface.ImageModel for a picture of its own, by dither."""

    posterior: Literal["uniform"] = "uniform"
    qualities, stride = 1, SIDE

    def __init__(self, net: LadderAgave, device: torch.device) -> None:
        self.net = net
        self.chained, self.dithered = Chained(net, device), Dithered(net, device)
        self.latents = self.dithered.latents
        with exact_inference():
            scales = to_numpy(net.aux_scale(torch.zeros(1, 1, device=device)))
        self._guide = int(variances(scales).sum()) // COLOURS

    def encode(self, pixels: Bytes, quality: int, dither: Ints) -> Ints:
        """(32, 32, 3) uint8 -> (1, 1, latents) symbols, given the dither."""
        return self.dithered.encode(pixels[None], dither[0])[None]

    def prior(self, dither: Ints, quality: int) -> LadderBlock:
        """The latents' symbols, given the dither (1, 1, latents)."""
        return self.dithered.prior(dither)

    def decode(self, z: Ints, quality: int) -> Tensor:
        """(1, 1, latents) in 1/32 step -> f(z) (1, 32, 32, 3 + features)."""
        return self.dithered.features(z[0])

    def mean_image(self, fz: Tensor, height: int, width: int) -> Bytes:
        """(32, 32, 3) uint8: the auxiliary decoder's mean, rounded."""
        return self.mean_images(fz)[0]

    def mean_images(self, fz: Tensor) -> Bytes:
        """(N, 32, 32, 3) uint8, likewise."""
        levels = (to_numpy(fz[..., :COLOURS]) + MEAN_UNIT // 2) // MEAN_UNIT + CENTRE
        return np.clip(levels, 0, 255)[..., ORDER].astype(np.uint8)

    def pixels(self, fz: Tensor, first_row: int, rows: int, width: int, grey: bool, guided: bool = False) -> PixelBlock:
        """The pixels, block (32, 32, 1 or 3, 1); guided for sampling."""
        return PixelBlock(self.net.pixels, fz, grey, self._guide if guided else None)

    def to_symbols(self, pixels: Bytes, grey: bool) -> Ints:
        """(32, 32, 3) uint8 -> (32, 32, 1 or 3, 1)."""
        return self.dithered.to_symbols(pixels[None])[:, :, : 1 if grey else COLOURS]

    def to_pixels(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols: (32, 32, 3) uint8."""
        full = np.broadcast_to(symbols, (*symbols.shape[:2], COLOURS, 1))
        return self.dithered.to_pictures(full)[0]

    def golden(self) -> Iterator[Ints]:
        """All integers that tables are made of, on golden pictures and of both kinds."""
        pictures = golden_pictures()
        u = np.ones((len(pictures), self.latents), np.int64)
        given = self.chained.given(pictures)
        z, k = decode(given, Likeliest()), self.dithered.encode(pictures, u)
        yield from (z, k)
        yield from both_walks(given, z)
        yield from both_walks(self.chained.prior(len(pictures)), z)
        yield from both_walks(self.dithered.prior(u), k)
        for part in (self.chained, self.dithered):
            latents = z - CELLS // 2 if part is self.chained else reconstruct(k, u)
            fz = part.features(latents)
            yield to_numpy(fz)
            yield from both_walks(PixelBlock(self.net.pixels, fz, False), part.to_symbols(pictures))
        yield np.array([self._guide])


def golden_pictures() -> Bytes:
    """(2, 32, 32, 3) uint8: edges and gradients, and pseudo-random texture, from integers alone."""
    r, c, k = np.indices((SIDE, SIDE, COLOURS), dtype=np.int64)
    smooth = 5 * r + 3 * c + 50 * k + 90 * ((r // 11 + c // 13) % 2)
    texture = 4 * r + 40 * k + (((r * 57 + c * 131 + k * 17) * 2654435761) >> 13) % 90
    return np.asarray(np.stack([smooth, texture]) % 256, np.uint8)
