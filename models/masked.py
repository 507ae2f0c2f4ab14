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
from typing import Any

import torch
from torch import Tensor, nn

from vlcodec.models.exact import OWN, STREAM, Layer, Taps, relu

FIRST: Taps = (
    *((-2, c) for c in (-2, -1, 0, 1, 2)),
    *((-1, c) for c in (-2, -1, 0, 1)),
    *((0, c) for c in (-2, -1)),
)
BEFORE: Taps = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
NEAR: Taps = (*BEFORE, (0, 0))

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


class CausalNet(nn.Module):
    """A trunk of masked residual layers and one small head for each group of symbols.

    past (neighbours) --+
                        +--> first --> [relu, near, 1x1] x layers --> relu --> h
    own (this position)-+                  (residual)                          |
                                          earlier groups' symbols --> hidden_g +--> params_g
    """

    def __init__(
        self, past: int, own: int, channels: int, depth: int, hidden: int, groups: Sequence[Group], input_max: int
    ) -> None:
        super().__init__()
        self.first = Layer(FIRST, past, channels, beside=own, input_max=input_max, **STREAM)
        self.near = nn.ModuleList(Layer(NEAR, channels, channels) for _ in range(depth))
        self.out = nn.ModuleList(Layer(OWN, channels, channels, init=0.1, **STREAM) for _ in range(depth))
        self.hidden = nn.ModuleList(Layer(OWN, channels, hidden, beside=g.seen) for g in groups)
        self.params = nn.ModuleList(
            Layer(OWN, hidden, len(g.gain), gain=g.gain, low=g.low, high=g.high, init=0.1) for g in groups
        )
        with torch.no_grad():
            for params, group in zip(self.params, groups, strict=True):
                params.get_parameter("bias").copy_(torch.tensor(group.bias))

    def trunk(self, look: Look, past: Tensor | None, own: Tensor) -> Tensor:
        """past (..., past), own (..., own) -> (..., channels) in [0, 1023]."""
        h = look("past", self.first, past, own)
        for i, (near, out) in enumerate(zip(self.near, self.out, strict=True)):
            h = h + out(look(f"near{i}", near, relu(h), None))
        return relu(h)

    def head(self, group: int, h: Tensor, seen: Tensor | None) -> Tensor:
        """h (..., channels), seen (..., group.seen) or None -> the group's raw parameters, integers."""
        return self.params[group](self.hidden[group](h, seen))


def look_whole(_: str, layer: Layer, x: Tensor | None, beside: Tensor | None) -> Tensor:
    """The walk over a whole picture at once, as training sees it."""
    return layer(x, beside)
