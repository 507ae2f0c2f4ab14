"""Training of the pixel network of `photo` alone, given what an exported autoencoder says of whole pictures.

f(z) is that of the integers, as files will have it, computed once for each picture of a pool and cut with its pixels
into patches. A batch is five parts levels, two parts restored levels (near-lossless files) and one part pixels on
their way to drawn ones, of each of which the net is told (`GridAgave.told_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.data import Pixels, is_grey, read_rgb
from vlcodec.models.photo.net import GridAgave, GridShape
from vlcodec.models.photo.pools import PoolTask, decoded, random_part
from vlcodec.models.photo.training import measure
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.recipe import begin

BEYOND_9 = {"told": 1, "told_drawn": 128, "told_near": 32, "factors": 8}  # fields of the shape that older ones may lack
POOL, POOL_STEPS = 240, 1000  # pictures that patches are cut from, and steps until others take their places
LARGEST = 704  # side of the part of a picture that is taken
FINER = 0.25  # of the pictures have latents of any quality, the others the lowest one's, as most lossless files
RESTORED, DRAWN = 2 / 8, 1 / 8  # shares of a batch
USUAL, NEAR_MOST = 0.8, 12  # share of restored levels that are within one or two; the most levels of the others


class Seen(NamedTuple):
    """A picture of the pool: levels (H, W, 3) uint8 in the order G, R, B, and f(z) (H, W, 3 + features) int16."""

    levels: Tensor
    fz: Tensor


def seen_by(model: PhotoModel, pixels: Pixels, quality: int) -> Seen:
    """A picture (H, W, 3) as a model's files of a quality, counted from 0, have it."""
    picture = np.ascontiguousarray(pixels)[None]
    net = model.single(quality + 1)
    features = decoded(net, picture)
    fz = net.render(features, range(picture.shape[1]), picture.shape[2])
    return Seen((centred(picture)[0] + 128).to(torch.uint8), fz.to(torch.int16).cpu())


class PixelTask(PoolTask):
    """See models.train.Task."""

    terms: tuple[str, ...] = ("loss", "lossless", "near", "drawn")
    average = 0.9995
    pool_pictures, pool_steps = POOL, POOL_STEPS

    def __init__(
        self,
        net: GridAgave,
        pictures: Sequence[Path],
        validation: Sequence[Path],
        *,
        seed: int,
        device: torch.device,
        batch: int,
        patch: int,
    ) -> None:
        super().__init__(net, "pixels.", pictures, seed=seed, device=device, batch=batch)
        self.objective: Callable[..., dict[str, Tensor]] = self._objective
        self._held_out, self._patch = [read_rgb(p) for p in validation], patch
        self._restored = round(RESTORED * batch) if net.shape.told_near else 0
        self._drawn = round(DRAWN * batch) if net.shape.told else 0

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step: levels, f(z), whether they are grey, and noise (see `GridAgave.losses`)."""
        levels, fz = self.patches(step, self._patch, rng)
        set_mode(self.net, "simulated")
        return levels - 128, fz, is_grey(levels).float(), self._noise(rng)

    def _noise(self, rng: torch.Generator) -> Tensor:
        noise, restored, drawn = torch.zeros(self._batch), self._restored, self._drawn
        usual = torch.randint(1, 3, (restored,), generator=rng)
        near = torch.randint(1, NEAR_MOST + 1, (restored,), generator=rng)
        noise[:restored] = -torch.where(torch.rand(restored, generator=rng) < USUAL, usual, near).float()
        noise[restored : restored + drawn] = 1 - torch.rand(drawn, generator=rng)
        return noise.to(self._device)

    def seen(self, path: Path, rng: np.random.Generator) -> Seen:
        """A part of a picture, most have the latents of the lowest quality."""
        pixels = random_part(path, rng, self._patch, LARGEST)
        return seen_by(self._model, pixels, int(rng.integers(self.net.qualities)) if rng.random() < FINER else 0)

    def _objective(self, x: Tensor, fz: Tensor, grey: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """In bfloat16, which holds activations of 8 bits exactly."""
        with torch.autocast(self._device.type, torch.bfloat16):
            nats = self.net.noisy_pixel_nats(x, fz, grey, noise)
        kinds = {"lossless": noise == 0, "near": noise < 0, "drawn": noise > 0}
        means = {name: (nats * kind).sum() / kind.sum().clamp(min=1) for name, kind in kinds.items()}
        return {"loss": nats.mean(), **means}

    def measure(self) -> list[dict[str, float]]:
        """On the pictures that are held out, of what would be exported."""
        return measure(frozen_copy(self.net), self._held_out, self._device) if self._held_out else []


def train_pixels(
    pictures: Sequence[Path],
    out: Path,
    *,
    shape: GridShape,
    weights: dict[str, Tensor],
    steps: int | None,
    minutes: float | None = None,
    validation: Sequence[Path] = (),
    seed: int = 0,
    device: str = "cpu",
    batch: int = 8,
    patch: int = 96,
    rate: float = 8e-4,
    progress: Progress | None = None,
) -> GridAgave:
    """Train the pixel network of exported weights; the autoencoder stays as it is. See `training.train`.

    shape: of the net, whose pixel network may be told what that of the weights is not. The rate falls from the first
    step on, as befits a net that has been trained before.
    """
    on = torch.device(device)
    net = begin(lambda: GridAgave(shape), on, seed, None, weights)
    task = PixelTask(net, pictures, validation, seed=seed, device=on, batch=batch, patch=patch)
    lengths: dict[str, Any] = {"steps": steps, "minutes": minutes, "seed": seed, "rate": rate}
    run(task, out, device=on, progress=progress, on_gpu="replayed", decay_from=0.0, **lengths)
    return net
