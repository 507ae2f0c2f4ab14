"""What the calls of the facade share: progress, devices, models by name, and memory as an error with a rule."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from vlcodec.codec.errors import FormatError, ImageError, ModelError, VlcodecError
from vlcodec.models import zoo

if TYPE_CHECKING:
    from vlcodec.codec.image import Picture
    from vlcodec.models.families import Model

Progress = Callable[[str, int, int], None]  # (what, done, total)


def device_of(device: str) -> str:
    """ "cpu" or "cuda". Raises ModelError for anything that is not here."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise ModelError(f"a device is auto, cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError("no CUDA device is available")
    return device


def installed(model_id: int, digest: bytes, quality: int, device: str) -> Model:
    """The model that a file was made with. Raises ModelError where it is not here, or has other weights."""
    entry = zoo.by_id(model_id)
    present = zoo.digest(entry.name)[:2]
    if present != digest:
        raise ModelError(
            f"the file was made with other weights of model {entry.name} ({digest.hex()}; "
            f"installed are {present.hex()})"
        )
    if not entry.lowest <= quality <= entry.qualities:
        raise FormatError(f"model {entry.name} has qualities {entry.lowest} to {entry.qualities}, not {quality}")
    return zoo.load(entry.name, device_of(device))


def fit(picture: Picture, entry: zoo.Entry, threshold: int | None) -> Picture:
    """The picture as a model takes it. Raises ModelError for a size, ImageError for values, that it does not take."""
    if entry.family != "binary" and threshold is not None:
        raise ModelError(f"model {entry.name} keeps grey as it is: a threshold is for models of black and white")
    height, width, _ = picture.pixels.shape
    if entry.side is not None and (height, width) != (entry.side, entry.side):
        raise ModelError(
            f"model {entry.name} takes pictures of {entry.side} x {entry.side}, not {width} x {height}; "
            "model photo takes any size"
        )
    if entry.family != "binary":
        return picture
    from vlcodec.codec import image as images

    if threshold is not None:
        return images.threshold(picture, threshold)
    if not images.is_bilevel(picture):
        raise ImageError(
            f"model {entry.name} takes black and white pictures, with values 0 and 255 alone: "
            "a threshold (--threshold) makes one of a grey picture"
        )
    return replace(picture, grey=True)


def tick(progress: Progress | None, what: str, part: int, parts: int) -> Callable[[int, int], None] | None:
    """Progress of one part of a work."""
    if progress is None:
        return None
    return lambda done, total: progress(what, part * total + done, parts * total)


def check_memory(needed: int, width: int, height: int) -> None:
    """Refuse, before any is taken, a picture that needs more memory than the machine has."""
    try:
        present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return
    if needed > present:
        raise VlcodecError(
            f"a picture of {width} x {height} needs about {needed / 2**30:.1f} GiB of memory; "
            f"this machine has {present / 2**30:.1f}"
        )


@contextmanager
def memory() -> Iterator[None]:
    """Running out of memory is an error with a rule, not a traceback."""
    try:
        yield
    except MemoryError:
        raise VlcodecError("not enough memory for a picture of this size") from None
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise VlcodecError("not enough memory for a picture of this size") from None
