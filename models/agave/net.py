"""The AGAVE of pictures of one small size: a ResNet with levels of latents, each given the ones above it.

Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", section 5.2, with plain posteriors;
the objective is in `agave`. Up, features of the picture; down, at each level a prior from what is above, and a
posterior from that and the picture's features:

    x (32 x 32) --> 16 x 16 --> 8 x 8 ----------> 4 x 4                       start (a constant)
                                  |                 |                           v
                                  |                 +--> posterior z_1 <-- 4 x 4: prior of z_1
                                  |                                             v
                                  +--------------------> posterior z_2 <-- 8 x 8: prior of z_2
                                                                                v
                                                             f(z) (32 x 32) <-- 16 x 16

One net has both kinds of posterior, perhaps several uniform ones, each for a quality: the layers at the latents stand
once for each, all others are shared. A posterior is told as a difference to its prior, so that a latent that carries
nothing costs exactly nothing.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.layers.activations import FINE_UNIT, UNIT, Elu, round_through
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX, MEAN_UNIT, Context, PixelDecoder
from vlcodec.models.layers.ends import Ends, head
from vlcodec.models.layers.exact import OWN, SQUARE
from vlcodec.models.layers.fine import fine_layer, prove_stream
from vlcodec.models.layers.mixture import FINE, LEVELS, SCALE_LAST, SCALE_LOW, SCALE_UNIT, nats
from vlcodec.models.layers.objective import Agave, loss_of
from vlcodec.models.layers.posterior import UNIFORMS, Kind
from vlcodec.models.layers.resnet import Block, depth_to_space, space_to_depth

SIDE = 32  # pixels
MEAN_GAIN = 64 * MEAN_UNIT / FINE_UNIT  # 1.0 of the decoder's output is 64 levels


@dataclass(frozen=True)
class LadderShape:
    """Sizes. The variants of the paper's studies are values of these.

    kl_weight: lambda of eq. 7. finer: lambdas of further uniform posteriors, for qualities from 2 on. aux_levels: b of
    eq. 8. aux_stride: pixels of the picture, along each side, under one of the auxiliary picture. gated, dilations,
    pixel_bits, context, spacing: of the PixelCNN; small ones are local.
    auxiliary: whether the latents answer for the auxiliary picture (AGAVE), or for pixels alone, and the mean image is
    only read off them (VLAE). free_nats: of KL per pixel that cost nothing in training.
    """

    latents: tuple[int, int]  # per position at 4 x 4 and 8 x 8
    widths: tuple[int, int, int]  # at 16 x 16, 8 x 8 and 4 x 4
    blocks: int
    features: int
    pixel_channels: int
    dilations: tuple[int, ...]
    pixel_hidden: int
    mixtures: int
    stream: int
    gated: bool
    kl_weight: float
    aux_levels: int
    aux_stride: int
    pixel_bits: int
    context: Context
    spacing: int
    auxiliary: bool
    free_nats: float
    finer: tuple[float, ...]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Of the posteriors of a whole net."""
        return "gaussian", *UNIFORMS[: 1 + len(self.finer)]

    def weight_of(self, kind: Kind) -> float:
        """lambda of a kind of posterior."""
        quality = UNIFORMS.index(kind) if kind in UNIFORMS else 0
        return (self.kl_weight, *self.finer)[quality]

    @property
    def sides(self) -> tuple[int, int]:
        """Of the levels' grids, top first."""
        return SIDE // 8, SIDE // 4

    @property
    def counts(self) -> list[int]:
        """Latents of each level, top first."""
        return [n * side * side for n, side in zip(self.latents, self.sides, strict=True)]


class Level(nn.Module):
    """One level's latents and what follows them on the way down."""

    def __init__(self, kinds: Sequence[Kind], width: int, latents: int, blocks: int, below: int) -> None:
        super().__init__()
        self.merge = fine_layer(SQUARE, 2 * width, width)
        self.elu = Elu()
        self.ends = nn.ModuleDict({kind: Ends(kind, width, latents) for kind in kinds})
        self.blocks = nn.Sequential(*(Block(SQUARE, width) for _ in range(blocks)))
        self.up = fine_layer(OWN, width, 4 * below)

    def ends_of(self, kind: Kind) -> Ends:
        """The layers at its latents for a kind of posterior."""
        return cast(Ends, self.ends[kind])

    def merged(self, h: Tensor, seen: Tensor) -> Tensor:
        """What a posterior is made of: h from above and `seen` of the picture."""
        return self.elu(self.merge(torch.cat((self.elu(h), self.elu(seen)), -1)))

    def descend(self, h: Tensor, z: Tensor, kind: Kind) -> Tensor:
        """h (N, s, s, width) and this level's z -> (N, 2 s, 2 s, below)."""
        h = self.blocks(h + self.ends_of(kind).enter(z))
        return depth_to_space(self.up(self.elu(h)), 2)


class LadderEncoder(nn.Module):
    """x -> features at 4 x 4 and 8 x 8, top first."""

    def __init__(self, shape: LadderShape) -> None:
        super().__init__()
        a, b, c = shape.widths
        self.elu = Elu()
        self.enter = fine_layer(SQUARE, 4 * COLOURS, a, gain=FINE_UNIT / UNIT, unit=UNIT, input_max=128)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(SQUARE, width) for _ in range(shape.blocks))) for width in shape.widths
        )
        self.down = nn.ModuleList(fine_layer(OWN, 4 * m, n) for m, n in ((a, b), (b, c)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (N, 32, 32, 3) in [-128, 127]."""
        h = self.stages[0](self.enter(space_to_depth(x, 2)))
        middle = self.stages[1](self.down[0](space_to_depth(self.elu(h), 2)))
        return [self.stages[2](self.down[1](space_to_depth(self.elu(middle), 2))), middle]


class LadderAgave(Agave):
    """Encoder, levels, decoder and PixelCNN of one trained model, with the given kinds of posterior, or all."""

    def __init__(self, shape: LadderShape, kinds: Sequence[Kind] | None = None) -> None:
        super().__init__()
        self.shape, self.kinds = shape, shape.kinds if kinds is None else tuple(kinds)
        prove_stream(shape.blocks + 3)  # the longest
        a, b, c = shape.widths
        self.elu, self.encoder = Elu(), LadderEncoder(shape)
        self.start = fine_layer(OWN, 1, c, init=0.0)
        self.stem = Block(SQUARE, c)
        self.levels = nn.ModuleList(
            Level(self.kinds, width, latents, shape.blocks, below)
            for width, latents, below in zip((c, b), shape.latents, (b, a), strict=True)
        )
        self.last = nn.Sequential(*(Block(SQUARE, a) for _ in range(shape.blocks)))
        per_pixel = [MEAN_GAIN] * COLOURS + [UNIT / FINE_UNIT] * shape.features
        limit = FEATURE_MAX
        self.leave = fine_layer(
            SQUARE, a, 4 * len(per_pixel), gain=per_pixel * 4, low=-limit, high=limit, precise=True, init=0.3
        )
        self.aux_scale = head(1, COLOURS, SCALE_UNIT / FINE_UNIT, 0, SCALE_LAST)
        self.pixels = PixelDecoder(
            shape.features,
            shape.pixel_channels,
            shape.dilations,
            shape.pixel_hidden,
            shape.mixtures,
            shape.stream,
            shape.gated,
            shape.pixel_bits,
            context=shape.context,
            spacing=shape.spacing,
        )
        with torch.no_grad():
            self.start.bias.normal_()
            self.aux_scale.bias.fill_(math.log(12 / SCALE_LOW))

    # ---- the way down ------------------------------------------------------------------------------------------------

    def top(self, n: int, like: Tensor) -> Tensor:
        """(n, 4, 4, width): where the way down begins."""
        side = self.shape.sides[0]
        h: Tensor = self.stem(self.start(like.new_zeros(n, side, side, 1)))
        return h

    def finish(self, h: Tensor) -> Tensor:
        """(N, 16, 16, width) -> f(z) (N, 32, 32, 3 + features), the mean image in 1/4 level."""
        return self._told(self.elu(self.last(h)))

    def _told(self, h: Tensor) -> Tensor:
        fz = depth_to_space(self.leave(h), 2)
        if self.shape.aux_stride == 1:
            return fz
        mean = round_through(_enlarged(_pooled(fz[..., :COLOURS], self.shape.aux_stride), self.shape.aux_stride))
        return torch.cat((mean, fz[..., COLOURS:]), -1)

    def walk(
        self, kind: Kind, seen: Sequence[Tensor] | None, n: int, like: Tensor
    ) -> Generator[tuple[Ends, tuple[Tensor, Tensor], tuple[Tensor, Tensor] | None], Tensor, Tensor]:
        """The way down: each level's (ends, prior, posterior) is answered by its z (n, s, s, latents), through `send`;
        returns f(z). seen: the encoder's features, None where there are none to make posteriors of."""
        h = self.top(n, like)
        for i, level in enumerate(cast(Iterable[Level], self.levels)):
            ends = level.ends_of(kind)
            prior = ends.prior(self.elu(h))
            posterior = None if seen is None else ends.posterior(level.merged(h, seen[i]), prior)
            z = yield ends, prior, posterior
            h = level.descend(h, z, kind)
        return self.finish(h)

    def infer(self, x: Tensor, kind: Kind, joined: Tensor | float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """f(z) with z ~ q(z | x), and the same of which 1 - joined of the gradient goes beyond the last layer,
        (N, 32, 32, 3 + features); KL(q || p) and its one-sample estimate, (N,) in nats per picture."""
        h, seen = self.top(len(x), x), self.encoder(x)
        kl = sampled = x.new_zeros(len(x))
        for i, level in enumerate(cast(Iterable[Level], self.levels)):
            ends = level.ends_of(kind)
            prior = ends.prior(self.elu(h))
            z, exactly, once = ends.draw(prior, ends.posterior(level.merged(h, seen[i]), prior))
            kl, sampled = kl + exactly.sum((1, 2, 3)), sampled + once.sum((1, 2, 3))
            h = level.descend(h, z, kind)
        h = self.elu(self.last(h))
        return self._told(h), self._told(_through(h, 1 - joined)), kl, sampled

    # ---- objective ---------------------------------------------------------------------------------------------------

    def auxiliary_nats(self, x: Tensor, fz: Tensor) -> Tensor:
        """(N,) -ln p(y | z) per pixel of x, y the auxiliary picture of x (eq. 8).

        Logistics with the mean image for their centres, and a scale for each channel, over b levels.
        """
        stride, width = self.shape.aux_stride, LEVELS / self.shape.aux_levels
        y, mean = (_pooled(t, stride) for t in (x, fz[..., :COLOURS]))
        cell = torch.floor((y.round() + LEVELS / 2) / width)  # floor(y / c)
        value = (cell + 0.5) * width - (LEVELS + 1) / 2
        centre = mean[..., None] * (FINE // MEAN_UNIT)
        scale = self.aux_scale(x.new_zeros(1, 1)).view(COLOURS, 1)
        return nats(torch.zeros_like(centre), centre, scale.expand_as(centre), value, width).sum((1, 2, 3)) / SIDE**2

    def losses(
        self, x: Tensor, kinds: Sequence[tuple[Kind, int]], apart: bool = False, joined: Tensor | float = 1.0
    ) -> dict[str, Tensor]:
        """Terms of eq. 7 per picture, (N,) each, in nats per pixel: kl, pixels, auxiliary; and mse of the mean image.

        x (N, 32, 32, 3) in [-128, 127]; kinds: (posterior, how many pictures of the batch), in order. apart: the
        PixelCNN without f(z), as both halves are trained first. joined: the share of the pixels' gradient that f(z)
        takes; of a VLAE, what is missing of it comes from the auxiliary picture.
        """
        shares = zip(kinds, x.split([n for _, n in kinds]), strict=True)
        found = [self.infer(part, kind, joined) for (kind, _), part in shares]
        fz, read, kl = (torch.cat([parts[i] for parts in found]) for i in range(3))
        mean = fz
        if not self.shape.auxiliary:  # pixels see the mean image, and do not make it
            mean, fz = read, torch.cat((read[..., :COLOURS].detach(), fz[..., COLOURS:]), -1)
        return {
            "kl": kl / SIDE**2,
            "auxiliary": self.auxiliary_nats(x, mean),
            "mse": (mean[..., :COLOURS] / MEAN_UNIT - x).square().mean((1, 2, 3)),
            "pixels": self.pixel_nats(x, torch.zeros_like(fz) if apart else _through(fz, joined)),
        }

    def sampled_nats(self, x: Tensor, samples: int, kind: Kind) -> Tensor:
        """(N, samples) ln q(z | x) - ln p(x, z) of each picture, in nats per picture, x (N, 32, 32, 3).

        Their mean is -ELBO; -ln of the mean of e^-nats is the importance-sampled likelihood (Burda et al. 2015).
        """
        many = x.repeat_interleave(samples, 0)
        fz, _, _, sampled = self.infer(many, kind)
        return (sampled + SIDE**2 * self.pixel_nats(many, fz)).view(len(x), samples)

    def objective(
        self,
        x: Tensor,
        kinds: Sequence[tuple[Kind, int]],
        anneal: Tensor,
        apart: bool = False,
        joined: Tensor | float = 1.0,
    ) -> dict[str, Tensor]:
        """losses, and "loss": eq. 7 with anneal lambda."""
        terms = self.losses(x, kinds, apart, joined)
        weights = torch.cat([x.new_full((n,), self.shape.weight_of(kind)) for kind, n in kinds]) / self.shape.kl_weight
        free = {"kl": (weights * terms["kl"]).mean().clamp_min(self.shape.free_nats)}
        terms["loss"] = loss_of(terms | free, anneal * self.shape.kl_weight)
        return terms


def _through(x: Tensor, share: Tensor | float) -> Tensor:
    """x, with a share of its gradient."""
    return x.detach() + share * (x - x.detach())


def _pooled(x: Tensor, stride: int) -> Tensor:
    """(N, H, W, C) -> means of stride x stride pixels; exact where x are small integers."""
    return x if stride == 1 else F.avg_pool2d(x.movedim(-1, 1), stride).movedim(1, -1)


def _enlarged(x: Tensor, stride: int) -> Tensor:
    return x.repeat_interleave(stride, 1).repeat_interleave(stride, 2)
