"""Work side by side gives what one after the other gives, in order."""

import threading

import numpy as np
import pytest
from PIL import Image

import vlcodec
from vlcodec import facade

R, C, K = np.indices((516, 6, 3))
TALL = Image.fromarray(((R + 3 * C + 40 * K) % 256).astype(np.uint8))  # two bands


def test_results_come_in_order_from_several_threads() -> None:
    gate = threading.Barrier(3, timeout=20)

    def work(item: int) -> int:
        gate.wait()  # passes only where three work at once
        return item * item

    assert list(facade.side_by_side(work, range(6), 3)) == [0, 1, 4, 9, 16, 25]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_ends_it(jobs: int) -> None:
    def work(item: int) -> int:
        if item == 1:
            raise ValueError("the second one")
        return item

    results = facade.side_by_side(work, range(50), jobs)
    assert next(results) == 0
    with pytest.raises(ValueError, match="the second one"):
        next(results)


def test_bands_side_by_side_are_those_one_by_one() -> None:
    files = {jobs: vlcodec.compress(TALL, lossless=True, jobs=jobs, model="photo") for jobs in (1, 2)}
    assert len(set(files.values())) == 1
    assert vlcodec.info(files[1])["bands"] == 2
    for jobs in (1, 2):
        assert vlcodec.decompress(files[1], jobs=jobs).tobytes() == TALL.tobytes()
    samples = [vlcodec.decompress(vlcodec.compress(TALL), jobs=jobs).tobytes() for jobs in (1, 2)]
    assert samples[0] == samples[1]


def test_no_jobs_are_refused() -> None:
    with pytest.raises(vlcodec.VlcodecError, match="jobs is a number of threads, at least 1, not 0"):
        vlcodec.compress(TALL, lossless=True, jobs=0, model="photo")
