"""Training of the residual's prior, given what an exported autoencoder makes of whole pictures.

Residuals and the decoder's hidden maps are those of the integers, as files will have them, computed once for each
picture of a pool at a random one of the qualities, and cut into patches. Each patch is quantised with a step of its
own.
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

from vlcodec.codec.errors import ImageError
from vlcodec.models.layers.activations import UNIT
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, centred
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mixture import FINE, nats
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.data import Pixels
from vlcodec.models.photo.net import STRIDE, GridAgave, GridShape
from vlcodec.models.photo.pools import patches, random_part
from vlcodec.models.photo.residual import SIDE, STEP_UNIT, coefficients, steps_of
from vlcodec.models.photo.training import optimisers_of
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.recipe import begin

POOL, POOL_STEPS = 160, 2500  # pictures that patches are cut from, and steps until others take their places
LARGEST = 512  # side of the part of a picture that is taken
ROUNDED_FROM = 0.9  # share of the steps after which rounding is simulated
NEAREST, DEAD = 0.5, 0.33  # what is added before a size is rounded down: a random value between these
CLAMPED = 127
BASES = 3  # qualities of the latents, at most, that files in layers have
SHAPE: dict[str, Any] = {
    "residual_steps": [2896, 2048, 1448, 1024, 724, 512, 362, 256, 181],
    "residual_channels": 96,
    "residual_depth": 3,
    "residual_hidden": 64,
}
LAYERS = [  # base, first and last step, see `layered.Layer`
    [0, 0, 100],
    *([1, first, last] for first, last in pairwise((50, 240, 400, 520, 620, 710, 800, 800))),
]


class Seen(NamedTuple):
    """A picture of the pool: hidden maps (h, w, C) int16, and coefficients (h, w, 192) int32 in 1/16 level."""

    maps: Tensor
    values: Tensor


def seen_by(model: PhotoModel, pixels: Pixels, quality: int) -> Seen:
    """A picture (H, W, 3), sides multiples of 16, as a model's files of a quality, counted from 0, have it."""
    picture = np.ascontiguousarray(pixels)[None]
    net, (height, width) = model.single(quality + 1), picture.shape[1:3]
    u = np.zeros(net.shape(1, height, width), np.int64)
    features = net.features(net.rounded(net.centres(picture), u), u)
    mean = net.render(features, range(height), width)[None, ..., :COLOURS]
    residual = MEAN_UNIT * centred(picture) - mean.cpu()
    return Seen(net.net.hidden_maps(features.body)[0].to(torch.int16).cpu(), coefficients(residual)[0].round().int())


class ResidualTask:
    """See models.train.Task. The pool is a function of the seed and of the step."""

    terms: tuple[str, ...] = ("loss", "bits")
    average = 0.999

    def __init__(
        self,
        net: GridAgave,
        pictures: Sequence[Path],
        *,
        seed: int,
        device: torch.device,
        batch: int,
        patch: int,
    ) -> None:
        self.net, self.exported = net, True
        self.objective: Callable[..., dict[str, Tensor]] = self._objective
        self._pictures = pictures
        self._model = PhotoModel(frozen_copy(net), device, 0.0, ())
        self._seed, self._device, self._batch, self._side = seed, device, batch, patch // SIDE
        self._number, self._pool = -1, list[Seen]()
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith("residual."))

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Muon for the hidden layers; Adam for the others, with a share of the rate for each layer."""
        return optimisers_of(self.net, rate, self._device)

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step: maps and symbols of patches, and their levels of steps."""
        if step // POOL_STEPS != self._number:
            self._number = step // POOL_STEPS
            self._pool = self._made(np.random.default_rng([self._seed, self._number]))
        exact = step >= ROUNDED_FROM * steps
        set_mode(self.net, "simulated" if exact else "training")
        maps, values = (part.float().to(self._device) for part in patches(self._pool, self._batch, self._side, rng))
        level = torch.rand(self._batch, generator=rng) * (len(self.net.shape.residual_steps) - 1)
        added = DEAD + (NEAREST - DEAD) * torch.rand(self._batch, generator=rng)
        return maps, values, level.to(self._device), added.to(self._device), exact

    def _made(self, rng: np.random.Generator) -> list[Seen]:
        """A pool of random pictures, most of them widened, some of them mirrored or transposed."""
        found = list[Seen]()
        for i in rng.permutation(len(self._pictures))[:POOL]:
            pixels = random_part(self._pictures[i], rng, SIDE * self._side, LARGEST)
            height, width = (side // STRIDE * STRIDE for side in pixels.shape[:2])
            if min(height, width) >= SIDE * self._side:
                found.append(seen_by(self._model, pixels[:height, :width], int(rng.integers(BASES))))
        if not found:
            raise ImageError(f"no picture is as large as a patch, {SIDE * self._side} x {SIDE * self._side}")
        return found

    def _objective(self, maps: Tensor, values: Tensor, level: Tensor, added: Tensor, exact: bool) -> dict[str, Tensor]:
        """In bfloat16 until rounding is simulated."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=not exact):
            cost = residual_nats(self.net, maps, values, level, added)
        return {"loss": cost.mean(), "bits": cost.mean() / np.log(2)}

    def finish(self) -> None:
        """Nothing: rounding was part of the training."""

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
    widths = step[:, None, None, None] * steps_of(STEP_UNIT).to(values) / STEP_UNIT
    k = (values.abs() / widths + added[:, None, None, None]).floor() * values.sign()
    k = k.clamp(-CLAMPED, CLAMPED)
    flags = (UNIT * torch.lerp(one.float(), following.float(), share)).round()
    own = torch.cat((flags[:, None, None].expand(*k.shape[:3], -1), maps), -1)
    logit, offset, scale = prior(look_whole, FINE * k, own).chunk(3, -1)
    return nats(logit, offset, scale, k).sum((1, 2, 3)) / (k.shape[1] * k.shape[2] * SIDE**2)


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
