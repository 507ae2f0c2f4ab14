"""CIFAR-10: 50,000 pictures to learn from, of which the last 1,000 are held out, and 10,000 to be measured on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.errors import ImageError
from vlcodec.codec.interface import Bytes
from vlcodec.models.layers.causal_pixels import ORDER

FILE = "cifar10.npz"
# of the training and the test pictures, one after the other
SHA256 = "0ac3ab5c78edb36ac68f69e287fd8f957b2d4f820b80e5fa9bd05c810fc0d95d"
HELD_OUT = 1000


@dataclass(frozen=True)
class Cifar10:
    """(N, 32, 32, 3) uint8 RGB each."""

    train: Bytes
    valid: Bytes
    test: Bytes


def drawn(pictures: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """(count, 32, 32, 3) as `centred` gives it, of pictures (N, 32, 32, 3) uint8 RGB on a device, drawn with
    replacement, every other one mirrored."""
    chosen = torch.randint(len(pictures), (count,), generator=rng)
    mirrored = torch.rand(count, generator=rng) < 0.5
    chosen, mirrored = (t.to(pictures.device, non_blocking=True) for t in (chosen, mirrored))
    x = pictures[chosen][..., ORDER].float() - 128
    return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(2), x)


def load_cifar10(folder: Path) -> Cifar10:
    """The set at cifar10.npz in a folder. Raises ImageError where it is missing, or is another one."""
    try:
        with np.load(folder / FILE) as file:
            train, test = file["train_images"], file["test_images"]
    except (OSError, KeyError, ValueError) as error:
        raise ImageError(f"CIFAR-10 must be at {FILE} in the data folder: {error}") from None
    digest = hashlib.sha256(train.tobytes() + test.tobytes()).hexdigest()
    if digest != SHA256:
        raise ImageError(f"{FILE} is not the set that models are measured on: its SHA-256 is {digest}")
    return Cifar10(train[:-HELD_OUT], train[-HELD_OUT:], test)
