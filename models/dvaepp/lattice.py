"""p(x | s, h) from coarse to fine: each scale's pixels are independent given all coarser ones and the latents.

The scales lie on disjoint lattices, so that no pixel is paid for twice. Two octaves take the side from a quarter to
the whole (28 = 4 x 7, 32 = 4 x 8). In each, cells of 2 x 2 pixels have one known pixel c (in the first, it is scale 0);
then comes the diagonal d, which makes a quincunx, then the rest r:

    c . c .      c . c .      c r c r        scales at 28:  49 + 49 + 98 + 196 + 392 = 784
    . . . .      . d . d      r d r d
    c . c .      c . c .      c r c r
    . . . .      . d . d      r d r d

One residual stream runs through all scales; pixels enter it as they become known. Colours of a pixel are coded one
after the other, G, R, B, as mixtures of logistics around a linear prediction from the known neighbours, moved by the
errors of the earlier colours (Salimans et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.layers.activations import FINE_UNIT, UNIT, Elu, round_through
from vlcodec.models.layers.exact import OWN, SQUARE, Layer
from vlcodec.models.layers.excite import ExcitedBlock
from vlcodec.models.layers.fine import fine_layer
from vlcodec.models.layers.mixture import FINE, SCALE_LAST, layout, nats
from vlcodec.models.layers.resnet import depth_to_space, space_to_depth

COLOURS = 3
CELL = 4  # pixels of a cell of 2 x 2: c r r d
LOGIT_LIMIT = 16 * FINE_UNIT
SHARE_UNIT = 64


@dataclass(frozen=True)
class Scale:
    """octave: 0 or 1. known, new: places in a cell. seen: those of `known` that enter the stream here."""

    octave: int
    known: tuple[int, ...]
    new: tuple[int, ...]
    seen: tuple[int, ...]


SCALES = (
    Scale(0, (), (0,), ()),
    Scale(0, (0,), (3,), (0,)),
    Scale(0, (0, 3), (1, 2), (3,)),
    Scale(1, (0,), (3,), (0,)),
    Scale(1, (0, 3), (1, 2), (3,)),
)


class ScaleNet(nn.Module):
    """What one scale adds to the stream, and the parameters of its pixels.

    mixtures: logistics of a colour; 0 for bits. positions: of the grid, for the excitation.
    """

    def __init__(self, scale: Scale, width: int, blocks: int, squeezed: int, positions: int, mixtures: int) -> None:
        super().__init__()
        self.scale, self.mixtures = scale, mixtures
        colours = COLOURS if mixtures else 1
        self.elu = Elu()
        if scale.seen:
            inputs = len(scale.seen) * colours
            if mixtures:
                self.enter = fine_layer(SQUARE, inputs, width, gain=FINE_UNIT / UNIT, unit=UNIT, input_max=128)
            else:
                self.enter = fine_layer(SQUARE, inputs, width, input_max=FINE_UNIT)
        self.blocks = nn.Sequential(*(ExcitedBlock(width, squeezed, positions) for _ in range(blocks)))
        if not mixtures:
            limit = LOGIT_LIMIT
            self.leave = fine_layer(OWN, width, len(scale.new), low=-limit, high=limit, precise=True, init=0.1)
            return
        if scale.known:
            inputs, outputs = COLOURS * len(scale.known), COLOURS * len(scale.new)
            self.predict = Layer(
                SQUARE, inputs, outputs, gain=FINE, low=-8191, high=8191, input_max=128, bits=11, precise=True
            )
            with torch.no_grad():  # each colour from the same colour of the known pixels, with equal weights at first
                weight = self.predict.weight.zero_().view(outputs, len(SQUARE), inputs)
                for out in range(outputs):
                    weight[out, SQUARE.index((0, 0)), out % COLOURS :: COLOURS] = 1 / len(scale.known)
        gains, lows, highs, biases = (list[float]() for _ in range(4))
        share = [[], [0.9], [0.45, 0.45]]  # of the earlier colours' errors
        for c in range(COLOURS):
            gain, low, high, bias = layout(mixtures, 8.0, scale=20.0 if scale.known else 60.0)
            gains += [g * UNIT / FINE_UNIT for g in gain] + [UNIT / FINE_UNIT] * c
            lows, highs, biases = lows + low + [-127.0] * c, highs + high + [127.0] * c, biases + bias + share[c]
        n = len(scale.new)
        self.leave = fine_layer(
            OWN, width, n * len(gains), gain=gains * n, low=lows * n, high=highs * n, precise=True, init=0.1
        )
        with torch.no_grad():
            self.leave.bias.copy_(torch.tensor(biases * n))

    def forward(self, h: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Stream h (N, n, n, width) and the octave's cells (N, n, n, 4 colours), whose known pixels are looked at.

        Returns the stream, the raw parameters (N, n, n, new x per pixel), and of colours the base (N, n, n, new x 3) in
        1/32 level, None where nothing is known.
        """
        if self.scale.seen:
            h = h + self.enter(self.of(cells, self.scale.seen))
        h = self.blocks(h)
        base = self.predict(self.of(cells, self.scale.known)) if self.mixtures and self.scale.known else None
        return h, self.leave(self.elu(h)), base

    def of(self, cells: Tensor, places: Sequence[int]) -> Tensor:
        """Some pixels of the cells, side by side."""
        colours = COLOURS if self.mixtures else 1
        return torch.cat([cells[..., colours * p : colours * (p + 1)] for p in places], -1)


class LatticeDecoder(nn.Module):
    """The scales, and the way from the first octave's grid to the second's."""

    def __init__(
        self, side: int, widths: tuple[int, int], blocks: tuple[int, int], squeezed: int, mixtures: int
    ) -> None:
        super().__init__()
        self.mixtures = mixtures
        fine, coarse = widths
        self.elu = Elu()
        self.up = fine_layer(OWN, coarse, 4 * fine)
        self.scales = nn.ModuleList(
            ScaleNet(
                scale,
                (coarse, fine)[scale.octave],
                blocks[1 - scale.octave],
                squeezed,
                (side // (4, 2)[scale.octave]) ** 2,
                mixtures,
            )
            for scale in SCALES
        )

    def step(self, k: int, h: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Scale k: see `ScaleNet`; h is the stream that the scale before gave."""
        if SCALES[k].octave > (SCALES[k - 1].octave if k else 0):
            h = depth_to_space(self.up(self.elu(h)), 2)
        found: tuple[Tensor, Tensor, Tensor | None] = self.scales[k](h, cells)
        return found

    def nats(self, h: Tensor, x: Tensor) -> Tensor:
        """(N,) -ln p(x | h), h the stream (N, side / 4, side / 4, width); x (N, side, side, C): bits, or G, R, B in
        [-128, 127]."""
        octaves = cells_of(x)
        total = x.new_zeros(len(x))
        for k, scale in enumerate(SCALES):
            cells = octaves[scale.octave]
            h, raw, base = self.step(k, h, cells if self.mixtures else FINE_UNIT * (2 * cells - 1))
            net = cast(ScaleNet, self.scales[k])
            value = net.of(cells, scale.new)
            total = total + (colour_nats(raw, base, value, self.mixtures) if self.mixtures else bit_nats(raw, value))
        return total


def bit_nats(raw: Tensor, value: Tensor) -> Tensor:
    """(N,) of bits (N, n, n, new) with log-odds in 1/1024 nat."""
    return F.binary_cross_entropy_with_logits(raw / FINE_UNIT, value, reduction="none").sum((1, 2, 3))


def colour_nats(raw: Tensor, base: Tensor | None, value: Tensor, mixtures: int) -> Tensor:
    """(N,) of colours (N, n, n, new x 3) with the parameters of `ScaleNet`."""
    n, count, k = value.shape[:3], value.shape[-1] // COLOURS, mixtures
    raw, value = raw.view(*n, count, -1), value.view(*n, count, COLOURS)
    at = value.new_zeros(value.shape) if base is None else base.view(value.shape)
    sizes = [size for c in range(COLOURS) for size in [k] * 3 + [c] * (c > 0)]
    parts, total = list(raw.split(sizes, -1)), value.new_zeros(len(value))
    for c in range(COLOURS):
        logit, offset, scale = parts[:3]
        del parts[:3]
        centre = at[..., c : c + 1] + offset
        if c:
            error = FINE * value[..., :c] - at[..., :c]
            centre = centre + round_through((parts.pop(0) * error).sum(-1, keepdim=True) / SHARE_UNIT)
        total = total + nats(logit, centre, scale.clamp(0, SCALE_LAST), value[..., c]).sum((1, 2, 3))
    return total


def cells_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, side, side, C) -> the octaves' cells: of every second pixel (N, side / 4, side / 4, 4 C), and of all."""
    return space_to_depth(x[:, ::2, ::2].contiguous(), 2), space_to_depth(x, 2)
