"""Latents of one picture, searched for: see `search`.

The objective is the one that the autoencoder was trained with, less the pixels: `net.GridAgave.objective`. Where pixels
are to be coded, it is what these and the latents take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vlcodec.codec.interface import Tick
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, PixelDecoder
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mixture import FINE
from vlcodec.models.layers.objective import Agave
from vlcodec.models.layers.probe import simulated_copy
from vlcodec.models.photo.net import STRIDE, GridAgave, smooth_error
from vlcodec.models.photo.search import Found, Grid, Mixtures, cost, counted, curvature, search, windows

SIDE, CODED_SIDE = 64, 32  # of a window, in latents, that are refined at a time, the latter where pixels are coded
Remaining = Callable[[Tensor], Tensor]  # from f(z) to what remains to be paid, in nats


@dataclass(frozen=True)
class Coded:
    """Pixels that are to be coded: what their network, which is frozen, is given, and what its symbols mean.

    x: (16 h, 16 w, 3) in [-128, 127], as bands will have them. grey: whether one channel is coded alone. width: of the
    symbols' cells, in levels.
    """

    decoder: PixelDecoder
    x: Tensor
    grey: bool
    width: int


class _Objective:
    """Of latents k (1, h, w, latents), in whole steps, for a window of a picture (1, H, W, 3) in [-128, 127]."""

    def __init__(self, net: GridAgave, quality: int, window: Tensor, remaining: Remaining) -> None:
        self._net, self._quality, self._remaining = net, quality, remaining
        self._own = net.prior.own(quality, window[:, :1, :1])

    def _smooth(self, k: Tensor) -> tuple[Tensor, Mixtures]:
        """What remains to be paid given f(z), in nats, and the latents' mixtures."""
        net, split = self._net, [(self._quality, 1)]
        with torch.autocast(k.device.type, torch.bfloat16):
            logit, centre, scale = net.prior(look_whole, FINE * k, self._own).float().flatten(0, -2).chunk(3, -1)
            fz = net.decoder.render(net.decoder.body(FINE * k, split))
            return self._remaining(fz), (logit, centre, scale)

    def __call__(self, grids: Sequence[Tensor]) -> Found:
        (k,) = grids
        at = k.clone().requires_grad_(True)
        errors, mixtures = self._smooth(at)
        total = errors + cost(mixtures, k.reshape(-1)).sum()
        (gradient,) = torch.autograd.grad(total, at)
        logit, centre, scale = (part.detach() for part in mixtures)
        return Found(float(total.detach()), (Grid(k, gradient, (logit, centre, scale)),))

    def errors(self, k: Tensor) -> Tensor:
        """What remains to be paid given f(z), in nats."""
        return self._smooth(k)[0]


def _errors(net: GridAgave, quality: int, x: Tensor) -> Remaining:
    """Of the mean image of a window x."""
    sigma, weight = net.shape.aux_sigma[quality], net.shape.kl_weight[quality]
    nats_per_error = COLOURS * x.shape[1] * x.shape[2] / (2 * sigma**2 * weight)

    def remaining(fz: Tensor) -> Tensor:
        error = fz[..., :COLOURS].float() / MEAN_UNIT - x
        return nats_per_error * (error.square().mean() + smooth_error(error).mean())

    return remaining


def _pixels(net: Agave, coded: Coded, x: Tensor) -> Remaining:
    """Of the pixels of a window x. net: of their network, simulated."""
    grey = torch.full((1,), float(coded.grey), device=x.device)
    return lambda fz: net.pixel_nats(x, fz, grey, width=float(coded.width)).sum() * x.shape[1] * x.shape[2]


@torch.inference_mode(False)
@torch.enable_grad()
def refined(
    net: GridAgave,
    quality: int,
    x: Tensor,
    k: Tensor,
    steps: int,
    tick: Tick | None = None,
    coded: Coded | None = None,
) -> Tensor:
    """Latents (h, w, latents), whole numbers of steps, that are worth more for their bits than k.

    net: frozen. x: (16 h, 16 w, 3) in [-128, 127]. steps: moves of many latents at once, in each window of the picture.
    coded: the pixels that come after them.
    """
    net, seen, side = simulated_copy(net), x, SIDE
    remaining = partial(_errors, net, quality)
    if coded is not None:
        pixels, seen, side = Agave(), coded.x, CODED_SIDE
        pixels.pixels = simulated_copy(coded.decoder)
        remaining = partial(_pixels, pixels, coded)
    k, random = k.clone(), torch.Generator().manual_seed(0)
    places = list(windows(k.shape[0], k.shape[1], side))
    ticks = counted(tick, steps * len(places))
    for place in places:
        here, window = place.of(k)[None], place.of(seen, STRIDE)[None]
        objective = _Objective(net, quality, window, remaining(window))
        curvatures = [curvature(objective.errors, here, random)]
        place.of(k)[:] = search(objective, [here], curvatures, [place.free(here)], steps, random, ticks)[0][0]
    return k
