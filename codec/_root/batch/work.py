"""A unit of work: pictures that one worker reads, works on and writes, as one shard. Both engines run nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from vlcodec._shared import encoder
from vlcodec.batch import sources
from vlcodec.batch.columns import CompressBatch, CompressOptions, DecompressBatch, Options, RateBatch
from vlcodec.batch.figures import Figures
from vlcodec.batch.outputs import Output
from vlcodec.batch.sources import Item, Unread

AT_ONCE, BYTES_AT_ONCE = 1024, 1 << 26  # pictures, and their bytes, that are in memory, of one more than this
OF_THE_MACHINE = ("column", "device", "threads", "weights")  # options that change no byte


@dataclass(frozen=True)
class Task:
    """What is done to pictures: a class of `columns`, the suffixes of its files, and that of those it makes, if any."""

    batch: Any
    suffixes: tuple[str, ...]
    made: str


TASKS = {
    "compress": Task(CompressBatch, sources.PICTURES, ".vlz"),
    "decompress": Task(DecompressBatch, (".vlz",), ".png"),
    "rate": Task(RateBatch, sources.PICTURES, ""),
}


@dataclass(frozen=True)
class Unit:
    """Pictures, and the name of their shard."""

    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Job:
    """What all units share. task: of TASKS."""

    task: str
    options: Options
    output: Output

    @property
    def settings(self) -> dict[str, Any]:
        """All that the output's bytes follow from, but for the pictures."""
        kept = {name: value for name, value in asdict(self.options).items() if name not in OF_THE_MACHINE}
        if isinstance(self.options, CompressOptions):
            entry = encoder(self.options.model)  # a name may have other weights one day
            kept["model"] = f"{entry.name}-{entry.number}"
        return {"task": self.task, "files": bool(self.output.suffix)} | kept


class Work:
    """A worker; it loads the model once, for its first unit."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @cached_property
    def _batch(self) -> Any:
        return TASKS[self._job.task].batch(self._job.options)

    def __call__(self, unit: Unit) -> Figures:
        """Do a unit, and write it. Raises OutputError, and ModelError for options that fit no picture."""
        started, figures, column = time.monotonic(), Figures(), self._job.options.column
        with self._job.output.writing(unit.name) as write:
            for items, values in _parts(unit.items, column):
                rows = self._batch({"id": [item.id for item in items], column: values})
                for place, value in enumerate(values):
                    if isinstance(value, Unread):
                        rows["error"][place] = value.reason
                write(rows)
                figures.add_rows(rows, self._batch.plain, self._batch.coded)
            figures.seconds = time.monotonic() - started
            self._job.output.put_stats(unit.name, figures.to_dict())
        return figures


def _parts(items: Sequence[Item], column: str) -> Iterator[tuple[list[Item], list[bytes | Unread]]]:
    """The items of a unit with what they hold, so many at a time that memory holds them."""
    values, first, held = list[bytes | Unread](), 0, 0
    for place, value in enumerate(sources.read(items, column)):
        values.append(value)
        held += len(value) if isinstance(value, bytes) else 0
        if len(values) == AT_ONCE or held >= BYTES_AT_ONCE:
            yield list(items[first : place + 1]), values
            values, first, held = [], place + 1, 0
    if values:
        yield list(items[first:]), values
