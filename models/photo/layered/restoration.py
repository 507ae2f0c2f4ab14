"""What a mean image with its residual still lacks, as far as it can be foretold: a small network, in integers.

Blocks are quantised each by itself; edges between them show in smooth areas, and textures lose what their steps do not
reach. The network sees the picture, the residual, the decoder's hidden maps, and the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vlcodec.models.layers.activations import STREAM_MAX, clip
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX
from vlcodec.models.layers.exact import LINEAR, OWN, SQUARE, STREAM, Layer
from vlcodec.models.layers.resnet import ResBlock, depth_to_space, space_to_depth

CELL = 4  # pixels of a position, along each side
ROWS = 64  # of positions that are made at a time
Rendered = Callable[[range], Tensor]  # rows of pixels -> a picture there, (1, rows, W, 3) in 1/4 level


class Restoration(nn.Module):
    """Residual blocks at a quarter of the resolution.

    Args:
        hidden: channels of the decoder's hidden maps. steps: inputs that tell the quantiser's step.
        channels, blocks: of the network.
    """

    def __init__(self, hidden: int, steps: int, channels: int, blocks: int) -> None:
        super().__init__()
        seen, pixels = 2 * CELL**2 * COLOURS + hidden, CELL**2 * COLOURS
        self.enter = Layer(OWN, seen, channels, beside=steps, init=0.7, input_max=STREAM_MAX, **STREAM, **LINEAR)
        self.blocks = nn.Sequential(*(ResBlock(channels, channels) for _ in range(blocks)))
        self.leave = Layer(SQUARE, channels, pixels, gain=2**-4, init=0.0, input_max=STREAM_MAX, **STREAM, **LINEAR)
        self.reach = 2 * blocks + 1  # positions that one of the output sees, to each side

    def hidden(self, mean: Tensor, added: Tensor, body: Tensor, step: Tensor) -> Tensor:
        """Cells of 4 x 4 pixels (N, h, w, 48) in 1/4 level, the mean image of the latents and what is added to it; body
        (N, h, w, hidden); step (N, h, w, steps) -> what the last layer sees, (N, h, w, channels)."""
        whole = (mean + added).clamp(-FEATURE_MAX, FEATURE_MAX)
        h = self.enter(torch.cat((whole, added.clamp(-STREAM_MAX, STREAM_MAX), body), -1), step)
        return clip(self.blocks(h), STREAM_MAX)

    def forward(self, mean: Tensor, added: Tensor, body: Tensor, step: Tensor) -> Tensor:
        """What is added besides, like `added`; see `hidden`."""
        return self.leave(self.hidden(mean, added, body, step))


class Strip(NamedTuple):
    """Rows of positions of a picture, and the rows around them that a network sees; of all these, cells of the mean
    image and of what is added, hidden maps, and the step."""

    rows: range
    around: range
    seen: tuple[Tensor, Tensor, Tensor, Tensor]

    @property
    def pixels(self) -> range:
        """Its rows of pixels."""
        return pixels_of(self.rows)

    def inner(self, part: Tensor) -> Tensor:
        """Of what was made of `seen`, (1, rows, w, C), the strip's own rows."""
        above = self.rows.start - self.around.start
        return part[:, above : above + len(self.rows)]


def rows_of(picture: Tensor) -> Rendered:
    """Of a picture (1, H, W, C) that is at hand."""
    return lambda rows: picture[:, rows.start : rows.stop]


def pixels_of(rows: range) -> range:
    """Rows of pixels of rows of positions."""
    return range(CELL * rows.start, CELL * rows.stop)


def strips_of(
    rows: range, reach: int, mean: Rendered, added: Rendered, body: Tensor, step: Tensor
) -> Iterator[Strip]:
    """Of rows of positions, and of so many around each strip as a network reaches; body (1, H/4, W/4, hidden) of the
    picture, step (steps,)."""
    height, width = body.shape[1:3]
    for first in range(rows.start, rows.stop, ROWS):
        last = min(first + ROWS, rows.stop)
        around = range(max(0, first - reach), min(height, last + reach))
        pixels, told = pixels_of(around), step.expand(1, len(around), width, -1)
        cells = space_to_depth(mean(pixels), CELL), space_to_depth(added(pixels), CELL)
        yield Strip(range(first, last), around, (*cells, body[:, around.start : around.stop], told))


def mended(net: Restoration, mean: Rendered, added: Tensor, body: Tensor, step: Tensor) -> Tensor:
    """`added` (1, H, W, 3) in 1/4 level, and what a frozen net adds besides, see `strips_of`: the same as in one."""
    found = added.clone()
    for strip in strips_of(range(body.shape[1]), net.reach, mean, rows_of(added), body, step):
        rows = strip.pixels
        found[:, rows.start : rows.stop] += depth_to_space(strip.inner(net(*strip.seen)), CELL)
    return found
