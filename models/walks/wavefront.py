"""The wavefront: all positions with the same c + 2 r at once, each activation computed once.

A grid of H x W positions takes W + 2 (H - 1) steps. Each layer's input lives in a skewed buffer that holds only the
last few wavefronts: slot [step mod SLOTS][row]. A neighbour (r + dr, c + dc) lies 2 dr + dc steps back, so a layer's
neighbourhood is one plain slice per tap. Buffers hold what layers take as they take it (`Layer.stored`): slots outside
the picture are exactly 0, or what stands for 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.interface import Ints
from vlcodec.models.layers.carriers import FLOAT, Stored
from vlcodec.models.layers.exact import Layer

SLOTS = 16  # a tap looks at most 12 steps back
TOP = 4  # empty rows above the first one: taps look at most 4 rows up


@dataclass(frozen=True)
class Front:
    """The positions of one step: rows first..last-1, row r at column step - 2 r; index: (n,) places in the grid."""

    step: int
    first: int
    last: int
    index: Ints


def steps_of(height: int, width: int) -> int:
    """How many steps a grid takes."""
    return width + 2 * (height - 1)


def front(step: int, height: int, width: int) -> Front:
    """The positions of a step; none where the grid is one column wide and the step odd."""
    first, last = max(0, (step - width + 2) // 2), min(height - 1, step // 2) + 1
    rows = np.arange(first, last, dtype=np.int64)
    return Front(step, first, last, rows * width + step - 2 * rows)


def fronts(height: int, width: int, reverse: bool = False) -> Iterator[Front]:
    """All steps that have positions, first to last, or last to first."""
    steps = range(steps_of(height, width))
    for step in reversed(steps) if reverse else steps:
        at = front(step, height, width)
        if at.first < at.last:
            yield at


class Skewed:
    """The skewed buffers of one walk over a grid. `look` and `at` speak of the step set by `advance`.

    lanes: grids of the same size that are walked together; n positions are then n x lanes rows, lanes innermost.
    """

    def __init__(self, height: int, device: torch.device, lanes: int = 1) -> None:
        self.rows, self.device, self.lanes = TOP + height, device, lanes
        self.buffers: dict[str, tuple[Tensor, Stored]] = {}
        self.now = Front(-1, 0, 0, np.zeros(0, np.int64))
        self.filled = [(0, 0)] * SLOTS  # rows that were last written in each slot

    def advance(self, now: Front) -> None:
        """Go to a later step; the slots of all steps since the last one stand for 0."""
        for step in range(max(self.now.step + 1, now.step - SLOTS + 1), now.step + 1):
            first, last = self.filled[step % SLOTS]
            for buffer, stored in self.buffers.values():
                buffer[step % SLOTS, TOP + first : TOP + last] = -stored.shift
            self.filled[step % SLOTS] = (0, 0)
        self.filled[now.step % SLOTS] = (now.first, now.last)
        self.now = now

    def put(self, name: str, x: Tensor) -> None:
        """Store (n, channels), the values of a named buffer at the present step's positions."""
        buffer, stored = self._buffer(name, x.shape[1])
        slot = buffer[self.now.step % SLOTS, TOP + self.now.first : TOP + self.now.last]
        slot[:] = stored.store(x).view(-1, self.lanes, x.shape[1])

    def at(self, name: str, dr: int, dc: int, channels: int) -> Tensor:
        """(n, channels): a named buffer at the neighbours (dr, dc) of the present positions, as it is stored."""
        slot = self._buffer(name, channels)[0][(self.now.step + 2 * dr + dc) % SLOTS]
        return slot[TOP + self.now.first + dr : TOP + self.now.last + dr].view(-1, channels)

    def _buffer(self, name: str, channels: int, stored: Stored = FLOAT) -> tuple[Tensor, Stored]:
        """A buffer, which its first use makes."""
        if name not in self.buffers:
            size = (SLOTS, self.rows, self.lanes, channels)
            empty = torch.full(size, -stored.shift, dtype=stored.dtype, device=self.device)
            self.buffers[name] = empty, stored
        return self.buffers[name]

    def look(self, name: str, layer: Layer, x: Tensor | None, beside: Tensor | None) -> Tensor:
        """A layer at the present positions, its neighbourhood from the named buffer (see masked.Look)."""
        self._buffer(name, layer.inputs, layer.stored)
        if x is not None:
            self.put(name, x)
        return layer.step([self.at(name, dr, dc, layer.inputs) for dr, dc in layer.taps], beside)


class Strips:
    """The whole-picture walk in strips from top to bottom: keeps, per layer, the input rows just above the strip.

    Exactly the pass over the whole picture, in less memory and without computing anything twice.
    """

    def __init__(self) -> None:
        self.above: dict[str, Tensor] = {}

    def look(self, name: str, layer: Layer, x: Tensor | None, beside: Tensor | None) -> Tensor:
        """A layer over one strip (N, rows, W, channels) (see masked.Look)."""
        if x is None:
            raise RuntimeError("a strip shows every position")
        x, above = layer.stored.store(x), self.above.get(name)
        if above is None:
            above = x.new_full((x.shape[0], layer.above, *x.shape[2:]), -layer.stored.shift)
        self.above[name] = torch.cat((above, x), 1)[:, x.shape[1] + above.shape[1] - layer.above :]
        return layer(x, beside, above)
