"""Where results go: parquet shards of rows, each with a small JSON of figures; files apart, if they are wanted.

    OUT/a1b2c3d4e5f60718.parquet         a row for each picture: id, the new columns, error
    OUT/_stats/a1b2c3d4e5f60718.json     pictures, bytes, errors, a histogram: what the summary adds up
    OUT/_run.json                        what was asked for: a second run must ask for the same

    OUT/a/b.png.vlz                      with files, the source's folders mirrored; their rows, without the bytes, are
    OUT/_table/a1b2c3d4e5f60718.parquet  here

A unit's name follows from its ids and from what was asked for, and so do its bytes. It is written beside, and moved
into place in one step, the shard last: a unit that was cut off leaves nothing that counts, and one that is done twice
is there once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from vlcodec.codec.errors import OutputError

TABLE, STATS, RUN = "_table", "_stats", "_run.json"  # readers of parquet folders pass over names that begin with _
PART, BYTES = ".part", "binary"


def name_of(settings: Mapping[str, Any], ids: list[str]) -> str:
    """Of a unit: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps([settings, ids], sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def placed(path: Path) -> Iterator[IO[bytes]]:
    """A stream that is written beside a path, and moved there once all is on the disk."""
    part = path.with_name(f".vlcodec-{os.urandom(4).hex()}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def prepare(out: Path, settings: Mapping[str, Any]) -> None:
    """The folder of a run, without what earlier runs left half written.

    Raises OutputError where it holds what was made with other settings.
    """
    kept = out / RUN
    if kept.exists():
        found = json.loads(kept.read_text())
        if found != settings:
            differing = sorted(name for name in {*found, *settings} if found.get(name) != settings.get(name))
            raise OutputError(f"{out} holds what was made with other settings: {', '.join(differing)}")
    elif out.exists() and any(out.iterdir()):
        raise OutputError(f"{out} is not empty, and not the output of a batch")
    for part in out.rglob(f".vlcodec-*{PART}"):
        part.unlink(missing_ok=True)
    with placed(kept) as stream:
        stream.write(json.dumps(settings, indent=1).encode())


@dataclass(frozen=True)
class Output:
    """What a run writes into. columns: of a row, with their Arrow types; suffix: of files, or "" for none."""

    folder: Path
    columns: Mapping[str, str]
    suffix: str

    @property
    def shards(self) -> Path:
        """Their folder."""
        return self.folder / TABLE if self.suffix else self.folder

    def done(self) -> set[str]:
        """The ids that are there, those of failed rows too."""
        from pyarrow.parquet import read_table

        found = set[str]()
        for path in sorted(self.shards.glob("*.parquet")):
            found.update(read_table(path, columns=["id"])["id"].to_pylist())
        return found

    @contextmanager
    def writing(self, name: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """A function that takes a unit's columns, in parts; its shard is there once the context is left."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        columns = {column: kind for column, kind in self.columns.items() if not (self.suffix and kind == BYTES)}
        schema = pa.schema([(column, pa.type_for_alias(kind)) for column, kind in columns.items()])
        packed = {column: "none" if kind == BYTES else "zstd" for column, kind in columns.items()}
        options: dict[str, Any] = {"compression": packed, "use_dictionary": False}
        with placed(self.shards / f"{name}.parquet") as stream, ParquetWriter(stream, schema, **options) as writer:

            def write(part: Mapping[str, Any]) -> None:
                if self.suffix:
                    self._write_files(part)
                writer.write_table(pa.table({column: part[column] for column in columns}, schema))

            yield write

    def _write_files(self, part: Mapping[str, Any]) -> None:
        (column,) = (column for column, kind in self.columns.items() if kind == BYTES)
        for name, data in zip(part["id"], part[column], strict=True):
            if data is not None:
                with placed(self.folder / (name + self.suffix)) as stream:
                    stream.write(data)

    def put_stats(self, name: str, stats: Mapping[str, Any]) -> None:
        """The figures of a unit, beside its shard that is about to be there."""
        with placed(self.folder / STATS / f"{name}.json") as stream:
            stream.write(json.dumps(stats, indent=1).encode())

    def stats(self) -> Iterator[dict[str, Any]]:
        """The figures of all shards."""
        for path in sorted(self.shards.glob("*.parquet")):
            yield json.loads((self.folder / STATS / f"{path.stem}.json").read_text())
