"""Peak memory and time of the command, in a process of its own, for pictures made on the fly.

    python benchmarks/memory.py
    python benchmarks/memory.py --large

Pictures are photograph-like: noise at several scales, and grain. 768 x 512, with --large also 6000 x 4000. Peak memory
is what the kernel counts as resident, Python and torch included; it is a process on the CPU.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import Row, keep, parser, say, show
from PIL import Image

# A process in between: were the command our own child, its peak would begin at ours.
WATCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
STRIP = 256  # rows of grain at a time


def photo_like(width: int, height: int) -> Image.Image:
    """Clouds of ever finer noise, each half as strong as the one before, and grain."""
    noise = np.random.Generator(np.random.PCG64(0))
    picture = Image.new("RGB", (width, height), (128, 128, 128))
    for cells in (4, 12, 36, 108):
        rough = noise.integers(0, 256, (cells * height // width + 2, cells + 2, 3), dtype=np.uint8)
        clouds = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
        picture = Image.blend(picture, clouds, 0.5 if cells == 4 else 0.3)
    pixels = np.array(picture)
    for strip in (pixels[row : row + STRIP] for row in range(0, height, STRIP)):
        strip[...] = (strip + noise.normal(0, 2.5, strip.shape)).clip(0, 255)
    return Image.fromarray(pixels)


def watched(*command: str | Path) -> Row:
    """Seconds and peak resident MiB of `vlcodec COMMAND`."""
    run = [sys.executable, "-c", WATCH, sys.executable, "-m", "vlcodec", *command, "--quiet", "--device", "cpu"]
    seconds, kilobytes = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    row = {"seconds": float(seconds), "peak_mib": int(kilobytes) / 1024}
    say(f"{command[0]}  {row['seconds']:.1f} s  {row['peak_mib']:,.0f} MiB")
    return row


def measure(width: int, height: int) -> dict[str, Row]:
    """Compress and decompress one picture, lossless and lossy."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        photo_like(width, height).save(folder / "a.png")
        return {
            "compress --lossless": watched("compress", folder / "a.png", "--lossless", "-o", folder / "lossless.vlz"),
            "decompress, lossless": watched("decompress", folder / "lossless.vlz"),
            "compress": watched("compress", folder / "a.png", "-o", folder / "lossy.vlz"),
            "decompress --decode sample": watched("decompress", folder / "lossy.vlz", "-o", folder / "sample.png"),
            "decompress --decode mean": watched(
                "decompress", folder / "lossy.vlz", "--decode", "mean", "-o", folder / "mean.png"
            ),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "memory")
    options.add_argument("--large", action="store_true", help="6000 x 4000 too: long")
    options.add_argument("--size", type=int, nargs=2, metavar=("W", "H"), help="this size alone")
    chosen = options.parse_args(arguments)

    sizes = [tuple(chosen.size)] if chosen.size else [(768, 512), *([(6000, 4000)] if chosen.large else [])]
    results = {f"{width} x {height}": measure(width, height) for width, height in sizes}
    keep(chosen.out, {"sizes": results})
    cells = [
        [f"{row['peak_mib'] / 1024:.2f} GiB, {row['seconds']:.1f} s" for row in r.values()] for r in results.values()
    ]
    works = next(iter(results.values()))
    show(["", *results], [[work, *line] for work, *line in zip(works, *cells, strict=True)])


if __name__ == "__main__":
    main()
