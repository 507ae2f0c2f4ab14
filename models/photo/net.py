"""The AGAVE of pictures of any size: fully convolutional, latents on a grid at 1/16, several qualities.

A posterior rounded to whole steps, an autoregressive prior, and one pair of outer layers per quality (learned gains).
The objective is in `agave`.

    x ----> encoder ----> mu ----(rounded to whole steps)----> z ----> decoder ----> f(z)
    (H, W, 3)         (H/16, W/16, Z)                          |                (H, W, 3 + F)
                                                          prior p(z)             |        |
                                                        causal_latents     mean image   features
                                                               |                 |        |
                                                            KL bits         auxiliary   PixelCNN
                                                                             p(y | z)   p(x | x<, z)

In training the prior prices mu with uniform noise of a step's width, which is smooth in mu, while everything else sees
z and the gradient of the identity (Minnen & Singh 2020).

All tensors are (N, H, W, C); pixels are integers in [-128, 127] in the order G, R, B; latents are in 1/32 step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.layers.activations import STREAM_MAX, clip, round_through
from vlcodec.models.layers.causal_blocks import BlockPrior
from vlcodec.models.layers.causal_latents import LatentPrior
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX, MEAN_UNIT, PixelDecoder
from vlcodec.models.layers.exact import LINEAR, OWN, SQUARE, STREAM, WIDE, Layer, Range, Wide
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mixture import FINE, draw, nats
from vlcodec.models.layers.objective import Agave, loss_of
from vlcodec.models.layers.resnet import Down, ResBlock, Up, depth_to_space, space_to_depth
from vlcodec.models.photo.factors import factors_of
from vlcodec.models.photo.layered.residual import COEFFICIENTS, GROUP
from vlcodec.models.photo.layered.restoration import Restoration
from vlcodec.models.photo.layered.texture import Texture

BODY_STRIDE = 4  # pixels per position of the decoder's last hidden map
STRIDE = 16
NEAR = 127  # largest |latent| in steps
SMOOTH = ((8, 2.0), (32, 4.0))  # squared errors of averages over n x n pixels, and their weights beside the pixels' own
DRAWN = 4  # one picture in so many, at most, is seen as if it were being drawn
RESIDUAL_LARGE = 1  # of a block's coefficients, that reach far: the mean
MAPS = 2  # hidden maps of the decoder, along each side, that a block of the residual sees
TOLD = 256  # what the pixel network is told of pixels that were all drawn; at most, and at least as -TOLD


@dataclass(frozen=True)
class GridShape:
    """Sizes of the nets. aux_sigma (levels) and kl_weight (lambda of eq. 7) set the rate of each quality."""

    latents: int
    features: int
    widths: tuple[int, int, int]  # at 1/4, 1/8, 1/16
    hidden: tuple[int, int, int]  # of the residual blocks there
    encoder_blocks: tuple[int, int, int]
    decoder_blocks: tuple[int, int, int]
    prior_channels: int
    prior_groups: int
    pixel_channels: int
    pixel_depth: int
    pixel_hidden: int
    mixtures: int
    pixel_bits: int  # of the pixel network's activations, 10 or 8
    prior_depth: int
    prior_hidden: int
    prior_mixtures: int
    told: int  # 1 where the pixel network is told how noisy the pixels are that it sees
    factors: int  # rank of the changes that files make to the pixel network's weights; 0: of its biases alone
    told_drawn: int  # what it is told where it draws pixels, of TOLD
    told_near: int  # what it is told, as a negative value, for each level that restored pixels may be off; 0: nothing
    aux_sigma: tuple[float, ...]
    kl_weight: tuple[float, ...]
    residual_steps: tuple[int, ...]  # of the residual's quantisers, in 1/16 level, coarse to fine; empty: no residual
    residual_channels: int
    residual_depth: int
    residual_hidden: int
    restoration_channels: int
    restoration_blocks: int
    texture_channels: int
    texture_blocks: int

    def blocks(self, counts: tuple[int, int, int]) -> list[list[nn.Module]]:
        """So many residual blocks at each resolution."""
        return [[ResBlock(w, h) for _ in range(n)] for w, h, n in zip(self.widths, self.hidden, counts, strict=True)]


class GridEncoder(nn.Module):
    """x -> mu, which is rounded to whole steps."""

    def __init__(self, shape: GridShape) -> None:
        super().__init__()
        a, b, c = shape.widths
        first, second, third = shape.blocks(shape.encoder_blocks)
        self.enter = Layer(SQUARE, 16 * COLOURS, a, input_max=128, init=0.7, **STREAM, **LINEAR)
        self.stages = nn.Sequential(*first, Down(a, b), *second, Down(b, c), *third)
        limit: Range = {"low": -NEAR * FINE, "high": NEAR * FINE}
        self.leave = nn.ModuleList(
            Layer(OWN, c, shape.latents, gain=4, init=0.1, **limit, **WIDE) for _ in shape.kl_weight
        )

    def forward(self, x: Tensor, split: list[tuple[int, int]]) -> Tensor:
        """x (N, H, W, 3) -> (N, H/16, W/16, Z); split: (quality, how many pictures of the batch), in order."""
        h = clip(self.stages(self.enter(space_to_depth(x, 4))), STREAM_MAX)
        parts = h.split([n for _, n in split])
        return torch.cat([self.leave[q](part) for (q, _), part in zip(split, parts, strict=True)])


class GridDecoder(nn.Module):
    """z -> f(z): the mean image in 1/4 level and the features that condition the pixels."""

    def __init__(self, shape: GridShape) -> None:
        super().__init__()
        a, b, c = shape.widths
        wide: Wide = {**WIDE, "input_max": NEAR * FINE}
        self.enter = nn.ModuleList(Layer(OWN, shape.latents, c, init=0.7, **STREAM, **wide) for _ in shape.kl_weight)
        last, second, first = shape.blocks(shape.decoder_blocks)
        begin = Layer(SQUARE, c, c, init=0.7, **STREAM, **WIDE)
        self.stages = nn.Sequential(begin, *first, Up(c, b), *second, Up(b, a), *last)
        limit: Range = {"low": -FEATURE_MAX, "high": FEATURE_MAX}
        self.leave = Layer(SQUARE, a, 16 * (COLOURS + shape.features), init=0.5, **limit, **LINEAR)

    def body(self, z: Tensor, split: list[tuple[int, int]]) -> Tensor:
        """z (N, H/16, W/16, Z) in 1/32 step -> (N, H/4, W/4, a) in [-1023, 1023]."""
        parts = z.split([n for _, n in split])
        h = torch.cat([self.enter[q](part) for (q, _), part in zip(split, parts, strict=True)])
        return clip(self.stages(h))

    def render(self, body: Tensor, above: Tensor | None = None) -> Tensor:
        """(N, H/4, W/4, a) -> f(z), (N, H, W, 3 + features); above: the row of body above a part of it."""
        return depth_to_space(self.leave(body, None, above), 4)


class GridAgave(Agave):
    """Encoder, prior, decoder and PixelCNN of one trained model."""

    def __init__(self, shape: GridShape) -> None:
        super().__init__()
        self.shape = shape
        self.qualities = len(shape.kl_weight)
        self.encoder, self.decoder = GridEncoder(shape), GridDecoder(shape)
        self.prior = LatentPrior(
            shape.latents,
            shape.prior_groups,
            self.qualities,
            shape.prior_channels,
            shape.prior_depth,
            shape.prior_hidden,
            shape.prior_mixtures,
        )
        self.pixels = PixelDecoder(
            shape.features,
            shape.pixel_channels,
            [1] * shape.pixel_depth,
            shape.pixel_hidden,
            shape.mixtures,
            bits=shape.pixel_bits,
            told=shape.told,
        )
        if shape.residual_steps:
            self.residual = BlockPrior(
                COEFFICIENTS,
                COEFFICIENTS // GROUP,
                len(shape.residual_steps),
                shape.residual_channels,
                shape.residual_depth,
                shape.residual_hidden,
                shape.prior_mixtures,
                RESIDUAL_LARGE,
                MAPS**2 * shape.widths[0],
            )
        if shape.restoration_blocks:
            self.restoration = Restoration(
                shape.widths[0], len(shape.residual_steps), shape.restoration_channels, shape.restoration_blocks
            )
        if shape.texture_blocks:
            self.texture = Texture(
                shape.restoration_channels, len(shape.residual_steps), shape.texture_channels, shape.texture_blocks
            )
        self.factors = factors_of(self.pixels, shape.factors) if shape.factors else nn.ModuleList()

    def hidden_maps(self, body: Tensor) -> Tensor:
        """What the residual's prior is told: (N, H/4, W/4, a) of the decoder -> (N, H/8, W/8, 4 a)."""
        return space_to_depth(body, MAPS)

    def told_of(self, near: int) -> int:
        """What the pixel network is told of pixels that may be `near` levels off."""
        return -min(self.shape.told_near * near, TOLD)

    def losses(
        self,
        x: Tensor,
        grey: Tensor,
        split: list[tuple[int, int]],
        with_pixels: bool = True,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Terms of eq. 7 per picture, (N,) each: kl and pixels in nats per pixel, mse of the mean image, and smooth,
        that of its averages.

        x (N, H, W, 3) in [-128, 127]; grey (N,) 1 where only the first channel's symbols would be coded; with_pixels
        False leaves the PixelCNN out (its term is 0). noise (N,): of what the PixelCNN sees; -n for pixels restored
        within n levels, in (0, 1] the share of the way on which they are moved towards ones that it would draw, which
        one picture in DRAWN is at most.
        """
        mu = self.encoder(x, split) / FINE
        z = F.hardtanh(round_through(mu), -NEAR, NEAR)
        own = torch.cat([self.prior.own(q, z[:1]).expand(n, *z.shape[1:3], -1) for q, n in split])
        logit, offset, scale = self.prior(look_whole, FINE * z, own).chunk(3, -1)
        coded = mu + torch.rand_like(mu) - 0.5 if self.mode != "frozen" else z
        kl = nats(logit, offset, scale, coded.clamp(-127, 127)).sum((1, 2, 3)) / (x.shape[1] * x.shape[2])
        fz = self.decoder.render(self.decoder.body(FINE * z, split))
        error = fz[..., :COLOURS] / MEAN_UNIT - x
        mse = error.square().mean((1, 2, 3))
        smooth = smooth_error(error)
        pixels = self.noisy_pixel_nats(x, fz, grey, noise) if with_pixels else torch.zeros_like(mse)
        return {"kl": kl, "mse": mse, "smooth": smooth, "pixels": pixels}

    def noisy_pixel_nats(self, x: Tensor, fz: Tensor, grey: Tensor, noise: Tensor | None) -> Tensor:
        """As `pixel_nats`, which tells the net how noisy the pixels are that it sees; noise: see `losses`."""
        told, seen, width = x.new_zeros(*x.shape[:3], self.shape.told), x, x.new_ones(len(x), 1, 1, 1)
        if noise is not None:
            near = noise.clamp(max=0).neg()[:, None, None, None]
            width = 2 * near + 1
            x = torch.where(near > 0, middles(x, width), x)
            told = told - (self.shape.told_near * near).clamp(max=TOLD)
            seen = x
            if drawn := len(x) // DRAWN:
                index = noise.topk(drawn).indices
                share = noise[index].clamp(min=0)[:, None, None, None]
                told[index] += (TOLD * share).round()
                with torch.no_grad():
                    own, beside = x[index], torch.cat((fz[index], told[index]), -1)
                    sample = torch.stack([draw(*m) for m in self.mixtures(own, beside)], -1)
                    sample = torch.where(grey[index, None, None, None] > 0, sample[..., :1], sample)
                    seen = x.index_copy(0, index, (own + share * (sample - own)).round())
        return self.pixel_nats(x, torch.cat((fz, told), -1), grey, seen, width)

    def objective(
        self,
        x: Tensor,
        grey: Tensor,
        split: list[tuple[int, int]],
        anneal: Tensor,
        with_pixels: bool = True,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """losses, and "loss": eq. 7 with a gaussian auxiliary decoder, whose KL is weighed by anneal lambda."""
        terms = self.losses(x, grey, split, with_pixels, noise)
        sigma, weight = (
            torch.cat([x.new_full((n,), values[q]) for q, n in split])
            for values in (self.shape.aux_sigma, self.shape.kl_weight)
        )
        distance = terms["mse"] + terms["smooth"]
        terms["auxiliary"] = COLOURS * (distance / (2 * sigma**2) + torch.log(sigma) + 0.5 * math.log(2 * math.pi))
        terms["loss"] = loss_of(terms, anneal * weight)
        return terms


def smooth_error(error: Tensor) -> Tensor:
    """(N,) squared averages of errors (N, H, W, C) over squares, as much as they count beside the pixels' own."""
    parts = [w * averages(error, n).square().mean((1, 2, 3)) for n, w in SMOOTH if min(error.shape[1:3]) >= n]
    return sum(parts, error.new_zeros(len(error)))


def middles(x: Tensor, width: Tensor) -> Tensor:
    """Levels in [-128, 127] as near-lossless files restore them, in cells of odd widths: see `coding.near`."""
    first = ((x + 128) / width).floor() * width
    return ((first + (first + width - 1).clamp(max=255)) / 2).floor() - 128


def averages(x: Tensor, n: int) -> Tensor:
    """(N, H, W, C) -> (N, H/n, W/n, C), each over n x n; rows and columns that fill none are left out."""
    return F.avg_pool2d(x.permute(0, 3, 1, 2), n).permute(0, 2, 3, 1)
