"""The conditional real NVP: couplings whose log-scale and shift see z (eq. 10 to 16 of the paper).

    pixels, as cells of their logit (grid.py)
      v
    32 x 32 x 3 -- squeeze --> 16 x 16 x 12: 3 checkerboard couplings, 3 of channels
                                 |                  |
                             6 channels         6 channels -- squeeze --> 8 x 8 x 24: 3 and 3 likewise
                                 v                                          |
                          y (16 x 16 x 12) <--------------------------- unsqueeze

A checkerboard of pixels is, after the squeeze, two of the four places under each position against the other two, so
that its couplings are computed at half the side, without what a mask would cost. Halves of the channels split the
colours: a pixel's own are in one half of every checkerboard.

One coupling, of x1 (seen) and x2 (moved), all at one resolution; l1 and m1 share their blocks, l2 and m2 their layers:

    x1 --> layer --> residual blocks --> l1, m1 --+
                                                  +--> l, m = a l1 l2 + b1 l1 + b2 l2 + b      (eq. 16)
    z --> 2 x 2 --> 4 x 4 --> ... -----> l2, m2 --+              y2 = x2 e^l + m               (eq. 13)

Tensors are (N, H, W, C); what layers take and give is in 1/1024, values of the flow are cells of 2^-14.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import cast

import torch
from torch import Tensor, nn

from vlcodec.models.layers.activations import FINE_MAX, FINE_UNIT, Elu
from vlcodec.models.layers.exact import OWN, SQUARE
from vlcodec.models.layers.fine import fine_layer
from vlcodec.models.layers.mode import IntegerModule
from vlcodec.models.layers.resnet import Block, depth_to_space, space_to_depth
from vlcodec.models.vapnev.grid import CELL_BITS, LOG_MAX, LOG_UNIT, SHIFT_MAX

SIDE = 16  # of the first scale, after its squeeze
CHANNELS = 12
KEPT = 6  # channels of the first scale that the second one sees
FINE_SHIFT = CELL_BITS - 10  # from cells to 1/1024
BITS = 11  # of weights
MOST = 2**14 - 1  # of activations, in 1/1024
PLACES = ((0, 3), (1, 2))  # of the four under a position: the checkerboard's halves


Half = tuple[int, ...]  # channels of a squeezed tensor


def _half(places: Iterable[tuple[int, int]], each: int) -> Half:
    """(place, channel) pairs; each: channels of a place."""
    return tuple(place * each + c for place, c in places)


def _checkerboard(each: int) -> tuple[Half, Half]:
    return tuple(_half(product(places, range(each)), each) for places in PLACES)  # type: ignore[return-value]


# G everywhere and R at two places, against the rest; then of these six channels two of G and one of R, everywhere
COLOUR_HALVES = (
    _half([*product(range(4), (0,)), *product(PLACES[0], (1,))], 3),
    _half([*product(PLACES[1], (1,)), *product(range(4), (2,))], 3),
)
KEPT_HALVES = (_half(product(range(4), (0, 3, 4)), KEPT), _half(product(range(4), (1, 2, 5)), KEPT))
HALVES = ((_checkerboard(3), COLOUR_HALVES), (_checkerboard(KEPT), KEPT_HALVES))  # of each scale
TURNS = 3  # couplings in a row that move the second half, the first, the second


@dataclass(frozen=True)
class FlowShape:
    """Sizes. widths: of the residual blocks at 16 x 16 and 8 x 8. conditional: whether couplings see z."""

    widths: tuple[int, int]
    blocks: int
    conditional: bool


class Shortcut(nn.Module):
    """z's features -> l2 and m2 (eq. 16): from 2 x 2, twice the side with each layer."""

    def __init__(self, inputs: int, width: int, side: int, outputs: int) -> None:
        super().__init__()
        self.elu = Elu(MOST)
        self.enter = fine_layer(OWN, inputs, 4 * width, bits=BITS, input_max=MOST)
        doublings = side.bit_length() - 2  # from 2 to the side
        self.ups = nn.ModuleList(
            fine_layer(
                OWN, width, 4 * (outputs if last else width), bits=BITS, input_max=MOST, precise=last,
                init=0.1 if last else 1.0, low=-MOST, high=MOST,
            )
            for last in (i == doublings - 1 for i in range(doublings))
        )  # fmt: skip

    def forward(self, e: Tensor) -> Tensor:
        """e (N, inputs) -> (N, side, side, outputs)."""
        h = depth_to_space(self.enter(e[:, None, None]), 2)
        for up in self.ups:
            h = depth_to_space(up(self.elu(h)), 2)
        return h


class Coupling(IntegerModule):
    """One conditional coupling of halves with as many channels. latents: features of z, 0 where it is blind."""

    def __init__(self, channels: int, side: int, width: int, blocks: int, latents: int) -> None:
        super().__init__()
        self.channels, told = channels, 2 * channels
        self.elu = Elu(MOST)
        self.enter = fine_layer(SQUARE, channels, width, precise=True, bits=BITS)
        self.blocks = nn.Sequential(*(Block(SQUARE, width, bits=BITS, most=MOST) for _ in range(blocks)))
        self.leave = fine_layer(
            SQUARE, width, told, bits=BITS, input_max=MOST, precise=True, init=0.1, low=-MOST, high=MOST
        )
        self.shortcut = Shortcut(latents, width, side, told) if latents else None
        terms = 3 if latents else 1
        gain = [1.0] * channels + [float(2**FINE_SHIFT)] * channels
        high = [float(FINE_MAX)] * channels + [float(SHIFT_MAX)] * channels
        self.mix = fine_layer(
            OWN, terms * told, told, bits=BITS, input_max=MOST, precise=True, gain=gain, low=[-v for v in high],
            high=high, mask=torch.eye(told).repeat(1, terms),
        )  # fmt: skip
        with torch.no_grad():
            self.mix.weight.fill_(1)  # a = b1 = b2 = 1

    def forward(self, seen: Tensor, e: Tensor) -> Tensor:
        """seen (N, s, s, channels) in 1/1024, e (N, latents) -> (N, s, s, 2 channels): ln s before its bound, in
        1/1024, and m in cells."""
        first = self.leave(self.elu(self.blocks(self.enter(seen))))
        if self.shortcut is None:
            told: Tensor = self.mix(first)
            return told
        second = self.shortcut(e)
        told = self.mix(torch.cat((self._product(first, second), first, second), -1))
        return told

    def _product(self, first: Tensor, second: Tensor) -> Tensor:
        """l1 l2 in 1/1024; frozen, rounded, so that float64 holds what follows."""
        if self.mode != "frozen":
            return first.float() * second.float() / FINE_UNIT
        return (first.double() * second.double() / FINE_UNIT).round().clamp(-MOST, MOST).float()

    def move(self, seen: Tensor, moved: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 13, in floating point: halves (N, s, s, channels) in cells -> y2, and ln s."""
        log_scale, shift = self._told(seen, e)
        return moved * torch.exp(log_scale) + shift, log_scale

    def unmove(self, seen: Tensor, moved: Tensor, e: Tensor) -> Tensor:
        """Eq. 15: the inverse."""
        log_scale, shift = self._told(seen, e)
        return (moved - shift) * torch.exp(-log_scale)

    def _told(self, seen: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """ln s and m."""
        fine = seen / 2**FINE_SHIFT
        if self.mode == "frozen":
            fine = torch.floor(fine + 0.5).clamp(-FINE_MAX, FINE_MAX)
        log_scale, shift = self(fine, e).split(self.channels, -1)
        return torch.tanh(log_scale / LOG_MAX) * (LOG_MAX / LOG_UNIT), shift


class Turns(nn.Module):
    """Couplings of the same two halves, in turn."""

    first: Tensor
    second: Tensor
    whole: Tensor

    def __init__(self, halves: tuple[Half, Half], side: int, width: int, blocks: int, latents: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(
            Coupling(len(halves[0]), side, width, blocks, latents) for _ in range(TURNS)
        )
        both = halves[0] + halves[1]
        order = sorted(range(len(both)), key=both.__getitem__)
        for name, value in (("first", halves[0]), ("second", halves[1]), ("whole", order)):
            self.register_buffer(name, torch.tensor(value), False)

    def coupling(self, turn: int) -> Coupling:
        """One of them."""
        return cast(Coupling, self.couplings[turn])

    def forward(self, h: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """h (N, s, s, C) in cells -> likewise, and the sum of ln s, (N,)."""
        seen, moved = h.index_select(-1, self.first), h.index_select(-1, self.second)
        total = h.new_zeros(len(h))
        for coupling in cast(Iterable[Coupling], self.couplings):
            moved, log_scale = coupling.move(seen, moved, e)
            seen, moved, total = moved, seen, total + log_scale.sum((1, 2, 3))
        return torch.cat((moved, seen), -1).index_select(-1, self.whole), total

    def inverse(self, h: Tensor, e: Tensor) -> Tensor:
        """The inverse of `forward`."""
        moved, seen = h.index_select(-1, self.first), h.index_select(-1, self.second)
        for coupling in reversed(list(cast(Iterable[Coupling], self.couplings))):
            seen, moved = moved, seen
            moved = coupling.unmove(seen, moved, e)
        return torch.cat((seen, moved), -1).index_select(-1, self.whole)


class Flow(nn.Module):
    """All couplings, in floating point: what is trained. `integer_flow` computes the same on integers."""

    kept: Tensor
    out: Tensor
    whole: Tensor

    def __init__(self, shape: FlowShape, latents: int) -> None:
        super().__init__()
        seen = latents if shape.conditional else 0
        self.scales = nn.ModuleList(
            nn.ModuleList(Turns(halves, SIDE >> i, width, shape.blocks, seen) for halves in kinds)
            for i, (kinds, width) in enumerate(zip(HALVES, shape.widths, strict=True))
        )
        kept, out = COLOUR_HALVES
        both = out + kept
        order = sorted(range(len(both)), key=both.__getitem__)
        for name, value in (("kept", kept), ("out", out), ("whole", order)):
            self.register_buffer(name, torch.tensor(value), False)

    def turns(self, scale: int) -> Sequence[Turns]:
        """Of a scale, in order."""
        return cast(Sequence[Turns], self.scales[scale])

    def forward(self, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, 32, 32, 3) in cells, e (N, latents) -> y (N, 16, 16, 12) in cells, and the sum of ln s, (N,)."""
        h, total = space_to_depth(x, 2), x.new_zeros(len(x))
        for turns in self.turns(0):
            h, log_scale = turns(h, e)
            total = total + log_scale
        out, h = h.index_select(-1, self.out), space_to_depth(h.index_select(-1, self.kept), 2)
        for turns in self.turns(1):
            h, log_scale = turns(h, e)
            total = total + log_scale
        return torch.cat((out, depth_to_space(h, 2)), -1), total

    def inverse(self, y: Tensor, e: Tensor) -> Tensor:
        """The inverse of `forward`."""
        h = space_to_depth(y[..., len(self.out) :], 2)
        for turns in reversed(self.turns(1)):
            h = turns.inverse(h, e)
        h = torch.cat((y[..., : len(self.out)], depth_to_space(h, 2)), -1).index_select(-1, self.whole)
        for turns in reversed(self.turns(0)):
            h = turns.inverse(h, e)
        return depth_to_space(h, 2)
