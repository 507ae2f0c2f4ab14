"""Lossless bits/dim against time, of vlcodec and of other codecs, on one machine.

    python benchmarks/pace.py FOLDER... --pictures 4

Means over the pictures, of one run each after one to warm up; a peer's tool counts with its start. The plot goes to
docs/photo_pace.png where matplotlib is installed (`pip install 'vlcodec[plots]'`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import peers
from common import Row, keep, load, parser, pictures, say, show
from PIL import Image

import vlcodec

PLOT = Path(__file__).parents[1] / "docs" / "photo_pace.png"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and what it gave."""
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def pixels_of(decode: Callable[[bytes], Image.Image], data: bytes) -> bytes:
    """What a file gives back."""
    return decode(data).tobytes()


def measure(picture: Image.Image) -> dict[str, Row]:
    """Each codec's rate and times on one picture."""
    codecs = {name: (encode, peers.decoded) for name, encode in peers.lossless().items()}
    codecs["vlcodec"] = (lambda image: vlcodec.compress(image, lossless=True), vlcodec.decompress)
    result: dict[str, Row] = {}
    for name, (encode, decode) in codecs.items():
        encode_seconds, data = timed(partial(encode, picture))
        decode_seconds, back = timed(partial(pixels_of, decode, data))
        if back != picture.tobytes():
            raise SystemExit(f"{name} does not give the picture back")
        rate = 8 * len(data) / (picture.width * picture.height * len(picture.getbands()))
        result[name] = {"bits_per_dim": rate, "encode_seconds": encode_seconds, "decode_seconds": decode_seconds}
    return result


def plot(mean: dict[str, Row], path: Path) -> None:
    """Rates over decoding times (full) and encoding times (hollow)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for number, (name, row) in enumerate(mean.items()):
        ends = [row["decode_seconds"], row["encode_seconds"]]
        axes.plot(ends, [row["bits_per_dim"]] * 2, color=f"C{number}", linewidth=0.7)
        axes.plot(*ends[:1], row["bits_per_dim"], "o", color=f"C{number}", label=name)
        axes.plot(*ends[1:], row["bits_per_dim"], "o", color=f"C{number}", markerfacecolor="white")
    axes.set_xscale("log")
    axes.set_xlabel("seconds a picture: decoding (full), encoding (hollow)")
    axes.set_ylabel("bits/dim")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show, draw."""
    options = parser(__doc__, "pace")
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    options.add_argument("--pictures", type=int, default=4, help="so many, from all over the folders")
    chosen = options.parse_args(arguments)
    found = pictures(chosen.folders)
    found = found[:: max(1, len(found) // chosen.pictures)][: chosen.pictures]
    measure(load(found[0]).crop((0, 0, 64, 64)))
    rows = list[dict[str, Row]]()
    for path in found:
        rows.append(measure(load(path)))
        say(f"{path.name}  vlcodec decodes in {rows[-1]['vlcodec']['decode_seconds']:.2f} s")
    mean = {name: {key: fmean(row[name][key] for row in rows) for key in rows[0][name]} for name in rows[0]}
    keep(chosen.out, {"peers": peers.versions(), "mean": mean, "pictures": [path.name for path in found]})
    show(
        ["", "bits/dim", "encode, s", "decode, s"],
        [
            [name, f"{row['bits_per_dim']:.3f}", *(f"{row[f'{k}_seconds']:.2f}" for k in ("encode", "decode"))]
            for name, row in mean.items()
        ],
    )
    try:
        plot(mean, PLOT if chosen.out.parent.name == "results" else chosen.out.with_suffix(".png"))
    except ImportError:
        say("note: no matplotlib, so nothing is drawn")


if __name__ == "__main__":
    main()
