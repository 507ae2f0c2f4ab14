"""Lossy quality at each -q, against other codecs at no more than the same size.

    python benchmarks/lossy.py FOLDER... [--lpips FILE.onnx] [--effort 9] [--model photo-37]

Each file is really made and decoded twice: to the mean image and to the regenerated sample. Another codec's picture is
its best one that is no larger; where even its lowest setting is larger it cannot go so low, and is left out of the mean
and of the difference. PSNR is over RGB, MS-SSIM on luma (pictures of at least 176 x 176); means are over pictures. With
a file of the metric (see perceptual.py) LPIPS is measured, too: how different pictures look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import peers
from common import Row, keep, load, ms_ssim, parser, pictures, psnr, qualities_of, say, show, smooth_errors
from perceptual import Lpips, lpips
from PIL import Image

import vlcodec

SEEDS = (0, 1, 2)  # of samples


def scores(picture: Image.Image, decoded: Image.Image, lpips: Lpips | None) -> Row:
    """How near a decoded picture is."""
    luma, chroma = smooth_errors(picture, decoded)
    row = {"psnr": psnr(picture, decoded), "ms_ssim": ms_ssim(picture, decoded), "luma_8x8": luma, "chroma_8x8": chroma}
    return row | ({"lpips": lpips(picture, decoded)} if lpips else {})


def drawn(picture: Image.Image, mean: Image.Image, samples: Sequence[Image.Image]) -> Row:
    """What samples add to the mean image: the share of the energy that it lacks, the first; the farthest level, all."""
    original, smooth, *levels = (np.asarray(image.convert("RGB"), np.int64) for image in (picture, mean, *samples))
    lost, added = (np.square(other - smooth).mean() for other in (original, levels[0]))
    farthest = max(int(np.abs(other - smooth).max()) for other in levels)
    return {"texture": float(added / lost), "farthest": farthest}


def measure(path: Path, model: str, quality: int, effort: int, device: str, lpips: Lpips | None) -> Row:
    """One picture at one quality, and what others make of it with as many bytes."""
    picture = load(path)
    pixels = picture.width * picture.height
    data = vlcodec.compress(picture, model=model, quality=quality, effort=effort, device=device)
    row: Row = {"picture": path.name, "quality": quality, "bytes": len(data), "bits_per_pixel": 8 * len(data) / pixels}
    mean = vlcodec.decompress(data, decode="mean", device=device)
    samples = [vlcodec.decompress(data, decode="sample", seed=seed, device=device) for seed in SEEDS]
    row |= {"mean": scores(picture, mean, lpips), "sample": scores(picture, samples[0], lpips)}
    row |= drawn(picture, mean, samples)
    row["peers"] = {}
    for name, codec in peers.lossy().items():
        best = peers.fit(codec, picture, len(data))
        there = scores(picture, codec.decode(best.data), lpips)
        row["peers"][name] = {
            "fits": best.fits,
            "setting": best.setting,
            "bytes": len(best.data),
            "bits_per_pixel": 8 * len(best.data) / pixels,
            **there,
            "mean_image_gains_db": row["mean"]["psnr"] - there["psnr"],
        }
    return row


def means(rows: Iterable[Row], *names: str) -> Row:
    """The mean of each named value."""
    rows = list(rows)
    return {name: fmean(row[name] for row in rows) for name in names}


def summary(rows: list[Row]) -> Row:
    """One quality, over pictures. A peer that cannot go so low on any picture has the means of its lowest files."""
    result: Row = means(rows, "bits_per_pixel", "texture")
    result["farthest"] = max(row["farthest"] for row in rows)
    for decode in ("mean", "sample"):
        result[decode] = means((row[decode] for row in rows), *rows[0][decode])
    result["peers"] = {}
    for name in rows[0]["peers"]:
        there = [row["peers"][name] for row in rows]
        fitting = [peer for peer in there if peer["fits"]]
        values = means(fitting or there, *(set(there[0]) - {"fits", "setting", "bytes"}))
        result["peers"][name] = {"pictures_that_fit": len(fitting), **values}
    return result


def cell(peer: Row, pictures: int) -> str:
    """A peer in the table: PSNR, what the mean image gains over it, MS-SSIM."""
    if not peer["pictures_that_fit"]:
        return f"not so low: {peer['psnr']:.2f} at {peer['bits_per_pixel']:.3f} bits/pixel"
    partly = f", {peer['pictures_that_fit']} of {pictures}" if peer["pictures_that_fit"] < pictures else ""
    return f"{peer['psnr']:.2f} ({peer['mean_image_gains_db']:+.2f}) · {peer['ms_ssim']:.4f}{partly}"


def smooth_cells(quality: int, row: Row) -> list[str]:
    """A line of the table of smooth areas."""
    there = [peer if peer["pictures_that_fit"] else None for peer in row["peers"].values()]
    told = [f"{p['luma_8x8']:.2f} · {p['chroma_8x8']:.2f}" if p else "not so low" for p in (row["mean"], *there)]
    return [str(quality), *told]


def lpips_cells(quality: int, row: Row) -> list[str]:
    """A line of the table of LPIPS."""
    peers_there = (f"{p['lpips']:.3f}" if p["pictures_that_fit"] else "not so low" for p in row["peers"].values())
    return [str(quality), *(f"{row[decode]['lpips']:.3f}" for decode in ("mean", "sample")), *peers_there]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "lossy")
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    options.add_argument("--model", default="photo", help="of our files [default: photo]")
    options.add_argument("--qualities", nargs="+", type=int, metavar="N", help="[default: all of the model]")
    options.add_argument("--effort", type=int, default=1, metavar="N", help="of our files [default: 1]")
    options.add_argument("--device", default="auto", help="[default: auto]")
    options.add_argument("--lpips", type=Path, metavar="ONNX", help="a file of the metric")
    chosen = options.parse_args(arguments)
    metric = lpips(chosen.lpips) if chosen.lpips else None

    found, rows = pictures(chosen.folders), list[Row]()
    qualities = chosen.qualities or qualities_of(chosen.model)
    for path in found:
        for quality in qualities:
            row = measure(path, chosen.model, quality, chosen.effort, chosen.device, metric)
            rows.append(row)
            say(f"{path.name}  q{quality}  {row['bits_per_pixel']:.3f} bits/pixel  {row['mean']['psnr']:.2f} dB")

    mean = {quality: summary([row for row in rows if row["quality"] == quality]) for quality in qualities}
    about = {"effort": chosen.effort, "peers": peers.versions(), "mean": mean, "pictures": rows}
    keep(chosen.out, about, chosen.model)
    print(f"PSNR in dB · MS-SSIM, means of {len(found)} pictures; in brackets what the mean image gains in dB.\n")
    show(
        ["-q", "bits/pixel", "mean image", "sample", *rows[0]["peers"]],
        [
            [
                str(quality),
                f"{row['bits_per_pixel']:.3f}",
                *(f"{row[decode]['psnr']:.2f} · {row[decode]['ms_ssim']:.4f}" for decode in ("mean", "sample")),
                *(cell(peer, len(found)) for peer in row["peers"].values()),
            ]
            for quality, row in mean.items()
        ],
    )
    print("\nErrors of luma · of chroma, averaged over 8x8 pixels, rms in levels.\n")
    show(["-q", "mean image", *rows[0]["peers"]], [smooth_cells(q, row) for q, row in mean.items()])
    print(f"\nSamples: share of the energy that the mean image lacks; farthest level from it, of seeds {SEEDS}.\n")
    show(["-q", "texture", "farthest"], [[str(q), f"{r['texture']:.2f}", str(r["farthest"])] for q, r in mean.items()])
    if metric:
        print("\nLPIPS, the smaller the better; of other codecs over the pictures on which they can go so low.\n")
        show(["-q", "mean image", "sample", *rows[0]["peers"]], [lpips_cells(q, row) for q, row in mean.items()])


if __name__ == "__main__":
    main()
