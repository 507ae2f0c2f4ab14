"""Pixels and latents of a frozen VLAE as blocks, many pictures side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.tables import Bernoulli, GaussianGrid, LogisticMixture
from vlcodec.codec.coding.walk import OneStep
from vlcodec.codec.interface import Coder, Ints, Source, Step, Tick
from vlcodec.models.lanes.layers import in_shares, shares, to_lanes
from vlcodec.models.lanes.made import FlowLanes
from vlcodec.models.lanes.units import Wide
from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.made import OneByOne
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.posterior import CELLS, PRIOR_INDEX
from vlcodec.models.layers.settings import exact_inference, stepwise
from vlcodec.models.vlae.lanes import PixelLanes, PixelWalk
from vlcodec.models.vlae.net import Vlae
from vlcodec.models.walks.dither import reconstruct
from vlcodec.models.walks.net_walk import NetWalk, to_numpy
from vlcodec.models.walks.wavefront import Skewed, fronts, steps_of

FEW_LANES = 12  # whose values all fit the cache


class BinaryPixelBlock(NetWalk):
    """The pixels of pictures side by side, each a bit: block (rows, W, 1, N). features: (N, rows, W, F)."""

    def __init__(self, net: Vlae, features: Tensor) -> None:
        self.net, self.features = net, features
        lanes, rows, width, _ = features.shape
        self.shape = (rows, width, 1, lanes)
        self.count = steps_of(rows, width)

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        lanes, rows, width, channels = self.features.shape
        flat = self.features.permute(1, 2, 0, 3).reshape(rows * width, lanes, channels)
        skewed = Skewed(rows, self.features.device, lanes)
        for at in fronts(rows, width):
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
            flat = to_numpy(logit[..., 0].permute(1, 2, 0).reshape(-1, self.shape[3]))
        rows, width = self.shape[:2]
        for at in fronts(rows, width, reverse=True):
            yield self._step(flat[at.index].reshape(-1), at.index)

    def _step(self, logit: Ints, index: Ints) -> Step:
        lanes = len(self.features)
        return Step(Bernoulli(logit), (index[:, None] * lanes + np.arange(lanes)).reshape(-1))


class LanePixelBlock(BinaryPixelBlock):
    """The same, over lanes: a thread for each share of them."""

    def __init__(self, net: Vlae, features: Tensor, lanes: PixelLanes) -> None:
        super().__init__(net, features)
        self._lanes = lanes

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        rows, width, _, lanes = self.shape
        parts = shares(lanes)
        walks = [self._walk(part) for part in parts]
        with ThreadPoolExecutor(len(parts)) as pool:
            for at in fronts(rows, width):
                found = pool.map(PixelWalk.logits, walks, repeat(at.index))
                bits = yield self._step(np.concatenate(list(found), 1).astype(np.int64).reshape(-1), at.index)
                values = FINE_UNIT * (2 * bits - 1).reshape(-1, lanes)
                for walk, part in zip(walks, parts, strict=True):
                    walk.put(at.index, values[:, part])

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        rows, width, _, lanes = self.shape
        values = FINE_UNIT * (2 * symbols - 1).reshape(-1, lanes)

        def logits(part: slice) -> Wide:
            if part.stop - part.start <= FEW_LANES:
                walk, every = self._walk(part, whole=True), np.arange(rows * width)
                walk.put(every, values[:, part])
                return walk.logits(every)
            walk, found = self._walk(part), np.empty(values[:, part].shape, np.int32)
            for at in fronts(rows, width):  # what so few positions take stays in the cache
                found[at.index] = walk.logits(at.index)
                walk.put(at.index, values[at.index, part])
            return found

        flat = np.concatenate(in_shares(logits, lanes), 1)
        for at in fronts(rows, width, reverse=True):
            yield self._step(flat[at.index].astype(np.int64).reshape(-1), at.index)

    def _walk(self, part: slice, whole: bool = False) -> PixelWalk:
        rows, width = self.shape[:2]
        return PixelWalk(self._lanes, to_lanes(self.features[part]), rows, width, whole)


class FlowBlock(NetWalk):
    """Latents' symbols k + 128 under the flow prior of a uniform posterior; dither: (..., latents) is the block's."""

    def __init__(self, net: Vlae, dither: Ints, lanes: FlowLanes | None = None) -> None:
        self.net, self.shape, self.count, self._lanes = net, dither.shape, dither.shape[-1], lanes
        self.device = next(net.parameters()).device
        self._dither = dither.reshape(-1, dither.shape[-1])
        with exact_inference():
            self._spread = to_numpy(net.spread(torch.zeros(1, 1, device=self.device)))[0]

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        n = len(self._dither)
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
        if self._lanes is not None:
            noise = _over_lanes(self._lanes.to_noise, z)
        else:
            with exact_inference():
                noise = to_numpy(self.net.flow(torch.from_numpy(z).to(self.device, torch.float32)))
        centre = z - noise
        for i in reversed(range(self.count)):
            yield self._step(i, centre[:, i])

    def _step(self, i: int, centre: Ints) -> Step:
        column = (centre - self._dither[:, i])[:, None]
        mixture = LogisticMixture(np.zeros_like(column), column, np.full_like(column, self._spread[i]))
        return Step(mixture, np.arange(len(column), dtype=np.int64) * self.count + i)


class NoiseBlock:
    """Latents' symbols (n, latents) in [0, 4096) under the flow prior of a gaussian posterior.

    See codec.interface.Block. What is coded are the noise symbols that the flow, a bijection, makes of the latents.
    """

    def __init__(self, net: Vlae, n: int, device: torch.device, lanes: FlowLanes | None = None) -> None:
        self.net, self.shape, self._device, self._lanes = net, (n, net.shape.latents), device, lanes
        size = n * net.shape.latents
        noise = GaussianGrid(np.zeros(size, np.int64), np.full(size, PRIOR_INDEX, np.int64))
        self._noise = OneStep(noise, self.shape)

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """See codec.interface.Block."""
        self._noise.push(self.to_noise(symbols), stack, tick)

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block."""
        return self.from_noise(self._noise.pop(source, tick))

    def bits(self, symbols: Ints) -> float:
        """See codec.interface.Block."""
        return self._noise.bits(self.to_noise(symbols))

    def to_noise(self, symbols: Ints) -> Ints:
        """Symbols of latents -> symbols of the noise."""
        if self._lanes is not None:
            return _over_lanes(self._lanes.to_noise, symbols - CELLS // 2) + CELLS // 2
        with exact_inference():
            return to_numpy(self.net.flow(self._centred(symbols))) + CELLS // 2

    def from_noise(self, noise: Ints) -> Ints:
        """The inverse of to_noise, one latent after the other."""
        if self._lanes is not None:
            return _over_lanes(self._lanes.from_noise, noise - CELLS // 2) + CELLS // 2
        with stepwise():
            return to_numpy(self.net.flow.inverse(self._centred(noise))) + CELLS // 2

    def _centred(self, symbols: Ints) -> Tensor:
        return torch.from_numpy(symbols - CELLS // 2).to(self._device, torch.float32)


def _over_lanes(flow: Callable[[Wide], Wide], x: Ints) -> Ints:
    """A direction of the flow, of (n, latents)."""
    across = x.T.astype(np.int32)
    return np.concatenate(in_shares(lambda part: flow(across[:, part]), len(x)), 1).T.astype(np.int64)
