"""What a mean image with its residual still lacks, as far as it can be foretold: a small network, in integers.

Blocks are quantised each by itself; edges between them show in smooth areas, and textures lose what their steps do not
reach. The network sees the picture, the residual, the decoder's hidden maps, and the step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcodec.models.layers.activations import STREAM_MAX, clip
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX
from vlcodec.models.layers.exact import LINEAR, OWN, SQUARE, STREAM, Layer
from vlcodec.models.layers.resnet import ResBlock, depth_to_space, space_to_depth

CELL = 4  # pixels of a position, along each side
ROWS = 64  # of positions that are made at a time


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

    def forward(self, mean: Tensor, added: Tensor, body: Tensor, step: Tensor) -> Tensor:
        """Cells of 4 x 4 pixels (N, h, w, 48) in 1/4 level, the mean image of the latents and what is added to it; body
        (N, h, w, hidden); step (N, h, w, steps) -> what is added besides, like `added`."""
        whole = (mean + added).clamp(-FEATURE_MAX, FEATURE_MAX)
        h = self.enter(torch.cat((whole, added.clamp(-STREAM_MAX, STREAM_MAX), body), -1), step)
        return self.leave(clip(self.blocks(h), STREAM_MAX))


def mended(net: Restoration, mean: Tensor, added: Tensor, body: Tensor, step: Tensor) -> Tensor:
    """`added` and what a frozen net adds besides, (1, H, W, 3) in 1/4 level; mean likewise, body (1, H/4, W/4, hidden),
    step (steps,). Strip by strip, with the rows around each that it sees: the same as in one."""
    found, height = torch.empty_like(added), body.shape[1]
    for first in range(0, height, ROWS):
        last = min(first + ROWS, height)
        above, below = min(first, net.reach), min(height - last, net.reach)
        rows = slice(CELL * (first - above), CELL * (last + below))
        told = step.expand(1, last + below - first + above, body.shape[2], -1)
        cells = [space_to_depth(part[:, rows], CELL) for part in (mean, added)]
        more = depth_to_space(net(*cells, body[:, first - above : last + below], told), CELL)
        inner = slice(CELL * above, CELL * (above + last - first))
        found[:, CELL * first : CELL * last] = added[:, CELL * first : CELL * last] + more[:, inner]
    return found
