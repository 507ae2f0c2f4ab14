"""Lossy files that were asked for by bits per pixel, by size or by PSNR: how far each is from what was asked.

    python benchmarks/targets.py FOLDER... [--only benchmarks/held_out.txt] [--shares 0.1 0.4 0.7]

Each picture is asked for values between those of its lowest and its highest quality: a share of the way, on a
logarithmic scale for bits. Files are really made, and for PSNR decoded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import Row, keep, load, parser, pictures, psnr, qualities_of, say, show
from PIL import Image

import vlcodec

MODEL = "photo"
WISHES = ("bpp", "size", "psnr")


def reached(wish: str, picture: Image.Image, data: bytes) -> float:
    """What a file has of what can be asked for."""
    if wish == "psnr":
        return psnr(picture, vlcodec.decompress(data, decode="mean"))
    return float(len(data)) if wish == "size" else 8 * len(data) / (picture.width * picture.height)


def between(wish: str, low: float, high: float, share: float) -> float:
    """A share of the way from one value to another, rounded as people would."""
    if wish == "psnr":
        return round(low + share * (high - low), 1)
    value = low ** (1 - share) * high**share
    return float(round(value)) if wish == "size" else round(value, 2)


def measure(path: Path, shares: Sequence[float]) -> list[Row]:
    """One picture: of each wish and share what was asked and what came, and how far off that is, in %."""
    picture = load(path)
    every = qualities_of(MODEL)
    ends = [vlcodec.compress(picture, model=MODEL, quality=quality) for quality in (every[0], every[-1])]
    rows = list[Row]()
    for wish in WISHES:
        low, high = (reached(wish, picture, end) for end in ends)
        for share in shares:
            asked = between(wish, low, high, share)
            wanted: dict[str, Any] = {wish: int(asked) if wish == "size" else asked}
            data = vlcodec.compress_to(picture, model=MODEL, **wanted)
            got = reached(wish, picture, data)
            off = 100 * (got / asked - 1)
            rows.append({"picture": path.name, "wish": wish, "asked": asked, "got": got, "off_percent": off})
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, show; 1 where a file is more than was allowed, or less than was wanted."""
    options = parser(__doc__, "targets")
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    options.add_argument("--only", type=Path, metavar="FILE", help="names of the pictures to take, one a line")
    options.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.4, 0.7], metavar="S")
    chosen = options.parse_args(arguments)

    rows = list[Row]()
    for path in pictures(chosen.folders, chosen.only):
        own = measure(path, chosen.shares)
        say(f"{path.name}  " + "  ".join(f"{r['wish']} {r['asked']:g}: {r['off_percent']:+.2f} %" for r in own))
        rows += own
    kept = all((row["off_percent"] >= 0) if row["wish"] == "psnr" else (row["off_percent"] <= 0) for row in rows)
    keep(chosen.out, {"kept": kept, "files": rows}, MODEL)
    table = []
    for wish in WISHES:
        off = [row["off_percent"] for row in rows if row["wish"] == wish]
        table.append([f"--{wish}", str(len(off)), f"{min(off):+.2f} %", f"{max(off):+.2f} %"])
    show(["asked for", "files", "lowest", "highest"], table)
    return int(not kept)


if __name__ == "__main__":
    raise SystemExit(main())
