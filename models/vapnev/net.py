"""VAPNEV: a variational autoencoder whose decoder is a flow, so that nothing is reconstructed pixel by pixel.

Agrawal & Dukkipati, "Deep Variational Inference Without Pixel-Wise Reconstruction":

    x --> encoder --> q(z | x) --(sample)--> z --> features --> decoder --> mu_y, sigma_y
    |                    |                   |        |                         |
    |                    +------- KL ------ p(z)      +-----> couplings         |
    |                                                            v              v
    +--> cells of the logit -----------------------------------> f_z --> y: N(y; mu_y, sigma_y) |det df_z/dx|

The paper's size is some 3 GMAC a picture. This one is an eighth of it: l and m share their residual blocks (and their
layers from z), checkerboards are computed at half the side, and encoder and decoder have 16 filters first, not 32; the
decoder ends at 16 x 16, where y is.

One net has both kinds of posterior, a gaussian one for archives and a uniform one for lossy files; only the layers at
the latents stand twice. Tensors are (N, H, W, C); pixels are integers in [-128, 127] in the order G, R, B.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.layers.activations import FINE_UNIT, UNIT, Elu
from vlcodec.models.layers.causal_pixels import COLOURS
from vlcodec.models.layers.exact import OWN, SQUARE, Layer, Taps
from vlcodec.models.layers.fine import fine_layer
from vlcodec.models.layers.mixture import FINE, SCALE_LAST, SCALE_LOW, SCALE_UNIT, nats
from vlcodec.models.layers.mode import IntegerModule
from vlcodec.models.layers.posterior import CELL_UNIT, CELLS, PRIOR_INDEX, UNIFORM_MAX, Kind, dither_like, sigma_of
from vlcodec.models.layers.resnet import depth_to_space, space_to_depth
from vlcodec.models.vapnev.flow import BITS, CHANNELS, MOST, Flow, FlowShape
from vlcodec.models.vapnev.grid import CELL_BITS, LEVELS, edges

SIDE = 32
SIZE = SIDE * SIDE * COLOURS
FAR = 8.0  # sigmas
NARROW = 0.25  # initial width of a gaussian posterior: what says much at first is used, and then pays for its KL
SPREAD = 0.15  # initial scale of a uniform posterior's prior, in steps
GAUSSIAN_LIMIT = FINE * (CELLS // 2 - 1)  # of centres, in 1/32 cell
UNIFORM_LIMIT = UNIFORM_MAX // 2 - FINE  # of halves of centres, in 1/16 step: the dither's grid
Y_CELL = 2**CELL_BITS // CELL_UNIT  # the flow's cells in one of a gaussian table
Y_SCALE_FIRST = 122  # least index of sigma_y: 4.1 table cells, so that tables are as good as densities


@dataclass(frozen=True)
class VapnevShape:
    """Sizes. width: filters of the first convolution. features: of z, which decoder and couplings see.

    flow_widths, flow_blocks, conditional: see `flow.FlowShape`.
    """

    latents: int
    features: int
    width: int
    flow_widths: tuple[int, int]
    flow_blocks: int
    conditional: bool

    @property
    def flow(self) -> FlowShape:
        """Of the couplings."""
        return FlowShape(self.flow_widths, self.flow_blocks, self.conditional)

    @property
    def seen(self) -> int:
        """Values that the encoder puts out: 2 x 2 x 16 widths."""
        return 64 * self.width


def half_square(distance: Tensor, robust: bool) -> Tensor:
    """d^2 / 2; robust, linear beyond FAR sigmas, where none but wild values lie: squares of these have thrown a
    training off for good."""
    if not robust:
        return 0.5 * distance.square()
    return F.huber_loss(distance, torch.zeros_like(distance), reduction="none", delta=FAR)


class Encoder(nn.Module):
    """Eight convolutions, of which every second one doubles the filters and halves the side: x -> (N, 64 widths)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.elu = Elu(MOST)
        self.enter = fine_layer(SQUARE, COLOURS, width, gain=FINE_UNIT / UNIT, unit=UNIT, input_max=128, bits=BITS)
        widths = [width << i for i in range(5)]
        self.down = nn.ModuleList(
            fine_layer(OWN, 4 * a, b, bits=BITS, input_max=MOST) for a, b in pairwise(widths)
        )
        self.same = nn.ModuleList(fine_layer(SQUARE, b, b, bits=BITS, input_max=MOST) for b in widths[1:4])

    def forward(self, x: Tensor) -> Tensor:
        """x (N, 32, 32, 3) in [-128, 127]."""
        h = self.elu(self.enter(x))
        for i, down in enumerate(self.down):
            h = self.elu(down(space_to_depth(h, 2)))
            if i < len(self.same):
                h = self.elu(self.same[i](h))
        return h.flatten(1)


class Decoder(nn.Module):
    """The encoder mirrored, up to 16 x 16: z's features -> mu_y (in 1/32 table cell) and sigma_y (scale indices)."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.elu = Elu(MOST)
        self.enter = fine_layer(OWN, features, 64 * width, bits=BITS, input_max=MOST)
        widths = [width << i for i in (4, 3, 2, 1)]
        self.up = nn.ModuleList(
            fine_layer(OWN, a, 4 * b, bits=BITS, input_max=MOST) for a, b in pairwise(widths)
        )
        self.same = nn.ModuleList(fine_layer(SQUARE, b, b, bits=BITS, input_max=MOST) for b in widths[1:])
        gain = FINE * CELL_UNIT / FINE_UNIT
        limit = GAUSSIAN_LIMIT
        self.centre = _head(SQUARE, widths[-1], CHANNELS, gain, -limit, limit)
        self.scale = _head(SQUARE, widths[-1], CHANNELS, SCALE_UNIT / FINE_UNIT, Y_SCALE_FIRST, SCALE_LAST)
        with torch.no_grad():
            self.scale.bias.fill_(PRIOR_INDEX / SCALE_UNIT)

    def forward(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """e (N, features) -> centres and scale indices (N, 16, 16, 12)."""
        h = depth_to_space(self.enter(e[:, None, None]), 2)
        for up, same in zip(self.up, self.same, strict=True):
            h = same(self.elu(depth_to_space(up(self.elu(h)), 2)))
        h = self.elu(h)
        return self.centre(h), self.scale(h).clamp(Y_SCALE_FIRST, SCALE_LAST)


class Ends(IntegerModule):
    """The layers at the latents for one kind of posterior."""

    def __init__(self, kind: Kind, inputs: int, latents: int, features: int) -> None:
        super().__init__()
        self.gaussian = kind == "gaussian"
        if self.gaussian:
            gain, limit = FINE * CELL_UNIT / FINE_UNIT, GAUSSIAN_LIMIT
            self.scale = _head(OWN, inputs, latents, SCALE_UNIT / FINE_UNIT, 0, SCALE_LAST)
            self.scale.bias.data.fill_(PRIOR_INDEX / SCALE_UNIT + math.log(NARROW))
        else:
            gain, limit = FINE / 2 / FINE_UNIT, UNIFORM_LIMIT
            self.spread = _head(OWN, 1, latents, SCALE_UNIT / FINE_UNIT, 0, SCALE_LAST)
            self.spread.bias.data.fill_(math.log(SPREAD / SCALE_LOW))
        self.unit, self.limit = CELL_UNIT if self.gaussian else FINE, limit * (1 if self.gaussian else 2)
        self.centre = _head(OWN, inputs, latents, gain, -limit, limit, init=1.0)
        most = CELLS // 2 if self.gaussian else UNIFORM_MAX + FINE
        self.elu = Elu(MOST)
        self.enter = fine_layer(
            OWN, latents, features, gain=FINE_UNIT / self.unit, unit=self.unit, input_max=most, bits=BITS
        )

    def posterior(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """h (N, inputs) -> centre (in 1/32 cell or step) and scale index, (N, latents); a uniform one's the prior's."""
        centre = self.centre(h) * (1 if self.gaussian else 2)
        return centre, self.scale(h) if self.gaussian else self.spread(h.new_zeros(1, 1)).expand_as(centre)

    def draw(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z ~ q (in cells, or in 1/32 step; (N, latents)), KL(q || p) and its one-sample estimate, (N,) in nats.

        Of a uniform posterior the two are the same.
        """
        centre, scale = self.posterior(h)
        centre = centre.clamp(-self.limit, self.limit)
        if not self.gaussian:
            z = centre + dither_like(centre, self.mode)
            zero = torch.zeros_like(z)[..., None]
            kl = nats(zero, zero, scale[..., None], z / FINE).sum(1)
            return z, kl, kl
        prior = float(sigma_of(torch.tensor(float(PRIOR_INDEX))))
        mean, sigma = centre / FINE / prior, sigma_of(scale) / prior
        noise = torch.randn_like(sigma)
        value = mean + sigma * noise
        kl = 0.5 * (sigma.square() + mean.square() - 1) - torch.log(sigma)
        sampled = 0.5 * (value.square() - noise.square()) - torch.log(sigma)
        return value * prior, kl.sum(1), sampled.sum(1)

    def features(self, z: Tensor) -> Tensor:
        """z (N, latents), in cells or in 1/32 step -> (N, features), activations in 1/1024."""
        found: Tensor = self.elu(self.enter(z))
        return found


def _head(taps: Taps, inputs: int, outputs: int, gain: float, low: float, high: float, init: float = 0.1) -> Layer:
    return fine_layer(
        taps, inputs, outputs, gain=gain, low=low, high=high, input_max=MOST, bits=BITS, precise=True, init=init
    )


class Vapnev(IntegerModule):
    """Encoder, decoder and flow of one trained model, with the given kinds of posterior."""

    starts: Tensor
    sizes: Tensor

    def __init__(self, shape: VapnevShape, kinds: Sequence[Kind] = ("gaussian", "uniform")) -> None:
        super().__init__()
        self.shape, self.kinds = shape, tuple(kinds)
        self.encoder = Encoder(shape.width)
        self.ends = nn.ModuleDict({kind: Ends(kind, shape.seen, shape.latents, shape.features) for kind in kinds})
        self.decoder = Decoder(shape.features, shape.width)
        self.flow = Flow(shape.flow, shape.features)
        cells = torch.from_numpy(edges()).float()
        self.register_buffer("starts", cells[:-1], False)
        self.register_buffer("sizes", cells.diff(), False)

    def ends_of(self, kind: Kind) -> Ends:
        """The layers at the latents for a kind of posterior."""
        return cast(Ends, self.ends[kind])

    def spread(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, 32, 32, 3) -> a place in each level's cells, drawn evenly, and ln of how many these are, (N,)."""
        level = (x + LEVELS // 2).long()
        sizes = self.sizes[level]
        return self.starts[level] + sizes * torch.rand_like(sizes), torch.log(sizes).sum((1, 2, 3))

    def given(self, x: Tensor, e: Tensor, robust: bool = False) -> dict[str, Tensor]:
        """Parts of -ln p(x | z), (N,) in nats: the prior of y, log-determinants, and what cells give back.

        The first is that of one cell of y; their sum is eq. 10 of a level. robust: see `half_square`.
        """
        cells, given_back = self.spread(x)
        y, log_det = self.flow(cells, e)
        centre, scale = self.decoder(e)
        sigma = sigma_of(scale)
        distance = (y / Y_CELL - centre / FINE) / sigma
        constant = SIZE * (0.5 * math.log(2 * math.pi) + math.log(Y_CELL))
        y_nats = (half_square(distance, robust) + torch.log(sigma)).sum((1, 2, 3)) + constant
        return {"y": y_nats, "determinants": -log_det, "cells": -given_back}

    def losses(self, x: Tensor, kinds: Sequence[tuple[Kind, int]], robust: bool = False) -> dict[str, Tensor]:
        """Parts of -ELBO per picture, (N,) each, in nats per dimension: kl, y, determinants, cells.

        x (N, 32, 32, 3) in [-128, 127]; kinds: (posterior, how many pictures of the batch), in order.
        """
        h, all_e, all_kl = self.encoder(x), list[Tensor](), list[Tensor]()
        for (kind, _), part in zip(kinds, h.split([n for _, n in kinds]), strict=True):
            ends = self.ends_of(kind)
            z, kl, _ = ends.draw(part)
            all_e.append(ends.features(z))
            all_kl.append(kl)
        terms = {"kl": torch.cat(all_kl), **self.given(x, torch.cat(all_e), robust)}
        return {name: term / SIZE for name, term in terms.items()}

    def sampled_nats(self, x: Tensor, samples: int, kind: Kind) -> Tensor:
        """(N, samples) ln q(z | x) - ln p(x, z) of each picture, in nats per picture, x (N, 32, 32, 3).

        Their mean is -ELBO; -ln of the mean of e^-nats is the importance-sampled likelihood (Burda et al. 2015). The
        place in a level's cells is drawn anew each time.
        """
        many = x.repeat_interleave(samples, 0)
        ends = self.ends_of(kind)
        z, _, sampled = ends.draw(self.encoder(many))
        given = self.given(many, ends.features(z))
        return (sampled + sum(given.values())).view(len(x), samples)

    def objective(
        self, x: Tensor, kinds: Sequence[tuple[Kind, int]], anneal: Tensor, free: float = 0.0
    ) -> dict[str, Tensor]:
        """losses, and "loss": -ELBO with anneal times the KL, the mean over pictures. free: nats of a picture's KL that
        cost nothing."""
        terms: Mapping[str, Tensor] = self.losses(x, kinds, robust=True)
        rest = terms["y"] + terms["determinants"] + terms["cells"]
        kl = terms["kl"].mean().clamp_min(free / SIZE)
        return {**terms, "given": rest, "loss": rest.mean() + anneal * kl}
