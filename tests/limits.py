"""What any file may take: seconds of this process's own, and bytes of memory."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST, MOST_MEMORY = 2.0, 2**30


@contextmanager
def quickly() -> Iterator[None]:
    """Within the limits of time and memory."""
    started, before = time.thread_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.thread_time() - started < LONGEST
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 2**10 < MOST_MEMORY
