"""Training of the residual's prior, given what an exported autoencoder makes of whole pictures.

Residuals and the decoder's hidden maps are those of the integers, as files will have them, computed once for each
picture of a pool, and cut into patches. Each patch is quantised with a step of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vlcodec.models.layers.activations import UNIT
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, centred
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mixture import FINE, LOGIT_UNIT, nats
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.data import Pixels
from vlcodec.models.photo.layered.residual import SIDE, coefficients, steps_of
from vlcodec.models.photo.net import STRIDE, GridAgave, GridShape
from vlcodec.models.photo.pools import PoolTask, decoded, random_part
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.recipe import begin

POOL, POOL_STEPS = 160, 2500  # pictures that patches are cut from, and steps until others take their places
LARGEST = 512  # side of the part of a picture that is taken
ROUNDED_FROM = 0.9  # share of the steps after which rounding is simulated
NEAREST, DEAD = 0.5, 0.33  # what is added before a size is rounded down: a random value between these
CLAMPED = 127
SHAPE: dict[str, Any] = {
    "residual_steps": [2896, 2048, 1448, 1024, 724, 512, 362, 256, 181],
    "residual_channels": 96,
    "residual_depth": 3,
    "residual_hidden": 64,
}
FIRST_STEPS = 0, 130, 215, 305, 395, 485, 580, 685, 800, 800  # of each quality, and where the last one ends
LAYERS = [[0, first, last] for first, last in pairwise(FIRST_STEPS)]  # base, first and last step, see `codec.Layer`


class Seen(NamedTuple):
    """A picture of the pool: hidden maps (h, w, C) int16, and coefficients (h, w, 192) int32 in 1/16 level."""

    maps: Tensor
    values: Tensor


def seen_by(model: PhotoModel, pixels: Pixels) -> Seen:
    """A picture (H, W, 3), sides multiples of 16, as a model's files in layers have it: over the first quality."""
    picture = np.ascontiguousarray(pixels)[None]
    net = model.single(1)
    features = decoded(net, picture)
    mean = net.render(features, range(picture.shape[1]), picture.shape[2])[None, ..., :COLOURS]
    residual = MEAN_UNIT * centred(picture) - mean.cpu()
    return Seen(net.net.hidden_maps(features.body)[0].to(torch.int16).cpu(), coefficients(residual)[0].round().int())


class ResidualTask(PoolTask):
    """See models.train.Task."""

    terms: tuple[str, ...] = ("loss", "bits")
    average = 0.999
    pool_pictures, pool_steps = POOL, POOL_STEPS

    def __init__(
        self, net: GridAgave, pictures: Sequence[Path], *, seed: int, device: torch.device, batch: int, patch: int
    ) -> None:
        super().__init__(net, "residual.", pictures, seed=seed, device=device, batch=batch)
        self.objective: Callable[..., dict[str, Tensor]] = self._objective
        self._side = patch // SIDE

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step: maps and values of patches, their levels of steps, and how they are rounded."""
        maps, values = self.patches(step, self._side, rng)
        exact = step >= ROUNDED_FROM * steps
        set_mode(self.net, "simulated" if exact else "training")
        level = torch.rand(self._batch, generator=rng) * (len(self.net.shape.residual_steps) - 1)
        added = DEAD + (NEAREST - DEAD) * torch.rand(self._batch, generator=rng)
        return maps, values, level.to(self._device), added.to(self._device), exact

    def seen(self, path: Path, rng: np.random.Generator) -> Seen:
        """A part of a picture, with latents of the first quality, as files in layers have them."""
        pixels = random_part(path, rng, SIDE * self._side, LARGEST)
        height, width = (max(1, side // STRIDE) * STRIDE for side in pixels.shape[:2])
        return seen_by(self._model, pixels[:height, :width])

    def _objective(self, maps: Tensor, values: Tensor, level: Tensor, added: Tensor, exact: bool) -> dict[str, Tensor]:
        """In bfloat16 until rounding is simulated."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=not exact):
            cost = residual_nats(self.net, maps, values, level, added)
        return {"loss": cost.mean(), "bits": cost.mean() / np.log(2)}

    def measure(self) -> list[dict[str, float]]:
        """Nothing: `benchmarks/rd.py` measures files."""
        return []


def residual_nats(net: GridAgave, maps: Tensor, values: Tensor, level: Tensor, added: Tensor) -> Tensor:
    """(N,) nats per pixel of coefficients (N, h, w, 192) that are quantised, maps (N, h, w, C) beside them; level (N,)
    of the step, added (N,) before a size is rounded down."""
    prior, steps = net.residual, values.new_tensor(net.shape.residual_steps)
    below = level.long().clamp(max=len(steps) - 2)
    share = (level - below)[:, None]
    one, following = F.one_hot(below, len(steps)), F.one_hot(below + 1, len(steps))
    step = torch.exp(torch.lerp(steps[below].log(), steps[below + 1].log(), share[:, 0]))
    widths = steps_of(step.round().long().cpu()).to(values)[:, None, None]
    k = (values.abs() / widths + added[:, None, None, None]).floor() * values.sign()
    k = k.clamp(-CLAMPED, CLAMPED)
    flags = (UNIT * torch.lerp(one.float(), following.float(), share)).round()
    own = torch.cat((flags[:, None, None].expand(*k.shape[:3], -1), maps), -1)
    extent = prior.extent(k)
    parameters, extents = prior(look_whole, FINE * k, extent, own)
    within = torch.arange(prior.latents, device=k.device) < prior.group * extent
    logit, offset, scale = parameters.chunk(3, -1)
    found = (nats(logit, offset, scale, k) * within).sum(-1)
    found += F.cross_entropy((extents / LOGIT_UNIT).permute(0, 3, 1, 2), extent[..., 0].long(), reduction="none")
    return found.mean((1, 2)) / SIDE**2


def train_residual(
    pictures: Sequence[Path],
    out: Path,
    *,
    shape: GridShape,
    weights: dict[str, Tensor],
    steps: int | None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    batch: int = 12,
    patch: int = 96,
    rate: float = 1.2e-3,
    progress: Progress | None = None,
) -> GridAgave:
    """Train the residual's prior of exported weights; all else stays as it is. See `training.train`.

    shape: of the net, whose weights may lack the residual's.
    """
    on = torch.device(device)
    net = begin(lambda: GridAgave(shape), on, seed, None, weights)
    task = ResidualTask(net, pictures, seed=seed, device=on, batch=batch, patch=patch)
    lengths: dict[str, Any] = {"steps": steps, "minutes": minutes, "seed": seed, "rate": rate}
    run(task, out, device=on, progress=progress, on_gpu="replayed", **lengths)
    return net
