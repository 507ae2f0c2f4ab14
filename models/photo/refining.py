"""Latents of one picture that are worth their bits, found by gradients: what an encoder's single pass leaves undone.

The encoder foretells latents for all pictures alike; the symbols that serve this one best are a search away (cf. Campos
et al. 2019, "Content adaptive optimization for neural image compression"). All are steps: a symbol that moves by one
changes the objective by its gradient, by half its curvature, and by what the prior then asks for it. Curvatures differ
by channel, and are measured on the picture. Of the moves that promise something a random share is made, as moves beside
each other get in each other's way; what does not lower the objective is undone, and the share halved.

The objective is the one that the autoencoder was trained with, less the pixels: `net.GridAgave.objective`. Where pixels
are to be coded, it is what these and the latents take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vlcodec.codec.interface import Tick
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, PixelDecoder
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mixture import FINE, nats
from vlcodec.models.layers.objective import Agave
from vlcodec.models.layers.probe import simulated_copy
from vlcodec.models.photo.net import NEAR, STRIDE, GridAgave, smooth_error

SHARE, MOST, GROWTH = 0.25, 0.6, 1.2  # of the moves that promise something, made at first, at most, after a success
DRAWS = 2  # of signs by which curvatures are measured
LEAST_CURVATURE = 1.5  # nats that a move costs beside its gradient and bits, at least
SIDE, CODED_SIDE = 64, 32  # of a window, in latents, that are refined at a time, the latter where pixels are coded
MARGIN = 4  # latents that are seen around it
Mixtures = tuple[Tensor, Tensor, Tensor]  # logits, centres and scales, (1, h, w, latents, K)
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


@dataclass(frozen=True)
class _Found:
    """Latents, and what is known of them. total: the objective, in nats. gradient: but for their own bits."""

    k: Tensor
    total: float
    gradient: Tensor
    mixtures: Mixtures


class _Objective:
    """Of latents k (1, h, w, latents), in whole steps, for a window of a picture (1, H, W, 3) in [-128, 127]."""

    def __init__(self, net: GridAgave, quality: int, window: Tensor, remaining: Remaining) -> None:
        self._net, self._quality, self._remaining = net, quality, remaining
        self._own = net.prior.own(quality, window[:, :1, :1])

    def _smooth(self, k: Tensor) -> tuple[Tensor, Mixtures]:
        """What remains to be paid given f(z), in nats, and the latents' mixtures."""
        net, split = self._net, [(self._quality, 1)]
        with torch.autocast(k.device.type, torch.bfloat16):
            logit, centre, scale = net.prior(look_whole, FINE * k, self._own).float().chunk(3, -1)
            fz = net.decoder.render(net.decoder.body(FINE * k, split))
            return self._remaining(fz), (logit, centre, scale)

    def __call__(self, k: Tensor) -> _Found:
        at = k.clone().requires_grad_(True)
        errors, mixtures = self._smooth(at)
        total = errors + _cost(mixtures, k).sum()
        (gradient,) = torch.autograd.grad(total, at)
        logit, centre, scale = (part.detach() for part in mixtures)
        return _Found(k, float(total.detach()), gradient, (logit, centre, scale))

    def curvature(self, k: Tensor, random: torch.Generator) -> Tensor:
        """(latents,) half the second derivative of the errors, by channel (Hutchinson's estimator)."""
        total = torch.zeros_like(k[0, 0, 0])
        for _ in range(DRAWS):
            signs = (2 * torch.randint(0, 2, k.shape, generator=random) - 1).to(k)
            slopes = [torch.autograd.grad(self._smooth(at)[0], at)[0] for at in _beside(k, signs)]
            total += ((slopes[1] - slopes[0]) * signs).mean((0, 1, 2)) / (2 * DRAWS)
        return total.clamp_min(LEAST_CURVATURE)


def _beside(k: Tensor, signs: Tensor) -> Iterator[Tensor]:
    for side in (-0.5, 0.5):
        yield (k + side * signs).requires_grad_(True)


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
    places = [(r, c) for r in range(0, k.shape[0], side) for c in range(0, k.shape[1], side)]
    for done, (r, c) in enumerate(places):
        rows, columns = (slice(max(at - MARGIN, 0), at + side + MARGIN) for at in (r, c))
        here = k[rows, columns]
        free = torch.zeros_like(here[None])
        free[:, r - rows.start :, c - columns.start :][:, :side, :side] = 1
        window = seen[STRIDE * rows.start : STRIDE * rows.stop, STRIDE * columns.start : STRIDE * columns.stop][None]
        objective, share = _Objective(net, quality, window, remaining(window)), SHARE
        found, curvature = objective(here[None]), objective.curvature(here[None], random)
        for step in range(steps):
            tried = objective(_moved(found, curvature, share * free, random))
            if tried.total < found.total:
                found, share = tried, min(GROWTH * share, MOST)
            else:
                share /= 2
            if tick is not None:
                tick(done * steps + step + 1, len(places) * steps)
        k[rows, columns] = found.k[0]
    return k


def _moved(found: _Found, curvature: Tensor, share: Tensor, random: torch.Generator) -> Tensor:
    """Latents of which a share has moved by a step, where that promises something. share: (1, h, w, latents)."""
    k, now = found.k, _cost(found.mixtures, found.k)
    up, down = (side * found.gradient + curvature + _cost(found.mixtures, k + side) - now for side in (1, -1))
    chosen = (torch.minimum(up, down) < 0) & (torch.rand(k.shape, generator=random).to(k) < share)
    return torch.where(chosen, torch.where(up < down, k + 1, k - 1), k).clamp(-NEAR, NEAR)


def _cost(mixtures: Mixtures, k: Tensor) -> Tensor:
    """Nats that the prior asks for latents."""
    logit, centre, scale = mixtures
    return nats(logit, centre, scale, k.clamp(-NEAR, NEAR))
