"""Peak memory of a batch's processes by the number of its rows: flat, or not.

    python benchmarks/batch_memory.py --rows 10000 100000

Rows are black and white pictures of 28 x 28 in a parquet file, 2,000 different ones again and again, compressed by
vlae-mnist in two workers. Each run's driver is a process of its own; peaks are the system's (VmHWM), read while the
workers live.
"""

from __future__ import annotations

import io
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from common import Row, keep, parser, say, show
from PIL import Image

from vlcodec.batch import CompressOptions, run

MODEL, WORKERS = "vlae-mnist", 2
DIFFERENT, GROUP = 2000, 1000  # pictures; rows of a row group


def picture(number: int) -> bytes:
    """A PNG of a disc."""
    row, column, radius = 10 + number % 8, 10 + number // 8 % 8, 3 + number / 300
    r, c = np.mgrid[:28, :28]
    out = io.BytesIO()
    Image.fromarray(255 * (np.hypot(r - row, c - column) < radius).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def fill(path: Path, rows: int) -> None:
    """A parquet file of so many."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    different = [picture(number) for number in range(DIFFERENT)]
    with ParquetWriter(path, pa.schema([("bytes", pa.binary())])) as writer:
        for first in range(0, rows, GROUP):
            some = [different[number % DIFFERENT] for number in range(first, min(first + GROUP, rows))]
            writer.write_table(pa.table({"bytes": some}))


def peak_mib(process: int | str) -> float:
    """Of a process that lives."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def measure(source: Path) -> Row:
    """One run."""
    peaks = dict[int, float]()

    def look(*_: object) -> None:
        for child in multiprocessing.active_children():
            peaks[child.pid or 0] = peak_mib(child.pid or "self")

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        options = CompressOptions(model=MODEL, device="cpu")
        figures, _ = run(str(source), Path(out), "compress", options, jobs=WORKERS, progress=look)
    return {
        "rows": figures.pictures,
        "seconds": time.perf_counter() - start,
        "driver_mib": peak_mib("self"),
        "worker_mib": max(peaks.values()),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "batch_memory")
    options.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    chosen = options.parse_args(arguments)
    found = []
    for rows in chosen.rows:
        with tempfile.TemporaryDirectory() as place:
            fill(Path(place) / "set.parquet", rows)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                found.append(pool.submit(measure, Path(place) / "set.parquet").result())
        say(f"{found[-1]}")
    keep(chosen.out, {"runs": found}, MODEL)
    show(
        ["rows", "driver, MiB", "worker, MiB", "seconds"],
        [[f"{r['rows']:,}", *(f"{r[k]:.0f}" for k in ("driver_mib", "worker_mib", "seconds"))] for r in found],
    )


if __name__ == "__main__":
    main()
