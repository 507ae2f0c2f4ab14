"""Names, reading and writing: nothing is overwritten unasked, nothing is left half written."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import click

from vlcodec import facade
from vlcodec.cli.progress import CLEAR, progress
from vlcodec.codec.errors import OutputError, VlcodecError

STREAM = "-"  # stdin as an input, stdout as an output


def targets(sources: Sequence[str], out: str | None, derive: Callable[[str], str]) -> dict[str, str]:
    """Where each source's result goes; refuses, before any work is done, what would write one file over another."""
    if out == "":
        raise click.UsageError("-o needs a name")
    if out is None:
        names = [STREAM if source == STREAM else derive(source) for source in sources]
    elif out.endswith("/") or os.path.isdir(out):
        if not os.path.isdir(out):
            raise click.UsageError(f"-o {out}: no such folder")
        if STREAM in sources:
            raise click.UsageError("what comes from stdin has no name: -o must be a file, not a folder")
        names = [os.path.join(out, os.path.basename(derive(source))) for source in sources]
    elif len(sources) == 1:
        names = [out]
    else:
        raise click.UsageError("several inputs need a folder for -o")

    check_apart(sources, zip(sources, names, strict=True))
    return dict(zip(sources, names, strict=True))


def check_apart(sources: Iterable[str], outputs: Iterable[tuple[str, str]]) -> None:
    """Refuses outputs, each what it is for and its name, that are one of the sources, or one for two of them."""
    taken = {place(source): f"the input {source}" for source in sources if source != STREAM}
    for what, name in outputs:
        if place(name) in taken:
            raise click.UsageError(f"{what} would be written to {name}, which is {taken[place(name)]}")
        taken[place(name)] = f"the output for {what}"


def place(name: str) -> str:
    """The one name of a file, whichever of its names is given."""
    return name if name == STREAM else os.path.normcase(os.path.realpath(name))


def target_of_all(sources: Sequence[str], out: str | None, derive: Callable[[str], str]) -> str:
    """Where the one result of all sources goes, which is none of them."""
    target = targets(sources[:1], out, derive)[sources[0]]
    for source in sources[1:]:
        if STREAM not in (source, target) and place(source) == place(target):
            raise click.UsageError(f"all inputs would be written to {target}, which is the input {source}")
    return target


class Said(NamedTuple):
    """A line about one source, or none. failed: what could not be done. before, after: bytes read and written."""

    line: str
    failed: bool = False
    before: int = 0
    after: int = 0


SKIPPED = Said("")


def each(
    sources: Sequence[str],
    work: Callable[[str], Said | None],
    jobs: int = 1,
    total: bool = False,
    aside: bool = False,
    unread: Sequence[OSError] = (),
) -> None:
    """Works on every source, so many at a time, and says in order what became of each.

    Those that fail are named on stderr, the others are still done, and the exit code is 1. total: of several sources,
    show how many are done, and say in the end what became of all. aside: all is said on stderr, as stdout has a file.
    unread: folders that could not be looked into, which have failed.
    """

    def tried(source: str) -> Said | None:
        try:
            return work(source)
        except BrokenPipeError:  # nobody reads on: no reason to go on, and none to complain
            raise
        except MemoryError:
            rule = "not enough memory"
        except (VlcodecError, OSError) as error:
            rule = reason(error)
        return Said(f"vlcodec: {click.format_filename(source)}: {rule}", failed=True)

    for error in unread:
        click.echo(f"vlcodec: {click.format_filename(error.filename)}: {reason(error)}", err=True)
    failed = skipped = before = after = 0
    total = total and len(sources) > 1
    with progress(f"{len(sources):,} files", hidden=not total) as show:
        for number, said in enumerate(facade.side_by_side(tried, sources, jobs), start=1):
            if said is not None:
                failed, skipped = failed + said.failed, skipped + (said is SKIPPED)
                before, after = before + said.before, after + said.after
                if said.line:
                    if show is not None:
                        click.echo(CLEAR, err=True, nl=False)
                    click.echo(said.line, err=said.failed or aside)
            if show is not None:
                show("done", number, len(sources))
    if total:
        left = "".join(f", {count:,} {what}" for count, what in ((skipped, "skipped"), (failed, "failed")) if count)
        share = f" ({100 * after / before:.1f} %)" if before else ""
        click.echo(f"{len(sources):,} files: {before:,} -> {after:,} bytes{share}{left}", err=aside)
    if failed or unread:
        sys.exit(1)


def planned(source: str, estimate: facade.Estimate, as_json: bool) -> str:
    """What a source is expected to take, in one line."""
    if as_json:
        return json.dumps({"input": source, **asdict(estimate)})
    return f"{click.format_filename(source)}  {estimate.width}x{estimate.height}, {estimate}"


def reason(error: Exception) -> str:
    """What went wrong, in one line, without the path that an OSError repeats."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def read(source: str) -> bytes:
    """All bytes of a file, or of stdin; of more than any picture or .vlz file has, enough to refuse it."""
    if source == STREAM:
        return sys.stdin.buffer.read(facade.MAX_BYTES + 1)
    with open(source, "rb") as stream:
        return stream.read(facade.MAX_BYTES + 1)


def read_vlz(source: str) -> bytes:
    """All bytes of a .vlz file; of anything else the first ones alone, which tell that it is none."""
    if source == STREAM:
        return _vlz(sys.stdin.buffer)
    with open(source, "rb") as stream:
        return _vlz(stream)


def _vlz(stream: BinaryIO) -> bytes:
    data = stream.read(len(facade.MAGIC))
    return data + stream.read(facade.MAX_BYTES + 1 - len(data)) if data == facade.MAGIC else data


def peek(sources: Sequence[str], read: Callable[[str], bytes] = read) -> bytes:
    """The only source's bytes, read once since it may be a pipe; none of several, or where `read` will say why."""
    try:
        return read(sources[0]) if len(sources) == 1 else b""
    except OSError:
        return b""


def check(target: str, force: bool, new_folder: bool = False) -> None:
    """Refuses a target that may not be written, before minutes are spent on what goes there.

    new_folder: its folder need not be there yet, nor that one's.
    """
    if target == STREAM:
        return
    if os.path.lexists(target):
        if not os.path.isfile(target):
            raise OutputError(f"{target} exists and is not a file")
        if not force:
            raise OutputError(f"{target} exists; --force overwrites it")
    folder = os.path.dirname(target) or "."
    while new_folder and not os.path.lexists(folder):
        folder = os.path.dirname(folder) or "."
    if not os.path.isdir(folder):
        raise OutputError(f"{target} cannot be written: no such folder")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{target} cannot be written: the folder is read-only")


def make_folder(target: str) -> None:
    """The folder that a target goes into, and those above. Raises OutputError where it cannot be made."""
    try:
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {reason(error)}") from error


def read_front(source: str) -> bytes:
    """So many of a file's first bytes as its preview needs; all of a file without a front that tells."""
    if source == STREAM:
        return _front(sys.stdin.buffer)
    with open(source, "rb", buffering=0) as stream:
        return _front(stream)


def _front(stream: BinaryIO | FileIO) -> bytes:
    data = _read(stream, facade.FRONT_BYTES)
    size = facade.preview_size(data)
    if size is None:
        return data + _read(stream, facade.MAX_BYTES + 1 - len(data))
    return data + _read(stream, size - len(data))


def _read(stream: BinaryIO | FileIO, count: int) -> bytes:
    """So many bytes, or all that come."""
    parts, left = [], count
    while left > 0 and (part := stream.read(min(left, 1 << 24))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def write(target: str, data: bytes, force: bool) -> None:
    """Writes all of `data` or nothing: first beside the target, then in its place in one move."""
    if target == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    part = Path(target).with_name(f".vlcodec-{os.urandom(4).hex()}.part")
    try:
        with part.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())  # some file systems report a full disk only here
        check(target, force)  # again: the work may have taken minutes
        part.replace(target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {reason(error)}") from error
    finally:
        part.unlink(missing_ok=True)
