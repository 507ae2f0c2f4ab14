"""One side of a comparison: a warm process that makes calls of vlcodec's public API, as it is told on stdin.

    python benchmarks/worker.py THREADS ARCHIVE.npy PICTURE...

Each line names a call and a picture's number (0 for an archive); each answer is a line of JSON: the seconds that the
call took, the SHA-256 of what it made, and the process's peak memory so far in MiB. Nothing but the public API is
called, so that `against` can put any revision of vlcodec on the path.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import vlcodec

PICTURES: dict[str, Callable[..., Any]] = {  # what is called with a picture and its files, lossless and lossy
    "lossless encode": lambda picture, lossless, lossy: vlcodec.compress(picture, lossless=True),
    "lossless decode": lambda picture, lossless, lossy: vlcodec.decompress(lossless),
    "-q 3 encode": lambda picture, lossless, lossy: vlcodec.compress(picture, quality=3),
    "mean image": lambda picture, lossless, lossy: vlcodec.decompress(lossy, decode="mean"),
    "sample": lambda picture, lossless, lossy: vlcodec.decompress(lossy),
}
ARCHIVES: dict[str, Callable[..., Any]] = {  # likewise with an archive's pictures and its file
    "archive encode": lambda digits, archive: vlcodec.compress_archive(digits, model="vlae-mnist"),
    "archive decode": lambda digits, archive: vlcodec.decompress_archive(archive),
}


def digest(made: Any) -> str:
    """SHA-256 of a file, a picture or an archive's pictures."""
    data = made if isinstance(made, bytes) else np.ascontiguousarray(getattr(made, "images", made)).tobytes()
    return hashlib.sha256(data).hexdigest()


def works(digits: Path, paths: list[Path]) -> dict[tuple[str, int], Callable[[], Any]]:
    """Every call, by name and number; making their files warms the process up."""
    found: dict[tuple[str, int], Callable[[], Any]] = {}
    for number, path in enumerate(paths):
        with Image.open(path) as image:
            picture = image.copy()
        files = (picture, vlcodec.compress(picture, lossless=True), vlcodec.compress(picture, quality=3))
        for name, call in PICTURES.items():
            found[name, number] = partial(call, *files)
    if digits.exists():
        pictures = np.load(digits)
        archive = vlcodec.compress_archive(pictures, model="vlae-mnist")
        for name, call in ARCHIVES.items():
            found[name, 0] = partial(call, pictures, archive)
    return found


def main() -> None:
    """Answer until stdin ends."""
    torch.set_num_threads(int(sys.argv[1]))
    known = works(Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
    print(json.dumps({"vlcodec": str(vlcodec.__file__)}), flush=True)
    for line in sys.stdin:
        name, number = json.loads(line)
        start = time.perf_counter()
        made = known[name, number]()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "sha256": digest(made), "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main()
