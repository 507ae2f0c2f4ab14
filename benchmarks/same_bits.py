"""Do files and pictures depend on threads, oneDNN, compiled loops, what carries the integers, or the device?

    python benchmarks/same_bits.py PICTURE...

Each picture is compressed and decompressed under every combination of one and two threads, oneDNN on and off, numba's
loops and numpy's functions, the layers' own floats (float32 wherever it is exact), float64, and int8 where it fits, and
on CUDA where it is at hand. The first combination is what the others are held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
from common import Row, keep, load, parser, say, show
from PIL import Image

import vlcodec
from vlcodec.codec.coding import compiled
from vlcodec.codec.interface import Model
from vlcodec.models import registry, zoo

WHAT = ("lossless file", "its pixels", "lossy file", "mean image", "sample")


class Way(NamedTuple):
    """One way to compute."""

    threads: int
    onednn: bool
    numba: bool
    carrier: str  # of zoo.CARRIERS
    device: str = "cpu"

    def __str__(self) -> str:
        carrier = "own carriers" if self.carrier == "float32" else self.carrier
        onednn, numba = ("on" if on else "off" for on in (self.onednn, self.numba))
        return f"{self.device}, {carrier}, threads {self.threads}, oneDNN {onednn}, numba {numba}"


def ways() -> list[Way]:
    """All of them, the plainest first."""
    on_cuda = [Way(2, True, True, carrier, "cuda") for carrier in zoo.CARRIERS] if torch.cuda.is_available() else []
    return [Way(*way) for way in product((1, 2), (True, False), (False, True), zoo.CARRIERS)] + on_cuda


def made(picture: Image.Image, way: Way, model: Model) -> list[str]:
    """SHA-256 of everything in WHAT, computed in this way."""
    torch.set_num_threads(way.threads)
    torch.backends.mkldnn.set_flags(way.onednn)
    with patch.object(zoo, "load", lambda entry, device: model), patch.object(compiled, "runs", lambda: way.numba):
        lossless = vlcodec.compress(picture, lossless=True, device=way.device)
        lossy = vlcodec.compress(picture, device=way.device)
        back = vlcodec.decompress(lossless, device=way.device)
        mean = vlcodec.decompress(lossy, decode="mean", device=way.device)
        sample = vlcodec.decompress(lossy, decode="sample", device=way.device)
    everything = (lossless, back.tobytes(), lossy, mean.tobytes(), sample.tobytes())
    return [sha256(data).hexdigest() for data in everything]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, show; 1 where anything differs."""
    options = parser(__doc__, "same_bits")
    options.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    chosen = options.parse_args(arguments)

    found, weights = {path.name: load(path) for path in chosen.pictures}, registry.by_name("photo").path
    digests: dict[Way, dict[str, list[str]]] = {}

    @cache
    def model(device: str, carrier: str) -> Model:
        made = zoo.frozen(weights, torch.device(device), carrier)
        zoo.check(made, weights, device)
        return made

    for way in ways():
        digests[way] = {name: made(picture, way, model(way.device, way.carrier)) for name, picture in found.items()}
        say(f"{way}: done")

    first = next(iter(digests.values()))
    agree: dict[str, Row] = {
        str(way): {what: all(there[name][i] == first[name][i] for name in found) for i, what in enumerate(WHAT)}
        for way, there in digests.items()
    }
    identical = all(all(row.values()) for row in agree.values())
    reference = {name: dict(zip(WHAT, hashes, strict=True)) for name, hashes in first.items()}
    keep(chosen.out, {"identical": identical, "sha256": reference, "same_as_the_first": agree})
    show(
        [f"pictures: {len(found)}", *WHAT],
        [[way, *("same" if row[what] else "DIFFERENT" for what in WHAT)] for way, row in agree.items()],
    )
    return int(not identical)


if __name__ == "__main__":
    raise SystemExit(main())
