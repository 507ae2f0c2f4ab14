"""A frozen 8-bit pixel network as the arrays that compiled steps take: weights in tiles, tables, taps.

Only nets whose layers fit 8 bits are packed (`fits`). Everything is a copy of what the net's own layers hold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from vlcodec.codec.interface import Ints
from vlcodec.models.layers.carriers import MIDDLE
from vlcodec.models.layers.causal_pixels import COLOURS, PAST, PixelDecoder
from vlcodec.models.layers.exact import Layer, layers

OUTPUTS, BYTES = 32, 4  # of a tile; products in a sum: see `tiles`
PAST_BYTES = -(-PAST // BYTES) * BYTES
Reals = NDArray[np.float32]
Whole = NDArray[np.int32]
Signed = NDArray[np.int8]


class Dense(NamedTuple):
    """A layer in tiles, or several of one shape (first axis). weight: (tiles, taps inputs / 4, 2, 16, 4).

    bias and multiplier: (tiles, 32).
    """

    weight: Signed
    bias: Whole
    multiplier: Reals


class Packed(NamedTuple):
    """A net. taps: (taps, 2) of the first layer, (layers, taps, 2) of the near ones.

    predictor: (33, 3) weights, with bias and multiplier (3,). own: (own, channels) the first layer's weights of what
    stands beside. seen: (3, 2, hidden) the hidden layers' weights of the errors of earlier channels. low, high: (3, 32)
    of the parameters, counts: (3,) how many there are. Tables of squashed values: see causal_pixels.Squash.
    """

    first_taps: Ints
    near_taps: Ints
    predictor: Ints
    predictor_bias: Ints
    predictor_multiplier: Reals
    first: Dense
    own: Reals
    near: Dense
    out: Dense
    hidden: Dense
    seen: Reals
    params: Dense
    low: Reals
    high: Reals
    counts: Ints
    noise: Signed
    edge: Signed
    error: Signed
    colour: Signed


def fits(decoder: PixelDecoder) -> bool:
    """Whether a decoder's net is of a kind that compiled steps compute."""
    return decoder.plain and stacks(decoder)


def stacks(decoder: PixelDecoder) -> bool:
    """Whether a decoder's layers fit bytes, and tiles, and its near layers have as many taps."""
    net = decoder.net
    narrow = all(layer.narrow is not None for _, layer in layers(net))
    sizes = (net.first.outputs, sum(layer.outputs for layer in _group(net.hidden)))
    plain = net.gate is None and not hasattr(decoder, "stream")
    alike = len({len(layer.taps) for layer in _group(net.near)}) == 1
    return narrow and plain and alike and all(size % OUTPUTS == 0 for size in sizes)


def packed(decoder: PixelDecoder) -> Packed:
    """The arrays of a frozen decoder that `fits`."""
    net = decoder.net
    near, out, params = (_stacked(_group(part)) for part in (net.near, net.out, net.params))
    heads, told = _group(net.hidden), _group(net.params)
    hidden = _dense(*(np.concatenate(parts, -1) for parts in zip(*map(_narrow, heads), strict=True)))
    seen = np.zeros((COLOURS, COLOURS - 1, heads[0].outputs), np.float32)
    low, high = (np.zeros((COLOURS, OUTPUTS), np.float32) for _ in range(2))
    for c in range(COLOURS):
        seen[c, :c] = heads[c].frozen.weight[heads[c].inputs :].cpu().numpy()
        low[c, : told[c].outputs], high[c, : told[c].outputs] = told[c].low.cpu(), told[c].high.cpu()
    weight, bias, multiplier = (part.cpu().numpy() for part in decoder.predictor.frozen)
    tables = (squash.table for squash in (decoder.noise, decoder.edge, decoder.error, decoder.colour))
    return Packed(
        np.array(net.first.taps, np.int64),
        np.array([layer.taps for layer in _group(net.near)], np.int64),
        weight.astype(np.int64),
        bias.astype(np.int64),
        multiplier.astype(np.float32),
        _first(net.first),
        net.first.frozen.weight[len(net.first.taps) * net.first.inputs :].cpu().numpy().astype(np.float32),
        near,
        out,
        hidden,
        seen,
        params,
        low,
        high,
        np.array([layer.outputs for layer in told], np.int64),
        *(table.cpu().numpy().astype(np.int8) for table in tables),
    )


def _group(part: nn.ModuleList) -> list[Layer]:
    return [layer for layer in part if isinstance(layer, Layer)]


def _narrow(layer: Layer) -> tuple[Reals, Reals, Reals]:
    """Weights (taps inputs, outputs) of the taps alone, bias and multiplier."""
    weight, bias, multiplier = (part.cpu().numpy().astype(np.float32) for part in layer.frozen)
    return weight[: len(layer.taps) * layer.inputs], bias, multiplier


def _first(layer: Layer) -> Dense:
    """The first layer, whose inputs are kept 128 larger and padded to whole quads."""
    weight, bias, multiplier = _narrow(layer)
    taps, outputs = len(layer.taps), layer.outputs
    wide = np.zeros((taps, PAST_BYTES, outputs), np.float32)
    wide[:, : layer.inputs] = weight.reshape(taps, layer.inputs, outputs)
    return _dense(wide.reshape(-1, outputs), bias - MIDDLE * weight.sum(0, dtype=np.float64), multiplier)


def _dense(weight: Reals, bias: Reals, multiplier: Reals) -> Dense:
    """In tiles; outputs are padded to whole ones."""
    inputs, outputs = weight.shape
    more = -outputs % OUTPUTS
    tiles = (outputs + more) // OUTPUTS
    grid = np.pad(weight, ((0, 0), (0, more))).reshape(inputs // BYTES, BYTES, tiles, 2, OUTPUTS // 2)
    return Dense(
        np.ascontiguousarray(grid.transpose(2, 0, 3, 4, 1)).astype(np.int8),
        np.pad(bias, (0, more)).reshape(tiles, OUTPUTS).astype(np.int32),
        np.pad(multiplier, (0, more)).reshape(tiles, OUTPUTS).astype(np.float32),
    )


def _stacked(group: list[Layer]) -> Dense:
    """Layers of one shape, but for outputs that one tile holds."""
    made = [_dense(*_narrow(layer)) for layer in group]
    return Dense(*(np.stack(parts) for parts in zip(*made, strict=True)))


def features_of(fz: Tensor) -> NDArray[np.int16]:
    """f(z) (1, rows, W, 3 + features) -> (rows W, 3 + features)."""
    return fz[0].flatten(0, 1).cpu().numpy().astype(np.int16)
