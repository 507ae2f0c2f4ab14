"""Lossless files by effort beside other codecs, picture by picture: bits/dim against encoding time, decoded again.

    python benchmarks/effort.py KODAK --efforts 1 3 5 7 9 --plot docs/photo_effort.png
    python benchmarks/effort.py CID22 --only benchmarks/held_out.txt --out benchmarks/results/effort_held_out.json

What is done is kept in the JSON file, one row a picture and codec, and a run that was stopped goes on from there; rows
of another revision of the codec must be removed by hand. Times are those of this process, a model already loaded.
Peers: see `peers.slow_lossless`; pip install imagecodecs pyjpegls for all of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

import peers
from common import Row, keep, load, parser, pictures, say, show
from PIL import Image

import vlcodec
from vlcodec.codec.files import picture_file

OUT = Path(__file__).with_name("results") / "effort.json"
OURS = "effort "


def ours(path: Path, effort: int) -> Row:
    """One picture at an effort."""
    picture, start = load(path), time.perf_counter()
    data = vlcodec.compress(picture, model="photo", lossless=True, effort=effort)
    encoded = time.perf_counter()
    same = vlcodec.decompress(data).tobytes() == picture.tobytes()
    return row_of(path, f"{OURS}{effort}", picture, len(data)) | {
        "identical": same,
        "changes_bytes": len(picture_file.unpack(data).changes),
        "encode_s": encoded - start,
        "decode_s": time.perf_counter() - encoded,
    }


def theirs(path: Path, codec: str, encode: Callable[[Image.Image], bytes]) -> Row:
    """Likewise of another codec."""
    picture, start = load(path), time.perf_counter()
    data = encode(picture)
    return row_of(path, codec, picture, len(data)) | {"encode_s": time.perf_counter() - start}


def row_of(path: Path, codec: str, picture: Image.Image, size: int) -> Row:
    """What every row has."""
    dims = picture.width * picture.height * len(picture.getbands())
    return {"picture": path.name, "codec": codec, "bits_per_dim": 8 * size / dims}


def plot(means: dict[str, Row], path: Path) -> None:
    """Rates over encoding times: one line of efforts, and the peers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    own = [mean for codec, mean in means.items() if codec.startswith(OURS)]
    axes.plot(*([mean[key] for mean in own] for key in ("encode_s", "bits_per_dim")), "o-", label="vlcodec, efforts")
    for codec, mean in means.items():
        if not codec.startswith(OURS) and codec != "PNG":
            axes.plot(mean["encode_s"], mean["bits_per_dim"], "s", label=codec)
    axes.set_xscale("log")
    axes.set_xlabel("seconds to encode a picture")
    axes.set_ylabel("bits/dim")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, show, draw; 1 where a picture did not come back."""
    options = parser(__doc__, "effort")
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    options.add_argument("--only", type=Path, metavar="FILE", help="names of the pictures to take, one a line")
    options.add_argument("--efforts", nargs="+", type=int, default=[1, 3, 5, 7, 9], metavar="N")
    options.add_argument("--plot", type=Path, metavar="PNG")
    chosen = options.parse_args(arguments)
    out: Path = chosen.out or OUT
    rows: list[Row] = json.loads(out.read_text())["rows"] if out.exists() else []
    done = {(row["picture"], row["codec"]) for row in rows}
    paths, others = pictures(chosen.folders, chosen.only), peers.slow_lossless()
    ours(paths[0], 1)  # loads and compiles
    jobs = [(f"{OURS}{effort}", partial(ours, effort=effort)) for effort in chosen.efforts]
    jobs += [(codec, partial(theirs, codec=codec, encode=encode)) for codec, encode in others.items()]
    for codec, measure in jobs:
        for path in paths:
            if (path.name, codec) not in done:
                rows.append(measure(path))
                keep(out, {"peers": peers.versions(), "rows": rows})
                say(f"{path.name}  {codec}: {rows[-1]['bits_per_dim']:.4f} bits/dim, {rows[-1]['encode_s']:.0f} s")
    names, means = {path.name for path in paths}, dict[str, Row]()
    for codec, _ in jobs:
        own = [row for row in rows if row["codec"] == codec and row["picture"] in names]
        keys = [key for key, value in own[0].items() if key != "identical" and not isinstance(value, str)]
        means[codec] = {key: fmean(row[key] for row in own) for key in keys}
    forms = {"bits_per_dim": ".4f", "encode_s": ".1f", "decode_s": ".2f", "changes_bytes": ".0f"}
    table = [
        [codec, *(f"{mean[key]:{form}}" if key in mean else "" for key, form in forms.items())]
        for codec, mean in means.items()
    ]
    show([f"{len(paths)} pictures", "bits/dim", "encode, s", "decode, s", "bytes of changes"], table)
    if chosen.plot is not None:
        plot(means, chosen.plot)
    return int(not all(row.get("identical", True) for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
