"""The command in a process of its own, as the tests of the command line run it."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "numpy", "PIL", "constriction")  # what --help and info never load


def run(*args: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`vlcodec ARGS` in the folder `cwd`; a traceback is never an answer."""
    done = subprocess.run([sys.executable, "-m", "vlcodec", *args], cwd=cwd, input=stdin, capture_output=True)
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
    """The top-level modules that a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "vlcodec", *args]
    lines = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stderr.splitlines()
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines if line.startswith("import time:")}
