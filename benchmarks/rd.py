"""Rate-distortion curves of the mean image against other codecs, and the Bjontegaard difference in rate.

    python benchmarks/rd.py FOLDER... [--effort 9] [--model photo-37]

Every point is a real file, decoded again. PSNR is over RGB. A peer's BD-rate is how many percent fewer bytes (negative)
we need for the same PSNR: the mean distance of the logarithms of the rates over the PSNRs that both curves reach, from
0.1 to 2 bits/pixel of ours, for each picture; points are joined by monotone cubics (PCHIP). The plot goes to
docs/photo_rd.png where matplotlib is installed (`pip install 'vlcodec[plots]'`); --plot draws it from the JSON file.
AVIF at its slowest takes a minute a file: curves of other codecs that the JSON file holds, of the same versions, are
not made again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import peers
from common import Row, keep, load, parser, pictures, psnr, qualities_of, say, show
from PIL import Image
from scipy.interpolate import PchipInterpolator

import vlcodec

RATES = 0.1, 2.0  # bits/pixel of ours that are compared
POINTS, SLOW_POINTS = 17, 7  # of a peer's curve, settings from the lowest to nearly the highest; 7 of slow ones
FINEST = 0.95  # of its settings
PLOT = Path(__file__).parents[1] / "docs" / "photo_rd.png"
Curve = list[tuple[float, float]]  # (bits/pixel, dB), rates rising


def ours(picture: Image.Image, model: str, device: str, effort: int) -> Curve:
    """A file for each quality."""
    curve = []
    for quality in qualities_of(model):
        data = vlcodec.compress(picture, model=model, quality=quality, effort=effort, device=device)
        decoded = vlcodec.decompress(data, decode="mean", device=device)
        curve.append((8 * len(data) / (picture.width * picture.height), psnr(picture, decoded)))
    return curve


def theirs(codec: peers.Lossy, picture: Image.Image, points: int) -> Curve:
    """Files of settings from all over the codec's range; its finest ones are beyond ours, and left out."""
    settings = [codec.settings[round(i * FINEST * (len(codec.settings) - 1) / (points - 1))] for i in range(points)]
    files = [codec.encode(picture, setting) for setting in settings]
    return [(8 * len(data) / (picture.width * picture.height), psnr(picture, codec.decode(data))) for data in files]


def known(path: Path, versions: Row) -> dict[str, Row]:
    """Rows of pictures of a JSON file, by their names, where its other codecs are of these versions."""
    found = json.loads(path.read_text()) if path.exists() else {}
    return {row["picture"]: row for row in found["pictures"]} if found.get("peers") == versions else {}


def bd_rate(curve: Curve, reference: Curve) -> float:
    """Percent of rate that a curve takes more than another for the same PSNR (Bjontegaard 2001), at its rates within
    RATES; nan where they do not meet."""
    one, other = (_log_rates(c) for c in (curve, reference))
    reached = np.linspace(one.x[0], one.x[-1], 1001)
    within = reached[(one(reached) >= math.log(RATES[0])) & (one(reached) <= math.log(RATES[1]))]
    if not len(within):
        return math.nan
    low, high = max(within[0], other.x[0]), min(within[-1], other.x[-1])
    if low >= high:
        return math.nan
    difference = one.integrate(low, high) - other.integrate(low, high)
    return 100 * math.expm1(difference / (high - low))


def _log_rates(curve: Curve) -> PchipInterpolator:
    """ln of the rate over PSNR; where a larger file is no better, the smaller one stands."""
    best: Curve = []
    for rate, quality in curve:
        if not best or quality > best[-1][1]:
            best.append((rate, quality))
    return PchipInterpolator([q for _, q in best], [math.log(r) for r, _ in best])


def plot(mean: dict[str, Curve], path: Path) -> None:
    """All curves, means over the pictures."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, curve in mean.items():
        axes.plot(
            *zip(*curve, strict=True), marker="o", markersize=3, linewidth=2 if name == "vlcodec" else 1, label=name
        )
    axes.set_xlim(0, 3)
    axes.set_ylim(22, 44)
    axes.set_xlabel("bits/pixel")
    axes.set_ylabel("PSNR, dB")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show, draw."""
    options = parser(__doc__, "rd")
    options.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    options.add_argument("--device", default="auto", help="[default: auto]")
    options.add_argument("--model", default="photo", help="of our files [default: photo]")
    options.add_argument("--effort", type=int, default=1, metavar="N", help="of our files [default: 1]")
    options.add_argument("--plot", action="store_true", help="only draw what the JSON file holds")
    chosen = options.parse_args(arguments)
    if not chosen.plot:
        names, versions = list[str](), peers.versions()
        others = [(name, codec, POINTS) for name, codec in peers.lossy().items()]
        others += [(name, codec, SLOW_POINTS) for name, codec in peers.slowest().items()]
        rows = known(chosen.out, versions)
        for path in pictures(chosen.folders):
            picture, there = load(path), rows.get(path.name, {}).get("curves", {})
            curves = {"vlcodec": ours(picture, chosen.model, chosen.device, chosen.effort)}
            for name, codec, points in others:
                curves[name] = there[name] if name in there else theirs(codec, picture, points)
            rates = {name: bd_rate(curves["vlcodec"], curve) for name, curve in curves.items() if name != "vlcodec"}
            rows[path.name] = {"picture": path.name, "curves": curves, "bd_rate": rates}
            names.append(path.name)
            say(f"{path.name}  BD-rate " + "  ".join(f"{name} {rate:+.1f} %" for name, rate in rates.items()))
            about = {"effort": chosen.effort, "peers": versions, "bd_rate": summary([rows[name] for name in names])}
            keep(chosen.out, about | {"pictures": list(rows.values())}, chosen.model)
        keep(chosen.out, about | {"pictures": [rows[name] for name in names]}, chosen.model)
    found = json.loads(chosen.out.read_text())
    show(
        ["vlcodec, mean image, against", "BD-rate, %", "pictures on which it needs fewer bytes"],
        [
            [name, f"{row['mean']:+.1f}", f"{row['better']} of {row['pictures']}"]
            for name, row in found["bd_rate"].items()
        ],
    )
    try:
        plot(
            mean_curves(found["pictures"]),
            PLOT if chosen.out.parent.name == "results" else chosen.out.with_suffix(".png"),
        )
    except ImportError:
        say("note: no matplotlib, so nothing is drawn")


def summary(rows: list[Row]) -> Row:
    """For each peer, over the pictures on which the curves meet."""
    result: Row = {}
    for name in rows[0]["bd_rate"]:
        rates = [row["bd_rate"][name] for row in rows if not math.isnan(row["bd_rate"][name])]
        mean = fmean(rates) if rates else math.nan
        result[name] = {"mean": mean, "better": sum(rate < 0 for rate in rates), "pictures": len(rates)}
    return result


def mean_curves(rows: list[Row]) -> dict[str, Curve]:
    """Point by point over the pictures."""
    names = rows[0]["curves"]
    return {name: np.mean([row["curves"][name] for row in rows], 0).tolist() for name in names}


if __name__ == "__main__":
    main()
