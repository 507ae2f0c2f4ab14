"""Work side by side: bands of a picture, and pictures of a batch, each in a thread of its own.

Threads serve, since products and compiled loops let others run; what they make does not depend on how many there are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from vlcodec._shared import Progress
from vlcodec.codec.errors import VlcodecError

Item = TypeVar("Item")
Made = TypeVar("Made")


def jobs_of(jobs: int | None) -> int:
    """How many threads a call takes, None being all cores that the process may use. Raises VlcodecError below 1."""
    if jobs is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if jobs < 1:
        raise VlcodecError(f"jobs is a number of threads, at least 1, not {jobs}")
    return jobs


def side_by_side(work: Callable[[Item], Made], items: Sequence[Item], jobs: int) -> Iterator[Made]:
    """What becomes of each item, in order; where one fails, those that have not begun are left out."""
    if min(jobs, len(items)) <= 1:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor  # late: one picture needs none

    pool = ThreadPoolExecutor(min(jobs, len(items)))
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)


class Ticks:
    """Progress of parts that are worked on at the same time. parts: how many."""

    def __init__(self, progress: Progress | None, what: str, parts: int) -> None:
        self._progress, self._what, self._done = progress, what, [0] * parts
        self._lock = threading.Lock()

    def of(self, part: int) -> Callable[[int, int], None] | None:
        """The tick of one part; all parts count the same."""
        if self._progress is None:
            return None
        show = self._progress

        def tick(done: int, total: int) -> None:
            with self._lock:
                self._done[part] = done * SHARE // total
                show(self._what, sum(self._done), SHARE * len(self._done))

        return tick


SHARE = 1000  # what a part counts
