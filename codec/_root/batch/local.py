"""The engine that needs nothing: processes of this machine, one a core, that each do one unit at a time."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing.connection import wait as wait_for

from vlcodec.batch.figures import Figures
from vlcodec.batch.work import Job, Unit, Work
from vlcodec.codec.errors import VlcodecError

WAITING = 2  # units a worker that are planned ahead
TRIES = 3  # of a unit whose worker has died
_own = list[Work]()  # of a worker's process


def run(job: Job, units: Iterator[Unit], workers: int) -> Iterator[Figures]:
    """What comes of each unit, as it is done. Raises what a worker raises, VlcodecError where they die of a unit.

    One worker is this process.
    """
    if workers == 1:
        yield from map(Work(job), units)
        return
    deaths, again = Counter[str](), list[Unit]()
    while True:
        running = dict[Future[Figures], Unit]()
        units = chain(again, units)
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, (job,))
        try:
            while True:
                running |= {pool.submit(_do, unit): unit for unit in islice(units, WAITING * workers - len(running))}
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    figures = done.result()
                    del running[done]
                    yield figures
        except BrokenProcessPool:
            again = list(running.values())
        finally:
            pool.shutdown(cancel_futures=True)
        deaths.update(unit.name for unit in again)
        for unit in again:
            if deaths[unit.name] == TRIES:
                raise VlcodecError(f"workers die: {TRIES} did while they worked on pictures from {unit.items[0].id} on")


def _begin(job: Job) -> None:
    """A worker's beginning. It ends with the process that began it, so that nobody writes into a later run's output."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _own[:] = [Work(job)]


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def _do(unit: Unit) -> Figures:
    return _own[0](unit)
