"""Training of models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlcodec._shared import Progress, device_of
from vlcodec.codec.errors import ModelError
from vlcodec.models import registry, zoo
from vlcodec.models.family import Training


def train(
    model: str,
    data: Sequence[Path],
    out: Path,
    *,
    number: int | None = None,
    exclude: Sequence[str] = (),
    steps: int | None = None,
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
    """Train a model on the pictures in folders; returns the file of exported integer weights, MODEL-NUMBER.safetensors.

    In processes that torchrun has begun, all but the first write nothing, and return the folder.

    Args:
        model: a name of the package; what is trained has its name and a number of its own.
        data: folders of pictures; of a VLAE model, the one folder that holds the binary sets; of agave-cifar10 and
            vapnev-cifar10, the one of cifar10.npz.
        number: provisional, or one of your own; None makes one of your own from the weights.
        exclude: names of pictures that are left out, and measured in the log instead.
        out: folder of the checkpoint, the log and the export. init: exported weights to start from; agave-cifar10 takes
            the PixelCNN of photo's, too.
        steps: of the whole schedule; minutes: stop earlier, or, without steps, end the schedule then. resume: go on
            from the checkpoint in `out`, exactly.
        part: what is trained: of photo all, autoencoder, pixels, factors, residual, restoration or texture, which takes
            an ONNX file of LPIPS beside the folders; of agave-cifar10 all or pixels;
            of a DVAE++ all, with the gaussian posterior, or then what the uniform one has of its own; of a VLAE the net
            with the gaussian or the one with the uniform posterior, while the other comes from `init` or stays away.
        batch, rate: None are the recipe's own.

    Raises ModelError for an unknown model, for a number that is not free, and where a checkpoint exists and `resume`
    does not say what to do with it.
    """
    from vlcodec.models.training.ranks import here, joined

    entry = registry.by_name(model)
    family = zoo.family(entry.family)
    if part not in (None, *family.parts):
        raise ModelError(f"the parts of model {model} are {', '.join(family.parts)}, not {part}")
    if number is not None and number not in registry.PROVISIONAL and number not in registry.OWN:
        own, making = registry.OWN, registry.PROVISIONAL
        raise ModelError(
            f"number {number} is not free: weights in the making have {making.start} to {making.stop - 1}, "
            f"your own {own.start} to {own.stop - 1}"
        )
    if (out / "checkpoint.pt").exists() != resume:
        raise ModelError("resume goes on from a checkpoint, and without it there must be none in the output folder")
    with joined(device_of(device)) as place:
        wanted = Training(
            name=entry.name,
            data=tuple(data),
            out=out,
            exclude=tuple(exclude),
            steps=steps,
            minutes=minutes,
            seed=seed,
            device=place,
            part=part or family.parts[0],
            batch=batch,
            patch=patch,
            rate=rate,
            init=None if init is None else zoo.real_weights(init),
            progress=progress,
        )
        net, config = family.train(wanted)
        return zoo.save(net, config, entry.name, entry.family, out, number) if here().rank == 0 else out
