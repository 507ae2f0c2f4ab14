"""How soon the command answers: where there is nothing to compute, and for a picture of 64 x 64.

    python benchmarks/start.py PICTURE

Medians of several runs, each a process of its own, of which the user's cache folder is empty, or holds the record of a
passed check. `import torch` is measured in the same run: it is the floor of whatever computes. PICTURE is cut to
64 x 64 in its middle.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from common import keep, load, parser, show

RUNS = 7
SIDE = 64


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "start")
    options.add_argument("picture", type=Path, metavar="PICTURE")
    chosen = options.parse_args(arguments)
    with TemporaryDirectory() as name:
        folder = Path(name)
        image = load(chosen.picture)
        left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
        image.crop((left, top, left + SIDE, top + SIDE)).save(folder / "a.png")
        vlcodec = ["-m", "vlcodec"]
        answer([*vlcodec, "compress", "a.png"], folder, "kept")  # leaves the record of its check
        works = {
            "vlcodec --help": ([*vlcodec, "--help"], "kept"),
            "vlcodec info FILE": ([*vlcodec, "info", "a.vlz"], "kept"),
            "import torch": (["-c", "import torch"], "kept"),
            "vlcodec compress, empty cache folder": ([*vlcodec, "compress", "a.png", "--force"], None),
            "vlcodec compress": ([*vlcodec, "compress", "a.png", "--force"], "kept"),
            "vlcodec decompress --decode mean": (
                [*vlcodec, "decompress", "a.vlz", "--decode", "mean", "--force"],
                "kept",
            ),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for run in range(RUNS + 1):  # in turn, so that whatever else the machine does meets all alike
            for name, (command, cache) in works.items():
                taken = answer(command, folder, cache or f"empty-{run}")
                times[name] += [taken] if run else []
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    over = {name: value - medians["import torch"] for name, value in medians.items() if "compress" in name}
    keep(chosen.out, {"seconds": medians, "seconds_over_import_torch": over})
    cells = [[name, f"{value:.3f}", f"{over[name]:+.3f}" if name in over else ""] for name, value in medians.items()]
    show(["", "seconds", "over `import torch`"], cells)


def answer(command: Sequence[str], folder: Path, cache: str) -> float:
    """Seconds of a Python process in a folder, whose cache is a folder there."""
    environment = dict(os.environ) | {"XDG_CACHE_HOME": str(folder / cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode is kept, as where the package is installed
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
