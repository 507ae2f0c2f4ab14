"""A frozen PixelDecoder over many pictures side by side: what `causal_pixels.PixelDecoder` computes, over lanes."""

from __future__ import annotations

from typing import cast

import numpy as np

from vlcodec.codec.errors import BoundError
from vlcodec.codec.interface import Ints
from vlcodec.models.lanes.layers import NONE, RELU, Ring, filled, neighbours, packed
from vlcodec.models.lanes.units import Wide
from vlcodec.models.layers.activations import UNIT
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, PAST, SQUASH_HALF, PixelDecoder, Squash
from vlcodec.models.layers.exact import SQUARE, Layer
from vlcodec.models.layers.mixture import FINE


class SquashLanes:
    """See `causal_pixels.Squash`."""

    def __init__(self, squash: Squash) -> None:
        self._table = squash.table.cpu().numpy().astype(np.int32)

    def __call__(self, v: Wide) -> Wide:
        return self._table[np.clip(v, -SQUASH_HALF, SQUASH_HALF) + SQUASH_HALF]


class PixelLanes:
    """See `causal_pixels.PixelDecoder` and `masked.CausalNet`.

    Raises BoundError where lanes do not compute what the net does.
    """

    def __init__(self, decoder: PixelDecoder) -> None:
        net = decoder.net
        if net.gate is not None:
            raise BoundError("lanes compute rectified activations alone")
        self.seeing = [decoder.predictor, net.first, *net.near]
        self.predictor, self.first, *self.near = (packed(layer) for layer in self.seeing)
        self.out, self.hidden, self.params = (
            [packed(layer) for layer in part] for part in (net.out, net.hidden, net.params)
        )
        self.active, self.grey, self.beside = RELU[net.relu.most.bit_length()], decoder.grey, decoder.beside
        self.sizes = [cast(Layer, layer).outputs for layer in net.params]
        self.edge, self.noise = SquashLanes(decoder.edge), SquashLanes(decoder.noise)
        self.error, self.colour = SquashLanes(decoder.error), SquashLanes(decoder.colour)
        self._streams = [packed(layer) for layer in getattr(decoder, "stream", ())]

    def walk(self, fz: Wide, features: int, height: int, width: int) -> PixelWalk:
        """A walk over pictures of these features; see `PixelWalk`."""
        return PixelWalk(self, fz, features, height, width)

    def streams(self, fz: Wide, height: int, width: int) -> list[Wide]:
        """What each near layer sees of f(z); none without a stream."""
        found, h = list[Wide](), fz
        for layer in self._streams:
            h = layer.whole(h, neighbours(SQUARE, height, width))
            found.append(h)
        return found


class PixelWalk:
    """One walk over the pixels of some lanes, step by step: `enter` its positions, `head` of each channel, `leave`.

    fz: (positions + 1, 3 + features, lanes).
    """

    def __init__(self, lanes: PixelLanes, fz: Wide, features: int, height: int, width: int) -> None:
        self._lanes, self._fz, self._features = lanes, fz, features
        self._streams = lanes.streams(fz, height, width)
        self._ring = ring = Ring(height, width, *lanes.seeing)
        self._taps = [ring.taps(layer) for layer in lanes.seeing]
        self._beside = ring.around(lanes.beside)
        channels, count = len(lanes.first.weight), fz.shape[2]
        self._x, self._past, self._base = (ring.empty(c, count) for c in (COLOURS, PAST, COLOURS))
        self._inputs = [ring.empty(channels, count) for _ in range(len(lanes.near) + 1)]
        self._stream, self._seen = ring.empty(channels, count), ring.empty(channels, count)
        self._hidden = ring.empty(len(lanes.hidden[0].weight), count)
        self._params = [ring.empty(size, count) for size in lanes.sizes]

    def enter(self, at: Ints) -> Wide:
        """Go to the positions of a step. Returns the base, (n, 3, lanes) in 1/32 level."""
        lanes, places = self._lanes, self._ring.places[at]
        there = places[:, None]  # of a layer that sees nothing else
        predictor, first, *near = (taps[at] for taps in self._taps)
        lanes.predictor.put(self._x, predictor, places, self._base)
        base = self._base[places, :COLOURS]
        fz = self._fz[at]
        own = np.zeros((len(at), filled(self._features + 2 * COLOURS), fz.shape[2]), np.int32)
        own[:, : self._features + COLOURS] = fz[:, : self._features + COLOURS]
        own[:, self._features + COLOURS :][:, :COLOURS] = lanes.noise(FINE // MEAN_UNIT * fz[:, :COLOURS] - base)
        self._stream[places] = 0
        lanes.first.put(
            self._past, first, places, self._inputs[0], active=lanes.active, stream=self._stream, beside=own
        )
        for i, taps in enumerate(near):
            beside = self._streams[i][at] if self._streams else NONE
            lanes.near[i].put(self._inputs[i], taps, places, self._seen, beside=beside)
            lanes.out[i].put(self._seen, there, places, self._inputs[i + 1], active=lanes.active, stream=self._stream)
        return base

    def head(self, channel: int, at: Ints, known: Wide) -> Wide:
        """(n, 3 K + channel + 1, lanes) raw parameters. known: (n, channels before, lanes) values of the pixels."""
        lanes, places = self._lanes, self._ring.places[at]
        seen = NONE
        if channel:
            seen = np.zeros((len(at), filled(channel), known.shape[2]), np.int32)
            seen[:, :channel] = lanes.colour(FINE * known - self._base[places, :channel])
        lanes.hidden[channel].put(self._inputs[-1], places[:, None], places, self._hidden, beside=seen)
        lanes.params[channel].put(self._hidden, places[:, None], places, self._params[channel])
        return self._params[channel][places, : lanes.sizes[channel]]

    def leave(self, at: Ints, x: Wide) -> None:
        """The pixels (n, 3, lanes) of the positions are known from now on. See `PixelDecoder.past`."""
        lanes, places = self._lanes, self._ring.places[at]
        if lanes.grey:  # see `PixelDecoder.context`
            x = np.broadcast_to(x.sum(1, keepdims=True) + x[:, :1] + 2 >> 2, x.shape)
        self._x[places, :COLOURS] = x
        left, up = (self._x[self._beside[at, i], :COLOURS] for i in range(2))
        base, mean = self._base[places, :COLOURS], FINE // MEAN_UNIT * self._fz[at, :COLOURS]
        steps = FINE * np.concatenate((x - left, x - up), 1)
        one = np.full_like(x[:, :1], UNIT)
        error, off = lanes.error(FINE * x - base), lanes.noise(FINE * x - mean)
        self._keep(places, np.concatenate((x, one, lanes.noise(steps), lanes.edge(steps), error, off), 1))

    def _keep(self, places: Wide, past: Wide) -> None:
        self._past[places, :PAST] = past
