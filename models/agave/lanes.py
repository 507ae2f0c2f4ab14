"""A frozen LadderAgave over many pictures side by side: what `net.LadderAgave` computes, in layers over lanes."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, cast

import numpy as np

from vlcodec.codec.errors import BoundError
from vlcodec.models.agave.net import SIDE, LadderAgave, LadderEncoder, Level
from vlcodec.models.compiled.narrow_lanes import NarrowLanes
from vlcodec.models.lanes.layers import (
    Stream,
    depth_to_space,
    elu,
    empty,
    neighbours,
    own,
    packed,
    packed_block,
    space_to_depth,
    squares,
)
from vlcodec.models.lanes.pixels import PixelLanes
from vlcodec.models.lanes.units import Wide
from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.layers.ends import Ends
from vlcodec.models.layers.exact import SQUARE
from vlcodec.models.layers.mixture import SCALE_LAST
from vlcodec.models.layers.posterior import Kind

Told = tuple[Wide, Wide]  # centre and scale index, (latents of a level, lanes)


class Blocks:
    """Blocks over a square grid, one after the other."""

    def __init__(self, modules: Iterable[Any], side: int) -> None:
        self._blocks, self._taps = [packed_block(block) for block in modules], neighbours(SQUARE, side, side)

    def __call__(self, h: Stream) -> Stream:
        for block in self._blocks:
            h = block(h, self._taps)
        return h


class EncoderLanes:
    """See `net.LadderEncoder`."""

    def __init__(self, encoder: LadderEncoder) -> None:
        self._enter, self._down = packed(encoder.enter), [packed(down, 4) for down in encoder.down]
        self._stages = [Blocks(cast(Any, stage), SIDE >> i) for i, stage in enumerate(encoder.stages, 1)]

    def __call__(self, x: Wide) -> list[Wide]:
        """(1024 + 1, 3, lanes) in [-128, 127] -> activations of the features at 4 x 4 and 8 x 8, top first."""
        side = SIDE // 2
        h = self._stages[0](self._enter.begin(space_to_depth(x, 3, side, side), neighbours(SQUARE, side, side)))
        found = list[Wide]()
        for down, stage in zip(self._down, self._stages[1:], strict=True):
            side //= 2
            h = stage(down.begin(h.active, squares(side, side)))
            found.insert(0, h.active)
        return found


class EndsLanes:
    """See `net.Ends`."""

    def __init__(self, ends: Ends) -> None:
        self.enter, self._latents, self._gaussian = packed(ends.enter), ends.enter.inputs, ends.gaussian
        self._centre, self._shift, self._scale = packed(ends.centre), packed(ends.shift), packed(ends.scale)
        self._narrowing = packed(ends.narrowing) if ends.gaussian else None
        self._unit = 1 if ends.gaussian else 2
        self._limit = self._unit * int(ends.limit)

    def prior(self, h: Wide) -> Told:
        """h: activations (positions + 1, width, lanes)."""
        return self._unit * self._flat(self._centre, h), self._flat(self._scale, h)

    def posterior(self, merged: Wide, prior: Told) -> Told:
        """Likewise."""
        centre, scale = prior
        centre = np.clip(centre + self._unit * self._flat(self._shift, merged), -self._limit, self._limit)
        if self._narrowing is not None:
            scale = np.clip(scale + self._flat(self._narrowing, merged), 0, SCALE_LAST)
        return centre, scale

    def _flat(self, head: Any, h: Wide) -> Wide:
        found: Wide = head.whole(h, own(len(h) - 1))[:-1, : self._latents]
        return found.reshape(-1, h.shape[2])

    def entering(self, z: Wide, positions: int) -> Wide:
        """z (latents of the level, lanes) as the values of its positions."""
        out = empty(positions, self._latents, z.shape[1])
        out[:-1, : self._latents] = z.reshape(positions, self._latents, -1)
        return out


class LevelLanes:
    """See `net.Level`."""

    def __init__(self, level: Level, side: int) -> None:
        self._side, self._merge, self._up = side, packed(level.merge), packed(level.up)
        self._ends = {kind: EndsLanes(cast(Ends, ends)) for kind, ends in level.ends.items()}
        self._blocks = Blocks(cast(Any, level.blocks), side)

    def told(self, kind: Kind, h: Stream, seen: Wide | None) -> Told:
        """Of the posterior, where the picture's features are known, else of the prior."""
        ends = self._ends[kind]
        prior = ends.prior(h.active)
        if seen is None:
            return prior
        both = np.concatenate((h.active, seen), 1)
        merged = self._merge.whole(both, neighbours(SQUARE, self._side, self._side), active=elu())
        return ends.posterior(merged, prior)

    def descend(self, h: Stream, z: Wide, kind: Kind) -> Stream:
        """h and this level's z (latents, lanes) -> h at twice the side."""
        ends, positions = self._ends[kind], self._side**2
        active = ends.enter.whole(ends.entering(z, positions), own(positions), active=elu(), stream=h.values)
        h = self._blocks(Stream(h.values, active))
        h = self._up.begin(h.active, own(positions))
        return Stream(*(depth_to_space(part, self._side, self._side) for part in (h.values, h.active)))


def _pixels(decoder: PixelDecoder) -> PixelLanes:
    """In bytes, where these serve."""
    try:
        return NarrowLanes(decoder)
    except BoundError:
        return PixelLanes(decoder)


class LadderLanes:
    """See `net.LadderAgave`. Raises BoundError where lanes do not compute what the net does."""

    def __init__(self, net: LadderAgave) -> None:
        if net.shape.aux_stride != 1:
            raise BoundError("lanes compute no auxiliary pictures that are smaller")
        self.encoder, self.pixels = EncoderLanes(net.encoder), _pixels(net.pixels)
        self._side = net.shape.sides[0]
        self._start, self._stem = packed(net.start), Blocks([net.stem], self._side)
        levels = zip(net.levels, net.shape.sides, strict=True)
        self._levels = [LevelLanes(cast(Level, level), side) for level, side in levels]
        self._last, self._leave = Blocks(cast(Any, net.last), SIDE // 2), packed(net.leave)

    def walk(self, kind: Kind, seen: list[Wide] | None, lanes: int) -> Generator[Told, Wide, Wide]:
        """Each level's parameters are answered by its z (latents, lanes), through `send`; returns f(z)."""
        positions = self._side**2
        h = self._stem(self._start.begin(empty(positions, 1, lanes), own(positions)))
        for i, level in enumerate(self._levels):
            z = yield level.told(kind, h, None if seen is None else seen[i])
            h = level.descend(h, z, kind)
        side = SIDE // 2
        found = self._leave.whole(self._last(h).active, neighbours(SQUARE, side, side))
        return depth_to_space(found, side, side)
