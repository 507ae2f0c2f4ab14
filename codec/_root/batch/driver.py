"""A run: from a source to an output, by an engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

from vlcodec._shared import Progress, device_of, encoder
from vlcodec.batch import local, on_ray, sources
from vlcodec.batch.columns import CompressOptions, Options
from vlcodec.batch.figures import Figures, total
from vlcodec.batch.outputs import Output, name_of, prepare
from vlcodec.batch.work import TASKS, Job, Unit
from vlcodec.codec.errors import VlcodecError
from vlcodec.jobs import jobs_of
from vlcodec.models import registry, zoo

MOST_ROWS = 1000  # of a shard, unless told otherwise
LEAST_ROWS = {True: 64, False: 1}  # by whether the model takes many pictures side by side
SHARES = 4  # units shrink to a fourth of what is left for each worker, so that all end at the same time


def run(
    source: str,
    out: Path,
    task: Literal["compress", "decompress", "rate"],
    options: Options,
    *,
    files: bool = False,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    jobs: int | None = None,
    rows: int | None = None,
    progress: Progress | None = None,
) -> tuple[Figures, Figures]:
    """Do a task to every picture of a source that the output does not have yet; figures of the run and of all.

    Args:
        source: a folder, a pattern, or one file; files are pictures (.vlz files to be decompressed), tars of them, or
            parquet files with a column of their bytes.
        out: a folder that is not there yet, or was made by the same task with the same options.
        files: whether each picture's file is written, into folders as in the source, besides the table.
        address: of a Ray cluster, to which source and output are at the same place as here. One is begun here if None.
        jobs: workers; None is as many as this machine has cores, or one where it has a GPU that they would share.
        rows: of a shard, at most; a shard is what a worker does at a time. None is 1000, or less, so that every worker
            gets some.

    One run at a time may have an output. Raises VlcodecError for a source that is not there and for a file in place of
    a picture, OutputError for an output of something else or that cannot be written, ModelError as its task does.
    """
    _check_pyarrow()
    for folder in reversed(options.weights):
        registry.search_in(folder)
    options = replace(options, weights=tuple(folder.absolute() for folder in registry.folders()))
    source, out = str(Path(source).absolute()), out.absolute()  # workers may have another folder
    kind = TASKS[task]
    if files and not kind.made:
        raise VlcodecError(f"the task {task} makes no files: its output is the table")
    columns = {"id": "string"} | dict(kind.batch.columns) | {"error": "string"}
    job = Job(task, options, Output(out, columns, kind.made if files else ""))
    settings, workers = job.settings, _workers(jobs, options.device, engine)
    count = sum(1 for _ in sources.items(source, kind.suffixes, options.column, out))
    prepare(out, settings)
    done = job.output.done()
    missing = count - len(done) if done else count

    def units() -> Iterator[Unit]:
        found, planned = sources.items(source, kind.suffixes, options.column, out), 0
        left = (item for item in found if item.id not in done)
        while items := tuple(islice(left, rows or _rows(missing - planned, workers, options))):
            planned += len(items)
            yield Unit(name_of(settings, [item.id for item in items]), items)

    made = local.run(job, units(), workers) if engine == "local" else on_ray.run(job, units(), workers, address)
    figures, started = Figures(), time.monotonic()
    for part in made:
        figures.add(part)
        if progress is not None:
            finished = figures.pictures + figures.failed
            pace = finished / (time.monotonic() - started)
            progress(f"{pace:.1f} pictures/s, {figures.saved:,} bits saved", finished, max(finished, missing))
    return figures, total(job.output.stats())


def _workers(jobs: int | None, device: str, engine: str) -> int:
    """How many; Ray's have a GPU each where the device is one, and none where it is left open."""
    if jobs is None and engine == "local" and device_of(device) == "cuda":
        return 1
    return jobs_of(jobs)


def _rows(left: int, workers: int, options: Options) -> int:
    """Of the next shard, where so many pictures are left."""
    lanes = not isinstance(options, CompressOptions) or bool(zoo.takes(encoder(options.model)).archives)
    return min(MOST_ROWS, max(LEAST_ROWS[lanes], left // (SHARES * workers)))


def _check_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise VlcodecError(f"batches need pip install 'vlcodec[batch]': {error}") from None
