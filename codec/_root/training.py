"""Training of the package's models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlcodec._shared import Progress, device_of
from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.models import zoo

PARTS = {  # the first is the default
    "photo": ("all", "autoencoder", "pixels"),
    "small": ("all",),
    "binary": ("gaussian", "uniform"),
}


def train(
    model: str,
    data: Sequence[Path],
    out: Path,
    *,
    exclude: Sequence[str] = (),
    steps: int = 100_000,
    minutes: float | None = None,
    init: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    batch: int | None = None,
    patch: int = 96,
    rate: float | None = None,
    part: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train a model on the pictures in folders; returns the file of exported integer weights, out/MODEL.safetensors.

    Args:
        data: folders of pictures; of a VLAE model, the one folder that holds the binary sets; of agave-cifar10, the one
            of cifar10.npz.
        exclude: names of pictures that are left out, and measured in the log instead.
        out: folder of the checkpoint, the log and the export. init: exported weights to start from; agave-cifar10 takes
            the PixelCNN of photo's, too.
        steps: of the whole schedule; minutes: stop earlier. resume: go on from the checkpoint in `out`, exactly.
        part: what is trained: of photo all, autoencoder or pixels; of a VLAE model the net with the gaussian or the one
            with the uniform posterior, while the other comes from `init` or stays away.
        batch, rate: None are the recipe's own.

    Raises ModelError for an unknown model, and where a checkpoint exists and `resume` does not say what to do with it.
    """
    entry = zoo.by_name(model)
    parts = PARTS[entry.family]
    if part not in (None, *parts):
        raise ModelError(f"the parts of model {model} are {', '.join(parts)}, not {part}")
    if (out / "checkpoint.pt").exists() != resume:
        raise ModelError("resume goes on from a checkpoint, and without it there must be none in the output folder")
    shared: dict[str, Any] = {"steps": steps, "minutes": minutes, "seed": seed, "progress": progress}
    shared["device"] = device_of(device)
    path = out / f"{model}.safetensors"
    if entry.family == "photo":
        _photo(data, exclude, out, path, init, {"patch": patch, "part": part or parts[0], **shared}, batch, rate)
    else:
        if len(data) != 1:
            raise ImageError(f"the sets that model {model} is trained on are in one folder")
        if entry.family == "small":
            _small(model, data[0], out, path, init, shared, batch, rate)
        else:
            _binary(model, data[0], out, path, init, part or parts[0], shared, batch, rate)
    return path


def _photo(
    data: Sequence[Path],
    exclude: Sequence[str],
    out: Path,
    path: Path,
    init: Path | None,
    options: dict[str, Any],
    batch: int | None,
    rate: float | None,
) -> None:
    from vlcodec.models.photo.data import find_pictures
    from vlcodec.models.photo.training import train as run
    from vlcodec.models.weights.integers import export, weights_of

    batch, rate = 10 if batch is None else batch, 1.2e-3 if rate is None else rate
    if options["patch"] % 16 or batch < 4:
        raise ModelError("a patch's side is a multiple of 16, and a batch has at least 4: one of each quality")
    pictures = find_pictures(data, exclude)
    if not pictures:
        raise ImageError("there is no picture to train on")
    held_out = [p for p in find_pictures(data) if p.name in set(exclude)]
    weights = None if init is None else weights_of(init, "photo")
    export(run(pictures, out, init=weights, validation=held_out, batch=batch, rate=rate, **options), "photo", path)


def _small(
    model: str,
    data: Path,
    out: Path,
    path: Path,
    init: Path | None,
    options: dict[str, Any],
    batch: int | None,
    rate: float | None,
) -> None:
    from vlcodec.models.agave.training import train as run
    from vlcodec.models.weights.integers import export, read_weights, weights_of

    weights: dict[str, Any] = {}
    if init is not None:
        name = read_weights(init)[1].get("name", model)
        if zoo.by_name(name).family == "binary":
            raise ModelError(f"model {model} takes nothing from weights of {name}: photo's or its own serve")
        found = weights_of(init, zoo.by_name(name).family)
        own = name == model
        weights["init" if own else "related"] = {k: v for k, v in found.items() if own or k.startswith("pixels.")}
    batch, rate = 32 if batch is None else batch, 2e-3 if rate is None else rate
    export(run(data, out, batch=batch, rate=rate, **weights, **options), model, path)


def _binary(
    model: str,
    data: Path,
    out: Path,
    path: Path,
    init: Path | None,
    part: str,
    options: dict[str, Any],
    batch: int | None,
    rate: float | None,
) -> None:
    from vlcodec.models.vlae.codec import BinaryNets
    from vlcodec.models.vlae.training import train as run
    from vlcodec.models.weights.integers import export, weights_of

    weights = {} if init is None else weights_of(init, "binary")
    batch, rate = 100 if batch is None else batch, 2e-3 if rate is None else rate
    own = {k.removeprefix(f"{part}."): v for k, v in weights.items() if k.startswith(f"{part}.")}
    options["related"] = {k.split(".", 1)[1]: v for k, v in weights.items() if not own} or None
    net = run(model, data, out, init=own or None, posterior=part, batch=batch, rate=rate, **options)
    nets = BinaryNets((part, *sorted({k.split(".", 1)[0] for k in weights} - {part})))
    nets.load_state_dict(weights | {f"{part}.{k}": v for k, v in net.state_dict().items()})
    export(nets, model, path)
