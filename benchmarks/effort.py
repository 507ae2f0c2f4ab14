"""Lossless files by effort, picture by picture: bits/dim against the encoder's time, decoded again.

    python benchmarks/effort.py FOLDER... --efforts 1 3 5 7 9

What is done is kept in the JSON file, one row a picture and effort, and a run that was stopped goes on from there; rows
of another revision of the codec must be removed by hand. Times are those of this process, a model already loaded.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from common import Row, keep, load, parser, pictures, say, show

import vlcodec
from vlcodec.codec.files import picture_file

OUT = Path(__file__).with_name("results") / "effort.json"


def measure(path: Path, effort: int) -> Row:
    """One picture at an effort."""
    picture, start = load(path), time.perf_counter()
    data = vlcodec.compress(picture, model="photo", lossless=True, effort=effort)
    encoded = time.perf_counter()
    same = vlcodec.decompress(data).tobytes() == picture.tobytes()
    dims = picture.width * picture.height * len(picture.getbands())
    return {
        "picture": path.name,
        "effort": effort,
        "identical": same,
        "bits_per_dim": 8 * len(data) / dims,
        "changes_bytes": len(picture_file.unpack(data).changes),
        "encode_s": encoded - start,
        "decode_s": time.perf_counter() - encoded,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, show; 1 where a picture did not come back."""
    options = parser(__doc__, "effort")
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    options.add_argument("--only", type=Path, metavar="FILE", help="names of the pictures to take, one a line")
    options.add_argument("--efforts", nargs="+", type=int, default=[1, 3, 5, 7, 9], metavar="N")
    chosen = options.parse_args(arguments)
    out: Path = chosen.out or OUT
    rows: list[Row] = json.loads(out.read_text())["rows"] if out.exists() else []
    measure(next(iter(pictures(chosen.folders, chosen.only))), 1)  # loads and compiles
    for path in pictures(chosen.folders, chosen.only):
        for effort in chosen.efforts:
            if any((row["picture"], row["effort"]) == (path.name, effort) for row in rows):
                continue
            rows.append(measure(path, effort))
            keep(out, {"rows": rows})
            last = rows[-1]
            say(f"{path.name}  effort {effort}: {last['bits_per_dim']:.4f} bits/dim, {last['encode_s']:.0f} s")
    table = []
    for effort in chosen.efforts:
        own = [row for row in rows if row["effort"] == effort]
        means = {key: fmean(row[key] for row in own) for key in own[0] if key not in ("picture", "identical")}
        told = (f"{means['bits_per_dim']:.4f}", f"{means['changes_bytes']:.0f}")
        table.append([str(effort), str(len(own)), *told, f"{means['encode_s']:.1f}", f"{means['decode_s']:.2f}"])
    show(["effort", "pictures", "bits/dim", "bytes of changes", "encode, s", "decode, s"], table)
    return int(not all(row["identical"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
