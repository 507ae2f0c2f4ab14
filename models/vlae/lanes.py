"""A frozen VLAE over many pictures side by side: what `net.Vlae` computes, in layers over lanes."""

from __future__ import annotations

import numpy as np

from vlcodec.codec.interface import Ints
from vlcodec.models.lanes.layers import (
    LaneBlock,
    Ring,
    Stream,
    depth_to_space,
    elu,
    empty,
    neighbours,
    own,
    packed,
    packed_block,
    space_to_depth,
    spread_out,
    squares,
)
from vlcodec.models.lanes.made import FlowLanes
from vlcodec.models.lanes.units import Wide
from vlcodec.models.layers.exact import SQUARE
from vlcodec.models.vlae.net import SIDE, BinaryPixels, Vlae, VlaeDecoder, VlaeEncoder

HIGH, LOW = SIDE // 2, SIDE // 4  # sides of the grids between pixels and vectors


class EncoderLanes:
    """See `net.VlaeEncoder`."""

    def __init__(self, encoder: VlaeEncoder) -> None:
        self._enter, self._down, self._narrow = packed(encoder.enter), packed(encoder.down, 4), packed(encoder.narrow)
        self._high, self._low = ([packed_block(b) for b in blocks] for blocks in (encoder.high, encoder.low))
        self._hidden = packed(encoder.hidden, LOW * LOW)
        self._heads = [(packed(head), head.outputs, gain) for head, gain in encoder.heads()]

    def __call__(self, x: Wide) -> list[Wide]:
        """(784 + 1, 1, lanes) in +-1024 -> (latents, lanes) of each head."""
        high, low = neighbours(SQUARE, HIGH, HIGH), neighbours(SQUARE, LOW, LOW)
        h = self._enter.begin(space_to_depth(x, 1, HIGH, HIGH), high)
        for block in self._high:
            h = block(h, high)
        h = self._down.begin(h.active, squares(LOW, LOW))
        for block in self._low:
            h = block(h, low)
        found = self._narrow.whole(h.active, own(LOW * LOW), active=elu())
        found = self._hidden.whole(found, np.arange(LOW * LOW, dtype=np.int32)[None], active=elu())
        return [gain * head.whole(found, own(1))[0, :count] for head, count, gain in self._heads]


class DecoderLanes:
    """See `net.VlaeDecoder`."""

    def __init__(self, decoder: VlaeDecoder) -> None:
        self._enter, self._hidden, self._widen = packed(decoder.enter), packed(decoder.hidden), packed(decoder.widen)
        self._up, self._leave, self._bottleneck = packed(decoder.up), packed(decoder.leave), decoder.bottleneck
        self._high, self._low = ([packed_block(b) for b in blocks] for blocks in (decoder.high, decoder.low))

    def __call__(self, z: Wide) -> Wide:
        """(latents, lanes) -> f(z), (784 + 1, features, lanes)."""
        high, low, vector = neighbours(SQUARE, HIGH, HIGH), neighbours(SQUARE, LOW, LOW), own(1)
        found = empty(1, *z.shape)
        found[0, : len(z)] = z
        found = self._hidden.whole(self._enter.whole(found, vector, active=elu()), vector, active=elu())
        h = self._widen.begin(spread_out(found, LOW * LOW, self._bottleneck), own(LOW * LOW))
        for block in self._low:
            h = block(h, low)
        h = self._up.begin(h.active, own(LOW * LOW))
        h = Stream(depth_to_space(h.values, LOW, LOW), depth_to_space(h.active, LOW, LOW))
        for block in self._high:
            h = block(h, high)
        return depth_to_space(self._leave.whole(h.active, high), HIGH, HIGH)


class PixelLanes:
    """See `net.BinaryPixels`, with a window."""

    def __init__(self, pixels: BinaryPixels) -> None:
        self.net = pixels
        self.first, self.near = packed(pixels.first), [packed(layer) for layer in pixels.near]
        self.mix, self.leave = [packed_block(block) for block in pixels.mix], packed(pixels.leave)


class PixelWalk:
    """One walk over the pixels of some lanes: `logits` of positions, `put` once they are known.

    features: f(z), (positions + 1, features, lanes). whole: all positions are put, and then seen, at once.
    """

    def __init__(self, lanes: PixelLanes, features: Wide, height: int, width: int, whole: bool = False) -> None:
        self._lanes, self._features = lanes, features
        self._ring = ring = Ring(height, width, lanes.net.first, *lanes.net.near, whole=whole)
        self._before, self._around = ring.taps(lanes.net.first), [ring.taps(layer) for layer in lanes.net.near]
        channels, count = len(lanes.first.weight), features.shape[2]
        self._past, self._logits = ring.empty(1, count), ring.empty(1, count)
        self._stream, self._hidden, self._last = (ring.empty(channels, count) for _ in range(3))
        self._inputs = [ring.empty(channels, count) for _ in lanes.near]  # of the near layers

    def put(self, at: Ints, values: Ints) -> None:
        """(n, lanes) of +-1024."""
        self._past[self._ring.places[at], 0] = values

    def logits(self, at: Ints) -> Wide:
        """(n, lanes) of a one, in 1/1024 nat, at a step's positions; what they see of earlier ones must be put."""
        lanes, outs, places = self._lanes, [*self._inputs, self._last], self._ring.places[at]
        there = places[:, None]  # a layer that sees nothing else
        self._stream[places] = 0
        own = self._features[at]
        lanes.first.put(self._past, self._before[at], places, self._last, active=elu(), stream=self._stream, beside=own)
        self._mix(lanes.mix[0], there, outs[0])
        for i, (near, taps) in enumerate(zip(lanes.near, self._around, strict=True)):
            mixed = i % 2 == 1
            out = self._last if mixed else outs[i + 1]
            near.put(self._inputs[i], taps[at], places, out, active=elu(), stream=self._stream)
            if mixed:
                self._mix(lanes.mix[(i + 1) // 2], there, outs[i + 1])
        self._mix(lanes.mix[-1], there, self._last)
        lanes.leave.put(self._last, there, places, self._logits)
        return self._logits[places, 0]

    def _mix(self, block: LaneBlock, there: Wide, out: Wide) -> None:
        """A 1x1 block on the stream, whose activation lies in `_last`; out: where the next layer finds it."""
        block.first.put(self._last, there, there[:, 0], self._hidden, active=elu())
        block.second.put(self._hidden, there, there[:, 0], out, active=elu(), stream=self._stream)


class VlaeLanes:
    """Encoder, decoder, flow and pixels. Raises BoundError where int32 does not hold what a layer sums."""

    def __init__(self, net: Vlae) -> None:
        self.encoder, self.decoder = EncoderLanes(net.encoder), DecoderLanes(net.decoder)
        self.flow, self.pixels = FlowLanes(net.flow), PixelLanes(net.pixels)
