"""A pixel network whose weights a file changes: integers of the picture's own, sent before its bands.

In the integers of an output whose weights are w 2^-e, a change of k moves the bias by floor(k unit 2^e / STEPS). Where
a model has factors, changes of low rank move the weights of its larger layers, too (`factors`).

Changes stand in the order of the network's layers, first those of all biases, then those of the weights layer by layer.
They are coded as symbols k + 128 under mixtures of a narrow and a wide logistic at 0, one for each of these parts: most
changes of a part are 0, and some are large. The mixtures stand in front.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.errors import BoundError, FormatError
from vlcodec.codec.interface import Ints
from vlcodec.models.layers.carriers import FLOAT
from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.layers.exact import Layer, layers
from vlcodec.models.layers.mixture import FLOOR, LEVELS, LOGIT_UNIT, SCALE_LAST, SCALE_LOW, SCALE_UNIT
from vlcodec.models.photo.factors import large_layers, moved_weights, unit_of
from vlcodec.models.walks.dither import CENTRE

STEPS = 64  # of a bias's change in 1.0
MOST = 127  # |change|
SCALES = np.arange(60, SCALE_LAST + 1, 4)  # indices that are worth trying
LOGITS = np.arange(0, 256, 16)  # likewise of the narrow logistic's, in 1/32 nat, plus 128
MIXTURES = 254  # first byte of changes under mixtures
WITH_WEIGHTS = 255  # first byte of changes under logistics, of weights, too; of biases alone it is a scale index
SAME = 255  # in place of a mixture: nothing changes in this part
Prior = tuple[int, ...]  # scale indices of the narrow and the wide logistic, the narrow one's logit plus 128; or one


def sizes(decoder: PixelDecoder, factors: Sequence[Tensor]) -> list[int]:
    """How many changes each part has: the biases, and the weights of each layer that has factors."""
    biases = sum(layer.outputs for _, layer in layers(decoder))
    moved = zip(large_layers(decoder), factors, strict=bool(factors))
    return [biases, *(len(each) * layer.outputs for layer, each in moved)]


def pack_changes(changes: Sequence[Ints]) -> bytes:
    """Changes in [-127, 127], part by part, under the mixtures that take the fewest bits."""
    priors = [_best_prior(part) if part.any() else (SAME,) for part in changes]
    stack = Stack()
    for part, prior in reversed(list(zip(changes, priors, strict=True))):
        if prior != (SAME,):
            stack.push(_distribution(len(part), prior), part + CENTRE)
    return bytes([MIXTURES, *(number for prior in priors for number in prior)]) + stack.to_bytes()


def unpack_changes(data: bytes, lengths: Sequence[int]) -> list[Ints]:
    """The inverse of `pack_changes`, of parts of so many changes. Raises FormatError for anything else.

    Reads what older revisions wrote, too: parts under one logistic each.
    """
    priors, rest = _priors(data, len(lengths))
    if (widest := max((max(prior[:2]) for prior in priors if prior != (SAME,)), default=0)) > SCALE_LAST:
        raise FormatError(f"changes of weights with a scale of {widest}: it must be at most {SCALE_LAST}")
    stack, found = Stack(rest), list[Ints]()
    for length, prior in zip(lengths, priors, strict=True):
        part = np.zeros(length, np.int64)
        if prior != (SAME,):
            part = stack.pop(_distribution(length, prior), np.arange(length, dtype=np.int64)) - CENTRE
        found.append(part)
    if not stack.empty:
        raise FormatError("the stack of changes of weights must be empty at its end; it is not")
    return found


def _priors(data: bytes, parts: int) -> tuple[list[Prior], bytes]:
    """Of each part, and what stands behind them. Raises FormatError where they are cut off."""
    if data[0] == MIXTURES:
        priors, at = list[Prior](), 1
        for _ in range(parts):
            size = 1 if data[at : at + 1] == bytes([SAME]) else 3
            priors.append(tuple(data[at : at + size]))
            at += size
        if at > len(data):
            raise FormatError("changes of weights end within their mixtures")
        return priors, data[at:]
    first, count = (1, parts) if data[0] == WITH_WEIGHTS else (0, 1)
    scales = data[first : first + count]
    return [(scale, scale, CENTRE) for scale in scales] + [(SAME,)] * (parts - len(scales)), data[first + count :]


def _best_prior(changes: Ints) -> Prior:
    values, counts = np.unique(changes, return_counts=True)
    widths = SCALE_LOW * np.exp(SCALES / SCALE_UNIT)[:, None]
    mass = (np.tanh((values + 0.5) / (2 * widths)) - np.tanh((values - 0.5) / (2 * widths))) / 2  # (scales, values)
    shares = 1 / (1 + np.exp((CENTRE - LOGITS) / LOGIT_UNIT))[:, None, None, None]
    both = shares * mass[:, None] + (1 - shares) * mass + FLOOR / LEVELS  # (logits, narrow, wide, values)
    nats = -(np.log(both) @ counts)
    logit, narrow, wide = np.unravel_index(int(nats.argmin()), nats.shape)
    return int(SCALES[narrow]), int(SCALES[wide]), int(LOGITS[logit])


def _distribution(size: int, prior: Prior) -> LogisticMixture:
    narrow, wide, logit = prior
    logits, scales = ([0], [narrow]) if narrow == wide else ([logit - CENTRE, 0], [narrow, wide])
    zeros = np.zeros((size, len(scales)), np.int64)
    return LogisticMixture(zeros + logits, zeros, zeros + scales)


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
