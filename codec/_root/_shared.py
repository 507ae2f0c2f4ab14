"""What the calls of the facade share: devices, models by number, pictures as models take them, limits."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vlcodec.codec.errors import FormatError, ImageError, ModelError, ProvisionalWarning, VlcodecError
from vlcodec.models import zoo

if TYPE_CHECKING:
    from vlcodec.codec.image import Picture
    from vlcodec.codec.interface import Bytes, Model
    from vlcodec.models.family import Takes
    from vlcodec.models.registry import Entry

Progress = Callable[[str, int, int], None]  # (what, done, total)
MAX_PIXELS = 178_956_970  # of what is decoded, unless told otherwise: as Pillow has it
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


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


def installed(number: int, digest: bytes) -> Entry:
    """The weights that a file was made with. Raises ModelError where they are not here, or are others."""
    from vlcodec.models import registry

    entry = registry.by_number(number)
    if entry.in_files != digest:
        raise ModelError(
            f"the file was made with other weights of model {entry.name} ({digest.hex()}; "
            f"number {number} here is {entry.in_files.hex()})"
        )
    if entry.provisional:
        rule = f"model {entry.name}-{number} is weights in the making: nothing is promised for files made with it"
        warnings.warn(rule, ProvisionalWarning, stacklevel=3)
    return entry


def check_quality(entry: Entry, quality: float, error: type[VlcodecError]) -> None:
    """Raises the error for a quality that a model does not have."""
    takes, highest = zoo.takes(entry), zoo.qualities(entry)
    lowest = 0 if takes.placeholders else 1
    between = takes.between and 1 <= quality <= highest and abs(round(100 * quality) - 100 * quality) < 1e-6
    if not (lowest <= quality <= highest and (between or quality == int(quality))):
        steps = ", with two decimals" if takes.between else ""
        raise error(f"model {entry.name} has qualities {lowest} to {highest}{steps}, not {quality:g}")


def check_alone(entry: Entry, lossless: bool) -> None:
    """Raises ModelError where a lossless file cannot hold a single picture of a model."""
    if lossless and not zoo.takes(entry).alone:
        raise ModelError(
            f"model {entry.name} takes bits off a stack before it codes a pixel, and a single picture has none to "
            "begin with: lossless, it makes archives alone"
        )


def check_near(entry: Entry, near: int) -> None:
    """Raises ModelError where a model's pixels have no levels to be off by so many."""
    takes = zoo.takes(entry)
    if near and (entry.version == 1 or takes.bilevel or not takes.alone):
        name = f"{entry.name}-{entry.number}"
        rule = "near-lossless files need a model of levels that writes version 2, of single pictures"
        raise ModelError(f"{rule}, which {name} is not")


EFFORTS = (0, 20, 40, 80, 160, 300, 500, 900, 1600)  # steps in which a model learns a picture, by effort


REFINEMENTS = (0, 3, 6, 9, 12, 16, 24, 34, 45)  # likewise, in which a lossy file's latents are searched for
SEARCHES = (0, 0, 0, 0, 0, 0, 6, 12, 20)  # likewise, a lossless file's


class Steps(NamedTuple):
    """How long latents may be searched for, and a model may learn a picture."""

    latents: int
    learning: int


QUICK = Steps(0, 0)


def effort_steps(effort: int, lossless: bool) -> Steps:
    """What an effort is. Raises VlcodecError for one outside 1 to 9."""
    if not 1 <= effort <= len(EFFORTS):
        raise VlcodecError(f"effort is from 1 to {len(EFFORTS)}, not {effort}")
    at = effort - 1
    return Steps(SEARCHES[at], EFFORTS[at]) if lossless else Steps(REFINEMENTS[at], 0)


def load(entry: Entry, device: str, encodes: bool = False) -> Model:
    """A model, ready to work; to encode alone it is ready sooner."""
    return (zoo.load if encodes else zoo.whole)(entry, device_of(device))


def encoder(name: str) -> Entry:
    """The weights that a name encodes with. Raises ModelError for a name that no model has, and for retired weights."""
    from vlcodec.models import registry

    entry = registry.by_name(name)
    if entry.retired:
        raise ModelError(f"model {name} is retired: its files are read, and no more are written")
    return entry


def as_taken(picture: Picture, entry: Entry, takes: Takes, threshold: int | None) -> Picture:
    """The picture as a model takes it. Raises ModelError for a size, ImageError for values, that it does not take."""
    if not takes.bilevel and threshold is not None:
        raise ModelError(f"model {entry.name} keeps grey as it is: a threshold is for models of black and white")
    height, width, _ = picture.pixels.shape
    if takes.side is not None and (height, width) != (takes.side, takes.side):
        raise ModelError(
            f"model {entry.name} takes pictures of {takes.side} x {takes.side}, not {width} x {height}; "
            "model photo takes any size"
        )
    if not takes.bilevel:
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


def planes(picture: Picture) -> Bytes:
    """(1, H, W, 3) uint8 RGB, or (1, H, W, 1) of a grey picture."""
    return picture.pixels[None, :, :, :1] if picture.grey else picture.pixels[None]


def tick(progress: Progress | None, what: str, part: int, parts: int) -> Callable[[int, int], None] | None:
    """Progress of one part of a work."""
    if progress is None:
        return None
    return lambda done, total: progress(what, part * total + done, parts * total)


def check_pixels(pixels: int, limit: int) -> None:
    """Raises FormatError for more pixels than the caller lets a file ask for."""
    if pixels > limit:
        raise FormatError(f"the file asks for {pixels:,} pixels: at most {limit:,} are decoded (--max-pixels)")


def check_memory(needed: int, width: int, height: int) -> None:
    """Refuse, before any is taken, a picture that needs more memory than the machine, or its cgroup, has."""
    present = present_memory()
    if present is not None and needed > present:
        raise VlcodecError(
            f"a picture of {width} x {height} needs about {needed / 2**30:.1f} GiB of memory; "
            f"this machine has {present / 2**30:.1f}"
        )


def present_memory() -> int | None:
    """Bytes that this process may have, as far as the system tells."""
    limits = []
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in map(Path, CGROUPS):
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):  # not here, or "max"
            continue
    return min(limits, default=None)


@contextmanager
def memory() -> Iterator[None]:
    """Running out of memory is an error with a rule, not a traceback."""
    try:
        yield
    except MemoryError:
        raise VlcodecError("not enough memory for a picture of this size") from None
    except RuntimeError as error:  # as torch's allocators say it
        if not _out_of_memory(error):
            raise
        raise VlcodecError("not enough memory for a picture of this size") from None


def _out_of_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.cuda.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error)
