"""A progress bar on stderr."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vlcodec import facade

if TYPE_CHECKING:
    from vlcodec.facade import Progress

PATIENCE = 1.0  # seconds without a bar: short work needs none
PERIOD = 0.1  # seconds between two drawings
WIDTH = 30  # characters of the bar
ONCE = "vlcodec: compiling its loops for this machine, once: some ten seconds"
CLEAR = "\r\x1b[K"  # back to the first column, erase the line


@contextmanager
def progress(name: str, hidden: bool) -> Iterator[Progress | None]:
    """Offers a bar for the work on `name`, or None where nobody would see it; wipes it at the end."""
    if hidden or not sys.stderr.isatty():
        yield None
        return
    facade.tell_of_compiling(lambda: print(ONCE, file=sys.stderr, flush=True))
    due = time.monotonic() + PATIENCE
    drawn = False

    def show(what: str, done: int, total: int) -> None:
        nonlocal due, drawn
        now = time.monotonic()
        if now < due:
            return
        due, drawn = now + PERIOD, True
        filled = WIDTH * done // max(total, 1)
        bar = "#" * filled + "." * (WIDTH - filled)
        line = f"[{bar}] {done:,}/{total:,} {name}: {what}"
        room = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be wiped
        print(CLEAR + line[:room], end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        facade.tell_of_compiling(None)
        if drawn:
            print(CLEAR, end="", file=sys.stderr, flush=True)
