"""Names, reading and writing: nothing is overwritten unasked, nothing is left half written."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import click

from vlcodec import facade
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

    taken = {os.path.realpath(source): f"the input {source}" for source in sources if source != STREAM}
    for source, name in zip(sources, names, strict=True):
        place = name if name == STREAM else os.path.realpath(name)
        if place in taken:
            raise click.UsageError(f"{source} would be written to {name}, which is {taken[place]}")
        taken[place] = f"the output for {source}"
    return dict(zip(sources, names, strict=True))


def target_of_all(sources: Sequence[str], out: str | None, derive: Callable[[str], str]) -> str:
    """Where the one result of all sources goes, which is none of them."""
    target = targets(sources[:1], out, derive)[sources[0]]
    for source in sources[1:]:
        if STREAM not in (source, target) and os.path.realpath(source) == os.path.realpath(target):
            raise click.UsageError(f"all inputs would be written to {target}, which is the input {source}")
    return target


class Said(NamedTuple):
    """A line about one source. failed: what could not be done."""

    line: str
    on_stderr: bool = False
    failed: bool = False


def each(sources: Sequence[str], work: Callable[[str], Said | None], jobs: int = 1) -> None:
    """Works on every source, so many at a time, and says in order what became of each.

    Those that fail are named on stderr, the others are still done, and the exit code is 1.
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
        return Said(f"vlcodec: {click.format_filename(source)}: {rule}", on_stderr=True, failed=True)

    failed = False
    for said in facade.side_by_side(tried, sources, jobs):
        if said is not None:
            click.echo(said.line, err=said.on_stderr)
            failed = failed or said.failed
    if failed:
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


def peek(sources: Sequence[str]) -> bytes:
    """The only source's bytes, read once since it may be a pipe; none of several, or where `read` will say why."""
    try:
        return read(sources[0]) if len(sources) == 1 else b""
    except OSError:
        return b""


def check(target: str, force: bool, new_folder: bool = False) -> None:
    """Refuses a target that may not be written, before minutes are spent on what goes there.

    new_folder: its folder need not be there yet.
    """
    if target == STREAM:
        return
    if os.path.lexists(target):
        if not os.path.isfile(target):
            raise OutputError(f"{target} exists and is not a file")
        if not force:
            raise OutputError(f"{target} exists; --force overwrites it")
    folder = os.path.dirname(target) or "."
    if new_folder and not os.path.lexists(folder):
        folder = os.path.dirname(folder) or "."
    if not os.path.isdir(folder):
        raise OutputError(f"{target} cannot be written: no such folder")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{target} cannot be written: the folder is read-only")


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
