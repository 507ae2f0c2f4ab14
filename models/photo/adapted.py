"""A pixel network whose weights a file changes: integers of the picture's own, sent before its bands.

In the integers of an output whose weights are w 2^-e, a change of k moves the bias by floor(k unit 2^e / STEPS). Where
a model has factors, changes of low rank move the weights of its larger layers, too (`factors`).

Changes stand in the order of the network's layers, first those of all biases, then those of the weights layer by layer.
They are coded as symbols k + 128 under logistics at 0, one for each of these parts, whose scale indices stand in front.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

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
from vlcodec.models.photo.factors import large_layers, moved_weights, unit_of
from vlcodec.models.walks.dither import CENTRE

STEPS = 64  # of a bias's change in 1.0
MOST = 127  # |change|
NARROWEST = 60  # scale index that is worth trying
WITH_WEIGHTS = 255  # first byte where weights change, too


def sizes(decoder: PixelDecoder, factors: Sequence[Tensor]) -> list[int]:
    """How many changes each part has: the biases, and the weights of each layer that has factors."""
    biases = sum(layer.outputs for _, layer in layers(decoder))
    moved = zip(large_layers(decoder), factors, strict=bool(factors))
    return [biases, *(len(each) * layer.outputs for layer, each in moved)]


def pack_changes(changes: Sequence[Ints]) -> bytes:
    """Changes in [-127, 127], part by part, under the scales that take the fewest bits."""
    parts = changes if any(part.any() for part in changes[1:]) else changes[:1]
    scales, stack = bytes(map(_best_scale, parts)), Stack()
    for part, scale in reversed(list(zip(parts, scales, strict=True))):
        stack.push(_logistic(len(part), scale), part + CENTRE)
    return (bytes([WITH_WEIGHTS]) if len(parts) > 1 else b"") + scales + stack.to_bytes()


def unpack_changes(data: bytes, lengths: Sequence[int]) -> list[Ints]:
    """The inverse of `pack_changes`, of parts of so many changes. Raises FormatError for anything else."""
    if data[0] == WITH_WEIGHTS:
        scales, rest = data[1 : 1 + len(lengths)], data[1 + len(lengths) :]
    else:
        scales, rest = data[:1], data[1:]
    if (widest := max(scales, default=WITH_WEIGHTS)) > SCALE_LAST:
        raise FormatError(f"changes of weights with a scale of {widest}: it must be at most {SCALE_LAST}")
    stack, found = Stack(rest), list[Ints]()
    for length, scale in zip(lengths, scales, strict=False):
        found.append(stack.pop(_logistic(length, scale), np.arange(length, dtype=np.int64)) - CENTRE)
    if not stack.empty:
        raise FormatError("the stack of changes of weights must be empty at its end; it is not")
    return found + [np.zeros(length, np.int64) for length in lengths[len(found) :]]


def _best_scale(changes: Ints) -> int:
    symbols = changes + CENTRE
    return min(
        range(NARROWEST, SCALE_LAST + 1),
        key=lambda scale: float(bits_of(_logistic(len(changes), scale), symbols).sum()),
    )


def _logistic(size: int, scale: int) -> LogisticMixture:
    zero = np.zeros((size, 1), np.int64)
    return LogisticMixture(zero, zero, zero + scale)


def adapted(decoder: PixelDecoder, changes: Sequence[Ints], factors: Sequence[Tensor]) -> PixelDecoder:
    """A frozen network with changed weights, in its own carriers. factors: int8, of each large layer, or none.

    Raises FormatError where a sum could leave its carrier's exact range.
    """
    made = copy.deepcopy(decoder)
    for name, layer, bias, moves in _by_layer(made, changes, factors):
        if bias.any() or (moves is not None and moves[0].any()):
            try:
                _move(layer, bias, moves)
            except BoundError as error:
                raise FormatError(f"changes of weights that layer {name} does not take: {error}") from None
    return made


Moves = tuple[Ints, Tensor]  # changes (outputs, RANK) and factors


def _by_layer(
    decoder: PixelDecoder, changes: Sequence[Ints], factors: Sequence[Tensor]
) -> Iterator[tuple[str, Layer, Ints, Moves | None]]:
    """Of each layer its name, its biases' changes (outputs,), and its weights'."""
    biases, *rest = changes
    moved = {id(layer): (part, each) for layer, part, each in zip(large_layers(decoder), rest, factors, strict=False)}
    done = 0
    for name, layer in layers(decoder):
        part, each = moved.get(id(layer), (None, None))
        moves = None if part is None or each is None else (part.reshape(layer.outputs, len(each)), each)
        yield name, layer, biases[done : done + layer.outputs], moves
        done += layer.outputs


def _move(layer: Layer, part: Ints, moves: Moves | None) -> None:
    """Add changes to a frozen layer's integers."""
    weight, bias, exponent = (integers.cpu() for integers in layer.integers())
    in_int8, kind = layer.stored is not FLOAT, layer.frozen.weight.dtype
    units = layer.unit * torch.exp2(exponent.round())
    if moves is not None and moves[0].any():
        changes, factors = torch.from_numpy(moves[0]).double(), moves[1].cpu()
        weight = moved_weights(weight, exponent, unit_of(weight, exponent), changes, factors, torch.round)
    moved = bias + torch.floor(torch.from_numpy(part).double() * units / STEPS)
    layer.load_integers(weight, moved, exponent.round(), None if kind == layer.carrier else kind)
    layer.carry(in_int8)
