"""Causal nets: from what lies behind a position to the parameters of the symbols at it (PixelCNN; VLAE section 3).

Masks are chosen for the wavefront of slope 2: position (r, c) belongs to step c + 2 r, and every tap lies in an
earlier step (the first layer) or in the same position (later layers):

    first layer  . x x x x x .        later layers   x x x
                 . x x x x . .                       x o
                 . x x o
                                   o: the position itself
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from vlcodec.codec.coding.lookup import sigmoid_table, tanh_table
from vlcodec.models.layers.activations import ACTIVATION_MAX, UNIT, Rectifier, round_through
from vlcodec.models.layers.carriers import BYTES, SIGNED_BYTES, Narrow
from vlcodec.models.layers.exact import OWN, SIGNED, STREAM, Layer, Range, Taps
from vlcodec.models.layers.mode import IntegerModule

FIRST: Taps = (
    *((-2, c) for c in (-2, -1, 0, 1, 2)),
    *((-1, c) for c in (-2, -1, 0, 1)),
    *((0, c) for c in (-2, -1)),
)
BEFORE: Taps = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
NEAR: Taps = (*BEFORE, (0, 0))
NARROW = {  # what of each kind of layer fits 8 bits, where activations have 8
    "first": Narrow(SIGNED_BYTES),
    "near": Narrow(BYTES, outputs=True),
    "out": Narrow(BYTES),
    "hidden": Narrow(BYTES, beside=True, outputs=True),
    "params": Narrow(BYTES),
}


def spread(taps: Taps, dilation: int) -> Taps:
    """The taps, so many times as far apart; at 0 they are the own position alone."""
    return tuple((dilation * r, dilation * c) for r, c in taps) if dilation else OWN


# How a walk shows a layer its neighbourhood: (name of the buffer, layer, its input at the positions walked or None
# where only earlier positions are seen, what stands beside) -> the layer's output.
Look = Callable[[str, Any, Tensor | None, Tensor | None], Tensor]


@dataclass(frozen=True)
class Group:
    """Symbols of one position that are coded together, after the groups before them.

    seen: channels made of the earlier groups' symbols. Output channels: gain, range and initial bias of each.
    """

    seen: int
    gain: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    bias: Sequence[float]


class Gate(IntegerModule):
    """tanh(a) sigmoid(b) (van den Oord et al. 2016); frozen, by tables in units of ACTIVATION_MAX and of 1 / 1024."""

    tanh: Tensor
    sigmoid: Tensor

    def __init__(self) -> None:
        super().__init__()
        tanh = tanh_table(Fraction(UNIT), ACTIVATION_MAX, ACTIVATION_MAX)
        sigmoid = sigmoid_table(Fraction(1, UNIT), ACTIVATION_MAX, 1024)
        self.register_buffer("tanh", torch.from_numpy(tanh).float(), False)
        self.register_buffer("sigmoid", torch.from_numpy(sigmoid).float(), False)

    def forward(self, y: Tensor) -> Tensor:
        """(..., 2 C) in [-1023, 1023] -> (..., C)."""
        if self.mode != "frozen":
            a, b = (y / UNIT).chunk(2, -1)
            return round_through(ACTIVATION_MAX * torch.tanh(a) * torch.sigmoid(b))
        a, b = (y + ACTIVATION_MAX).long().chunk(2, -1)
        return (self.tanh[a] * self.sigmoid[b] / 1024).round()


class CausalNet(nn.Module):
    """A trunk of masked residual layers and one small head for each group of symbols.

    past (neighbours) --+             stream_i (this position)
                        |                  v
                        +--> first --> [relu, near, 1x1] x layers --> relu --> h
    own (this position)-+                  (residual)                          |
                                          earlier groups' symbols --> hidden_g +--> params_g

    Args:
        dilations: one residual layer for each, its taps so far apart (at most 4; 0 for the own position alone).
            stream: channels that each of these layers sees of the own position besides. gated: tanh x sigmoid after the
            near layers in place of ReLU.
            bits: of the activations that near, out, hidden and params layers take; 10, or 8: then `past` fits 8 signed
            bits too. spacing: of the first layer's taps.
    """

    def __init__(
        self,
        past: int,
        own: int,
        channels: int,
        dilations: Sequence[int],
        hidden: int,
        groups: Sequence[Group],
        input_max: int,
        stream: int = 0,
        gated: bool = False,
        bits: int = 10,
        spacing: int = 1,
    ) -> None:
        super().__init__()
        self.gate, self.relu = Gate() if gated else None, Rectifier(bits)
        unit, most = self.relu.unit, self.relu.most
        limit: Range = SIGNED if gated else {"low": 0, "high": most}
        narrow = NARROW if bits == 8 and not gated and not stream else {}
        to_first, to_out = narrow.get("first"), narrow.get("out")
        taps = spread(FIRST, spacing)
        self.first = Layer(taps, past, channels, beside=own, input_max=input_max, narrow=to_first, **STREAM)
        self.near = nn.ModuleList(
            Layer(
                spread(NEAR, d),
                channels,
                channels * (1 + gated),
                beside=stream,
                input_max=most,
                unit=unit,
                narrow=narrow.get("near"),
                **limit,
            )
            for d in dilations
        )
        grown = UNIT // unit  # from an activation's unit to the stream's, and to what parameters are told in
        self.out = nn.ModuleList(
            Layer(OWN, channels, channels, init=0.1, gain=grown, input_max=most, unit=unit, narrow=to_out, **STREAM)
            for _ in dilations
        )
        self.hidden = nn.ModuleList(
            Layer(
                OWN, channels, hidden, beside=g.seen, high=most, input_max=most, unit=unit, narrow=narrow.get("hidden")
            )
            for g in groups
        )
        self.params = nn.ModuleList(
            Layer(
                OWN,
                hidden,
                len(g.gain),
                gain=[grown * gain for gain in g.gain],
                low=g.low,
                high=g.high,
                input_max=most,
                unit=unit,
                narrow=narrow.get("params"),
                precise=True,
                init=0.1,
            )
            for g in groups
        )
        with torch.no_grad():
            for params, group in zip(self.params, groups, strict=True):
                params.get_parameter("bias").copy_(torch.tensor(group.bias))

    def trunk(self, look: Look, past: Tensor | None, own: Tensor, streams: Sequence[Tensor] = ()) -> Tensor:
        """past (..., past), own (..., own), streams (..., stream) of each layer -> (..., channels), activations.

        past is signed. What comes out is in [0, 1023] or [0, 255], or in int8 less 128 where int8 carries the net.
        """
        h = look("past", self.first, past, own)
        for i, (near, out) in enumerate(zip(self.near, self.out, strict=True)):
            y = look(f"near{i}", near, self.relu(h), streams[i] if streams else None)
            h = h + out(y if self.gate is None else self.gate(y))
        return self.relu(h)

    def head(self, group: int, h: Tensor, seen: Tensor | None) -> Tensor:
        """h (..., channels), seen (..., group.seen) or None -> the group's raw parameters, integers."""
        return self.params[group](self.hidden[group](h, seen))


def look_whole(_: str, layer: Layer, x: Tensor | None, beside: Tensor | None) -> Tensor:
    """The walk over a whole picture at once, as training sees it."""
    return layer(x, beside)
