"""Where pictures come from: files in folders or of a pattern, members of tars, rows of parquet files.

A picture's id is its place below the source: "a/b.png", "train-00.tar/000012.jpg", "part.parquet/00000012". Items are
found one by one, in order of their ids' parts, so that neither a list of them nor a picture is kept in memory.
"""

from __future__ import annotations

import os
import tarfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from glob import has_magic, iglob
from itertools import groupby, takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vlcodec.batch.outputs import STATS, TABLE
from vlcodec.codec.errors import VlcodecError
from vlcodec.codec.files.wire import MAX_FILE

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm")
TAR, PARQUET = ".tar", ".parquet"
WHOLE = -1  # size of a file that is read to its end
MOST_BYTES = MAX_FILE + 1  # of a file: enough to refuse it
AT_ONCE = 64  # rows of a parquet file that are in memory


class Span(NamedTuple):
    """Bytes of a file: a whole one, or a member of a tar."""

    path: str
    start: int
    size: int


class Cell(NamedTuple):
    """A row of a parquet file."""

    path: str
    row: int


class Unread(NamedTuple):
    """What could not be looked into."""

    reason: str


class Item(NamedTuple):
    """A picture. place: where its bytes are."""

    id: str
    place: Span | Cell | Unread


def items(source: str, suffixes: Sequence[str], column: str, out: Path) -> Iterator[Item]:
    """The pictures of a folder (and of those below it), of a pattern with ** and *, or of one file.

    suffixes: of the files that are pictures, in folders and tars; a pattern takes all files that it names. column: of
    parquet files. out: an absolute folder that is left out. Raises VlcodecError for a source that is not there, and for
    a parquet file without the column.
    """
    place = Path(source)
    if place.is_dir():
        base, paths = place, _below(place, (*suffixes, TAR, PARQUET), out)
    elif place.is_file():
        base, paths = place.parent, iter([place])
    elif has_magic(source):
        base = Path(*takewhile(lambda part: not has_magic(part), place.parts))
        paths = iter(sorted(path for path in map(Path, iglob(source, recursive=True)) if path.is_file()))
    else:
        raise VlcodecError(f"{source} is no folder, no file and no pattern")
    for path in paths:
        name = path.relative_to(base).as_posix()
        if path.suffix.lower() == TAR:
            yield from _members(path, name, suffixes)
        elif path.suffix.lower() == PARQUET:
            yield from _rows(path, name, column)
        else:
            yield Item(name, Span(str(path), 0, WHOLE))


def read(found: Iterable[Item], column: str) -> Iterator[bytes | Unread]:
    """The bytes of items, in order."""
    for path, group in groupby(found, lambda item: item.place.path if isinstance(item.place, Cell) else None):
        places = [item.place for item in group]
        if path is None:
            yield from map(_bytes, places)
        else:
            yield from _cells(path, [place.row for place in places if isinstance(place, Cell)], column)


def _below(folder: Path, suffixes: tuple[str, ...], out: Path) -> Iterator[Path]:
    """The files of a folder that have one of the suffixes, and are neither hidden nor the figures of a run."""
    for place, folders, files in os.walk(folder):
        known = [name for name in folders if not name.startswith(".") and name not in (TABLE, STATS)]
        folders[:] = sorted(name for name in known if Path(place, name).absolute() != out)
        for name in sorted(files):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield Path(place, name)


def _members(path: Path, name: str, suffixes: Sequence[str]) -> Iterator[Item]:
    """The pictures in a tar; where its end is cut off or damaged, those before, and the tar itself."""
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # which it would keep
                if member.isreg() and member.name.lower().endswith(tuple(suffixes)):
                    span, parts = Span(str(path), member.offset_data, member.size), PurePosixPath(member.name).parts
                    inside = ".." not in parts and parts[0] != "/"
                    yield Item(f"{name}/{member.name}", span if inside else Unread("its name leads out of the tar"))
            stream.seek(tar.offset)
            if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile takes a damaged header for the end
                yield Item(name, Unread("the tar is damaged, or its end is cut off"))
    except (tarfile.TarError, OSError) as error:
        yield Item(name, Unread(f"cannot be read as an uncompressed tar: {error}"))


def _rows(path: Path, name: str, column: str) -> Iterator[Item]:
    """The rows of a parquet file."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            count, columns = file.metadata.num_rows, file.schema_arrow.names
    except (ArrowException, OSError) as error:
        yield Item(name, Unread(f"cannot be read as parquet: {error}"))
        return
    if column not in columns:
        raise VlcodecError(f"{path} has no column {column!r}: it has {', '.join(columns)} (--column)")
    for row in range(count):
        yield Item(f"{name}/{row:08}", Cell(str(path), row))


def _bytes(place: Span | Cell | Unread) -> bytes | Unread:
    """Of one file, or a part of it."""
    if not isinstance(place, Span):
        return place if isinstance(place, Unread) else Unread("not a file")
    try:
        with open(place.path, "rb") as stream:
            stream.seek(place.start)
            return stream.read(MOST_BYTES if place.size == WHOLE else place.size)
    except OSError as error:
        return Unread(f"cannot be read: {error.strerror or error}")


def _cells(path: str, rows: list[int], column: str) -> Iterator[bytes | Unread]:
    """The bytes of rows, in ascending order, of a parquet file; no more of it is in memory than a part of a group."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    left = deque(rows)
    try:
        with ParquetFile(path) as file:
            start = 0
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                if left and left[0] < stop:
                    for batch in file.iter_batches(AT_ONCE, row_groups=[group], columns=[column]):
                        while left and left[0] < start + len(batch):
                            value = batch.column(0)[left[0] - start].as_py()
                            left.popleft()
                            yield value if isinstance(value, bytes) else Unread("the row has no bytes")
                        start += len(batch)
                        if not left:
                            return
                start = stop
    except (ArrowException, OSError) as error:
        yield from [Unread(f"cannot be read: {error}")] * len(left)
