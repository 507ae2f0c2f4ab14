"""A grid of latents or of blocks walked by compiled steps: what `latent_steps` does with torch, in one call a step.

The bits are the same; without numba, or on another device, torch walks.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.units import exponentials, sigmoids, slopes
from vlcodec.codec.interface import Ints, Tick
from vlcodec.models.layers.causal_blocks import BlockPrior
from vlcodec.models.layers.causal_latents import LatentPrior
from vlcodec.models.layers.exact import Layer
from vlcodec.models.walks.block_symbols import BEYOND
from vlcodec.models.walks.wavefront import TOP, fronts, steps_of

SLOTS = 8  # of past steps: taps look at most six steps back
KEPT = "_packed"  # attribute of a prior: what it was frozen to, and its arrays
_LOCK = threading.RLock()
AnyPrior = LatentPrior | BlockPrior
Words = NDArray[np.uint32]


def serves(prior: AnyPrior, device: torch.device) -> bool:
    """Whether compiled steps walk a grid of a prior here."""
    return device.type == "cpu" and compiled.runs() and prior.net.first.carrier == torch.float32


class CompiledSteps:
    """A walk at its beginning. own: (1 or h w, own)."""

    def __init__(self, prior: AnyPrior, own: Tensor, height: int, width: int) -> None:
        from vlcodec.models.compiled import latent_kernels

        self._net = _packed(prior)
        self._tables = latent_kernels.Tables(exponentials(), slopes(), sigmoids())
        self._state = _state(self._net, prior, own.numpy(), height, width)

    def pop(self, words: Words, found: Ints, tick: Tick | None, count: int) -> Words:
        """All steps at once, from a coder's words: symbols into found (h w, symbols of a position); words that are
        left. count: of the walk's steps, for progress."""
        from vlcodec.models.compiled import pop_kernels

        size, groups = (self._state.height, self._state.width), len(self._net.hidden.bias)
        coder, room = pop_kernels.coder_of(words), pop_kernels.room_of(groups, len(self._state.weight), BEYOND)
        shared = self._net, self._state, self._tables, room, coder, found, groups
        steps = steps_of(*size)
        for at in fronts(*size):
            if not pop_kernels.pop_step(*shared, at.step):
                break
            if tick is not None:
                tick((at.step + 1) * count // steps, count)
        return pop_kernels.words_of(coder)


def _packed(prior: AnyPrior) -> Any:
    """The arrays that kernels take, made once for what the prior is frozen to."""
    frozen = prior.net.first.frozen
    with _LOCK:
        if prior.__dict__.get(KEPT, (None,))[0] is not frozen:
            prior.__dict__[KEPT] = frozen, _arrays(prior)
    return prior.__dict__[KEPT][1]


def _arrays(prior: AnyPrior) -> Any:
    from vlcodec.models.compiled.latent_kernels import Dense, Prior

    net, groups = prior.net, range(prior.groups)
    taps, own = len(net.first.taps) * net.first.inputs, net.first.beside
    weight, bias, multiplier = _floats(net.first)
    near, out = (Dense(*map(np.stack, zip(*map(_floats, _layers(part)), strict=True))) for part in (net.near, net.out))
    hidden, params = (_layers(part)[: prior.groups] for part in (net.hidden, net.params))
    blocks, large = isinstance(prior, BlockPrior), prior.large if isinstance(prior, BlockPrior) else 0
    wide = np.zeros((len(groups), hidden[-1].weight.shape[1] - blocks, hidden[0].outputs), np.float32)
    told = np.zeros((len(groups) * blocks, hidden[0].outputs), np.float32)
    for g in groups:
        found = _floats(hidden[g])[0]
        wide[g, : len(found) - blocks] = found[: len(found) - blocks]
        told[g : g + blocks] = found[len(found) - blocks :]
    foretold = [np.zeros((0, 0)), np.zeros(0), np.zeros(0)]
    ends = [Dense(np.zeros((0, 0), np.float32), *np.zeros((2, 0), np.float32))] * 2
    if isinstance(prior, BlockPrior):
        foretold = [part.numpy().astype(np.float64) for part in prior.predictor.frozen]
        ends = [Dense(*_floats(_layers(part)[-1])) for part in (net.hidden, net.params)]
    return Prior(
        np.array(net.first.taps, np.int64),
        np.array(_layers(net.near)[0].taps, np.int64),
        np.array(prior.predictor.taps if isinstance(prior, BlockPrior) else [(0, 0)], np.int64),
        Dense(weight[:taps].reshape(len(net.first.taps), net.first.inputs, -1), bias, multiplier),
        np.ascontiguousarray(weight[taps : taps + own]),
        Dense(near.weight.reshape(len(near.weight), -1, *out.weight.shape[1:]), near.bias, near.multiplier),
        out,
        Dense(wide, *(np.stack([_floats(layer)[i] for layer in hidden]) for i in (1, 2))),
        Dense(*(np.stack([_floats(layer)[i] for layer in params]) for i in range(3))),
        np.stack([layer.low.numpy() for layer in params]),
        np.stack([layer.high.numpy() for layer in params]),
        foretold[0].reshape(-1, large, large) if blocks else np.zeros((1, 0, 0)),
        foretold[1],
        foretold[2],
        told,
        *ends,
    )


def _layers(part: nn.ModuleList) -> list[Layer]:
    return [layer for layer in part if isinstance(layer, Layer)]


def _floats(layer: Layer) -> tuple[Any, Any, Any]:
    """Weights (fan-in, outputs), bias and multiplier, float32."""
    weight, bias, multiplier = (np.ascontiguousarray(part.numpy().astype(np.float32)) for part in layer.frozen)
    return weight, bias, multiplier


def _state(net: Any, prior: AnyPrior, own: Any, height: int, width: int) -> Any:
    """The empty buffers of a walk."""
    from vlcodec.models.compiled.latent_kernels import DIGIT, State

    rows, channels = min(height, (width + 1) // 2), net.own.shape[1]  # of a step, at most
    slots, most = (SLOTS, TOP + height), max(channels, net.hidden.bias.shape[1])
    large, extents = len(net.predictor_bias), len(net.extent_logits.bias)
    whole = np.zeros((rows * prior.group, prior.mixtures), np.int64)

    def zeros(*shape: int) -> Any:
        return np.zeros(shape, np.float32)

    return State(
        height=height,
        width=width,
        own=np.asarray(own, np.float32) @ net.own,  # integers, exact in any order
        past=zeros(*slots, net.first.weight.shape[1]),
        near=zeros(len(net.near.weight), *slots, channels),
        large=zeros(*slots, large),
        stream=zeros(rows, channels),
        top=zeros(rows, channels),
        row=zeros(channels),
        between=zeros(most),
        told=zeros(max(net.params.bias.shape[1], extents)),
        z=zeros(rows, prior.latents),
        extent=np.full(rows, prior.groups),
        extent_logits=np.zeros((rows, extents), np.int64),
        base=np.zeros((rows, large), np.int64),
        logit=whole,
        centre=whole.copy(),
        scale=whole.copy(),
        weight=whole.copy(),
        counts=zeros(len(whole), DIGIT),
        digit=np.zeros(DIGIT + 1, np.int64),
    )
