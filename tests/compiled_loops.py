"""Both carriers of the coded integers: numpy's functions, and numba's kernels."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from unittest import mock

from vlcodec.codec.coding import compiled

Found = TypeVar("Found")


@contextmanager
def carrier(numba: bool) -> Iterator[None]:
    """One of the two, whatever the pictures' size."""
    with mock.patch.object(compiled, "runs", return_value=numba):
        yield


def both(compute: Callable[[], Found]) -> tuple[Found, Found]:
    """What numpy and numba compute."""
    with carrier(numba=False):
        numpys = compute()
    with carrier(numba=True):
        return numpys, compute()
