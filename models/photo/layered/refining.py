"""Latents and residual of one picture, searched for together: see `search`.

The objective is what both take and the error of the picture that they make, mended; averages of errors count besides.
So a latent moves where residual and error gain by it, and a coefficient where what comes after it is cheaper, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from vlcodec.codec.interface import Tick
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mixture import FINE, LOGIT_UNIT
from vlcodec.models.layers.probe import simulated_copy
from vlcodec.models.layers.resnet import depth_to_space, space_to_depth
from vlcodec.models.photo.layered.residual import SIDE, STEP_UNIT, smooth_restored
from vlcodec.models.photo.layered.restoration import CELL
from vlcodec.models.photo.net import STRIDE, GridAgave, averages
from vlcodec.models.photo.search import Found, Grid, Mixtures, cost, counted, curvature, search, windows

WINDOW = 32  # latents along each side that are refined at a time
PER_LATENT = STRIDE // SIDE  # blocks along each side
PRICE = 6.5  # nats that a squared error of a step must save
SMOOTH = 0.5  # what the error of a block's average counts besides


@dataclass(frozen=True)
class Told:
    """What a file of two layers is made with. quality: of the latents. widths: (192,) steps of the coefficients, in
    1/16 level. step: (steps,) what tells the quantiser's step."""

    quality: int
    widths: Tensor
    step: Tensor

    @property
    def nats_per_error(self) -> float:
        """Of a squared 1/4 level, in all."""
        return PRICE * (STEP_UNIT / MEAN_UNIT / float(self.widths[-1])) ** 2


class _Objective:
    """Of latents and blocks for a window of a picture (1, H, W, 3) in 1/4 level. net: simulated."""

    def __init__(self, net: GridAgave, told: Told, window: Tensor) -> None:
        self._net, self._told, self._window = net, told, window
        self._own = net.prior.own(told.quality, window[:, :1, :1])

    def __call__(self, grids: Sequence[Tensor]) -> Found:
        net, (latents, blocks) = self._net, [k.clone().requires_grad_(True) for k in grids]
        with torch.autocast(latents.device.type, torch.bfloat16):
            latent_mixtures = _parts(net.prior(look_whole, FINE * latents, self._own).flatten(0, -2))
            body = net.decoder.body(FINE * latents, [(self._told.quality, 1)])
        places, mixtures, extents = self._priced(blocks, body)
        bits = cost(mixtures, grids[1].reshape(-1)[places]).sum() + extents
        total = bits + cost(latent_mixtures, grids[0].reshape(-1)).sum() + self._errors(body, blocks)
        slopes = torch.autograd.grad(total, (latents, blocks))
        known = Grid(grids[0], slopes[0], _kept(latent_mixtures)), Grid(grids[1], slopes[1], _kept(mixtures), places)
        return Found(float(total.detach()), known)

    def errors(self, latents: Tensor, blocks: Tensor) -> Tensor:
        """Those of the picture, in nats."""
        with torch.autocast(latents.device.type, torch.bfloat16):
            body = self._net.decoder.body(FINE * latents, [(self._told.quality, 1)])
        return self._errors(body, blocks)

    def _priced(self, blocks: Tensor, body: Tensor) -> tuple[Tensor, Mixtures, Tensor]:
        """Places of the coefficients that are coded, their mixtures, and nats of the extents."""
        prior, places, params = self._net.residual, list[Tensor](), list[Tensor]()
        extent = prior.extent(blocks.detach())
        with torch.autocast(blocks.device.type, torch.bfloat16):
            maps = self._net.hidden_maps(body)
            own = torch.cat((self._told.step.expand(*maps.shape[:3], -1), maps), -1)
            h, base = prior.trunk(look_whole, FINE * blocks, extent, own)
            logits = prior.extents(h).float() / LOGIT_UNIT
            flat = [part.flatten(0, 2) for part in (h, FINE * blocks, extent, base)]
            each = torch.arange(prior.group, device=blocks.device)
            for group in range(prior.groups):
                there = torch.nonzero(flat[2][:, 0] > group)  # (n, 1) of the blocks
                h, z, reaches, base = (part[there[:, 0]] for part in flat)
                params.append(prior.head(group, h, prior.seen(z, group, reaches), base).flatten(0, 1))
                places.append((there * prior.latents + group * prior.group + each).flatten())
        nats = F.cross_entropy(logits.permute(0, 3, 1, 2), extent[..., 0].long(), reduction="sum")
        return torch.cat(places), _parts(torch.cat(params)), nats

    def _errors(self, body: Tensor, blocks: Tensor) -> Tensor:
        net, step = self._net, self._told.step.expand(*body.shape[:3], -1)
        mean = net.decoder.render(body.float())[..., :COLOURS]
        added = smooth_restored(blocks * self._told.widths)
        with torch.autocast(body.device.type, torch.bfloat16):
            mended = net.restoration(space_to_depth(mean, CELL), space_to_depth(added, CELL), body, step)
        error = mean + added + depth_to_space(mended.float(), CELL) - self._window
        whole = error.square().sum() + SMOOTH * SIDE**2 * averages(error, SIDE).square().sum()
        return self._told.nats_per_error * whole


def _parts(parameters: Tensor) -> Mixtures:
    logit, centre, scale = parameters.float().chunk(3, -1)
    return logit, centre, scale


def _kept(mixtures: Mixtures) -> Mixtures:
    logit, centre, scale = (part.detach() for part in mixtures)
    return logit, centre, scale


@torch.inference_mode(False)
@torch.enable_grad()
def refined(
    net: GridAgave, told: Told, x: Tensor, latents: Tensor, blocks: Tensor, steps: int, tick: Tick | None = None
) -> tuple[Tensor, Tensor]:
    """Latents (h, w, latents) and blocks (2 h, 2 w, 192), whole numbers of steps, that are worth more for their bits.

    net: frozen. x: (16 h, 16 w, 3) in [-128, 127]. steps: moves of many symbols at once, in each window of the picture.
    """
    net, latents, blocks = simulated_copy(net), latents.clone(), blocks.clone()
    told = Told(told.quality, told.widths.clone().float(), told.step.clone())
    random, places = torch.Generator().manual_seed(0), list(windows(latents.shape[0], latents.shape[1], WINDOW))
    ticks = counted(tick, steps * len(places))
    shares = told.widths / told.widths[-1]
    steepness = PRICE * shares.square()
    steepness[0] *= 1 + SMOOTH
    for place in places:
        here, there = place.of(latents)[None], place.of(blocks, PER_LATENT)[None]
        objective = _Objective(net, told, MEAN_UNIT * place.of(x, STRIDE)[None])
        curvatures = [curvature(partial(objective.errors, blocks=there), here, random), steepness]
        free = [place.free(here), place.free(there, PER_LATENT)]
        found = search(objective, [here, there], curvatures, free, steps, random, ticks)
        place.of(latents)[:], place.of(blocks, PER_LATENT)[:] = found[0][0], found[1][0]
    return latents, blocks
