"""Latents of a frozen LadderAgave as blocks: prior and posterior, level by level from the top."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.tables import GaussianGrid, LogisticMixture
from vlcodec.codec.interface import Distribution, Ints, Step
from vlcodec.models.agave.lanes import LadderLanes, Told
from vlcodec.models.agave.net import SIDE, LadderAgave
from vlcodec.models.lanes.layers import from_lanes, shares
from vlcodec.models.lanes.units import Wide
from vlcodec.models.layers.causal_pixels import COLOURS
from vlcodec.models.layers.posterior import CELLS, Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.dither import reconstruct
from vlcodec.models.walks.net_walk import NetWalk, to_numpy


class LadderBlock(NetWalk):
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


class LaneLadderBlock(LadderBlock):
    """The same, over lanes. seen: activations of the pictures' features, of each share of the lanes."""

    def __init__(
        self,
        net: LadderAgave,
        kind: Kind,
        n: int,
        lanes: LadderLanes,
        seen: list[list[Wide]] | None = None,
        dither: Ints | None = None,
    ) -> None:
        super().__init__(net, kind, n, None, dither)
        self._lanes, self._features = lanes, seen

    def levels(self) -> Generator[tuple[slice, Ints, Ints], Ints, Tensor]:
        """See `LadderBlock`."""
        n, first = self._size[0], 0
        parts = shares(n)
        seen = self._features
        walks = [
            self._lanes.walk(self._kind, None if seen is None else seen[i], part.stop - part.start)
            for i, part in enumerate(parts)
        ]
        with ThreadPoolExecutor(len(parts)) as pool:
            told = list(pool.map(next, walks))
            for count in self._counts:
                centre, scale = (np.concatenate(each, 1).T.astype(np.int64) for each in zip(*told, strict=True))
                known = (yield slice(first, first + count), centre, scale).T.astype(np.int32)
                z = [known[:, part] for part in parts]
                first += count
                if first < self._size[1]:
                    told = list(pool.map(_send, walks, z))
            fz = list(pool.map(_end, walks, z))
        return torch.cat([from_lanes(each, SIDE, SIDE, COLOURS + self._net.shape.features) for each in fz])


def _send(walk: Generator[Told, Wide, Wide], z: Wide) -> Told:
    return walk.send(z)


def _end(walk: Generator[Told, Wide, Wide], z: Wide) -> Wide:
    """What a walk returns after its last level's z."""
    try:
        walk.send(z)
    except StopIteration as end:
        found: Wide = end.value
        return found
    raise RuntimeError("a walk has as many levels as its shape says")
