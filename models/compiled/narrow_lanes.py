"""A frozen 8-bit PixelDecoder over many pictures side by side, in products of bytes.

What `lanes.pixels` computes in int32, at several times the speed, on processors that have the instruction.
"""

from __future__ import annotations

import numpy as np

from vlcodec.codec.errors import BoundError
from vlcodec.codec.interface import Ints
from vlcodec.models.compiled.packed import OUTPUTS, PAST_BYTES, packed, stacks
from vlcodec.models.lanes.layers import Ring, empty
from vlcodec.models.lanes.pixels import PixelLanes, PixelWalk
from vlcodec.models.lanes.units import Wide
from vlcodec.models.layers.carriers import MIDDLE
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX, MEAN_UNIT, PAST, PixelDecoder
from vlcodec.models.layers.mixture import FINE
from vlcodec.models.walks.wavefront import fronts

PROBED = 5, 6, 9  # height, width and lanes of what is tried first


class NarrowLanes(PixelLanes):
    """See `PixelLanes`. Raises BoundError where bytes do not carry the net, or were found to be wrong here."""

    def __init__(self, decoder: PixelDecoder) -> None:
        super().__init__(decoder)
        if not stacks(decoder) or not _available():
            raise BoundError("products of bytes do not carry this net on this machine")
        self.net = packed(decoder)
        self._probe(decoder.net.first.beside - 2 * COLOURS)

    def walk(self, fz: Wide, features: int, height: int, width: int) -> PixelWalk:
        """See `PixelLanes`."""
        return NarrowWalk(self, fz, features, height, width)

    def _probe(self, features: int) -> None:
        """Probed, not trusted: a few random pictures, in both walks."""
        height, width, lanes = PROBED
        rng = np.random.default_rng(0)
        size = height * width, COLOURS + features, lanes
        fz = empty(*size)
        fz[:-1, : size[1]] = rng.integers(-FEATURE_MAX, FEATURE_MAX + 1, size)
        walks = NarrowWalk(self, fz, features, height, width), PixelWalk(self, fz, features, height, width)
        for at in (front.index for front in fronts(height, width)):
            x = rng.integers(-128, 128, (len(at), COLOURS, lanes)).astype(np.int32)
            found = []
            for walk in walks:
                found.append([walk.enter(at), *(walk.head(c, at, x[:, :c]) for c in range(COLOURS))])
                walk.leave(at, x)
            if not all(map(np.array_equal, *found)):
                raise BoundError("products of bytes were found to be wrong on this machine")


class NarrowWalk(PixelWalk):
    """See `PixelWalk`: the same, but that activations are bytes (places, lanes, channels)."""

    def __init__(self, lanes: NarrowLanes, fz: Wide, features: int, height: int, width: int) -> None:
        self._narrow, self._lanes, self._fz, self._features = lanes, lanes, fz, features
        self._ring = ring = Ring(height, width, *lanes.seeing)
        self._beside = ring.around(lanes.beside)
        predictor, first, *near = (ring.taps(layer) for layer in lanes.seeing)
        self._predictor, self._first, self._near = predictor, first.astype(np.int64), np.stack(near).astype(np.int64)
        count, channels = fz.shape[2], lanes.net.own.shape[1]
        self._x, self._base = (ring.empty(c, count) for c in (COLOURS, COLOURS))
        self._bytes = np.full((ring.size + 1, count, PAST_BYTES), MIDDLE, np.uint8)
        self._activations = np.zeros((len(near) + 1, ring.size + 1, count, channels), np.uint8)
        self._own = np.ascontiguousarray(fz[:-1, : COLOURS + features].transpose(0, 2, 1), np.float32)
        hidden = lanes.net.seen.shape[2]
        self._bases = np.zeros(first.shape[1], np.int64)
        self._total = np.empty((count, channels), np.int32)
        self._residual = np.empty((count, channels), np.float32)
        self._row = np.empty(max(channels, hidden), np.float32)
        self._between = np.empty((count, channels), np.uint8)
        self._sums = np.empty((height, count, COLOURS * hidden), np.int32)
        self._narrowed = np.empty((count, hidden), np.uint8)
        self._told = np.empty((count, OUTPUTS), np.int32)

    def enter(self, at: Ints) -> Wide:
        """See `PixelWalk`."""
        from vlcodec.models.compiled.narrow_kernels import trunk

        lanes, places = self._narrow, self._ring.places[at]
        lanes.predictor.put(self._x, self._predictor[at], places, self._base)
        base = self._base[places, :COLOURS]
        off = lanes.noise(FINE // MEAN_UNIT * self._fz[at, :COLOURS] - base)
        own = np.concatenate((self._own[at], off.transpose(0, 2, 1)), 2, dtype=np.float32)
        trunk(
            lanes.net, self._bytes, self._activations, places.astype(np.int64), self._first[at],
            np.ascontiguousarray(self._near[:, at]), own, self._bases, self._total, self._row, self._residual,
            self._between, self._sums,
        )  # fmt: skip
        return base

    def head(self, channel: int, at: Ints, known: Wide) -> Wide:
        """See `PixelWalk`."""
        from vlcodec.models.compiled.narrow_kernels import head

        lanes, base = self._narrow, self._base[self._ring.places[at], :channel]
        seen = np.ascontiguousarray(lanes.colour(FINE * known - base).transpose(0, 2, 1), np.float32)
        params = np.empty((len(at), known.shape[2], lanes.sizes[channel]), np.int32)
        head(lanes.net, channel, self._sums, seen, self._bases, self._row, self._narrowed, self._told, params)
        return params.transpose(0, 2, 1)

    def _keep(self, places: Wide, past: Wide) -> None:
        self._bytes[places, :, :PAST] = (past + MIDDLE).transpose(0, 2, 1)


def _available() -> bool:
    try:
        from vlcodec.models.compiled import tiles
    except ImportError:
        return False
    return tiles.available()
