"""The engine of many machines: Ray Data maps the same work over the same units. The one file that imports Ray."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from typing import Any

from vlcodec.batch.figures import Figures
from vlcodec.batch.work import Job, Unit, Work
from vlcodec.codec.errors import VlcodecError


def run(job: Job, units: Iterator[Unit], workers: int, address: str | None) -> Iterator[Figures]:
    """What comes of each unit, as it is done, by so many actors that each load the model once.

    address: of a cluster; None starts one here. A unit whose worker or machine is lost is done again. Raises
    VlcodecError where Ray is not installed.
    """
    planned = [{"unit": pickle.dumps(unit)} for unit in units]
    if not planned:
        return
    try:
        yield from _run(job, planned, workers, address)
    except ImportError as error:
        raise VlcodecError(f"the engine ray needs pip install 'vlcodec[ray]': {error}") from None


def _run(job: Job, planned: list[dict[str, Any]], workers: int, address: str | None) -> Iterator[Figures]:
    import ray

    began = not ray.is_initialized()
    if began:
        here = {"num_cpus": workers * job.options.threads, "include_dashboard": False}
        options: dict[str, Any] = {"address": address} if address else here
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    try:
        from ray.data import ActorPoolStrategy, DataContext, from_items  # takes a second, in which workers begin

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        DataContext.get_current().enable_progress_bars = False
        dataset = from_items(planned, override_num_blocks=len(planned))  # a block is what is done again
        done = dataset.map_batches(
            _Worker,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=ActorPoolStrategy(size=workers),
            num_cpus=job.options.threads,
            num_gpus=1 if job.options.device == "cuda" else 0,
        )
        for row in done.iter_rows():
            made = pickle.loads(row["made"])
            if isinstance(made, VlcodecError):
                raise made
            yield made
    finally:
        if began:
            ray.shutdown()


class _Worker:
    """An actor. What it refuses is a value, as Ray would wrap what it raised."""

    def __init__(self, job: Job) -> None:
        self._work = Work(job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"made": [pickle.dumps(self._tried(pickle.loads(unit))) for unit in batch["unit"]]}

    def _tried(self, unit: Unit) -> Figures | VlcodecError:
        try:
            return self._work(unit)
        except VlcodecError as error:
            return error
