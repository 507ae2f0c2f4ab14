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
from torch import Tensor, nn

from vlcodec.models.layers.activations import STREAM_MAX, clip, round_through
from vlcodec.models.layers.causal_latents import LatentPrior
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX, MEAN_UNIT, PixelDecoder
from vlcodec.models.layers.exact import LINEAR, OWN, SQUARE, STREAM, WIDE, Layer, Range
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mixture import FINE, nats
from vlcodec.models.layers.objective import Agave, loss_of
from vlcodec.models.layers.resnet import Down, ResBlock, Up, depth_to_space, space_to_depth

LATENT_MAX = 127 * FINE  # |mu|, so that k = round(mu - u) stays in [-128, 127]
STRIDE = 16


@dataclass(frozen=True)
class GridShape:
    """Sizes of the nets. aux_sigma (levels) and kl_weight (lambda of eq. 7) set the rate of each quality."""

    latents: int
    features: int
    widths: tuple[int, int, int]  # at 1/4, 1/8, 1/16
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
    aux_sigma: tuple[float, ...]
    kl_weight: tuple[float, ...]


class GridEncoder(nn.Module):
    """x -> mu, which is rounded to whole steps."""

    def __init__(self, shape: GridShape) -> None:
        super().__init__()
        a, b, c = shape.widths
        self.enter = Layer(SQUARE, 16 * COLOURS, a, input_max=128, init=0.7, **STREAM, **LINEAR)
        stages: list[nn.Module] = [ResBlock(a) for _ in range(shape.encoder_blocks[0])]
        stages += [Down(a, b), *(ResBlock(b) for _ in range(shape.encoder_blocks[1]))]
        stages += [Down(b, c), *(ResBlock(c) for _ in range(shape.encoder_blocks[2]))]
        self.stages = nn.Sequential(*stages)
        limit: Range = {"low": -LATENT_MAX, "high": LATENT_MAX}
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
        self.enter = nn.ModuleList(Layer(OWN, shape.latents, c, init=0.7, **STREAM, **WIDE) for _ in shape.kl_weight)
        stages: list[nn.Module] = [Layer(SQUARE, c, c, init=0.7, **STREAM, **WIDE)]
        stages += [ResBlock(c) for _ in range(shape.decoder_blocks[2])]
        stages += [Up(c, b), *(ResBlock(b) for _ in range(shape.decoder_blocks[1]))]
        stages += [Up(b, a), *(ResBlock(a) for _ in range(shape.decoder_blocks[0]))]
        self.stages = nn.Sequential(*stages)
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
        )

    def losses(
        self, x: Tensor, grey: Tensor, split: list[tuple[int, int]], with_pixels: bool = True
    ) -> dict[str, Tensor]:
        """Terms of eq. 7 per picture, (N,) each: kl and pixels in nats per pixel, mse of the mean image.

        x (N, H, W, 3) in [-128, 127]; grey (N,) 1 where only the first channel's symbols would be coded; with_pixels
        False leaves the PixelCNN out (its term is 0).
        """
        mu = self.encoder(x, split)
        z = FINE * round_through(mu / FINE)
        own = torch.cat([self.prior.own(q, z[:1]).expand(n, *z.shape[1:3], -1) for q, n in split])
        logit, offset, scale = self.prior(look_whole, z, own).chunk(3, -1)
        coded = mu / FINE + torch.rand_like(mu) - 0.5 if self.mode != "frozen" else z / FINE
        kl = nats(logit, offset, scale, coded).sum((1, 2, 3)) / (x.shape[1] * x.shape[2])
        fz = self.decoder.render(self.decoder.body(z, split))
        mse = (fz[..., :COLOURS] / MEAN_UNIT - x).square().mean((1, 2, 3))
        pixels = self.pixel_nats(x, fz, grey) if with_pixels else torch.zeros_like(mse)
        return {"kl": kl, "mse": mse, "pixels": pixels}

    def objective(
        self, x: Tensor, grey: Tensor, split: list[tuple[int, int]], anneal: Tensor, with_pixels: bool = True
    ) -> dict[str, Tensor]:
        """losses, and "loss": eq. 7 with a gaussian auxiliary decoder, whose KL is weighed by anneal lambda."""
        terms = self.losses(x, grey, split, with_pixels)
        sigma, weight = (
            torch.cat([x.new_full((n,), values[q]) for q, n in split])
            for values in (self.shape.aux_sigma, self.shape.kl_weight)
        )
        terms["auxiliary"] = COLOURS * (terms["mse"] / (2 * sigma**2) + torch.log(sigma) + 0.5 * math.log(2 * math.pi))
        terms["loss"] = loss_of(terms, anneal * weight)
        return terms
