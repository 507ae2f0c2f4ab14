"""VLAE: a variational autoencoder whose PixelCNN sees a small window, so that the latents hold what is global.

Chen et al., "Variational Lossy Autoencoder", sections 2 and 3, appendices A and D; for binary pictures of 28 x 28.

    x ---> encoder ---> q(z | x) ---(sample)---> z ---> decoder ---> f(z): 4 feature maps
    (28, 28)               |                     |                          |
                           |             flow of MADEs              PixelCNN, 6 masked layers
                           |                     |                          |
                           +---- KL bits ---- p(z)                   p(x | x of the window, z)

With a gaussian posterior, latents live on a cyclic grid of 4096 cells of 1/128, and a lossless archive pays the KL by
bits-back; with a uniform one they are in 1/32 step and dither pays it, which serves lossy files. All tensors are
(N, H, W, C), hidden activations in units of 1/1024, pixels -1024 or 1024 (0 outside the picture), logits in 1/1024 nat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.layers.activations import FINE_MAX, FINE_UNIT, Elu
from vlcodec.models.layers.exact import OWN, SQUARE, Layer
from vlcodec.models.layers.fine import fine_layer, prove_stream
from vlcodec.models.layers.made import Flow
from vlcodec.models.layers.masked import BEFORE, NEAR, Look, look_whole, spread
from vlcodec.models.layers.mixture import FINE, SCALE_LAST, SCALE_LOW, SCALE_UNIT, nats
from vlcodec.models.layers.mode import IntegerModule
from vlcodec.models.layers.posterior import CELL_UNIT, CELLS, PRIOR_INDEX, UNIFORM_MAX, dither_like
from vlcodec.models.layers.resnet import Block, depth_to_space, space_to_depth

SIDE = 28  # pixels
FREE_BITS = 0.01 * SIDE * SIDE  # nats of KL that cost nothing in training
SPREAD = 0.15  # initial scale of a uniform posterior's prior, in steps
SPREAD_GAIN = 8  # lets that scale follow the latents quickly


@dataclass(frozen=True)
class VlaeShape:
    """Sizes and kinds. The variants of the paper are values of these.

    posterior: "gaussian", "uniform", or "none" for the unconditional PixelCNN. flow_steps: 0 for a plain prior.
    flow_in: where the flow stands, in the prior (AF), or in a gaussian posterior (IAF, which is no codec): the same
    layers, of which the decoder sees the other side (section 3.2). window: masked layers; 0 for a factorised decoder.
    dilation: 4 makes the context heavily downsampled. tied: the masked layers after the first share their weights.
    auxiliary: the first feature is the logit of the mean image, for which the latents answer too, as in AGAVE.
    kl_weight: of the KL in training; a small one makes a code of more bits.
    """

    posterior: Literal["gaussian", "uniform", "none"]
    latents: int
    widths: tuple[int, int]  # channels at 14 x 14 and 7 x 7
    blocks: tuple[int, int]
    bottleneck: int  # channels at 7 x 7 where maps become vectors
    hidden: int
    flow_steps: int
    flow_hidden: int
    features: int
    pixel_channels: int
    window: int
    dilation: int
    tied: bool
    flow_in: Literal["prior", "posterior"]
    auxiliary: bool
    kl_weight: float


class VlaeEncoder(nn.Module):
    """x -> the posterior's parameters: centre and, for a gaussian, scale."""

    def __init__(self, shape: VlaeShape) -> None:
        super().__init__()
        self.elu = Elu()
        a, b = shape.widths
        self.enter = fine_layer(SQUARE, 4, a)
        self.high = nn.Sequential(*(Block(SQUARE, a) for _ in range(shape.blocks[0])))
        self.down = fine_layer(OWN, 4 * a, b)
        self.low = nn.Sequential(*(Block(SQUARE, b) for _ in range(shape.blocks[1])))
        self.narrow = fine_layer(OWN, b, shape.bottleneck)
        self.hidden = fine_layer(OWN, 49 * shape.bottleneck, shape.hidden)
        if shape.posterior == "gaussian":
            limit = FINE * (CELLS // 2 - 1)
            self.centre = _head(shape, FINE * CELL_UNIT / FINE_UNIT, -limit, limit)  # in 1/32 cell
            self.scale = _head(shape, SCALE_UNIT / FINE_UNIT, 0, SCALE_LAST)
            with torch.no_grad():
                self.scale.bias.fill_(PRIOR_INDEX / SCALE_UNIT)
        else:
            limit = (UNIFORM_MAX - FINE) // 2
            self.centre = _head(shape, FINE / 2 / FINE_UNIT, -limit, limit)  # in 1/16 step, the dither's grid

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (N, 28, 28, 1) in +-1024 -> [centre (N, latents)], and the scale index (N, latents) of a gaussian."""
        h = self.high(self.enter(space_to_depth(x, 2)))
        h = self.low(self.down(space_to_depth(self.elu(h), 2)))
        h = self.narrow(self.elu(h))
        h = self.elu(self.hidden(self.elu(h).reshape(len(x), -1)))
        return [gain * head(h) for head, gain in self.heads()]

    def heads(self) -> list[tuple[Layer, int]]:
        """The layers that tell the parameters, and what each is multiplied by."""
        return [(self.centre, 1), (self.scale, 1)] if hasattr(self, "scale") else [(self.centre, 2)]


def _head(shape: VlaeShape, gain: float, low: float, high: float) -> Layer:
    return fine_layer(OWN, shape.hidden, shape.latents, gain=gain, low=low, high=high, init=0.1)


class VlaeDecoder(nn.Module):
    """z -> f(z)."""

    def __init__(self, shape: VlaeShape) -> None:
        super().__init__()
        self.elu = Elu()
        a, b = shape.widths
        unit, most = (CELL_UNIT, CELLS // 2) if shape.posterior == "gaussian" else (FINE, UNIFORM_MAX + FINE)
        self.bottleneck = shape.bottleneck
        self.enter = fine_layer(OWN, shape.latents, shape.hidden, gain=FINE_UNIT / unit, unit=unit, input_max=most)
        self.hidden = fine_layer(OWN, shape.hidden, 49 * shape.bottleneck)
        self.widen = fine_layer(OWN, shape.bottleneck, b)
        self.low = nn.Sequential(*(Block(SQUARE, b) for _ in range(shape.blocks[1])))
        self.up = fine_layer(OWN, b, 4 * a)
        self.high = nn.Sequential(*(Block(SQUARE, a) for _ in range(shape.blocks[0])))
        self.leave = fine_layer(SQUARE, a, 4 * shape.features)

    def forward(self, z: Tensor) -> Tensor:
        """z (N, latents) -> (N, 28, 28, features)."""
        h = self.hidden(self.elu(self.enter(z))).reshape(len(z), 7, 7, self.bottleneck)
        h = self.low(self.widen(self.elu(h)))
        h = self.high(depth_to_space(self.up(self.elu(h)), 2))
        return depth_to_space(self.leave(self.elu(h)), 2)


class BinaryPixels(nn.Module):
    """p(x | window, f(z)): masked layers in residual blocks, with 1x1 residual blocks between every other two."""

    def __init__(self, shape: VlaeShape) -> None:
        super().__init__()
        c, s = shape.pixel_channels, shape.dilation
        before, near = spread(BEFORE, s), spread(NEAR, s)
        beside = shape.features if shape.posterior != "none" else 0
        self.elu, self.window = Elu(), shape.window
        if shape.window:
            self.first = fine_layer(before, 1, c, beside=beside, input_max=FINE_MAX)
        else:
            self.first = fine_layer(OWN, beside, c)
        masked = max(0, shape.window - 1)
        shared = [fine_layer(near, c, c, init=0.3)] * masked
        self.near = nn.ModuleList(shared if shape.tied else [fine_layer(near, c, c, init=0.3) for _ in range(masked)])
        self.mix = nn.ModuleList(Block(OWN, c) for _ in range(2 + masked // 2))
        self.leave = fine_layer(OWN, c, 1, low=-FINE_MAX, high=FINE_MAX, init=0.1)

    def trunk(self, look: Look, past: Tensor | None, features: Tensor | None) -> Tensor:
        """past (..., 1) in +-1024, features (..., F), F may be 0 -> logit of a one (..., 1), in 1/1024 nat."""
        h = look("past", self.first, past, features) if self.window else self.first(features)
        h = self.mix[0](h)
        for i, near in enumerate(self.near):
            h = h + look(f"near{i}", near, self.elu(h), None)
            if i % 2:
                h = self.mix[(i + 1) // 2](h)
        logit: Tensor = self.leave(self.elu(self.mix[-1](h)))
        return logit


class Vlae(IntegerModule):
    """Encoder, flow prior, decoder and PixelCNN of one trained model, and the objective that trains them."""

    def __init__(self, shape: VlaeShape) -> None:
        super().__init__()
        self.shape = shape
        prove_stream(2 + 2 * shape.window + sum(shape.blocks))  # the longest
        self.pixels = BinaryPixels(shape)
        if shape.posterior == "none":
            return
        self.encoder, self.decoder = VlaeEncoder(shape), VlaeDecoder(shape)
        gaussian = shape.posterior == "gaussian"
        self.flow = Flow(
            shape.latents,
            shape.flow_steps,
            shape.flow_hidden,
            unit=CELL_UNIT if gaussian else FINE,
            limit=CELLS // 2 if gaussian else UNIFORM_MAX + FINE,
            period=CELLS if gaussian else 0,
            alternate=gaussian,
        )
        if not gaussian:
            gain = SPREAD_GAIN * SCALE_UNIT / FINE_UNIT
            self.spread = fine_layer(OWN, 1, shape.latents, gain=gain, low=0, high=SCALE_LAST)
            with torch.no_grad():  # so narrow that most latents cost nothing
                self.spread.bias.fill_(math.log(SPREAD / SCALE_LOW) / SPREAD_GAIN)

    def draw(self, posterior: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The encoder's output -> z ~ q(z | x) (N, latents), and ln q(z | x) - ln p(z) (N,), one sample of the KL.

        Of a flow in the posterior, z is what the flow makes of the draw.
        """
        if self.shape.posterior == "uniform":
            (centre,) = posterior
            z = centre + dither_like(centre, self.mode)
            scale = self.spread(z.new_zeros(1, 1)).expand(z.shape)
            values = self.flow(z) / FINE
            kl = nats(torch.zeros_like(z)[..., None], torch.zeros_like(z)[..., None], scale[..., None], values)
            return z, kl.sum(-1)
        centre, scale = posterior
        sigma = torch.exp(scale.clamp(0, SCALE_LAST) / SCALE_UNIT) * SCALE_LOW  # cells
        e = torch.randn_like(sigma)
        z = centre / FINE + sigma * e
        noise = self.flow(z) / CELL_UNIT
        kl = 0.5 * noise.square() - 0.5 * e.square() - torch.log(sigma / CELL_UNIT)
        return z if self.shape.flow_in == "prior" else CELL_UNIT * noise, kl.sum(-1)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Nats per picture, (N,) each: kl, pixels, auxiliary. x (N, 28, 28, 1) of 0 and 1."""
        zero = x.new_zeros(len(x))
        if self.shape.posterior == "none":
            return {"kl": zero, "pixels": self._pixel_nats(x, None), "auxiliary": zero}
        z, kl = self.draw(self.encoder(FINE_UNIT * (2 * x - 1)))
        features = self.decoder(z)
        auxiliary = _nats_of(features[..., :1], x) if self.shape.auxiliary else zero
        return {"kl": kl, "pixels": self._pixel_nats(x, features), "auxiliary": auxiliary}

    def _pixel_nats(self, x: Tensor, features: Tensor | None) -> Tensor:
        return _nats_of(self.pixels.trunk(look_whole, FINE_UNIT * (2 * x - 1), features), x)

    def sampled_nats(self, x: Tensor, samples: int) -> Tensor:
        """(N, samples) ln q(z | x) - ln p(x, z) with so many z for each picture, x (N, 28, 28, 1) of 0 and 1.

        Their mean is -ELBO; -ln of the mean of e^-nats is the importance-sampled likelihood (Burda et al. 2015).
        """
        posterior = [p.repeat_interleave(samples, 0) for p in self.encoder(FINE_UNIT * (2 * x - 1))]
        z, kl = self.draw(posterior)
        nats = kl + self._pixel_nats(x.repeat_interleave(samples, 0), self.decoder(z))
        return nats.view(len(x), samples)

    def objective(self, x: Tensor) -> dict[str, Tensor]:
        """losses, and "loss": their mean with free bits."""
        terms = self.losses(x)
        kl = self.shape.kl_weight * terms["kl"].mean().clamp_min(FREE_BITS)
        terms["loss"] = terms["pixels"].mean() + terms["auxiliary"].mean() + kl
        return terms


def _nats_of(logit: Tensor, x: Tensor) -> Tensor:
    """(N,) -ln P of bits x (N, 28, 28, 1) by logits in 1/1024 nat."""
    return F.binary_cross_entropy_with_logits(logit / FINE_UNIT, x, reduction="none").sum((1, 2, 3))
