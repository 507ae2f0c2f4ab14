"""Time and memory that work on a picture is expected to take, told before any is done.

The figures are those of docs/benchmarks.md, two cores of an Intel Xeon with AVX512-VNNI and numba: they say whether it
is seconds or minutes, not which second.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from vlcodec._shared import effort_steps, present_memory
from vlcodec.codec.files import composite_file, picture_file, stored_file
from vlcodec.codec.files.picture_file import BAND_ROWS, Header
from vlcodec.jobs import jobs_of

Work = Literal["compress", "compress --lossless", "decompress", "sample", "mean", "kept"]

START = 1.7  # seconds that a process takes to begin with, most of it for torch
PACE: dict[Work, tuple[float, float]] = {  # microseconds a pixel: of the whole picture, of bands, which go side by side
    "compress": (0.8, 0.0),
    "compress --lossless": (2.7, 2.3),
    "decompress": (2.2, 3.2),  # every pixel
    "sample": (1.35, 2.9),
    "mean": (1.3, 0.0),
    "kept": (3.0, 0.0),  # without a model: planes, another codec's file
}
PACE_OF_LEARNING = 0.175  # seconds a step, whatever the picture
REFINING = 2.0, 3300, 640**2  # microseconds a pixel and step, bytes of memory a pixel, pixels at a time
REFINING_LOSSLESS = 12.0, 12500, 640**2
FIRST_REFINEMENTS = 5  # steps before the first
ELSEWHERE = 4.0  # times as long, without AVX512-VNNI or without numba
PROCESS_BYTES = 640 << 20  # of memory, whatever the picture
BYTES_PER_PIXEL, BYTES_PER_BAND_PIXEL = 110, 300  # of memory, at most: the whole picture, and the band at work


@dataclass(frozen=True)
class Estimate:
    """What work on a picture takes. seconds: about, with the process's start. memory: bytes, at most."""

    width: int
    height: int
    seconds: float
    memory: int

    def __str__(self) -> str:
        return takes(self.seconds, self.memory)


def takes(seconds: float, memory: int) -> str:
    """An estimate in words."""
    return f"about {seconds:,.1f} s, at most {memory / 2**30:.1f} GiB"


def expected(work: Work, width: int, height: int, jobs: int | None = None) -> Estimate:
    """For a picture that is worked on alone, so many bands at a time. Raises VlcodecError for jobs below 1."""
    whole, banded = PACE[work]
    bands = -(-height // BAND_ROWS)
    at_once = min(jobs_of(jobs), bands)
    longest = max(1 / at_once, min(1.0, BAND_ROWS / height))  # of the threads, its share: at least a whole band
    slower = 1.0 if _compiled() else ELSEWHERE
    seconds = START + 1e-6 * slower * width * height * (whole + banded * longest)
    memory = PROCESS_BYTES + sum(needed(width, height, at_once if banded else 1))
    return Estimate(width, height, seconds, memory)


def of_header(header: Header, decode: str | None = None, jobs: int | None = None) -> Estimate:
    """For the decompression of a file with this header; decode: see `vlcodec.decompress`."""
    usual: Work = "decompress" if header.lossless else "sample"
    work: Work = "mean" if decode == "mean" or not header.quality else "sample" if decode == "sample" else usual
    return expected(work, header.width, header.height, jobs)


def expected_to_compress(
    image: bytes, *, lossless: bool = False, jobs: int | None = None, effort: int = 1
) -> Estimate:
    """What `vlcodec.compress` is expected to take for a picture file's bytes, of which the header alone is read.

    Raises ImageError for a picture that cannot be taken, as far as its header tells, VlcodecError for jobs below 1, and
    for an effort that there is not.
    """
    from vlcodec.codec import image as images

    found = expected("compress --lossless" if lossless else "compress", *images.size_of(image), jobs)
    steps, pixels = effort_steps(effort, lossless), found.width * found.height
    more, memory = PACE_OF_LEARNING * steps.learning, found.memory
    if steps.latents:
        pace, bytes_per_pixel, at_a_time = REFINING_LOSSLESS if lossless else REFINING
        more += 1e-6 * pace * (FIRST_REFINEMENTS + steps.latents) * pixels
        memory += bytes_per_pixel * min(pixels, at_a_time)
    return replace(found, seconds=found.seconds + more, memory=memory)


def expected_to_decompress(data: bytes, *, decode: str | None = None, jobs: int | None = None) -> Estimate:
    """What `vlcodec.decompress` is expected to take for a file of one picture, of which the front alone is read.

    Of a file without a model the whole is read. Raises FormatError for anything else, VlcodecError for jobs below 1.
    """
    if stored_file.is_stored(data) or composite_file.is_composite(data):
        return expected("kept", *_kept_size(data), jobs)
    return of_header(picture_file.read_header(data), decode, jobs)


def _kept_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a file without a model."""
    from vlcodec.codec import image as images

    if stored_file.is_stored(data):
        return images.size_of(stored_file.unpack_stored(data).data)
    composite = composite_file.unpack_composite(data)
    if composite.other is not None:
        return images.size_of(composite.other.data)
    planes = composite.planes
    return (planes.width, planes.height) if planes is not None else (0, 0)


def needed(width: int, height: int, bands: int = 1) -> tuple[int, int]:
    """Bytes of memory, at most: for the picture, and for so many bands at work."""
    return BYTES_PER_PIXEL * width * height, BYTES_PER_BAND_PIXEL * width * BAND_ROWS * bands


class Room:
    """The machine's memory, which pictures side by side share: one begins where it fits beside those at work."""

    def __init__(self) -> None:
        present = present_memory()
        self._left = math.inf if present is None else present - PROCESS_BYTES  # the process is one, and here already
        self._users = 0
        self._change = threading.Condition()

    @contextmanager
    def of(self, estimate: Estimate | None) -> Iterator[None]:
        """Waits until there is room for a picture, or none is at work. None: of one that is alone."""
        needed = 0 if estimate is None else estimate.memory - PROCESS_BYTES
        with self._change:
            self._change.wait_for(lambda: not self._users or needed <= self._left)
            self._left, self._users = self._left - needed, self._users + 1
        try:
            yield
        finally:
            with self._change:
                self._left, self._users = self._left + needed, self._users - 1
                self._change.notify_all()


@cache
def _compiled() -> bool:
    """Whether compiled steps are to be expected here, without loading what would tell for certain."""
    if os.environ.get("VLCODEC_NUMBA") == "0" or find_spec("numba") is None:
        return False
    try:
        return "avx512_vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
