"""Batches by two workers, local and on Ray, against single calls one after the other on one core: same bytes, pace.

    python benchmarks/batches.py small CIFAR --pictures 10000 --kind lossless
    python benchmarks/batches.py photos FOLDER... --pictures 200 --kind lossy

CIFAR is the folder of cifar10.npz, whose test pictures become PNG files, of agave-cifar10; photographs are cropped to
512 x 512 in their middle. Each way has processes of its own, and its time has all that it takes to begin: models,
workers, a cluster. Seconds of the processors are beside those of the clock, since other work on a machine spoils the
latter. With --rounds, all ways are measured in turn so often, and the median counts. What was measured before stays in
the JSON, by set and kind; --ways measures some of the ways again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any

from common import Row, keep, load, parser, pictures, say, show, strided
from PIL import Image

import vlcodec
from vlcodec.batch import CompressOptions, run
from vlcodec.models.agave.data import load_cifar10
from vlcodec.models.layers.settings import use_threads

MODELS = {"small": "agave-cifar10", "photos": "photo"}
SIDE, WORKERS = 512, 2


def alone(folder: Path, options: CompressOptions) -> Row:
    """Single calls, on one core. cpu: seconds of the processor."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    use_threads(1)  # torch counted the cores before
    start, digests = time.perf_counter(), {}
    for path in sorted(folder.iterdir()):
        made = vlcodec.compress(path, model=options.model, lossless=options.lossless, device="cpu", jobs=1)
        digests[path.name] = hashlib.sha256(made).hexdigest()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "digests": digests,
    }


def batch(folder: Path, options: CompressOptions, engine: str) -> Row:
    """A run by two workers. cpu: seconds of the processors, of all processes; Ray's end with another process."""
    from pyarrow.parquet import ParquetFile

    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  # 15 by default, which stands still beside other work
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        figures, _ = run(str(folder), Path(out), "compress", options, engine=engine, jobs=WORKERS)  # type: ignore[arg-type]
        seconds, digests = time.perf_counter() - start, dict[str, str]()
        for path in Path(out).glob("*.parquet"):
            rows = ParquetFile(path).read(columns=["id", "vlz"]).to_pylist()
            digests |= {row["id"]: hashlib.sha256(row["vlz"]).hexdigest() for row in rows}
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(part.ru_utime + part.ru_stime for part in used)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu if engine == "local" else None,
        "worker_seconds": figures.seconds,
        "digests": digests,
    }


WAYS: dict[str, tuple[Callable[..., Row], tuple[str, ...]]] = {
    "alone": (alone, ()),
    "local": (batch, ("local",)),
    "ray": (batch, ("ray",)),
}


def fill(folder: Path, kind: str, sources: Sequence[Path], count: int) -> None:
    """A folder of so many PNG files."""
    if kind == "small":
        found = (Image.fromarray(pixels) for pixels in strided(load_cifar10(sources[0]).test, count))
    else:
        large = (load(path).convert("RGB") for path in pictures(sources))
        found = (_middle(image) for image in large if min(image.size) >= SIDE)
    for number, image in zip(range(count), found, strict=False):
        image.save(folder / f"{number:05}.png")


def _middle(image: Image.Image) -> Image.Image:
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    return image.crop((left, top, left + SIDE, top + SIDE))


def own_process(work: Callable[..., Row], *arguments: Any) -> Row:
    """What a work gives in a process that did nothing before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def measure(
    name: str, sources: Sequence[Path], count: int, lossless: bool, ways: Sequence[str], rounds: int, before: Row
) -> Row:
    """Figures by way; those that are not measured are those of before, if they are of as many pictures."""
    options = CompressOptions(model=MODELS[name], lossless=lossless, device="cpu")
    with tempfile.TemporaryDirectory() as place:
        fill(Path(place), name, sources, count)
        there = len(list(Path(place).iterdir()))
        same, found = True, {way: row for way, row in before.get("ways", {}).items() if before.get("pictures") == there}
        rows: dict[str, list[Row]] = {way: [] for way in ways}
        for way in list(ways) * rounds:
            work, more = WAYS[way]
            load_before = os.getloadavg()[0]
            row = own_process(work, Path(place), options, *more) | {"load": load_before}
            digests = row.pop("digests")
            row["sha256"] = hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest()  # of all files
            rows[way].append(row)
            say(f"{name}, {there} pictures, {way}: {row}")
        for way, of_way in rows.items():
            in_order = sorted(of_way, key=itemgetter("seconds"))
            found[way] = in_order[rounds // 2] | {"all_seconds": [row["seconds"] for row in of_way]}
            same &= len({row["sha256"] for row in of_way}) == 1
    same &= len({row["sha256"] for row in found.values()}) == 1
    return {"pictures": there, "same_bytes": same, "ways": found}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "batches")
    options.add_argument("set", choices=MODELS)
    options.add_argument("sources", type=Path, nargs="+")
    options.add_argument("--pictures", type=int, default=200)
    options.add_argument("--kind", choices=["lossless", "lossy"], default="lossless")
    options.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options.add_argument("--rounds", type=int, default=1)
    chosen = options.parse_args(arguments)
    results = json.loads(chosen.out.read_text())["sets"] if chosen.out.exists() else {}
    name = f"{chosen.set}, {chosen.kind}"
    before = results.get(name, {})
    results[name] = measure(
        chosen.set, chosen.sources, chosen.pictures, chosen.kind == "lossless", chosen.ways, chosen.rounds, before
    )
    keep(chosen.out, {"sets": results}, MODELS[chosen.set])
    show(
        ["set", "pictures", "way", "seconds", "seconds of processors", "pictures/s", "same bytes"],
        [
            [
                name,
                str(row["pictures"]),
                way,
                f"{figures['seconds']:.1f}",
                f"{figures['cpu_seconds']:.1f}" if figures["cpu_seconds"] else "",
                f"{row['pictures'] / figures['seconds']:.2f}",
                str(row["same_bytes"]),
            ]
            for name, row in results.items()
            for way, figures in row["ways"].items()
        ],
    )


if __name__ == "__main__":
    main()
