"""The family `vlae`: frozen VLAEs as codecs of binary pictures, many of one size at a time, in lanes.

A model has two nets or more. The one with a gaussian posterior serves archives, by bits-back (`Chained`); those with a
uniform posterior serve lossy files of one quality each, and the first of them lossless pictures and an archive's first
links, by dither (`Dithered`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from vlcodec.codec.coding.noise import Likeliest
from vlcodec.codec.coding.tables import GaussianGrid
from vlcodec.codec.coding.walk import OneStep, Settled
from vlcodec.codec.errors import BoundError
from vlcodec.codec.interface import Bytes, Ints
from vlcodec.models.lanes.layers import from_lanes, in_shares, serve, to_lanes
from vlcodec.models.lanes.made import FlowLanes
from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.mixture import FINE
from vlcodec.models.layers.posterior import CELLS
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.vlae.blocks import BinaryPixelBlock, FlowBlock, LanePixelBlock, NoiseBlock
from vlcodec.models.vlae.lanes import VlaeLanes
from vlcodec.models.vlae.net import SIDE, Vlae, VlaeShape
from vlcodec.models.walks.by_quality import ByQuality
from vlcodec.models.walks.dither import CENTRE, quantise, reconstruct
from vlcodec.models.walks.golden import both_walks
from vlcodec.models.walks.net_walk import to_numpy

WHITE = 255  # the value of a one in a picture
CROP = 12  # of the golden pictures' pixels, which are walked step by step


class VlaeNets(nn.ModuleDict):
    """The nets of a model: "gaussian", "uniform", "uniform-2" ..., while it is being trained perhaps one alone."""

    def __init__(self, shapes: Mapping[str, VlaeShape]) -> None:
        super().__init__({kind: Vlae(shape) for kind, shape in shapes.items()})

    def of(self, kind: str) -> Vlae:
        """One of them. Raises KeyError."""
        net = self[kind]
        assert isinstance(net, Vlae)
        return net


class _Lanes:
    """What both kinds share: a net on a device, and pictures as its inputs and outputs."""

    def __init__(self, net: Vlae, device: torch.device) -> None:
        self.net, self.device = net.to(device).eval(), device
        self.latents = net.shape.latents

    def shape(self, n: int, height: int, width: int) -> tuple[int, ...]:
        """(n, latents)."""
        return n, self.latents

    @cached_property
    def _packed(self) -> VlaeLanes | None:
        try:
            return VlaeLanes(self.net)
        except BoundError:
            return None

    @property
    def _over_lanes(self) -> VlaeLanes | None:
        """The net in layers over lanes, where these serve."""
        return self._packed if serve(self.device) and self.net.pixels.window else None

    @property
    def _flow(self) -> FlowLanes | None:
        return None if self._over_lanes is None else self._over_lanes.flow

    def _parameters(self, pictures: Bytes) -> list[Ints]:
        if lanes := self._over_lanes:
            x = torch.from_numpy(FINE_UNIT * (2 * (pictures > 0).astype(np.int32) - 1))
            found = in_shares(lambda part: lanes.encoder(to_lanes(x[part])), len(x))
            return [np.concatenate(parts, 1).T.astype(np.int64) for parts in zip(*found, strict=True)]
        with exact_inference():
            bits = torch.from_numpy((pictures > 0).astype(np.float32)).to(self.device)
            return [to_numpy(p) for p in self.net.encoder(FINE_UNIT * (2 * bits - 1))]

    def _decoded(self, z: Ints) -> Tensor:
        if lanes := self._over_lanes:
            x, count = z.T.astype(np.int32), self.net.shape.features
            return torch.cat(in_shares(lambda part: from_lanes(lanes.decoder(x[:, part]), SIDE, SIDE, count), len(z)))
        with exact_inference():
            features: Tensor = self.net.decoder(torch.from_numpy(z).to(self.device, torch.float32))
            return features

    def mean_images(self, fz: Tensor, height: int, width: int) -> Bytes:
        """(n, 28, 28, 1) uint8: the auxiliary picture; without one, each pixel's likeliest value after those before."""
        if self.net.shape.auxiliary:
            return (WHITE * (to_numpy(fz[..., :1]) > 0)).astype(np.uint8)
        return self.to_pictures(self.pixels(fz, range(height), width, 1).pop(Likeliest()))

    def pixels(self, fz: Tensor, rows: range, width: int, colours: int, guided: bool = False) -> BinaryPixelBlock:
        """Block (28, 28, 1, n). Sampling needs no guide: the latents hold what is global."""
        lanes = self._over_lanes
        return BinaryPixelBlock(self.net, fz) if lanes is None else LanePixelBlock(self.net, fz, lanes.pixels)

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(n, 28, 28, 1) uint8, 0 or 255 -> (28, 28, 1, n) bits."""
        return (pictures > 0).transpose(1, 2, 3, 0).astype(np.int64)

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        return np.ascontiguousarray(WHITE * symbols.transpose(3, 0, 1, 2)).astype(np.uint8)


class Chained(_Lanes):
    """See codec.interface.LatentNet: a gaussian posterior on a cyclic grid, the flow a bijection of it."""

    posterior_kind: Literal["bits-back"] = "bits-back"
    least_ratio = 4

    def posterior(self, pictures: Bytes, u: Ints) -> OneStep:
        """q(z | x): symbols (n, latents) in [0, 4096)."""
        centre, scale = self._parameters(pictures)
        return OneStep(GaussianGrid(centre.reshape(-1), scale.reshape(-1)), centre.shape)

    def prior(self, u: Ints) -> NoiseBlock:
        """p(z)."""
        return NoiseBlock(self.net, len(u), self.device, self._flow)

    def features(self, symbols: Ints, u: Ints) -> Tensor:
        """f(z), (n, 28, 28, F)."""
        return self._decoded(symbols - CELLS // 2)


class Dithered(_Lanes):
    """See codec.interface.LatentNet: a uniform posterior of one step, latents in 1/32 step.

    short_code: see codec.coding.groups.Short.
    """

    posterior_kind: Literal["dithered"] = "dithered"
    least_ratio = 0

    def __init__(self, net: Vlae, device: torch.device, short_code: bool = False) -> None:
        super().__init__(net, device)
        self.short_code = short_code

    def posterior(self, pictures: Bytes, u: Ints) -> Settled:
        """Symbols k + 128 (n, latents)."""
        return Settled(quantise(self.centres(pictures), u))

    def centres(self, pictures: Bytes) -> Ints:
        """(n, 28, 28, 1) pictures -> (n, latents) centres of the posterior, in 1/32 step."""
        return self._parameters(pictures)[0]

    def prior(self, u: Ints) -> FlowBlock:
        """p(z)."""
        return FlowBlock(self.net, u, self._flow)

    def features(self, symbols: Ints, u: Ints) -> Tensor:
        """f(z), (n, 28, 28, F)."""
        return self._decoded(reconstruct(symbols, u))


class VlaeModel(ByQuality[Chained, Dithered]):
    """See codec.interface.Model. short_code: see `Dithered`."""

    def __init__(self, nets: VlaeNets, device: torch.device, short_code: bool = False) -> None:
        singles = [Dithered(nets.of(kind), device, short_code) for kind in sorted(nets) if kind != "gaussian"]
        super().__init__(Chained(nets.of("gaussian"), device), *singles)

    def golden(self) -> Iterator[Ints]:
        """All integers that tables are made of, on golden pictures: posteriors, flows, and pixel logits."""
        pictures = golden_pictures()
        chained = self._chained
        q = chained.posterior(pictures, np.zeros(0, np.int64)).distribution
        assert isinstance(q, GaussianGrid)
        yield from (q.centre, q.scale)
        z = (q.centre // FINE + CELLS // 2).reshape(len(pictures), -1)
        u = np.ones_like(z)
        noise = chained.prior(u).to_noise(z)
        yield from (noise, chained.prior(u).from_noise(noise[::-1]))
        lanes: list[tuple[_Lanes, Tensor]] = [(chained, chained.features(z, u))]
        for dithered in self._singles:
            centres = dithered.centres(pictures)
            k = centres // FINE + CENTRE
            yield centres
            yield from both_walks(dithered.prior(u), k)
            lanes.append((dithered, dithered.features(k, u)))
        pixels = chained.to_symbols(pictures[:, :CROP, :CROP])
        for net, fz in lanes:
            yield to_numpy(fz)
            part = fz[:, :CROP, :CROP].contiguous()
            yield from both_walks(net.pixels(part, range(CROP), CROP, 1), pixels)


def golden_pictures() -> Bytes:
    """(3, 28, 28, 1) uint8, 0 or 255: a disc, bars, and pseudo-random dots, from integers alone."""
    r, c = np.indices((SIDE, SIDE), dtype=np.int64)
    disc = (2 * r - 27) ** 2 + (2 * c - 25) ** 2 < 400
    bars = (r + 2 * c) % 13 < 5
    dots = (((r * 57 + c * 131) * 2654435761) >> 13) % 7 == 0
    return (WHITE * np.stack([disc, bars, dots])).astype(np.uint8)[..., None]
