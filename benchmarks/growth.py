"""Time against pixels, and against `-j`: lossless encoding, lossless decoding and sampling of one photograph.

    python benchmarks/growth.py PICTURE
    python benchmarks/growth.py PICTURE --most 2

The photograph is cut or laid side by side with its mirror images to 3:2, at 0.1 to 24 million pixels; --most leaves out
what is larger. One run each, after one of the smallest to warm up. The largest of at most 6 million pixels is also
worked on with 1 job, with 2, ... up to the cores. The plot goes to docs/photo_growth.png where
matplotlib is installed (`pip install 'vlcodec[plots]'`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from common import Row, keep, load, parser, say, show
from pace import timed
from PIL import Image

import vlcodec

PLOT = Path(__file__).parents[1] / "docs" / "photo_growth.png"
SIZES = (0.1, 0.4, 1.5, 6.0, 24.0)  # millions of pixels
WORKS = ("lossless encode", "lossless decode", "sample")
LARGEST = 6.0  # millions of pixels, of what is worked on by several numbers of jobs


def sized(picture: Image.Image, millions: float) -> Image.Image:
    """A picture of 3:2 with so many million pixels: cut from the top left, of the picture and its mirror images."""
    height = math.isqrt(round(millions * 1e6 * 2 / 3))
    width = 3 * height // 2
    pixels = np.asarray(picture)
    rows, columns = (
        np.resize(np.concatenate((np.arange(side), np.arange(side)[::-1])), wanted)
        for wanted, side in ((height, pixels.shape[0]), (width, pixels.shape[1]))
    )
    return Image.fromarray(pixels[rows[:, None], columns])


def measure(picture: Image.Image, jobs: int | None = None) -> Row:
    """Seconds of each work on one picture."""
    encode, lossless = timed(lambda: vlcodec.compress(picture, lossless=True, jobs=jobs))
    decode, back = timed(lambda: vlcodec.decompress(lossless, jobs=jobs))
    if back.tobytes() != picture.tobytes():
        raise SystemExit("a lossless file does not give the picture back")
    sample, _ = timed(lambda: vlcodec.decompress(lossless, decode="sample", jobs=jobs))
    return {"width": picture.width, "height": picture.height} | dict(zip(WORKS, (encode, decode, sample), strict=True))


def plot(rows: Sequence[Row], by_jobs: Sequence[Row], path: Path) -> None:
    """Seconds over millions of pixels, both in powers of ten; beside it seconds over jobs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=(2, 1))
    millions = [row["width"] * row["height"] / 1e6 for row in rows]
    for work in WORKS:
        axes.plot(millions, [row[work] for row in rows], "o-", label=work)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("millions of pixels")
    axes.set_ylabel("seconds")
    axes.grid(alpha=0.3)
    axes.legend()
    for work in WORKS:
        beside.plot([row["jobs"] for row in by_jobs], [row[work] for row in by_jobs], "o-")
    beside.set_xticks([row["jobs"] for row in by_jobs])
    beside.set_ylim(bottom=0)
    beside.set_xlabel("jobs")
    beside.set_title(f"{by_jobs[0]['width']} x {by_jobs[0]['height']}", fontsize=10)
    beside.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show, draw."""
    options = parser(__doc__, "growth")
    options.add_argument("picture", type=Path, metavar="PICTURE")
    options.add_argument("--most", type=float, default=SIZES[-1], help="millions of pixels [default: 24]")
    options.add_argument("--threads", type=int, default=2, help="[default: 2]")
    chosen = options.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    picture = load(chosen.picture)
    sizes = [size for size in SIZES if size <= chosen.most]
    if not sizes:
        options.error(f"the smallest size is {SIZES[0]}")
    measure(sized(picture, sizes[0]))
    rows = list[Row]()
    for size in sizes:
        rows.append(measure(sized(picture, size)))
        say(f"{size} Mpx  " + "  ".join(f"{work} {rows[-1][work]:.2f} s" for work in WORKS))
    several = sized(picture, max(size for size in sizes if size <= LARGEST))
    by_jobs = [{"jobs": jobs} | measure(several, jobs) for jobs in range(1, 1 + (os.cpu_count() or 1))]
    keep(chosen.out, {"picture": chosen.picture.name, "sizes": rows, "jobs": by_jobs})
    show(
        ["", *(f"{work}, s" for work in WORKS)],
        [
            [f"{row['width']} x {row['height']}{which}", *(f"{row[work]:.2f}" for work in WORKS)]
            for row, which in [*((row, "") for row in rows), *((row, f", -j {row['jobs']}") for row in by_jobs)]
        ],
    )
    try:
        plot(rows, by_jobs, PLOT if chosen.out.parent.name == "results" else chosen.out.with_suffix(".png"))
    except ImportError:
        say("note: no matplotlib, so nothing is drawn")


if __name__ == "__main__":
    main()
