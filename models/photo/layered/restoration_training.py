"""Training of the network that mends pictures in layers, given what an exported model makes of whole pictures.

Pictures are those of files: latents and residuals that are worth their bits, at random qualities, computed once for
each picture of a pool and cut into patches. What counts is the share of the squared error that is left, of pixels and
of averages over blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vlcodec.models.layers.causal_pixels import MEAN_UNIT, centred
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.resnet import depth_to_space, space_to_depth
from vlcodec.models.photo.data import Pixels
from vlcodec.models.photo.layered.codec import Layer, LayeredModel
from vlcodec.models.photo.layered.restoration import CELL
from vlcodec.models.photo.net import STRIDE, GridAgave, GridShape, averages
from vlcodec.models.photo.pools import PoolTask, decoded, random_part
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.recipe import begin

POOL, POOL_STEPS = 160, 2500  # pictures that patches are cut from, and steps until others take their places
LARGEST = 384  # side of the part of a picture that is taken
ROUNDED_FROM = 0.9  # share of the steps after which rounding is simulated
BLOCK = 8  # side of the averages
SMOOTH = 0.15  # weight of their errors
LEAST = 4.0, 0.3  # of the errors that what is left is a share of, pixels' and averages', in squares of 1/4 level
SHAPE: dict[str, Any] = {"restoration_channels": 64, "restoration_blocks": 5}


class Seen(NamedTuple):
    """A picture of the pool, int16, as cells of 4 x 4 pixels: levels, the latents' mean image, and the residual, each
    (h, w, 48) in 1/4 level; hidden maps (h, w, C); inputs that tell the step, (h, w, steps)."""

    levels: Tensor
    mean: Tensor
    added: Tensor
    body: Tensor
    step: Tensor


def seen_by(model: LayeredModel, pixels: Pixels, quality: float) -> Seen:
    """A picture (H, W, 3), sides multiples of 16, as a model's files of a quality have it."""
    picture = np.ascontiguousarray(pixels)[None]
    net = model.single(int(quality), int(100 * (quality % 1)))
    fz = decoded(net, picture)
    rows = range(picture.shape[1])
    added, mean = net.residual_of(net.lacking(picture, fz), rows), net.mean_of(fz, rows)
    cells = [space_to_depth(part.cpu(), CELL)[0] for part in (MEAN_UNIT * centred(picture), mean, added)]
    body = fz.body[0].cpu()
    return Seen(*(part.to(torch.int16) for part in (*cells, body, net.step_told.cpu().expand(*body.shape[:2], -1))))


class RestorationTask(PoolTask):
    """See models.train.Task."""

    terms: tuple[str, ...] = ("loss", "pixels", "averages")
    average = 0.999
    pool_pictures, pool_steps = POOL, POOL_STEPS

    def __init__(
        self,
        net: GridAgave,
        pictures: Sequence[Path],
        layers: Sequence[Layer],
        *,
        seed: int,
        device: torch.device,
        batch: int,
        patch: int,
    ) -> None:
        super().__init__(net, "restoration.", pictures, seed=seed, device=device, batch=batch)
        self.objective: Callable[..., dict[str, Tensor]] = self._objective
        self._side = patch // CELL
        self._layered = LayeredModel(self._model.net, device, 0.0, (), layers)

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step: patches of what a pool's pictures are seen as."""
        set_mode(self.net, "simulated" if step >= ROUNDED_FROM * steps else "training")
        return tuple(self.patches(step, self._side, rng))

    def seen(self, path: Path, rng: np.random.Generator) -> Seen:
        """A part of a picture at any quality."""
        pixels = random_part(path, rng, CELL * self._side, LARGEST)
        height, width = (max(1, side // STRIDE) * STRIDE for side in pixels.shape[:2])
        quality = 1 + rng.random() * (self._layered.qualities - 1)
        return seen_by(self._layered, pixels[:height, :width], quality)

    def _objective(self, levels: Tensor, mean: Tensor, added: Tensor, body: Tensor, step: Tensor) -> dict[str, Tensor]:
        """In bfloat16 until rounding is simulated."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.net.mode == "training"):
            more = self.net.restoration(mean, added, body, step)
        before = mean + added - levels
        pixels, smooth = share_left(before, before + more.float())
        return {"loss": pixels + SMOOTH * smooth, "pixels": pixels, "averages": smooth}

    def measure(self) -> list[dict[str, float]]:
        """Nothing: `benchmarks/rd.py` measures files."""
        return []


def share_left(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Of squared errors, of cells (N, h, w, 48) in 1/4 level: of pixels and of averages over blocks, means."""
    found = []
    for least, size in zip(LEAST, (1, BLOCK), strict=True):
        old, new = (averages(depth_to_space(e, CELL), size).square().mean((1, 2, 3)) for e in (before, after))
        found.append((new / old.clamp_min(least)).mean())
    return found[0], found[1]


def train_restoration(
    pictures: Sequence[Path],
    out: Path,
    *,
    shape: GridShape,
    layers: Sequence[Layer],
    weights: dict[str, Tensor],
    steps: int | None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    batch: int = 10,
    patch: int = 128,
    rate: float = 1e-3,
    progress: Progress | None = None,
) -> GridAgave:
    """Train the network that mends pictures of exported weights in layers; all else stays as it is. See
    `training.train`.

    shape: of the net, whose weights may lack this network's.
    """
    on = torch.device(device)
    net = begin(lambda: GridAgave(shape), on, seed, None, weights)
    task = RestorationTask(net, pictures, layers, seed=seed, device=on, batch=batch, patch=patch)
    lengths: dict[str, Any] = {"steps": steps, "minutes": minutes, "seed": seed, "rate": rate}
    run(task, out, device=on, progress=progress, on_gpu="replayed", **lengths)
    return net
