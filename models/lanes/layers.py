"""Frozen layers over many pictures side by side, in int32: what archives are computed with where numba is at hand.

They compute the integers of `exact.Layer`, which says what these are. Values are (positions + 1, channels, lanes):
the last position stands for all that lies outside the picture, and is 0; channels are filled up to multiples of BLOCK.
A layer is walked over all of its positions, or over those of a step, as a wavefront has them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from vlcodec.codec.coding import compiled
from vlcodec.codec.errors import BoundError
from vlcodec.models.lanes.units import BLOCK, LOW, VECTOR, WIDTH, Wide
from vlcodec.models.layers.activations import FINE_MAX, elu_table
from vlcodec.models.layers.exact import OWN, Layer, Taps
from vlcodec.models.layers.resnet import Block
from vlcodec.models.layers.settings import most_threads

LIMIT = 2**31  # of a sum in int32
LARGEST = 2**15 - 1  # of a factor of 16 bits
LEAST_LANES = 3  # that are worth a thread
NONE = np.zeros((0, 0, 0), np.int32)
Found = TypeVar("Found")


def serve(device: torch.device) -> bool:
    """Whether nets are to be walked so."""
    return device.type == "cpu" and compiled.runs()


def filled(channels: int) -> int:
    """Channels, filled up to a multiple of BLOCK."""
    return -(-channels // BLOCK) * BLOCK


def empty(positions: int, channels: int, lanes: int) -> Wide:
    """Values of a picture's positions, all 0 yet."""
    return np.zeros((positions + 1, filled(channels), lanes), np.int32)


@cache
def neighbours(taps: Taps, height: int, width: int) -> Wide:
    """(positions, taps) places of each position's neighbours; height x width is outside."""
    rows, columns = np.divmod(np.arange(height * width), width)
    found = [(rows + dr, columns + dc) for dr, dc in taps]
    inside = [(r >= 0) & (r < height) & (c >= 0) & (c < width) for r, c in found]
    places = [np.where(known, r * width + c, height * width) for known, (r, c) in zip(inside, found, strict=True)]
    return np.stack(places, 1).astype(np.int32)


@cache
def squares(height: int, width: int, s: int = 2) -> Wide:
    """(positions, s s) places under each position of `resnet.space_to_depth`; height, width: after it."""
    r, c, i, j = np.indices((height, width, s, s))
    return ((s * r + i) * s * width + s * c + j).reshape(height * width, s * s).astype(np.int32)


def space_to_depth(x: Wide, channels: int, height: int, width: int, s: int = 2) -> Wide:
    """See `resnet.space_to_depth`; height, width: after it."""
    lanes = x.shape[2]
    out = empty(height * width, s * s * channels, lanes)
    out[:-1, : s * s * channels] = x[:, :channels][squares(height, width, s)].reshape(height * width, -1, lanes)
    return out


def depth_to_space(x: Wide, height: int, width: int, s: int = 2) -> Wide:
    """See `resnet.depth_to_space`: of (height width + 1, s s C, lanes)."""
    channels, lanes = x.shape[1] // (s * s), x.shape[2]
    out = empty(height * width * s * s, channels, lanes)
    out[:, :channels][squares(height, width, s)] = x[:-1].reshape(height * width, s * s, channels, lanes)
    return out


def spread_out(x: Wide, positions: int, channels: int) -> Wide:
    """The channels of the one position of x as the channels of so many."""
    out = empty(positions, channels, x.shape[2])
    out[:-1, :channels] = x[0, : positions * channels].reshape(positions, channels, -1)
    return out


def parts_of(inputs: int) -> int:
    """Positions that many inputs of one position are best spread over, so that each one's sum fits int32."""
    return next(parts for parts in (16, 8, 4, 2, 1) if inputs % (parts * BLOCK) == 0 or parts == 1)


@dataclass(frozen=True)
class Activation:
    """table[reach + x] for x in [-reach, 0], and x above, up to `most`; of x over 2^shift, rounded half to even."""

    table: Wide
    most: int
    shift: int = 0


@cache
def elu(most: int = FINE_MAX) -> Activation:
    """See `activations.Elu`; the table begins with the last of its lowest values."""
    table = elu_table().numpy().astype(np.int32)
    return Activation(table[np.argmax(table > table[0]) - 1 :].copy(), most)


RELU = {  # by their bits
    bits: Activation(np.zeros(1, np.int32), 2**bits - 1, 10 - bits) for bits in (8, 10)
}
AS_IT_IS = Activation(np.zeros(0, np.int32), 0)


@dataclass(frozen=True)
class Stream:
    """A residual stream, and what the next layer takes of it: its activation."""

    values: Wide
    active: Wide


@dataclass(frozen=True)
class LaneLayer:
    """A layer's integers. weight: (outputs, taps inputs + beside). ends: bias, shift, low, high, (4, outputs).

    group: so many taps' sums fit int32, whichever they are and whatever their inputs. planes: that inputs are summed
    in, 2 channels in one integer, and weights likewise; 0 where the processor multiplies no pairs.
    """

    weight: Wide
    ends: Wide
    group: int
    planes: int

    def put(
        self,
        x: Wide,
        taps: Wide,
        at: Wide,
        out: Wide,
        *,
        active: Activation = AS_IT_IS,
        stream: Wide = NONE,
        beside: Wide = NONE,
    ) -> None:
        """The layer at positions with these taps, into out at the places `at`, alone or added to a stream."""
        from vlcodec.models.lanes import kernels

        activation = active.table, active.most, active.shift
        kernels.layer(x, taps, at, beside, self.weight, self.ends, self.group, self.planes, stream, *activation, out)

    def whole(self, x: Wide, taps: Wide, *, active: Activation = AS_IT_IS, stream: Wide = NONE) -> Wide:
        """The layer at all positions."""
        out = empty(len(taps), len(self.weight), x.shape[2])
        self.put(x, taps, np.arange(len(taps), dtype=np.int32), out, active=active, stream=stream)
        return out

    def begin(self, x: Wide, taps: Wide, most: int = FINE_MAX) -> Stream:
        """A stream that begins with the layer's outputs. most: of its activations."""
        values = empty(len(taps), len(self.weight), x.shape[2])
        return Stream(values, self.whole(x, taps, active=elu(most), stream=values))


def packed(layer: nn.Module, parts: int = 1, pairs: bool = True) -> LaneLayer:
    """A frozen layer. parts: positions that a 1x1 layer's inputs are spread over. pairs: whether channels may be summed
    by twos.

    Raises BoundError where int32 does not hold the sum over one tap, or a gain makes outputs finer than sums.
    """
    layer = cast(Layer, layer)
    weight, bias, exponent = (part.cpu().numpy() for part in layer.integers())
    shift = exponent - np.log2(layer.gain.double().cpu().numpy())
    if shift.min() < 0:
        raise BoundError("lanes take no outputs that are finer than their sums")
    count, inputs = len(layer.taps) * parts, layer.inputs // parts
    near, far = weight[:, : count * inputs].reshape(-1, count, inputs), weight[:, count * inputs :]
    reached = np.abs(near).sum(2).T * layer.input_max  # (taps, outputs)
    reached[0] += np.abs(bias) + 2.0**shift  # what rounding may add
    reached[-1] += np.abs(far).sum(1) * layer.input_max
    group = count
    while max(float(reached[i : i + group].sum(0).max()) for i in range(count - group + 1)) >= LIMIT:
        if group == 1:
            raise BoundError("a tap's sum can reach more than int32 holds")
        group -= 1
    outputs = filled(layer.outputs)
    taps = np.zeros((outputs, count, filled(inputs)), np.int32)
    taps[: layer.outputs, :, :inputs] = near
    beside = np.zeros((outputs, filled(layer.beside)), np.int32)
    beside[: layer.outputs, : layer.beside] = far
    ends = np.zeros((4, outputs), np.int32)
    ends[:, : layer.outputs] = bias, shift, layer.low.cpu().numpy(), layer.high.cpu().numpy()
    whole = np.concatenate((taps.reshape(outputs, -1), beside), 1)
    planes = _planes(whole, ends, layer.input_max) if pairs else 0
    if planes:
        whole = np.ascontiguousarray(whole.astype(np.int16)).view(np.int32)
    return LaneLayer(whole, ends, group, planes)


def _planes(weight: Wide, ends: Wide, most: int) -> int:
    """In how many planes inputs up to `most` are summed by pairs; 0 where they cannot be."""
    from vlcodec.models.lanes.pairs import available

    if np.abs(weight).max(initial=0) > LARGEST or not available():
        return 0
    if most <= LARGEST:
        return 1
    peaks = np.abs(weight.astype(np.int64)).sum(1) * ((1 << LOW) - 1)
    peaks += np.abs(ends[0].astype(np.int64)) + (1 << ends[1].astype(np.int64))
    return 2 if most >> LOW <= LARGEST and peaks.max() < LIMIT else 0


@dataclass(frozen=True)
class LaneBlock:
    """See `resnet.Block`."""

    first: LaneLayer
    second: LaneLayer
    active: Activation

    def __call__(self, h: Stream, taps: Wide) -> Stream:
        """The stream with the block added to it, in place."""
        hidden = self.first.whole(h.active, taps, active=self.active)
        return Stream(h.values, self.second.whole(hidden, taps, active=self.active, stream=h.values))


def packed_block(block: nn.Module) -> LaneBlock:
    """A frozen block. Raises BoundError as `packed`."""
    whole = cast(Block, block)
    return LaneBlock(packed(whole.first), packed(whole.second), elu(whole.elu.most))


class Ring:
    """The places of a picture's positions while it is walked by wavefront: as many steps as taps look back are kept.

    whole: all are, of a picture that is walked at once.
    """

    def __init__(self, height: int, width: int, *layers: nn.Module, whole: bool = False) -> None:
        rows, columns = np.divmod(np.arange(height * width), width)
        slots = 1 + max(-2 * dr - dc for layer in layers for dr, dc in cast(Layer, layer).taps)
        self.size = height * (width if whole else slots)
        kept = np.arange(self.size) if whole else (columns + 2 * rows) % slots * height + rows
        self.places = kept.astype(np.int32)
        self._inside, self._grid = np.append(self.places, np.int32(self.size)), (height, width)

    def empty(self, channels: int, lanes: int) -> Wide:
        """Values at its places."""
        return empty(self.size, channels, lanes)

    def taps(self, layer: nn.Module) -> Wide:
        """(positions, taps) places that a layer sees at every position."""
        return self.around(cast(Layer, layer).taps)

    def around(self, taps: Taps) -> Wide:
        """Likewise."""
        return self._inside[neighbours(taps, *self._grid)]


def own(positions: int) -> Wide:
    """The taps of a 1x1 layer."""
    return neighbours(OWN, positions, 1)


def to_lanes(x: Tensor) -> Wide:
    """(N, H, W, C) of integers -> (H W + 1, C, N)."""
    n, height, width, channels = x.shape
    out = empty(height * width, channels, n)
    out[:-1, :channels] = x.permute(1, 2, 3, 0).reshape(-1, channels, n).numpy()
    return out


def from_lanes(x: Wide, height: int, width: int, channels: int) -> Tensor:
    """The inverse of `to_lanes`, in float32."""
    values = x[:-1, :channels].reshape(height, width, channels, -1).transpose(3, 0, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def cores() -> int:
    """That this process may use."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return most_threads(found)


def shares(lanes: int) -> list[slice]:
    """Of the lanes, one for each thread that is worth it."""
    count = max(1, min(cores(), lanes // LEAST_LANES))
    whole = VECTOR if lanes >= count * WIDTH else 1
    bounds = [lanes * i // count // whole * whole for i in range(count)] + [lanes]
    return [slice(*both) for both in pairwise(bounds)]


def in_shares(work: Callable[[slice], Found], lanes: int) -> list[Found]:
    """What a work finds for each share of the lanes, in threads."""
    parts = shares(lanes)
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(work, parts))
