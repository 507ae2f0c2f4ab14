"""The model `photo`: a frozen GridAgave as a codec for pictures of any size, RGB and grey."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.dither import CENTRE, quantise, reconstruct
from vlcodec.codec.interface import Bytes, Ints, Steps
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, ORDER, centred
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.photo.net import STRIDE, GridAgave
from vlcodec.models.photo.rounding import economical
from vlcodec.models.walks.corrected_block import CorrectedBlock
from vlcodec.models.walks.latent_block import LatentBlock, to_numpy
from vlcodec.models.walks.pixel_block import PixelBlock

BODY_STRIDE = 4  # pixels per position of the decoder's last hidden map
STRIP_ROWS = 64  # of the mean image at a time
GUIDE_WIDTH = 0.5  # of the auxiliary decoder's: samples nearer to the mean image look more like the picture (LPIPS)


@dataclass(frozen=True)
class Features:
    """f(z), kept at a quarter of the resolution; bands of it are rendered when they are needed.

    body: (1, h, w, C). guide: variance of the gaussian that keeps samples near the mean image, levels^2.
    """

    body: Tensor
    guide: int


class PhotoModel:
    """See codec.interface.ImageModel. Qualities are 1-based here, as users see them."""

    posterior: Literal["rounded"] = "rounded"
    stride = STRIDE

    def __init__(self, net: GridAgave, device: torch.device) -> None:
        self.net, self.device = net.to(device).eval(), device
        self.qualities, self.latents = net.qualities, net.shape.latents

    def encode(self, pixels: Bytes, quality: int, dither: Ints) -> Ints:
        """(H, W, 3) uint8 -> (h, w, latents) symbols that are worth their bits, given the dither in 1/32 step."""
        return economical(self.prior(dither, quality), self._centres(pixels, quality) - dither)

    def _centres(self, pixels: Bytes, quality: int) -> Ints:
        """(h, w, latents) in 1/32 step; sides are padded by edge replication."""
        height, width, _ = pixels.shape
        padded = np.pad(pixels, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), "edge")
        with exact_inference():
            x = centred(padded[None]).to(self.device)
            return to_numpy(self.net.encoder(x, [(quality - 1, 1)]))[0]

    def prior(self, dither: Ints, quality: int) -> LatentBlock:
        """The latents' symbols, given the dither (h, w, latents) in 1/32 step."""
        return LatentBlock(self.net.prior, dither, quality - 1, self.device)

    def decode(self, z: Ints, quality: int) -> Features:
        """(h, w, latents) in 1/32 step -> f(z)."""
        with exact_inference():
            grid = torch.from_numpy(z[None]).to(self.device, torch.float32)
            guide = round((GUIDE_WIDTH * self.net.shape.aux_sigma[quality - 1]) ** 2)
            return Features(self.net.decoder.body(grid, [(quality - 1, 1)]), guide)

    def render(self, fz: Features, first_row: int, rows: int, width: int) -> Tensor:
        """(rows, width, 3 + features) of f(z); first_row is a multiple of 4."""
        a, b = first_row // BODY_STRIDE, -(-(first_row + rows) // BODY_STRIDE)
        with exact_inference():
            above = fz.body[:, a - 1 : a] if a else torch.zeros_like(fz.body[:, :1])
            full = self.net.decoder.render(fz.body[:, a : b + 1], above)
            return full[0, :rows, :width].contiguous()

    def mean_image(self, fz: Features, height: int, width: int) -> Bytes:
        """(height, width, 3) uint8: the auxiliary decoder's mean, rounded."""
        image = np.empty((height, width, COLOURS), np.uint8)
        for r in range(0, height, STRIP_ROWS):
            strip = to_numpy(self.render(fz, r, min(STRIP_ROWS, height - r), width)[..., :COLOURS])
            levels = (strip + MEAN_UNIT // 2) // MEAN_UNIT + CENTRE
            image[r : r + STRIP_ROWS] = np.clip(levels, 0, 255)[..., ORDER]
        return image

    def pixels(self, fz: Features, first_row: int, rows: int, width: int, grey: bool, guided: bool = False) -> Steps:
        """One band of pixels given f(z); guided for sampling, and then never corrected."""
        full = self.render(fz, first_row, rows, width)[None]
        return (
            PixelBlock(self.net.pixels, full, grey, fz.guide) if guided else CorrectedBlock(self.net.pixels, full, grey)
        )

    def to_symbols(self, pixels: Bytes, grey: bool) -> Ints:
        """(rows, W, 3) uint8 -> (rows, W, 1 or 3, 1): G, R, B, or the one channel of a grey picture."""
        return pixels[..., ORDER[: 1 if grey else COLOURS], None].astype(np.int64)

    def to_pixels(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols: (rows, W, 3) uint8."""
        full = np.broadcast_to(symbols[..., 0], (*symbols.shape[:2], COLOURS))
        return full[..., ORDER].astype(np.uint8)

    def golden(self) -> Iterator[Ints]:
        """All integers that tables are made of, of the golden picture at every quality."""
        for quality in range(1, self.qualities + 1):
            yield from self._everything(golden_picture(), quality)

    def _everything(self, pixels: Bytes, quality: int) -> Iterator[Ints]:
        """mu, prior, f(z) and pixel parameters."""
        mu = self._centres(pixels, quality)
        yield mu
        u = np.zeros_like(mu)
        symbols = quantise(mu, u)
        z = reconstruct(symbols, u)
        with exact_inference():
            fz = self.render(self.decode(z, quality), 0, *pixels.shape[:2])
        yield to_numpy(fz)
        latents = LatentBlock(self.net.prior, u, quality - 1, self.device)
        band = PixelBlock(self.net.pixels, fz[None], False)
        for steps in (latents.parallel(symbols), band.parallel(self.to_symbols(pixels, False))):
            for step in steps:
                d = step.distribution
                yield from (d.logit, d.centre, d.scale)


def golden_picture() -> Bytes:
    """(40, 56, 3) uint8: gradients, edges and pseudo-random texture, from integers alone."""
    r, c, k = np.indices((40, 56, 3), dtype=np.int64)
    smooth = 3 * r + 2 * c + 40 * k
    texture = (((r * 57 + c * 131 + k * 17) * 2654435761) >> 13) % 61
    block = 90 * ((r // 10 + c // 14) % 2)
    return np.asarray((smooth + np.where(c > 28, texture, 0) + np.where(r > 20, block, 0)) % 256, np.uint8)
