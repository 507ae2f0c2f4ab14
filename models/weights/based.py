"""Weights files that leave out what a released number holds: their metadata name it as their base.

So the qualities that digits have come with the nets of a model that had one, and weigh what they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vlcodec.codec.errors import ModelError
from vlcodec.models import registry
from vlcodec.models.registry import Entry

if TYPE_CHECKING:
    from torch import Tensor

BASE = "base"  # in the metadata: a number


def tensors_of(path: Path) -> dict[str, Tensor]:
    """All tensors of a weights file, those of its base among them. Raises ModelError where one of both is not there, or
    the base is not what its number names."""
    from vlcodec.models.weights.integers import read_tensors

    number = registry.metadata(path).get(BASE)
    return (_of_base(_numbered(number, path)) if number is not None else {}) | read_tensors(path)


def beyond(base: Entry, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the base does not hold. Raises ModelError for a base that is not released, or has what the tensors lack."""
    if base.number not in registry.RELEASED:
        raise ModelError(f"{base.file} is not released: weights are based on what stays")
    held = _of_base(base)
    if missing := held.keys() - tensors.keys():
        raise ModelError(f"{base.file} holds {min(missing)}, which weights that are based on it must have too")
    return {k: v for k, v in tensors.items() if k not in held or not v.equal(held[k])}


def _numbered(number: str, path: Path) -> Entry:
    if not (number.isdecimal() and int(number) in registry.RELEASED):
        raise ModelError(f"{path.name} is based on {number!r}, which is no released number")
    return registry.by_number(int(number))


def _of_base(base: Entry) -> dict[str, Tensor]:
    from vlcodec.models.weights.integers import read_tensors

    digest = hashlib.sha256(base.path.read_bytes()).hexdigest()
    if digest != base.sha256:
        raise ModelError(f"{base.file} is not what number {base.number} names: its SHA-256 is {digest}")
    return read_tensors(base.path)
