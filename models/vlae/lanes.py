"""A frozen VLAE over many pictures side by side: what `net.Vlae` computes, in layers over lanes."""

from __future__ import annotations

import numpy as np

from vlcodec.models.layers.exact import SQUARE
from vlcodec.models.layers.lanes import (
    Stream,
    depth_to_space,
    empty,
    neighbours,
    own,
    packed,
    packed_block,
    spread_out,
    squares,
)
from vlcodec.models.layers.made_lanes import FlowLanes
from vlcodec.models.layers.masked import NEAR, spread
from vlcodec.models.layers.units import Wide
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
        h = self._enter.begin(x[:, 0][np.append(squares(HIGH, HIGH), [[SIDE * SIDE] * 4], 0)], high)
        for block in self._high:
            h = block(h, high)
        h = self._down.begin(h.active, squares(LOW, LOW))
        for block in self._low:
            h = block(h, low)
        found = self._narrow.whole(h.active, own(LOW * LOW))
        found = self._hidden.whole(found, np.arange(LOW * LOW, dtype=np.int32)[None])
        return [gain * head.whole(found, own(1), active=False)[0, :count] for head, count, gain in self._heads]


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
        found = self._hidden.whole(self._enter.whole(found, vector), vector)
        h = self._widen.begin(spread_out(found, LOW * LOW, self._bottleneck), own(LOW * LOW))
        for block in self._low:
            h = block(h, low)
        h = self._up.begin(h.active, own(LOW * LOW))
        h = Stream(depth_to_space(h.values, LOW, LOW), depth_to_space(h.active, LOW, LOW))
        for block in self._high:
            h = block(h, high)
        return depth_to_space(self._leave.whole(h.active, high, active=False), HIGH, HIGH)


class PixelLanes:
    """See `net.BinaryPixels`, with a window."""

    def __init__(self, pixels: BinaryPixels) -> None:
        self.first, self.near = packed(pixels.first), [packed(near) for near in pixels.near]
        self.mix, self.leave = [packed_block(block) for block in pixels.mix], packed(pixels.leave)
        self.before = pixels.first.taps
        self.around = spread(NEAR, pixels.dilation)


class PixelWalk:
    """One walk over the pixels of some lanes: `logits` of positions, `put` once they are known. features: f(z)."""

    def __init__(self, net: PixelLanes, features: Wide, height: int, width: int) -> None:
        self._net, self._features = net, features
        lanes, channels, positions = features.shape[2], len(net.first.weight), height * width
        self._past = empty(positions, 1, lanes)
        self._stream, self._hidden, self._last = (empty(positions, channels, lanes) for _ in range(3))
        self._inputs = [empty(positions, channels, lanes) for _ in net.near]  # of the near layers
        self._logits = empty(positions, 1, lanes)
        self._before, self._around = (neighbours(taps, height, width) for taps in (net.before, net.around))
        self._own = own(positions)

    def put(self, at: Wide, values: Wide) -> None:
        """(n, lanes) of +-1024."""
        self._past[at, 0] = values

    def logits(self, at: Wide) -> Wide:
        """(n, lanes) of a one, in 1/1024 nat; what the positions see of earlier ones must be put."""
        net, outs = self._net, [*self._inputs, self._last]
        net.first.put(self._past, self._before, at, self._last, beside=self._features, stream=self._stream)
        self._mix(0, at, outs[0])
        for i, near in enumerate(net.near):
            mixed = i % 2 == 1
            out = self._last if mixed else outs[i + 1]
            near.put(self._inputs[i], self._around, at, out, stream=self._stream)
            if mixed:
                self._mix((i + 1) // 2, at, outs[i + 1])
        self._mix(len(net.mix) - 1, at, self._last)
        net.leave.put(self._last, self._own, at, self._logits, active=False)
        return self._logits[at, 0]

    def _mix(self, block: int, at: Wide, out: Wide) -> None:
        """A 1x1 block on the stream, whose activation lies in `_last`; out: where the next layer finds it."""
        layers = self._net.mix[block]
        layers.first.put(self._last, self._own, at, self._hidden)
        layers.second.put(self._hidden, self._own, at, out, stream=self._stream)


class VlaeLanes:
    """Encoder, decoder, flow and pixels. Raises BoundError where int32 does not hold what a layer sums."""

    def __init__(self, net: Vlae) -> None:
        self.encoder, self.decoder = EncoderLanes(net.encoder), DecoderLanes(net.decoder)
        self.flow, self.pixels = FlowLanes(net.flow), PixelLanes(net.pixels)
