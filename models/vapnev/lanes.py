"""A frozen VAPNEV over many pictures side by side: what `net.Vapnev` computes, in layers over lanes."""

from __future__ import annotations

from typing import cast

import numpy as np
from torch import Tensor, nn

from vlcodec.codec.errors import BoundError
from vlcodec.codec.interface import Ints
from vlcodec.models.lanes.layers import (
    LaneLayer,
    depth_to_space,
    elu,
    empty,
    in_shares,
    neighbours,
    own,
    packed,
    packed_block,
    parts_of,
    squares,
    to_lanes,
)
from vlcodec.models.lanes.units import Wide
from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.exact import SQUARE, Layer
from vlcodec.models.layers.posterior import Kind
from vlcodec.models.vapnev.flow import CHANNELS, HALVES, MOST, SIDE, TURNS, Coupling, Shortcut
from vlcodec.models.vapnev.net import Decoder, Encoder, Ends, Vapnev

Features = Wide  # of z, (1 + 1, features, lanes)


class VectorLayer:
    """A layer of one position, its inputs spread over several so that their sums fit."""

    def __init__(self, layer: nn.Module) -> None:
        inputs = cast(Layer, layer).inputs
        self._parts = parts_of(inputs)
        self._layer, self._each = packed(layer, self._parts), inputs // self._parts

    def __call__(self, x: Wide, active: bool = False) -> Wide:
        """(p + 1, inputs / p, lanes) -> (1 + 1, outputs, lanes)."""
        lanes = x.shape[2]
        spread = empty(self._parts, self._each, lanes)
        spread[:-1, : self._each] = x[:-1].reshape(self._parts, self._each, lanes)
        taps = np.arange(self._parts, dtype=np.int32)[None]
        return self._layer.whole(spread, taps, active=elu(MOST)) if active else self._layer.whole(spread, taps)


class EncoderLanes:
    """See `net.Encoder`."""

    def __init__(self, encoder: Encoder) -> None:
        self._enter, self._down = packed(encoder.enter), [packed(layer, 4) for layer in encoder.down]
        self._same = [packed(layer) for layer in encoder.same]

    def __call__(self, x: Wide) -> Wide:
        """(1024 + 1, 3, lanes) in [-128, 127] -> (4 + 1, 16 widths, lanes)."""
        side, active = 2 * SIDE, elu(MOST)
        h = self._enter.whole(x, neighbours(SQUARE, side, side), active=active)
        for i, down in enumerate(self._down):
            side //= 2
            h = down.whole(h, squares(side, side), active=active)
            if i < len(self._same):
                h = self._same[i].whole(h, neighbours(SQUARE, side, side), active=active)
        return h


def _doubled(layer: LaneLayer, h: Wide, side: int, active: bool = True) -> Wide:
    """A 1x1 layer whose outputs are at twice the side."""
    found = layer.whole(h, own(side * side), active=elu(MOST)) if active else layer.whole(h, own(side * side))
    return depth_to_space(found, side, side)


class DecoderLanes:
    """See `net.Decoder`."""

    def __init__(self, decoder: Decoder) -> None:
        self._enter = VectorLayer(decoder.enter)
        self._up, self._same = [packed(layer) for layer in decoder.up], [packed(layer) for layer in decoder.same]
        self._heads = [packed(decoder.centre), packed(decoder.scale)]

    def __call__(self, e: Features) -> list[Wide]:
        """Features -> centres and scale indices, (256, 12, lanes)."""
        side, h = 2, depth_to_space(self._enter(e, active=True), 1, 1)
        for up, same in zip(self._up, self._same, strict=True):
            h = _doubled(up, h, side)
            side *= 2
            h = same.whole(h, neighbours(SQUARE, side, side), active=elu(MOST))
        return [head.whole(h, neighbours(SQUARE, side, side))[:-1, :CHANNELS] for head in self._heads]


class EndsLanes:
    """See `net.Ends`."""

    def __init__(self, ends: Ends) -> None:
        self._centre, self._enter = VectorLayer(ends.centre), VectorLayer(ends.enter)
        self._scale = VectorLayer(ends.scale) if ends.gaussian else None
        self._latents, self._unit = ends.enter.inputs, 1 if ends.gaussian else 2

    def posterior(self, h: Wide) -> list[Wide]:
        """Features of pictures -> centres, and of a gaussian one scale indices, (latents, lanes)."""
        found = [self._unit * self._centre(h)[0, : self._latents]]
        return [*found, self._scale(h)[0, : self._latents]] if self._scale is not None else found

    def features(self, z: Wide) -> Features:
        """z (latents, lanes)."""
        x = empty(1, *z.shape)
        x[0, : len(z)] = z
        return self._enter(x, active=True)


class ShortcutLanes:
    """See `flow.Shortcut`."""

    def __init__(self, shortcut: Shortcut) -> None:
        self._enter, self._ups = VectorLayer(shortcut.enter), [packed(layer) for layer in shortcut.ups]

    def __call__(self, e: Features) -> Wide:
        side, h = 2, depth_to_space(self._enter(e, active=True), 1, 1)
        for i, up in enumerate(self._ups):
            h = _doubled(up, h, side, active=i < len(self._ups) - 1)
            side *= 2
        return h


class CouplingLanes:
    """See `flow.Coupling`."""

    def __init__(self, coupling: Coupling, side: int) -> None:
        self._enter, self._leave, self._mix = (packed(part) for part in (coupling.enter, coupling.leave, coupling.mix))
        self._blocks = [packed_block(block) for block in coupling.blocks]
        self._shortcut = None if coupling.shortcut is None else ShortcutLanes(coupling.shortcut)
        self._side, self._told = side, 2 * coupling.channels

    def __call__(self, seen: Wide, e: Features) -> Wide:
        """seen (s s + 1, channels, lanes) in 1/1024 -> (s s, 2 channels, lanes)."""
        taps, places = neighbours(SQUARE, self._side, self._side), own(self._side * self._side)
        h = self._enter.begin(seen, taps, MOST)
        for block in self._blocks:
            h = block(h, taps)
        first = self._leave.whole(h.active, taps)
        if self._shortcut is not None:
            parts = [part[:, : self._told] for part in (first, self._shortcut(e))]
            both = parts[0] * parts[1]  # below 2^28
            by = FINE_UNIT.bit_length() - 1
            product = np.clip((both + (FINE_UNIT // 2 - 1) + (both >> by & 1)) >> by, -MOST, MOST)
            first = empty(len(places), 3 * self._told, seen.shape[2])
            first[:, : 3 * self._told] = np.concatenate((product, *parts), 1)
        return self._mix.whole(first, places)[:-1, : self._told]


class VapnevLanes:
    """See `net.Vapnev`. Raises BoundError where lanes do not compute what the net does."""

    def __init__(self, net: Vapnev) -> None:
        if net.shape.features % 4 or net.shape.latents % 4 or net.shape.width % 4:
            raise BoundError("lanes take sizes in multiples of four")
        self.encoder, self.decoder = EncoderLanes(net.encoder), DecoderLanes(net.decoder)
        self.ends: dict[Kind, EndsLanes] = {kind: EndsLanes(net.ends_of(kind)) for kind in net.kinds}
        self._couplings = {
            (scale, kind, turn): CouplingLanes(net.flow.turns(scale)[kind].coupling(turn), SIDE >> scale)
            for scale in range(len(HALVES))
            for kind in range(len(HALVES[scale]))
            for turn in range(TURNS)
        }

    def parameters(self, kind: Kind, x: Tensor) -> list[Ints]:
        """What a posterior is made of, (n, latents) each, of x (n, 32, 32, 3) in [-128, 127]."""
        ends = self.ends[kind]
        found = in_shares(lambda part: ends.posterior(self.encoder(to_lanes(x[part]))), len(x))
        return [np.concatenate(parts, 1).T.astype(np.int64) for parts in zip(*found, strict=True)]

    def features(self, kind: Kind, z: Ints) -> Features:
        """Of z (n, latents)."""
        x, ends = z.T.astype(np.int32), self.ends[kind]
        return np.concatenate(in_shares(lambda part: ends.features(x[:, part]), x.shape[1]), 2)

    def of_y(self, e: Features) -> list[Ints]:
        """Centres and scale indices of y, (16, 16, 12, n) each."""
        parts = in_shares(lambda part: self.decoder(np.ascontiguousarray(e[..., part])), e.shape[2])
        found = (np.concatenate(each, 2).astype(np.int64) for each in zip(*parts, strict=True))
        return [each.reshape(SIDE, SIDE, CHANNELS, -1) for each in found]

    def told(self, which: tuple[int, int, int], seen: Ints, e: Features) -> Ints:
        """What a coupling says; see `integer_flow.Told`."""
        side, _, channels, n = seen.shape
        x = empty(side * side, channels, n)
        x[:-1, :channels] = seen.reshape(side * side, channels, n)
        coupling = self._couplings[which]
        parts = in_shares(
            lambda part: coupling(np.ascontiguousarray(x[..., part]), np.ascontiguousarray(e[..., part])), n
        )
        return np.concatenate(parts, 2).reshape(side, side, -1, n).astype(np.int64)
