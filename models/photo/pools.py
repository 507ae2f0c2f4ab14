"""Pools of pictures, with what a trained model makes of each, and patches that are cut out of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.errors import ImageError
from vlcodec.codec.interface import Bytes
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.photo.codec import Features, PhotoLatents, PhotoModel
from vlcodec.models.photo.data import Pixels, read_rgb, widen
from vlcodec.models.photo.net import GridAgave
from vlcodec.models.photo.training import optimisers_of

WIDENED = 0.75  # of the pictures
Maps = Sequence[Tensor]  # (H, W, C) each, of one picture


class PoolTask(ABC):
    """What tasks share that train a part of an exported net by a pool: see models.train.Task.

    The pool is a function of the seed and of the step.
    """

    exported = True
    pool_pictures: int  # of a pool, at most
    pool_steps: int  # until others take their places

    def __init__(
        self, net: GridAgave, part: str, pictures: Sequence[Path], *, seed: int, device: torch.device, batch: int
    ) -> None:
        self.net, self._pictures = net, pictures
        self._model = PhotoModel(frozen_copy(net), device, 0.0, ())
        self._seed, self._device, self._batch = seed, device, batch
        self._number, self._pool = -1, list[Maps]()
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith(part))

    @abstractmethod
    def seen(self, path: Path, rng: np.random.Generator) -> Maps:
        """A random part of a picture, with what the model makes of it."""

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Muon for the hidden layers; Adam for the others, with a share of the rate for each layer."""
        return optimisers_of(self.net, rate, self._device)

    def patches(self, step: int, side: int, rng: torch.Generator) -> list[Tensor]:
        """Random patches of a step, float: see `patches`. Raises ImageError where no picture is as large."""
        if step // self.pool_steps != self._number:
            self._number = step // self.pool_steps
            random = np.random.default_rng([self._seed, self._number])
            chosen = random.permutation(len(self._pictures))[: self.pool_pictures]
            found = [self.seen(self._pictures[i], random) for i in chosen]
            self._pool = [maps for maps in found if min(maps[0].shape[:2]) >= side]
            if not self._pool:
                raise ImageError(f"no picture is as large as a patch, {side} x {side}")
        return [part.float().to(self._device) for part in patches(self._pool, self._batch, side, rng)]

    def finish(self) -> None:  # noqa: B027 (subclasses have nothing to add)
        """Nothing: rounding was part of the training."""


def random_part(path: Path, rng: np.random.Generator, smallest: int, largest: int) -> Pixels:
    """(H, W, 3) uint8: a picture, perhaps widened, mirrored or transposed; at most so many rows and columns of it."""
    pixels = read_rgb(path)
    pixels = widen(pixels, rng, smallest) if rng.random() < WIDENED else pixels
    pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    pixels = pixels.transpose(1, 0, 2) if rng.random() < 0.5 else pixels
    top, left = (int(rng.integers(max(1, side - largest + 1))) for side in pixels.shape[:2])
    return pixels[top : top + largest, left : left + largest]


def decoded(net: PhotoLatents, picture: Bytes) -> Features:
    """f(z) of a picture (1, H, W, 3), as files of a net have it."""
    u = np.zeros(net.shape(1, *picture.shape[1:3]), np.int64)
    return net.features(net.rounded(net.centres(picture), u), u)


def patches(pool: Sequence[Maps], count: int, side: int, rng: torch.Generator) -> list[Tensor]:
    """Random patches (count, side, side, C) of each of a picture's maps (H, W, C), every position about as often."""
    areas = torch.tensor([maps[0].shape[0] * maps[0].shape[1] for maps in pool], dtype=torch.float64)
    chosen = torch.multinomial(areas, count, True, generator=rng).tolist()
    return [torch.stack(parts) for parts in zip(*(cut(pool[i], side, rng) for i in chosen), strict=True)]


def cut(maps: Maps, side: int, rng: torch.Generator) -> list[Tensor]:
    """A random patch, side x side, of maps (H, W, C) of one picture."""
    top, left = (int(torch.randint(0, whole - side + 1, (), generator=rng)) for whole in maps[0].shape[:2])
    return [each[top : top + side, left : left + side] for each in maps]
