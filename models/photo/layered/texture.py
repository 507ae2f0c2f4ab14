"""Texture for pictures that are drawn: what a decoder's mean image smooths away, made anew by a small network.

It sees the picture, what the network that mends it has seen (`restoration`), the quantiser's step, and noise of a
file's seed. It is trained for how pictures look, by features of a network that people's judgements were fitted to and
by local energies of frequencies (see `texture_training`), where the mean image is trained for its error. The
PixelCNN draws pixels near to what it makes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vlcodec.codec.coding.noise import TEXTURE_PURPOSE, philox_words
from vlcodec.models.layers.activations import STREAM_MAX, clip
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX
from vlcodec.models.layers.exact import LINEAR, SQUARE, STREAM, Layer
from vlcodec.models.layers.resnet import ResBlock, depth_to_space, space_to_depth
from vlcodec.models.photo.layered.restoration import CELL, Rendered, Restoration, Strip, pixels_of

WHOLE = 16  # of what the network makes, in shares of it
MOST = 192  # of it, in 1/4 level: 48 levels, so that no pixel is a wild one
NOISE = 16  # channels
NOISE_BITS = 10
_SHARES = np.arange(4, dtype=np.uint64) * np.uint64(16)  # of a word: four values


class Texture(nn.Module):
    """Residual blocks at a quarter of the resolution.

    Args:
        seen: channels of the restoration. steps: inputs that tell the quantiser's step.
        channels, blocks: of the network.
    """

    def __init__(self, seen: int, steps: int, channels: int, blocks: int) -> None:
        super().__init__()
        pixels, most = CELL**2 * COLOURS, STREAM_MAX
        enters = pixels + seen + NOISE
        self.enter = Layer(SQUARE, enters, channels, beside=steps, init=0.7, input_max=most, **STREAM, **LINEAR)
        self.blocks = nn.Sequential(*(ResBlock(channels, channels) for _ in range(blocks)))
        self.leave = Layer(SQUARE, channels, pixels, gain=2**-4, init=0.0, input_max=most, **STREAM, **LINEAR)
        self.reach = 2 * blocks + 2  # positions that one of the output sees, to each side

    def forward(self, whole: Tensor, hidden: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Cells of 4 x 4 pixels (N, h, w, 48) in 1/4 level, of the mended picture; hidden (N, h, w, seen); noise (N, h,
        w, NOISE); step (N, h, w, steps) -> what is added, like `whole`."""
        h = self.enter(torch.cat((whole.clamp(-FEATURE_MAX, FEATURE_MAX), hidden, noise), -1), step)
        added: Tensor = self.leave(clip(self.blocks(h), STREAM_MAX))
        return added


def texture_of(
    restoration: Restoration, texture: Texture, strip: Strip, added: Rendered, seed: int, share: int
) -> Tensor:
    """What frozen nets add to a strip's rows of pixels, (1, rows, W, 3) in 1/4 level.

    strip: with as many rows around as both nets see. added: to the latents' mean image, mended. share: in sixteenths.
    """
    mean, _, _, step = strip.seen
    whole = mean + space_to_depth(added(pixels_of(strip.around)), CELL)
    noise = noise_of(seed, strip.around, mean.shape[2]).to(whole)
    found = strip.inner(texture(whole, restoration.hidden(*strip.seen), noise, step))
    return depth_to_space((share * found / WHOLE + 0.5).floor().clamp(-MOST, MOST), CELL)


def noise_of(seed: int, rows: range, width: int) -> Tensor:
    """(1, len(rows), width, NOISE) integers in [-512, 511] at rows of positions: the same wherever rows begin."""
    words = np.stack([philox_words(seed, TEXTURE_PURPOSE, row, width * NOISE // len(_SHARES)) for row in rows])
    values = (words[..., None] >> _SHARES) & np.uint64((1 << NOISE_BITS) - 1)
    centred = values.astype(np.int64) - (1 << NOISE_BITS - 1)
    return torch.from_numpy(centred.reshape(1, len(rows), width, NOISE))
