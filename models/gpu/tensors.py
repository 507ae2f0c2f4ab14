"""What Triton kernels take of a pixel network, a band and a correction: tensors of integers on the device, padded.

Blocks of products have powers of two as sizes, and int8 sums 32 values at least; what is padded is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.codec.coding.units import exponentials, scale_variances, sigmoids, slopes
from vlcodec.models.layers.activations import UNIT
from vlcodec.models.layers.carriers import BYTE, MIDDLE
from vlcodec.models.layers.causal_pixels import COLOURS, SQUASH_HALF, PixelDecoder
from vlcodec.models.layers.exact import Layer, layers
from vlcodec.models.layers.masked import BEFORE as BEFORE_TAPS
from vlcodec.models.layers.masked import FIRST
from vlcodec.models.walks.correction import Correction
from vlcodec.models.walks.wavefront import SLOTS

BLOCK = 16  # positions of a program: the least that a product takes
LEAST = 32  # inputs that a product in int8 takes
WIDE = 16  # of a vector of colours or of a mixture's components: the least outputs that a product has
KINDS = 4  # of parameters: logits, offsets, scales, shares
STORED = 4  # of a vector of colours in memory
PAST = 32  # of what a position shows to later ones
TAPS, BEFORE = len(FIRST), len(BEFORE_TAPS)
INPUTS, AROUND = TAPS * COLOURS, 64  # colours at all taps, and padded
SQUASHED = 2 * (SQUASH_HALF + 1)  # entries of a squash table
DIGIT = 16  # a predictor's weight is two digits of this base
BASE = 16  # of a symbol's digits
VARIANCE_BITS = 8  # a table of variances has 2^8 entries, the last of them out of reach
SHIFTS = (0, 20)  # least and largest: what `rounded` takes


class Sizes(NamedTuple):
    """What kernels are compiled for. channels and hidden are padded; classes: of the correction, 0 without one."""

    block: int
    channels: int
    hidden: int
    depth: int
    features: int
    colours: int
    mixtures: int
    shrink: int
    classes: int


class Net(NamedTuple):
    """A frozen pixel network. Weights are (..., outputs, inputs); rules (..., 4, outputs): see `_rule`.

    around: (3, AROUND) rows, columns and colours of the predictor's inputs. own, seen: (..., inputs, outputs) int32.
    """

    around: Tensor
    predictor: Tensor
    predictor_rule: Tensor
    first_taps: Tensor
    first: Tensor
    own: Tensor
    first_rule: Tensor
    near_taps: Tensor
    near: Tensor
    near_rule: Tensor
    out: Tensor
    out_rule: Tensor
    hidden: Tensor
    seen: Tensor
    hidden_rule: Tensor
    params: Tensor
    params_rule: Tensor
    squash: Tensor


class Tables(NamedTuple):
    """See `codec.coding.units`."""

    exponentials: Tensor
    variances: Tensor
    slopes: Tensor
    sigmoids: Tensor


class Band(NamedTuple):
    """What a walk over a band reads and writes: its step, f(z), and rings of the last wavefronts."""

    clock: Tensor
    fz: Tensor
    x: Tensor
    past: Tensor
    near: Tensor
    errors: Tensor


class Spots(NamedTuple):
    """A decoded step's intermediate results, by spot."""

    h: Tensor
    base: Tensor
    mean: Tensor
    weight: Tensor
    centre: Tensor
    scale: Tensor
    bounds: Tensor
    digit: Tensor


class Moves(NamedTuple):
    """A correction's weights by channel and class: of errors around (AROUND,), and of the position's own (WIDE,)."""

    edges: Tensor
    around: Tensor
    own: Tensor


def fits(decoder: PixelDecoder) -> bool:
    """Whether kernels serve a frozen network: int8 carries its layers, and all sums are rounded, not widened."""
    inner = [layer for _, layer in layers(decoder.net)]
    return (
        decoder.plain
        and decoder.net.gate is None
        and decoder.mixtures <= WIDE
        and all(layer.narrow is not None and _largest(layer) <= BYTE[1] for layer in inner)
        and _largest(decoder.predictor) < DIGIT * MIDDLE
        and all(SHIFTS[0] <= int(shift) <= SHIFTS[1] for layer in (decoder.predictor, *inner) for shift in _ends(layer))
    )


def _largest(layer: Layer) -> float:
    """|weight|"""
    return float(layer.frozen.weight.abs().max())


def _shifts(layer: Layer) -> Tensor:
    return -torch.log2(layer.frozen.multiplier.double()).round()


def _ends(layer: Layer) -> tuple[float, float]:
    return float(_shifts(layer).min()), float(_shifts(layer).max())


def _padded(x: Tensor, *sizes: int) -> Tensor:
    """The last dimensions at so many entries."""
    missing = [n for size, have in zip(sizes, x.shape[-len(sizes) :], strict=True) for n in (size - have, 0)]
    return F.pad(x, missing[::-1])


def _power(n: int) -> int:
    return max(LEAST, 1 << (n - 1).bit_length())


def _rule(layer: Layer, outputs: int, columns: slice = slice(None), shift: int = 0) -> Tensor:
    """(4, outputs) int32 bias, shift, lowest, highest of some of a layer's outputs.

    shift: what the inputs at its taps are stored less, which the bias makes up for.
    """
    weight, bias, _ = layer.frozen
    bias = bias.double() + shift * weight[: len(layer.taps) * layer.inputs].double().sum(0)
    parts = torch.stack([bias, _shifts(layer), layer.low.double(), layer.high.double()])
    return _padded(parts[:, columns], outputs).to(torch.int32)


def _taps(layer: Layer, inputs: int, outputs: int) -> Tensor:
    """(taps, outputs, inputs) int8."""
    weight = layer.frozen.weight[: len(layer.taps) * layer.inputs].t()
    apart = weight.reshape(layer.outputs, len(layer.taps), layer.inputs).transpose(0, 1)
    return _padded(apart, outputs, inputs).to(torch.int8)


def _beside(layer: Layer, inputs: int, outputs: int) -> Tensor:
    """(inputs, outputs) int32 of what stands beside a layer's taps."""
    return _padded(layer.frozen.weight[len(layer.taps) * layer.inputs :], inputs, outputs).to(torch.int32)


def packed(decoder: PixelDecoder, colours: int, features: int, classes: int) -> tuple[Sizes, Net]:
    """A network that `fits`. features: channels of f(z), the mean image's included."""
    net, device = decoder.net, decoder.predictor.frozen.weight.device
    near, out, heads, params = (_all(part) for part in (net.near, net.out, net.hidden, net.params))
    channels, hidden = _power(net.first.outputs), _power(heads[0].outputs)
    shrink = (UNIT // net.relu.unit).bit_length() - 1
    sizes = Sizes(BLOCK, channels, hidden, len(near), features, colours, decoder.mixtures, shrink, classes)
    digits = torch.stack([decoder.predictor.frozen.weight.t() // DIGIT, decoder.predictor.frozen.weight.t() % DIGIT])
    squash = [s.table.to(torch.int8) for s in (decoder.edge, decoder.noise, decoder.error, decoder.colour)]
    k = decoder.mixtures
    kinds = [slice(i * k, (i + 1) * k if i < KINDS - 1 else None) for i in range(KINDS)]
    weights = [_padded(layer.frozen.weight.t()[part], WIDE, hidden) for layer in params for part in kinds]
    return sizes, Net(
        around=places_around().to(device),
        predictor=_padded(digits, WIDE, AROUND).to(torch.int8),
        predictor_rule=_rule(decoder.predictor, WIDE),
        first_taps=_table(FIRST).to(device),
        first=_taps(net.first, PAST, channels),
        own=_beside(net.first, features + COLOURS, channels),
        first_rule=_rule(net.first, channels),
        near_taps=_table([tap for layer in near for tap in layer.taps[:BEFORE]]).to(device),
        near=torch.stack([_taps(layer, channels, channels) for layer in near]),
        near_rule=torch.stack([_rule(layer, channels, shift=MIDDLE) for layer in near]),
        out=torch.stack([_taps(layer, channels, channels) for layer in out]),
        out_rule=torch.stack([_rule(layer, channels, shift=MIDDLE) for layer in out]),
        hidden=torch.stack([_taps(layer, channels, hidden) for layer in heads]),
        seen=torch.stack([_beside(layer, COLOURS, hidden) for layer in heads]),
        hidden_rule=torch.stack([_rule(layer, hidden, shift=MIDDLE) for layer in heads]),
        params=torch.stack(weights).to(torch.int8),
        params_rule=torch.stack([_rule(layer, WIDE, part, MIDDLE) for layer in params for part in kinds]),
        squash=torch.stack([_padded(table, SQUASHED) for table in squash]),
    )


def _all(part: nn.ModuleList) -> list[Layer]:
    return [layer for _, layer in layers(part)]


def _table(taps: Sequence[tuple[int, int]]) -> Tensor:
    return torch.tensor(taps, dtype=torch.int32)


def places_around() -> Tensor:
    """(3, AROUND) row offset, column offset and colour of each of the INPUTS, tap by tap."""
    return _padded(torch.tensor([(r, c, k) for r, c in FIRST for k in range(COLOURS)]).t(), AROUND).to(torch.int32)


def tables(device: torch.device) -> Tables:
    """The codec's tables."""
    variances = np.full(1 << VARIANCE_BITS, np.iinfo(np.int64).max)
    variances[: len(scale_variances())] = scale_variances()
    return Tables(*(torch.from_numpy(t).to(device) for t in (exponentials(), variances, slopes(), sigmoids())))


def band_of(fz: Tensor, sizes: Sizes) -> Band:
    """Of f(z), (lanes, rows, width, features), before its first step."""
    lanes, rows = fz.shape[:2]
    clock = torch.zeros(1, dtype=torch.int32, device=fz.device)

    def empty(dtype: torch.dtype, *size: int) -> Tensor:
        return torch.zeros(size, dtype=dtype, device=fz.device)

    ring = (lanes, SLOTS, rows)
    near = empty(torch.int8, sizes.depth, *ring, sizes.channels)
    x, errors = empty(torch.int8, *ring, STORED), empty(torch.int16, *ring, STORED)
    return Band(clock, fz.to(torch.int16).contiguous(), x, empty(torch.int8, *ring, PAST), near, errors)


def spots_of(rows: int, lanes: int, sizes: Sizes, device: torch.device) -> Spots:
    """Of the longest step that there can be, and one that is only looked at."""
    count = rows * lanes + 1
    h = torch.empty((count, sizes.channels), dtype=torch.int8, device=device)
    rest = (WIDE, WIDE, WIDE, WIDE, WIDE, BASE, 1)
    return Spots(h, *(torch.zeros((count, n), dtype=torch.int32, device=device) for n in rest))


def moves_of(correction: Correction | None, colours: int, device: torch.device) -> Moves:
    """A correction's weights, or next to nothing."""
    classes = 1 if correction is None else len(correction.edges) + 1
    around, own = np.zeros((COLOURS, classes, TAPS, COLOURS)), np.zeros((COLOURS, classes, WIDE))
    edges: Sequence[int] = (0,)
    if correction is not None:
        edges = correction.edges
        for c, table in enumerate(correction.tables):
            near = TAPS * colours
            around[c, ..., :colours] = table[:, :near].reshape(classes, TAPS, colours)
            own[c, :, : table.shape[1] - near] = table[:, near:]
    near_weights = _padded(torch.from_numpy(around).reshape(COLOURS, classes, INPUTS), AROUND)
    parts = (torch.tensor(edges), near_weights, torch.from_numpy(own))
    return Moves(*(part.to(device, torch.int32).contiguous() for part in parts))
