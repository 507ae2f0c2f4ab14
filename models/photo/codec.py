"""The family `photo`: a frozen GridAgave as a codec for pictures of any size, RGB and grey."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.near import width_of
from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.coding.units import FINE
from vlcodec.codec.coding.walk import Settled
from vlcodec.codec.interface import Block, Bytes, Ints, Tick
from vlcodec.models.blocks.corrected_block import CorrectedBlock
from vlcodec.models.blocks.latent_block import LatentBlock
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.blocks.together import pop_together
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX, PixelDecoder, centred
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.layers.table import tables
from vlcodec.models.photo.adapted import adapted, pack_changes, sizes, unpack_changes
from vlcodec.models.photo.net import BODY_STRIDE, STRIDE, GridAgave
from vlcodec.models.photo.rounding import rate_distortion_rounded
from vlcodec.models.photo.told import told
from vlcodec.models.walks.correction import Correction, Edges
from vlcodec.models.walks.correction import count as weights_of
from vlcodec.models.walks.dither import CENTRE, quantise
from vlcodec.models.walks.golden import Known, both_walks, parallel_integers
from vlcodec.models.walks.net_walk import to_numpy
from vlcodec.models.walks.pictures import in_colour, levels_of, to_pictures, to_symbols
from vlcodec.models.walks.units import WEIGHT_MIDDLE

STRIP_ROWS = 64  # of the mean image at a time


@dataclass(frozen=True)
class Features:
    """f(z), kept at a quarter of the resolution; bands of it are rendered when they are needed. body: (1, h, w, C)."""

    body: Tensor
    added: Tensor | None = None  # (1, H, W, 3) in 1/4 level, to the mean image
    symbols: Ints | None = None  # that it was told in
    seed: int = 0  # of noise, for pixels that are drawn


class Pixels:
    """The PixelCNN of a net, as it is told of the pixels that it sees: of levels, restored levels, drawn ones."""

    def __init__(self, net: GridAgave) -> None:
        self._net, self._told = net, dict[int, PixelDecoder]()

    @property
    def drawn(self) -> PixelDecoder:
        """That of pixels that are drawn."""
        return self._of(self._net.shape.told_drawn)

    def coded(self, near: int = 0) -> PixelDecoder:
        """That of pixels that are coded, restored within so many levels."""
        return self._of(self._net.told_of(near))

    def _of(self, value: int) -> PixelDecoder:
        if not self._net.shape.told:
            return self._net.pixels
        if value not in self._told:
            self._told[value] = told(self._net.pixels, value)
        return self._told[value]


class PhotoLatents:
    """See codec.interface.LatentNet: latents on a grid at 1/16, rounded to whole steps. One picture at a time.

    Args:
        pixels: the PixelCNN.
        quality: 0-based, and hundredths of the way to the next one. guide_width: of the gaussian that keeps samples
            near the mean image, in widths of the auxiliary decoder's. edges, logistic: of the
            correction, see `corrected_block.CorrectedBlock`.
    """

    posterior_kind: Literal["rounded"] = "rounded"
    least_ratio = 0

    def __init__(
        self,
        net: GridAgave,
        pixels: Pixels,
        device: torch.device,
        quality: int,
        guide_width: float,
        edges: Edges,
        logistic: bool,
    ) -> None:
        self.net, self._pixels, self.device = net, pixels, device
        self.edges, self._logistic = edges, logistic
        self._near, self._coded = 0, pixels.coded()
        self._changes: list[Ints] | None = None
        self.quality, self.guide = quality, round((guide_width * net.shape.aux_sigma[quality]) ** 2)  # in levels^2

    def shape(self, n: int, height: int, width: int) -> tuple[int, ...]:
        """(h, w, latents)."""
        return -(-height // STRIDE), -(-width // STRIDE), self.net.shape.latents

    def posterior(self, pictures: Bytes, u: Ints) -> Settled:
        """(1, H, W, C) uint8 -> symbols that are worth their bits."""
        return Settled(self.rounded(self.centres(pictures), u))

    def refined(
        self,
        pictures: Bytes,
        symbols: Ints,
        u: Ints,
        steps: int,
        tick: Tick | None = None,
        coded: Bytes | None = None,
    ) -> Ints:
        """See codec.interface.Refining."""
        from vlcodec.models.photo.refining import Coded, refined

        block = self.prior(u)
        k = torch.from_numpy(block.values(symbols) // FINE).to(self.device, torch.float32)
        x, after = padded(pictures).to(self.device)[0], None
        if coded is not None:
            levels = padded(coded).to(self.device)[0]
            after = Coded(self._pixels.coded(self._near), levels, coded.shape[3] == 1, width_of(self._near))
        found = FINE * to_numpy(refined(self.net, self.quality, x, k, steps, tick, after))
        return quantise(found, u)

    def rounded(self, mu: Ints, u: Ints) -> Ints:
        """The symbols of centres (h, w, latents) that are worth their bits."""
        return rate_distortion_rounded(self.prior(u), mu)

    def centres(self, pictures: Bytes) -> Ints:
        """(1, H, W, C) uint8 -> (h, w, latents) in 1/32 of the quality's step."""
        return encoded(self.net, pictures, [self.quality], self.device)[0]

    def prior(self, u: Ints) -> LatentBlock:
        """The latents' symbols."""
        return LatentBlock(self.net.prior, u, self.quality, self.device)

    def features(self, symbols: Ints, u: Ints) -> Features:
        """f(z)."""
        with exact_inference():
            grid = torch.from_numpy(self.values(symbols, u)[None]).to(self.device, torch.float32)
            return Features(self.net.decoder.body(grid, [(self.quality, 1)]))

    def values(self, symbols: Ints, u: Ints) -> Ints:
        """(h, w, latents) in 1/32 step."""
        return self.prior(u).values(symbols)

    def render(self, fz: Features, rows: range, width: int) -> Tensor:
        """(len(rows), width, 3 + features) of f(z); the first row is a multiple of 4."""
        a, b = rows.start // BODY_STRIDE, -(-rows.stop // BODY_STRIDE)
        with exact_inference():
            above = fz.body[:, a - 1 : a] if a else torch.zeros_like(fz.body[:, :1])
            full = self.net.decoder.render(fz.body[:, a : b + 1], above)
            if fz.added is not None:
                more = fz.added[:, rows.start : rows.start + full.shape[1], : full.shape[2]]
                mean = (full[..., :COLOURS] + more).clamp(-FEATURE_MAX, FEATURE_MAX)
                full = torch.cat((mean, full[..., COLOURS:]), -1)
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
        grey = colours == 1
        if guided:
            return self.guided(self.to_draw(fz, rows, width)[None], grey)
        coded = PixelBlock(self._coded, self.render(fz, rows, width)[None], grey)
        return CorrectedBlock(coded, self.edges, self._logistic)

    def to_draw(self, fz: Features, rows: range, width: int) -> Tensor:
        """`render`, near to which pixels are drawn."""
        return self.render(fz, rows, width)

    def guided(self, fz: Tensor, grey: bool) -> PixelBlock:
        """Pixels to be drawn, given f(z) (1, rows, W, 3 + features) in full."""
        return PixelBlock(self._pixels.drawn, fz, grey, self.guide)

    @property
    def _factors(self) -> list[Tensor]:
        return [table.values for _, table in tables(self.net.factors)]

    def within(self, near: int) -> PhotoLatents:
        """See codec.interface.Restoring."""
        return self._for(near, self._changes)

    def learned(self, pictures: Bytes, fz: Features, steps: int, tick: Tick | None = None) -> bytes:
        """See codec.interface.Adaptive."""
        from vlcodec.models.photo.adapting import learned

        def render(rows: range) -> Tensor:
            return self.render(fz, rows, pictures.shape[2])

        coded = self._pixels.coded(self._near)
        return pack_changes(learned(coded, self._factors, render, pictures, self._near, steps, tick))

    def changed(self, changes: bytes) -> PhotoLatents:
        """See codec.interface.Adaptive: what is drawn stays as it is."""
        return self._for(self._near, unpack_changes(changes, sizes(self.net.pixels, self._factors)))

    def _for(self, near: int, changes: list[Ints] | None) -> PhotoLatents:
        """Of coded pixels that are restored, by a changed PixelCNN."""
        made, coded = copy.copy(self), self._pixels.coded(near)
        made._near, made._changes = near, changes
        made._coded = coded if changes is None else adapted(coded, changes, self._factors)
        return made

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(n, rows, W, C) uint8 -> (rows, W, C, n): G, R, B, or the one channel of grey pictures."""
        return to_symbols(pictures)

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        return to_pictures(symbols)


Latents = TypeVar("Latents", bound=PhotoLatents)


def encoded(net: GridAgave, picture: Bytes, qualities: Sequence[int], device: torch.device) -> Ints:
    """mu of a picture (1, H, W, C) uint8 at qualities, (len(qualities), h, w, latents) in 1/32 of each one's step."""
    with exact_inference():
        x = padded(picture).to(device).expand(len(qualities), -1, -1, -1)
        return to_numpy(net.encoder(x, [(quality, 1) for quality in qualities]))


def padded(picture: Bytes) -> Tensor:
    """(1, H, W, C) uint8 -> (1, 16 h, 16 w, 3) in [-128, 127], by edge replication."""
    height, width = picture.shape[1:3]
    whole = np.pad(picture, ((0, 0), (0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), "edge")
    return centred(in_colour(whole))


class PhotoModel:
    """See codec.interface.Model. It has no net for archives."""

    def __init__(
        self, net: GridAgave, device: torch.device, guide_width: float, edges: Edges, logistic: bool = False
    ) -> None:
        self.net, self.device = net.to(device).eval(), device
        self.pixels, self._about = Pixels(self.net), (guide_width, edges, logistic)

    @property
    def qualities(self) -> int:
        """See codec.interface.Model."""
        return self.net.qualities

    def single(self, quality: int, hundredths: int = 0) -> PhotoLatents:
        """See codec.interface.Model."""
        return self.latents(PhotoLatents, quality - 1)

    def latents(self, kind: type[Latents], quality: int) -> Latents:
        """Of a quality, 0-based."""
        return kind(self.net, self.pixels, self.device, quality, *self._about)

    def chained(self) -> None:
        """See codec.interface.Model."""

    def golden(self) -> Iterator[Ints]:
        """See codec.interface.Model."""
        return _golden(self)


def _golden(model: PhotoModel) -> Iterator[Ints]:
    """Every quality's own layers, then what all share; side by side, as each new machine computes it once."""
    picture = golden_pictures()
    height, width = picture.shape[1:3]
    nets = [model.latents(PhotoLatents, quality) for quality in range(model.net.qualities)]
    u = np.zeros(nets[0].shape(1, height, width), np.int64)
    trained = [net.quality for net in nets]
    centres = encoded(model.net, picture, trained, model.device)
    symbols = [quantise(mu, u) for mu in centres]
    z = np.stack([net.values(part, u) for net, part in zip(nets, symbols, strict=True)])
    with exact_inference():
        body = model.net.decoder.body(torch.from_numpy(z).to(model.device, torch.float32), [(q, 1) for q in trained])
        fz = model.net.decoder.render(body)[:, :height, :width].contiguous()
    for net, mu, own in zip(nets, centres, fz, strict=True):
        yield from (mu, net.rounded(mu, u), np.array([net.guide]), to_numpy(own))
    yield from _shared(model, nets[0], fz[-1], to_symbols(picture))


def _shared(model: PhotoModel, net: PhotoLatents, fz: Tensor, pixels: Ints) -> Iterator[Ints]:
    """The prior, and pixels corrected and guided, in both walks; what an encoder walks first."""
    grid = np.arange(2 * 3 * net.net.shape.latents).reshape(2, 3, -1)
    symbols = CENTRE + (grid * 2654435761 >> 9) % 5 - 2
    yield from both_walks(net.prior(np.zeros_like(symbols)), symbols)
    numbers = WEIGHT_MIDDLE + (37 * np.arange(weights_of(COLOURS, net.edges))) % 41 - 20
    plain = PixelBlock(model.pixels.coded(), fz[None], False)
    corrected, guided = plain.corrected(Correction(numbers, COLOURS, net.edges)), net.guided(fz[None], False)
    yield from parallel_integers(corrected, pixels)
    first, second = Known(pixels), Known(pixels)
    noise = [Noise(0, PIXEL_PURPOSE, 0, pixels.size)] if model.net.pixels.narrow else []
    _, _, *drawn = pop_together([corrected, guided, *[guided] * len(noise)], [first, second, *noise])
    yield from first.seen
    yield from parallel_integers(guided, pixels)
    yield from second.seen
    yield from drawn
    if model.net.shape.told_near:
        yield from parallel_integers(PixelBlock(model.pixels.coded(1), fz[None], False), pixels)


def golden_pictures() -> Bytes:
    """(1, 12, 18, 3) uint8: gradients, edges and pseudo-random texture, from integers alone."""
    r, c, k = np.indices((12, 18, COLOURS), dtype=np.int64)
    smooth = 6 * r + 4 * c + 40 * k
    texture = (((r * 57 + c * 131 + k * 17) * 2654435761) >> 13) % 61
    block = 90 * ((r // 3 + c // 5) % 2)
    picture = (smooth + np.where(c > 9, texture, 0) + np.where(r > 5, block, 0)) % 256
    return picture.astype(np.uint8)[None]
