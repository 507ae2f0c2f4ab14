"""The family `photo`: a frozen GridAgave as a codec for pictures of any size, RGB and grey."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.coding.walk import Settled
from vlcodec.codec.interface import Block, Bytes, Ints
from vlcodec.models.layers.causal_pixels import COLOURS, centred
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.photo.net import STRIDE, GridAgave
from vlcodec.models.photo.rounding import rate_distortion_rounded
from vlcodec.models.walks.corrected_block import CorrectedBlock
from vlcodec.models.walks.correction import Correction, Edges, count
from vlcodec.models.walks.dither import CENTRE, quantise, reconstruct
from vlcodec.models.walks.golden import both_walks
from vlcodec.models.walks.latent_block import LatentBlock
from vlcodec.models.walks.net_walk import to_numpy
from vlcodec.models.walks.pictures import in_colour, levels_of, to_pictures, to_symbols
from vlcodec.models.walks.pixel_block import PixelBlock
from vlcodec.models.walks.units import WEIGHT_MIDDLE

BODY_STRIDE = 4  # pixels per position of the decoder's last hidden map
STRIP_ROWS = 64  # of the mean image at a time


@dataclass(frozen=True)
class Features:
    """f(z), kept at a quarter of the resolution; bands of it are rendered when they are needed. body: (1, h, w, C)."""

    body: Tensor


class PhotoLatents:
    """See codec.interface.LatentNet: latents on a grid at 1/16, rounded to whole steps. One picture at a time.

    Args:
        quality: 0-based. guide_width: of the gaussian that keeps samples near the mean image, in widths of the
            auxiliary decoder's. edges: of the correction's classes.
    """

    posterior_kind: Literal["rounded"] = "rounded"
    least_ratio = 0

    def __init__(self, net: GridAgave, device: torch.device, quality: int, guide_width: float, edges: Edges) -> None:
        self.net, self.device, self.quality, self.edges = net, device, quality, edges
        self.guide = round((guide_width * net.shape.aux_sigma[quality]) ** 2)  # variance in levels^2

    def shape(self, n: int, height: int, width: int) -> tuple[int, ...]:
        """(h, w, latents)."""
        return -(-height // STRIDE), -(-width // STRIDE), self.net.shape.latents

    def posterior(self, pictures: Bytes, u: Ints) -> Settled:
        """(1, H, W, C) uint8 -> (h, w, latents) symbols that are worth their bits."""
        return Settled(rate_distortion_rounded(self.prior(u), self.centres(pictures)))

    def centres(self, pictures: Bytes) -> Ints:
        """(1, H, W, C) uint8 -> (h, w, latents) in 1/32 step; sides are padded by edge replication."""
        height, width = pictures.shape[1:3]
        padded = np.pad(pictures, ((0, 0), (0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), "edge")
        with exact_inference():
            x = centred(in_colour(padded)).to(self.device)
            return to_numpy(self.net.encoder(x, [(self.quality, 1)]))[0]

    def prior(self, u: Ints) -> LatentBlock:
        """The latents' symbols k + 128."""
        return LatentBlock(self.net.prior, u, self.quality, self.device)

    def features(self, symbols: Ints, u: Ints) -> Features:
        """f(z)."""
        with exact_inference():
            grid = torch.from_numpy(reconstruct(symbols, u)[None]).to(self.device, torch.float32)
            return Features(self.net.decoder.body(grid, [(self.quality, 1)]))

    def render(self, fz: Features, rows: range, width: int) -> Tensor:
        """(len(rows), width, 3 + features) of f(z); the first row is a multiple of 4."""
        a, b = rows.start // BODY_STRIDE, -(-rows.stop // BODY_STRIDE)
        with exact_inference():
            above = fz.body[:, a - 1 : a] if a else torch.zeros_like(fz.body[:, :1])
            full = self.net.decoder.render(fz.body[:, a : b + 1], above)
            return full[0, : len(rows), :width].contiguous()

    def mean_images(self, fz: Features, height: int, width: int) -> Bytes:
        """(1, H, W, 3) uint8: the auxiliary decoder's mean, rounded."""
        image = np.empty((1, height, width, COLOURS), np.uint8)
        for r in range(0, height, STRIP_ROWS):
            rows = range(r, min(r + STRIP_ROWS, height))
            image[0, r : rows.stop] = levels_of(self.render(fz, rows, width))
        return image

    def pixels(self, fz: Features, rows: range, width: int, colours: int, guided: bool = False) -> Block:
        """One band of pixels given f(z), with a correction of its own; guided for sampling, and never corrected."""
        full, grey = self.render(fz, rows, width)[None], colours == 1
        if guided:
            return self.guided(full, grey)
        return CorrectedBlock(PixelBlock(self.net.pixels, full, grey), self.edges)

    def guided(self, fz: Tensor, grey: bool) -> PixelBlock:
        """Pixels to be drawn, given f(z) (1, rows, W, 3 + features) in full."""
        return PixelBlock(self.net.pixels, fz, grey, self.guide)

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(n, rows, W, C) uint8 -> (rows, W, C, n): G, R, B, or the one channel of grey pictures."""
        return to_symbols(pictures)

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        return to_pictures(symbols)


class PhotoModel:
    """See codec.interface.Model. It has no net for archives."""

    def __init__(self, net: GridAgave, device: torch.device, guide_width: float, edges: Edges) -> None:
        self.net, self.device = net.to(device).eval(), device
        self.qualities = net.qualities
        self._nets = [PhotoLatents(net, device, q, guide_width, edges) for q in range(net.qualities)]

    def single(self, quality: int) -> PhotoLatents:
        """See codec.interface.Model."""
        return self._nets[quality - 1]

    def chained(self) -> None:
        """See codec.interface.Model."""

    def golden(self) -> Iterator[Ints]:
        """All integers that tables and pixels are made of: every quality's own layers, then what all share."""
        picture = golden_pictures()
        height, width = picture.shape[1:3]
        for net in self._nets:
            mu = net.centres(picture)
            u = np.zeros_like(mu)
            symbols = quantise(mu, u)
            fz = net.render(net.features(symbols, u), range(height), width)
            yield from (mu, net.posterior(picture, u).symbols, np.array([net.guide]), to_numpy(fz))
        yield from self._shared(self._nets[0], fz, to_symbols(picture))

    def _shared(self, net: PhotoLatents, fz: Tensor, pixels: Ints) -> Iterator[Ints]:
        """The prior, and pixels corrected and guided, in both walks."""
        grid = np.arange(2 * 3 * net.net.shape.latents).reshape(2, 3, -1)
        yield from both_walks(net.prior(np.zeros_like(grid)), CENTRE + (grid * 2654435761 >> 9) % 5 - 2)
        band = PixelBlock(self.net.pixels, fz[None], False)
        numbers = WEIGHT_MIDDLE + (37 * np.arange(count(COLOURS, net.edges))) % 41 - 20
        yield from both_walks(band.corrected(Correction(numbers, COLOURS, net.edges)), pixels)
        guided = net.guided(fz[None], False)
        yield from both_walks(guided, pixels)
        if self.net.pixels.narrow:
            yield guided.pop(Noise(0, PIXEL_PURPOSE, 0, pixels.size))


def golden_pictures() -> Bytes:
    """(1, 12, 18, 3) uint8: gradients, edges and pseudo-random texture, from integers alone."""
    r, c, k = np.indices((12, 18, COLOURS), dtype=np.int64)
    smooth = 6 * r + 4 * c + 40 * k
    texture = (((r * 57 + c * 131 + k * 17) * 2654435761) >> 13) % 61
    block = 90 * ((r // 3 + c // 5) % 2)
    picture = (smooth + np.where(c > 9, texture, 0) + np.where(r > 5, block, 0)) % 256
    return picture.astype(np.uint8)[None]
