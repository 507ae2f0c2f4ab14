"""What the DVAE++ models are trained on: two binary sets, and CIFAR-10; kept on the device that trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.errors import ImageError
from vlcodec.codec.interface import Bytes
from vlcodec.models.agave.data import FILE, HELD_OUT
from vlcodec.models.layers.causal_pixels import COLOURS, ORDER
from vlcodec.models.vlae.data import load_binary

SETS = {"dvaepp-mnist": "vlae-mnist", "dvaepp-caltech101": "vlae-caltech101"}
MOVED = 2  # pixels by which silhouettes are moved in training, at most, along each side


@dataclass(frozen=True)
class Pictures:
    """train, valid: (N, side, side, C) uint8, bits or R, G, B. moved: by how many pixels training moves them at most;
    mirrored: whether every other one is turned around."""

    train: Tensor
    valid: Tensor
    moved: int
    mirrored: bool

    def to(self, device: torch.device) -> Pictures:
        """On a device."""
        return Pictures(self.train.to(device), self.valid.to(device), self.moved, self.mirrored)

    def batch(self, count: int, rng: torch.Generator) -> Tensor:
        """(count, side, side, C) float as `real` has it, drawn with replacement."""
        device, side = self.train.device, self.train.shape[1]
        chosen = torch.randint(len(self.train), (count,), generator=rng).to(device)
        x = self.train[chosen]
        if self.mirrored:
            turned = (torch.rand(count, generator=rng) < 0.5).to(device)
            x = torch.where(turned.view(-1, 1, 1, 1), x.flip(2), x)
        if self.moved:
            by = torch.randint(-self.moved, self.moved + 1, (2, count, 1), generator=rng).to(device)
            rows, columns = (torch.arange(side, device=device) + by).clamp(0, side - 1)
            x = x[torch.arange(count, device=device)[:, None, None], rows[:, :, None], columns[:, None, :]]
        return real(x)

    def validation(self, count: int, at_once: int) -> Iterator[Tensor]:
        """So many pictures of the validation set, evenly spread, in batches."""
        for part in self.valid[:: -(-len(self.valid) // count)].split(at_once):
            yield real(part)


def real(x: Tensor) -> Tensor:
    """uint8 -> float: bits as they are, colours as G, R, B in [-128, 127]."""
    return x.float() if x.shape[-1] == 1 else x[..., ORDER].float() - 128


def load_pictures(model: str, folder: Path) -> Pictures:
    """The set that a model is trained on. Raises ImageError where its file is missing, or is another one."""
    if model in SETS:
        found = load_binary(SETS[model], folder)
        train, valid = (torch.from_numpy(part)[..., None] for part in (found.train, found.valid))
        shapes = model == "dvaepp-caltech101"
        return Pictures(train, valid, MOVED if shapes else 0, shapes)
    pictures = torch.from_numpy(load_colours(folder))
    return Pictures(pictures[:-HELD_OUT], pictures[-HELD_OUT:], 0, True)


def load_colours(folder: Path) -> Bytes:
    """The training pictures of cifar10.npz (N, 32, 32, 3), all or the first of them. Raises ImageError."""
    try:
        with np.load(folder / FILE) as file:
            pictures: Bytes = file["train_images"]
    except (OSError, KeyError, ValueError) as error:
        raise ImageError(f"CIFAR-10 must be at {FILE} in the data folder: {error}") from None
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (32, 32, COLOURS) or len(pictures) <= HELD_OUT:
        raise ImageError(f"{FILE} must hold more than {HELD_OUT} training pictures of 32x32, as uint8")
    return pictures
