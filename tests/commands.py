"""The command as the tests of the command line run it: in this process, or in one of its own."""

import contextlib
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from vlcodec.cli.main import main
from vlcodec.models import registry

HEAVY = ("torch", "numpy", "numba", "PIL", "constriction")  # what --help and info never load
Done = subprocess.CompletedProcess[bytes]


def run(*args: str, cwd: Path, stdin: bytes = b"") -> Done:
    """`vlcodec ARGS` in the folder `cwd`, in this process: models that are loaded stay so."""
    with _own(args, cwd, stdin) as (out, err):
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return Done(["vlcodec", *args], code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _own(args: tuple[str, ...], cwd: Path, stdin: bytes) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """What a process has of its own: arguments, folder, streams, warnings, and the search path."""
    out, err = io.BytesIO(), io.BytesIO()
    streams: dict[str, Any] = {
        "argv": ["vlcodec", *args],
        "stdin": io.TextIOWrapper(io.BytesIO(stdin), "utf-8"),
        "stdout": io.TextIOWrapper(out, "utf-8", write_through=True),
        "stderr": io.TextIOWrapper(err, "utf-8", write_through=True),
    }
    before = list(registry._chosen)
    with mock.patch.multiple(sys, **streams), contextlib.chdir(cwd), warnings.catch_warnings():
        warnings.resetwarnings()
        try:
            yield out, err
        finally:
            registry._chosen[:] = before


def process(*args: str, cwd: Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> Done:
    """`vlcodec ARGS` in a process of its own; a traceback is never an answer."""
    command = [sys.executable, "-m", "vlcodec", *args]
    done = subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, env={**os.environ, **(env or {})})
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


def ok(*args: str, cwd: Path, stdin: bytes = b"") -> str:
    """The stdout of a command that must succeed without a word on stderr."""
    done = run(*args, cwd=cwd, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def failure(*args: str, cwd: Path, code: int = 1) -> str:
    """The stderr of a command that must fail, write nothing to stdout and leave the folder as it was."""
    before = {path: path.is_file() and path.read_bytes() for path in cwd.rglob("*")}
    done = run(*args, cwd=cwd)
    assert done.returncode == code
    assert done.stdout == b""
    assert {path: path.is_file() and path.read_bytes() for path in cwd.rglob("*")} == before
    return done.stderr.decode()


def loaded(*args: str, cwd: Path) -> set[str]:
    """The top-level modules that a command imports, in a process of its own."""
    command = [sys.executable, "-X", "importtime", "-m", "vlcodec", *args]
    lines = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stderr.splitlines()
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines if line.startswith("import time:")}
