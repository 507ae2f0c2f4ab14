"""Lossless size against the model's own bound and against other codecs, picture by picture.

    python benchmarks/lossless.py FOLDER...
    python benchmarks/lossless.py FOLDER --only benchmarks/held_out.txt --out benchmarks/results/lossless_held_out.json

Every file is really made, decoded and compared with its picture pixel by pixel. The bound is 1.001 x -ELBO / 8 + 40
bytes, -ELBO the integer model's float64 likelihood at the file's own latents. Means are of bits/dim over pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import peers
from common import Row, keep, load, parser, pictures, say, show

import vlcodec


def measure(path: Path, quality: int | None, device: str) -> Row:
    """One picture: sizes in bytes, rates in bits/dim."""
    picture = load(path)
    data = vlcodec.compress(picture, model="photo", lossless=True, quality=quality, device=device)
    report = vlcodec.rate(picture, quality=quality, device=device)
    elbo_bytes, dims = report.elbo / 8, picture.width * picture.height * len(picture.getbands())
    sizes = {"vlcodec": len(data), "-ELBO": elbo_bytes}
    sizes |= {name: len(encode(picture)) for name, encode in peers.lossless().items()}
    return {
        "folder": path.parent.name,
        "picture": path.name,
        "width": picture.width,
        "height": picture.height,
        "mode": picture.mode,
        "identical": vlcodec.decompress(data, device=device).tobytes() == picture.tobytes(),
        "within_bound": len(data) <= 1.001 * elbo_bytes + 40,
        "ratio_to_elbo": len(data) / elbo_bytes,
        "bytes_over_elbo": len(data) - elbo_bytes,
        "bytes": sizes,
        "bits_per_dim": {name: 8 * size / dims for name, size in sizes.items()},
    }


def summary(rows: list[Row]) -> Row:
    """Means and extremes over pictures."""
    return {
        "pictures": len(rows),
        "identical": sum(row["identical"] for row in rows),
        "within_bound": sum(row["within_bound"] for row in rows),
        "worst_ratio_to_elbo": max(row["ratio_to_elbo"] for row in rows),
        "most_bytes_over_elbo": max(row["bytes_over_elbo"] for row in rows),
        "bits_per_dim": {name: fmean(row["bits_per_dim"][name] for row in rows) for name in rows[0]["bits_per_dim"]},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, show; 1 where a picture did not come back or a file is over its bound."""
    options = parser(__doc__, "lossless")
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    options.add_argument("--only", type=Path, metavar="FILE", help="names of the pictures to take, one a line")
    options.add_argument("--quality", type=int, metavar="N", help="the latents' quality [default: the codec's]")
    options.add_argument("--device", default="auto", help="[default: auto]")
    chosen = options.parse_args(arguments)

    rows: list[Row] = []
    for path in pictures(chosen.folders, chosen.only):
        rows.append(measure(path, chosen.quality, chosen.device))
        rates = "  ".join(f"{name} {rate:.3f}" for name, rate in rows[-1]["bits_per_dim"].items())
        say(f"{path.name}  {rates}  {'identical' if rows[-1]['identical'] else 'NOT THE SAME PIXELS'}")

    folders = list(dict.fromkeys(row["folder"] for row in rows))
    by_folder = {folder: summary([row for row in rows if row["folder"] == folder]) for folder in folders}
    keep(chosen.out, {"peers": peers.versions(), "quality": chosen.quality, "mean": by_folder, "pictures": rows})
    names = list(rows[0]["bits_per_dim"])
    show(
        ["bits/dim", "pictures", "pixel-identical", *names, "file / -ELBO, at most", "bytes over, at most"],
        [
            [
                folder,
                str(mean["pictures"]),
                str(mean["identical"]),
                *(f"{mean['bits_per_dim'][name]:.3f}" for name in names),
                f"{mean['worst_ratio_to_elbo']:.5f}",
                f"{mean['most_bytes_over_elbo']:.1f}",
            ]
            for folder, mean in by_folder.items()
        ],
    )
    return int(not all(row["identical"] and row["within_bound"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
