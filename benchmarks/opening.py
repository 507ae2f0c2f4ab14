"""How soon Pillow knows a .vlz file's size, once `vlcodec.pillow` is imported.

    python benchmarks/opening.py FILE...

`Image.open(FILE).size`, each run in a process of its own, so that nothing is there but what the import brings: median
and slowest of the runs. `again` is the second time in the same process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from common import keep, parser, show

RUNS = 21
CODE = """
import json, sys, time
import vlcodec.pillow
from PIL import Image

def seconds():
    start = time.perf_counter()
    Image.open(sys.argv[1]).size
    return time.perf_counter() - start

print(json.dumps([seconds(), seconds()]))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "opening")
    options.add_argument("files", type=Path, nargs="+", metavar="FILE")
    chosen = options.parse_args(arguments)
    rows = [{"file": path.name, "bytes": path.stat().st_size, **opened(path)} for path in chosen.files]
    keep(chosen.out, {"runs": RUNS, "files": rows})
    cells = [
        [row["file"], f"{row['bytes']:,}", *(f"{1e3 * row[name]:.2f}" for name in ("median", "slowest", "again"))]
        for row in rows
    ]
    show(["`Image.open(FILE).size`", "bytes", "ms", "slowest", "again"], cells)


def opened(path: Path) -> dict[str, float]:
    """Seconds until the size is known."""
    command = [sys.executable, "-c", CODE, str(path)]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(RUNS)]
    first, again = zip(*map(json.loads, runs), strict=True)
    return {"median": statistics.median(first), "slowest": max(first), "again": statistics.median(again)}


if __name__ == "__main__":
    main()
