"""Memory of one `vlcodec compress -r` over many files: it must not grow with their number.

    python benchmarks/many_files.py SMALL PHOTOS [--small 1000] [--photos 100]

So many copies of the pictures in the folder SMALL, in turn, then so many of those in PHOTOS, in a tree of folders of a
hundred each, compressed by the command, lossy, with its default options. Whenever a file is done, what the process has
in memory (VmRSS) is read; the table has the most of each tenth of the files.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from common import keep, parser, pictures, show

TENTHS, A_FOLDER = 10, 100


def fill(folder: Path, sources: Sequence[Path], count: int, kind: str) -> None:
    """So many files in subfolders, whose names sort as they were made."""
    for number in range(count):
        source = sources[number % len(sources)]
        place = folder / f"{kind}-{number // A_FOLDER:03}"
        place.mkdir(exist_ok=True)
        shutil.copyfile(source, place / f"{number:05}{source.suffix}")


def memory_mib(process: int) -> float:
    """Of a process that lives."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def watched(folder: Path, out: Path) -> Iterator[float]:
    """MiB in memory whenever a file is done. Ends the run where one fails."""
    command = [sys.executable, "-m", "vlcodec", "compress", "--json", "-r", str(folder), "-o", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "output" in json.loads(line):
                yield memory_mib(process.pid)
    if process.returncode:
        raise SystemExit(f"vlcodec compress -r ended with {process.returncode}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "many_files")
    options.add_argument("small", type=Path, metavar="SMALL")
    options.add_argument("photos", type=Path, metavar="PHOTOS")
    options.add_argument("--small", type=int, default=1000, dest="small_count", metavar="N")
    options.add_argument("--photos", type=int, default=100, dest="photo_count", metavar="N")
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name) / "in", time.perf_counter()
        folder.mkdir()
        fill(folder, pictures([chosen.small]), chosen.small_count, "a")
        fill(folder, pictures([chosen.photos]), chosen.photo_count, "b")
        found = list(watched(folder, Path(name) / "out"))
        seconds = time.perf_counter() - start
    wanted = chosen.small_count + chosen.photo_count
    if len(found) != wanted:
        raise SystemExit(f"{len(found)} files were made of {wanted}")
    bounds = [wanted * tenth // TENTHS for tenth in range(TENTHS + 1)]
    most = [max(found[first:last], default=0.0) for first, last in pairwise(bounds)]
    keep(chosen.out, {"small": chosen.small_count, "photos": chosen.photo_count, "seconds": seconds, "mib": most})
    names = [f"{first + 1:,} to {last:,}" for first, last in pairwise(bounds)]
    rows = [[name, f"{mib:,.0f}"] for name, mib in zip(names, most, strict=True)]
    show(["files", "most in memory, MiB"], rows)
    print(f"{seconds:.0f} s")


if __name__ == "__main__":
    main()
