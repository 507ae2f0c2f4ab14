"""Models from weights files, and weights files from trained nets: the one file that reaches a family.

A file's metadata name the model and its family, and hold the config, that is all that shapes what the net computes, and
the golden vector: the SHA-256 of all that the integer model puts out for fixed pictures. A device that gives another
digest is refused. Torch comes with the work.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from vlcodec.codec.errors import BoundError, ModelError
from vlcodec.models import checks, registry
from vlcodec.models.family import Config, Family, Init, Takes
from vlcodec.models.registry import Entry
from vlcodec.models.weights.based import BASE, beyond, tensors_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vlcodec.codec.interface import Bytes, Ints, Model

FRONT = "-front"  # of a golden vector, in the record of checks
CARRIERS = ("float32", "float64", "int8")
VARIABLE = "VLCODEC_CARRIER"  # forces one of them
_HALF = dict[tuple[Entry, str], str]()  # carriers of models of whose golden vector the front alone is checked


def family(package: str) -> Family:
    """The family of a package. Raises ModelError where there is none."""
    if package not in {entry.family for entry in registry.ENTRIES}:
        raise ModelError(f"no family {package!r} is known to this vlcodec")
    found: Family = import_module(f"{package}.family").FAMILY
    return found


def config_of(path: Path) -> Config:
    """What shapes the net of a weights file. Raises ModelError where it does not say."""
    try:
        found: Config = json.loads(registry.metadata(path)["config"])
        return found
    except (KeyError, ValueError) as error:
        raise ModelError(f"the weights {path.name} have no config: {error}") from None


@contextmanager
def _of_config(path: Path) -> Iterator[None]:
    """What asks a config for more than it says, or is told more than it knows, is a ModelError."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError(f"the config of {path.name} does not fit its family: {error}") from None


def takes(entry: Entry) -> Takes:
    """What pictures a model takes."""
    with _of_config(entry.path):
        return family(entry.family).takes(config_of(entry.path))


def qualities(entry: Entry) -> int:
    """How many qualities a model has, counted from 1."""
    with _of_config(entry.path):
        return family(entry.family).qualities(config_of(entry.path))


def golden_pictures(entry: Entry) -> Bytes:
    """(n, H, W, C) uint8, of the kind that a model takes."""
    with _of_config(entry.path):
        return family(entry.family).golden_pictures(config_of(entry.path))


@cache
def load(entry: Entry, device: str) -> Model:
    """A frozen model on a device ("cpu", "cuda"), which encodes: of its golden vector the front is enough, where known.

    Raises ModelError where the weights are missing, are others than the registry's or do not fit, and where the device
    does not reproduce the golden vector bit for bit.
    """
    import torch

    path = entry.path
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != entry.sha256:
        raise ModelError(f"{path.name} is not what number {entry.number} names: its SHA-256 is {digest}")
    known, half = checks.passed(digest, device), None
    if known is None and entry.front:
        half = checks.passed(digest + FRONT, device)
    model, carrier = carried(path, torch.device(device), _forced() or known or half)
    if carrier == known:
        return model
    if not entry.front:
        check(model, path, device)
        checks.record(digest, device, carrier)
        return model
    if carrier != half:
        check_front(model, entry, device)
        checks.record(digest + FRONT, device, carrier)
    _HALF[entry, device] = carrier
    return model


def whole(entry: Entry, device: str) -> Model:
    """A model that decodes too: all of its golden vector is checked. Raises what `load` raises."""
    model = load(entry, device)
    if (carrier := _HALF.get((entry, device))) is not None:
        check(model, entry.path, device)
        checks.record(entry.sha256, device, carrier)
        _HALF.pop((entry, device), None)
    return model


def _forced() -> str | None:
    """The carrier that the environment asks for."""
    name = os.environ.get(VARIABLE) or None
    if name not in (None, *CARRIERS):
        raise ModelError(f"{VARIABLE} is {', '.join(CARRIERS)}, not {name!r}")
    return name


def frozen(path: Path, device: torch.device, carrier: str = "float32") -> Model:
    """A model of a weights file, unchecked, in a carrier. Raises ModelError where the weights do not fit."""
    return carried(path, device, carrier)[0]


def carried(path: Path, device: torch.device, carrier: str | None) -> tuple[Model, str]:
    """A model of a weights file, unchecked, and what carries it: one of CARRIERS, or what serves best here.

    float32 stands for each layer's own floats; int8 leaves these to the layers that it does not fit. Raises ModelError
    where the weights do not fit.
    """
    import torch

    from vlcodec.models.layers.exact import uninitialised
    from vlcodec.models.layers.probe import carry, int8_serves
    from vlcodec.models.weights.integers import freeze_from

    config, tensors = config_of(path), tensors_of(path)
    kind = family(registry.metadata(path).get("family", ""))
    with _of_config(path), uninitialised():
        whole, net = kind.whole(config), kind.net(config).to(device)
    if not whole:
        raise ModelError(f"{path.name} holds a part of a model: it can be trained on, and not used")
    freeze_from(net, tensors, torch.float64 if carrier == "float64" else None)
    name = carrier or ("int8" if int8_serves(net) else "float32")
    try:
        carry(net, name == "int8")
    except BoundError as error:
        raise ModelError(f"{path.name}: {error}") from None
    with _of_config(path):
        return kind.freeze(net, config, device), name


def check(model: Model, path: Path, device: str) -> None:
    """Raises ModelError where the device does not reproduce the golden vector bit for bit."""
    from vlcodec.models.layers.settings import stepwise

    with stepwise():
        found = golden_digest(model.golden())
    if found != registry.metadata(path).get("golden"):
        raise ModelError(f"device {device} does not reproduce the golden vector of {path.name}: it is refused")


def check_front(model: Model, entry: Entry, device: str) -> None:
    """Likewise, of what encoding depends on, where the registry knows it."""
    from vlcodec.models.layers.settings import stepwise

    arrays, digest = entry.front or (0, "")
    with stepwise():
        found = golden_digest(islice(model.golden(), arrays))
    if found != digest:
        raise ModelError(f"device {device} does not reproduce the golden vector of {entry.file}: it is refused")


def golden_digest(outputs: Iterator[Ints]) -> str:
    """SHA-256 (hex) of integers."""
    import numpy as np

    digest = hashlib.sha256()
    for part in outputs:
        digest.update(np.ascontiguousarray(part, "<i4").tobytes())
    return digest.hexdigest()


def save(
    net: nn.Module,
    config: Config,
    name: str,
    package: str,
    folder: Path,
    number: int | None = None,
    base: Entry | None = None,
) -> Path:
    """Freeze a trained net to integers, and write them as NAME-NUMBER.safetensors with their golden vector.

    number: None makes one of people's own, from the weights. base: released weights whose tensors are left out. Raises
    BoundError naming the first layer whose sums could leave its carrier's exact range.
    """
    from vlcodec.models.weights.integers import digest_of, freeze_from, integer_tensors, write_tensors

    tensors = integer_tensors(net)
    freeze_from(net, tensors)
    kind = family(package)
    golden = ""
    if kind.whole(config):
        golden = golden_digest(kind.freeze(net, config, next(net.parameters()).device).golden())
    if number is None:
        number = registry.OWN.start + int(digest_of(tensors)[:8], 16) // 2
    path = folder / f"{name}-{number}.safetensors"
    about = {"name": name, "number": str(number), "family": package, "config": json.dumps(config, sort_keys=True)}
    if base is not None:
        tensors, about = beyond(base, tensors), about | {BASE: str(base.number)}
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, about | {"golden": golden})
    return path


def real_weights(path: Path) -> Init:
    """The real weights of an exported file, for training to start from. Raises ModelError."""
    from vlcodec.models.layers.mode import set_mode
    from vlcodec.models.weights.integers import freeze_from

    about, config = registry.metadata(path), config_of(path)
    package = about.get("family", "")
    with _of_config(path):
        net = family(package).net(config)
    freeze_from(net, tensors_of(path))
    set_mode(net, "training")
    return Init(about.get("name", ""), package, config, net.state_dict())
