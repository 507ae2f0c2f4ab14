"""Near-lossless files beside lossless ones and JPEG-LS, picture by picture: every level within N of the original.

    python benchmarks/near_lossless.py FOLDER... --levels 1 2
    python benchmarks/near_lossless.py FOLDER --only benchmarks/held_out.txt --out benchmarks/results/near_held_out.json

Every file is really made, decoded again and held against its picture level by level. JPEG-LS is CharLS (pip install
pyjpegls), each channel a file of its own, as its planes are smaller than its pixels of three colours. Means are of
bits/dim over pictures.

"at most" is what cells could save at all, of a model as good as this one: what the lossless file tells of levels within
their cells. A near-lossless file leaves that out, and pays for what its decoder does not know of the neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import peers
from common import Row, keep, load, parser, pictures, say, show
from PIL import Image

import vlcodec
from vlcodec.codec import image as images
from vlcodec.codec.coding import latents
from vlcodec.codec.coding.near import width_of
from vlcodec.codec.coding.pixels import bands, push_band
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.coding.units import LEVELS
from vlcodec.codec.interface import Bytes, Distribution, Ints
from vlcodec.pictures import net_of, prepare

MODEL = "photo"


def jpeg_ls_of(levels: Bytes, near: int) -> tuple[int, Bytes]:
    """Bytes of a picture (H, W, C) as a file for each channel, and what they decode to."""
    import jpeg_ls

    files = peers.jpeg_ls_planes(levels, near)
    back = [np.asarray(jpeg_ls.decode(np.frombuffer(file, np.uint8))) for file in files]
    return sum(len(file) for file in files), np.stack(back, 2).astype(np.uint8)


def ours_of(picture: Image.Image, levels: Bytes, near: int) -> tuple[int, Bytes]:
    """Likewise of the model's file."""
    data = vlcodec.compress(picture, model=MODEL, lossless=near == 0, near_lossless=near)
    return len(data), np.asarray(vlcodec.decompress(data)).reshape(levels.shape)


class Within:
    """What a lossless file tells of levels within their cells. See codec.interface.Coder; told: by N, -log2 P of each
    level given its cell, all pixels before it and f(z)."""

    exhausted, bits = False, 0

    def __init__(self, nears: Sequence[int]) -> None:
        self.told = dict.fromkeys(nears, 0.0)

    def section(self, name: str) -> None:
        """It has one."""

    def book(self, bits: float) -> None:
        """Nothing but levels counts."""

    def push(self, distribution: Distribution, symbols: Ints) -> None:
        """Levels of mixtures alone."""
        if not isinstance(distribution, LogisticMixture):
            return
        for near in self.told:
            first = symbols // width_of(near) * width_of(near)
            edges = np.stack((first, np.minimum(first + width_of(near), LEVELS), symbols, symbols + 1), 1)
            cell, own = np.diff(distribution.cdf(edges))[:, ::2].T
            self.told[near] += float(np.log2(cell / own).sum())

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """Raises RuntimeError: it has none."""
        raise RuntimeError("there is nothing to pop")


def most_of(path: Path, nears: Sequence[int]) -> dict[str, float]:
    """Bits/dim that cells can save at most, by N."""
    pixels, model, header = prepare(images.load(path), MODEL, True, None, 0, None, "auto")
    net, within = net_of(model, header), Within(nears)
    u = latents.dither_of(net, 0, 0, *pixels.shape[:3])
    fz = net.features(latents.choose(net, pixels, u), u)
    for place in bands(*pixels.shape[1:]):
        push_band(net, fz, pixels, place, within)
    return {str(near): told / pixels.size for near, told in within.told.items()}


def measure(path: Path, nears: Sequence[int]) -> Row:
    """One picture: bits/dim, and the largest error, by codec and N."""
    picture = load(path)
    levels = np.asarray(picture).reshape(picture.height, picture.width, -1)
    row: Row = {"folder": path.parent.name, "picture": path.name, "bits_per_dim": {}, "off": {}}
    row["most_saved"] = most_of(path, nears)
    for near in nears:
        found = {"vlcodec": ours_of(picture, levels, near), "JPEG-LS": jpeg_ls_of(levels, near)}
        for name, (size, back) in found.items():
            key = f"{name}, {near}"
            row["bits_per_dim"][key] = 8 * size / levels.size
            row["off"][key] = int(np.abs(back.astype(int) - levels).max())
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, show; 1 where a level is further off than asked for."""
    options = parser(__doc__, "near_lossless")
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    options.add_argument("--only", type=Path, metavar="FILE", help="names of the pictures to take, one a line")
    options.add_argument("--levels", nargs="+", type=int, default=[1, 2], metavar="N")
    chosen = options.parse_args(arguments)

    nears, rows = [0, *chosen.levels], list[Row]()
    for path in pictures(chosen.folders, chosen.only):
        rows.append(measure(path, nears))
        say(f"{path.name}  " + "  ".join(f"{key}: {rate:.3f}" for key, rate in rows[-1]["bits_per_dim"].items()))
    mean = {key: fmean(row["bits_per_dim"][key] for row in rows) for key in rows[0]["bits_per_dim"]}
    kept = all(off <= int(key.rpartition(", ")[2]) for row in rows for key, off in row["off"].items())
    keep(chosen.out, {"mean": mean, "all_within": kept, "pictures": rows})
    table = []
    for near in nears:
        ours, other = mean[f"vlcodec, {near}"], mean[f"JPEG-LS, {near}"]
        below = f"{mean['vlcodec, 0'] - ours:.3f}"
        most = f"{fmean(row['most_saved'][str(near)] for row in rows):.3f}"
        table.append([str(near), f"{ours:.3f}", f"{other:.3f}", f"{100 * (ours / other - 1):+.1f} %", below, most])
    header = [f"N, {len(rows)} pictures", "vlcodec, bits/dim", "JPEG-LS", "difference", "below lossless", "at most"]
    show(header, table)
    return int(not kept)


if __name__ == "__main__":
    raise SystemExit(main())
