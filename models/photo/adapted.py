"""A pixel network whose biases a file changes: integers of the picture's own, sent before its bands.

A change of k moves a bias by k / STEPS; in the integers of an output whose weights are w 2^e that is
floor(k unit 2^e / STEPS). Changes stand in the order of the network's layers and their outputs, and are coded as
symbols k + 128 under one logistic at 0, whose scale index the chunk's first byte tells.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.likelihood import bits_of
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.errors import BoundError, FormatError
from vlcodec.codec.interface import Ints
from vlcodec.models.layers.carriers import FLOAT
from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.layers.exact import Layer, layers
from vlcodec.models.layers.mixture import SCALE_LAST
from vlcodec.models.walks.dither import CENTRE

STEPS = 64  # of a change in 1.0
MOST = 127  # |change|
NARROWEST = 90  # scale index that is worth trying


def count(decoder: PixelDecoder) -> int:
    """How many biases there are."""
    return sum(layer.outputs for _, layer in layers(decoder))


def pack_changes(changes: Ints) -> bytes:
    """Changes (count,) in [-127, 127] as a chunk, under the scale that takes the fewest bits."""
    symbols = changes + CENTRE
    scales = range(NARROWEST, SCALE_LAST + 1)
    scale = min(scales, key=lambda scale: float(bits_of(_logistic(len(changes), scale), symbols).sum()))
    stack = Stack()
    stack.push(_logistic(len(changes), scale), symbols)
    return bytes([scale]) + stack.to_bytes()


def unpack_changes(data: bytes, size: int) -> Ints:
    """The inverse of `pack_changes`, of so many changes. Raises FormatError for anything else."""
    if data[0] > SCALE_LAST:
        raise FormatError(f"changes of weights with a scale of {data[0]}: it must be at most {SCALE_LAST}")
    stack = Stack(data[1:])
    symbols = stack.pop(_logistic(size, data[0]), np.arange(size, dtype=np.int64))
    if not stack.empty:
        raise FormatError("the stack of changes of weights must be empty at its end; it is not")
    return symbols - CENTRE


def _logistic(size: int, scale: int) -> LogisticMixture:
    zero = np.zeros((size, 1), np.int64)
    return LogisticMixture(zero, zero, zero + scale)


def adapted(decoder: PixelDecoder, changes: Ints) -> PixelDecoder:
    """A frozen network with changed biases, in its own carriers.

    Raises FormatError where a sum could leave its carrier's exact range.
    """
    made, done = copy.deepcopy(decoder), 0
    for name, layer in layers(made):
        part = torch.from_numpy(changes[done : done + layer.outputs]).double()
        done += layer.outputs
        if part.any():
            try:
                _move(layer, part)
            except BoundError as error:
                raise FormatError(f"changes of weights that layer {name} does not take: {error}") from None
    return made


def _move(layer: Layer, part: Tensor) -> None:
    """Add changes (outputs,) to a frozen layer's biases."""
    weight, bias, exponent = (integers.cpu() for integers in layer.integers())
    in_int8, kind = layer.stored is not FLOAT, layer.frozen.weight.dtype
    units = layer.unit * torch.exp2(exponent.round())
    moved = bias + torch.floor(part * units / STEPS)
    layer.load_integers(weight, moved, exponent.round(), None if kind == layer.carrier else kind)
    layer.carry(in_int8)
