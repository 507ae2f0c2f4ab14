"""The trained models in the package: stable numeric ids, digests, and loading with the golden vector checked.

Importing this module is instant; torch comes with `load`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from vlcodec.codec.errors import ModelError

if TYPE_CHECKING:
    import torch

    from vlcodec.models.photo import PhotoModel


@dataclass(frozen=True)
class Entry:
    """A named model. id: in every file's header, never reused."""

    name: str
    id: int
    qualities: int
    description: str

    @property
    def path(self) -> Path:
        """The exported weights."""
        return Path(__file__).with_name(f"{self.name}.safetensors")


ENTRIES = (Entry("photo", 1, 4, "photographs, RGB and grey, any size (AGAVE objective, local PixelCNN)"),)


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
def load(name: str, device: str) -> PhotoModel:
    """A frozen model on a device ("cpu", "cuda").

    Raises ModelError where the weights are missing or do not fit, and where the device does not reproduce the golden
    vector bit for bit.
    """
    import torch

    return load_file(by_name(name).path, torch.device(device))


def load_file(path: Path, device: torch.device, carrier: torch.dtype | None = None) -> PhotoModel:
    """A model from a file of exported weights, frozen in the layers' own carriers or a wider one, and checked."""
    from vlcodec.models.agave import Agave, Shape
    from vlcodec.models.export import freeze_from, golden_digest, read_weights
    from vlcodec.models.photo import PhotoModel

    tensors, metadata = read_weights(path)
    net = Agave(Shape()).to(device)
    freeze_from(net, tensors, carrier)
    model = PhotoModel(net, device)
    if golden_digest(model) != metadata.get("golden"):
        raise ModelError(f"device {device} does not reproduce the golden vector of {path.name}: it is refused")
    return model
