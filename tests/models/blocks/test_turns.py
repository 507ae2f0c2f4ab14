"""Work that goes ahead of its use, in threads."""

import threading
from collections.abc import Iterator
from itertools import count, islice

import pytest
import torch

from vlcodec.models.blocks.turns import MOST_THREADS, ahead


@pytest.fixture(params=[1, 2, 6])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """So many of torch's."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_items_come_in_order_from_other_threads(threads: int) -> None:
    """Whichever is ready first: the first one waits for the second, where there is a thread for it."""
    second, used = threading.Event(), set[int]()

    def work(item: int) -> int:
        used.add(threading.get_ident())
        if item == 0 and threads > 1:
            assert second.wait(10)
        if item == 1:
            second.set()
        return item * item

    assert list(ahead(work, iter(range(50)))) == [item * item for item in range(50)]
    assert (threading.get_ident() in used) == (threads == 1)
    assert len(used) <= min(threads, MOST_THREADS)


def test_only_a_few_are_made_before_they_are_used(threads: int) -> None:
    made = list[int]()

    def items() -> Iterator[int]:
        for item in count():
            made.append(item)
            yield item

    assert list(islice(ahead(str, items()), 5)) == ["0", "1", "2", "3", "4"]
    assert len(made) <= 5 + 2 * MOST_THREADS


def test_what_goes_wrong_is_raised(threads: int) -> None:
    def work(item: int) -> int:
        return 1 // (2 - item)

    found = ahead(work, iter(range(9)))
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
