"""The trained models in the package: stable numeric ids, digests, and loading with the golden vector checked.

Importing this module is instant; torch comes with `load`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vlcodec.codec.errors import ModelError

if TYPE_CHECKING:
    from vlcodec.models.families import Model

Family = Literal["photo", "small", "binary"]


@dataclass(frozen=True)
class Entry:
    """A named model. id: in every file's header, never reused. side: of the pictures, where only one size is taken."""

    name: str
    id: int
    qualities: int
    description: str
    family: Family = "photo"
    side: int | None = None

    @property
    def lowest(self) -> int:
        """The lowest quality: 0 makes placeholders, of pictures of any size."""
        return 0 if self.side is None else 1

    @property
    def takes_archives(self) -> bool:
        """Whether many pictures go into one file."""
        return self.side is not None

    @property
    def path(self) -> Path:
        """The exported weights."""
        return Path(__file__).with_name("weights") / f"{self.name}.safetensors"


ENTRIES = (
    Entry("photo", 8, 4, "photographs, RGB and grey, any size (AGAVE objective, local PixelCNN)"),
    Entry("vlae-mnist", 2, 1, "black and white digits, 28x28 (VLAE, statically binarised MNIST)", "binary", 28),
    Entry("vlae-mnist-dynamic", 3, 1, "black and white digits, 28x28 (VLAE, dynamic MNIST)", "binary", 28),
    Entry("vlae-omniglot", 4, 1, "black and white letters, 28x28 (VLAE, a derived OMNIGLOT)", "binary", 28),
    Entry("vlae-caltech101", 5, 1, "black and white shapes, 28x28 (VLAE, Caltech-101 Silhouettes)", "binary", 28),
    Entry("agave-cifar10", 6, 1, "small pictures, 32x32, RGB and grey (AGAVE, CIFAR-10)", "small", 32),
)


def by_name(name: str) -> Entry:
    """Raises ModelError for a name that no model has."""
    for entry in ENTRIES:
        if entry.name == name:
            return entry
    raise ModelError(f"unknown model {name!r}: known are {', '.join(e.name for e in ENTRIES)}")


def by_id(number: int) -> Entry:
    """Raises ModelError for an id that no model has."""
    for entry in ENTRIES:
        if entry.id == number:
            return entry
    raise ModelError(f"the file needs model number {number}, which this vlcodec does not have")


@cache
def digest(name: str) -> bytes:
    """SHA-256 of a model's weights file; a .vlz holds its first two bytes. Raises ModelError where it is missing."""
    entry = by_name(name)
    try:
        return hashlib.sha256(entry.path.read_bytes()).digest()
    except OSError as error:
        raise ModelError(f"the weights of model {name} are missing: {error.strerror}") from None


@cache
def load(name: str, device: str) -> Model:
    """A frozen model on a device ("cpu", "cuda").

    Raises ModelError where the weights are missing or do not fit, and where the device does not reproduce the golden
    vector bit for bit.
    """
    import torch

    from vlcodec.models.weights.integers import load_file

    entry = by_name(name)
    return load_file(entry.path, entry.family, torch.device(device))
