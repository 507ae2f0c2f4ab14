"""What of torch's settings an exact product needs, whatever the caller has set, in however many threads at once.

Gradients, autocast and inference mode belong to a thread, and each call sets its own. The precision of products belongs
to the process: calls are counted, the first one in makes products exact, and the last one out gives the caller's
flags back. Meanwhile the caller's own products may be more exact than it asked for, never less. Nothing stops a caller
from lowering the precision under calls that run; those that begin later are exact again, and the last one out gives
back what the caller has set last.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

NEWER_FLAGS = hasattr(torch.backends, "fp32_precision")  # the older ones no longer read every state
DEVICES = ("cpu", "cuda")  # whose autocast is turned off
Flags = tuple[str, ...]


class _Precision:
    """Exact products of float32 while any call runs, in any thread."""

    def __init__(self) -> None:
        self._lock, self._running = threading.Lock(), 0
        self._callers: Flags = ()

    def enter(self) -> None:
        """A call begins: products become exact."""
        with self._lock:
            now = _flags()
            if not self._running or now != _exact():
                self._callers = now
                _set_flags(_exact())
            self._running += 1

    def leave(self) -> None:
        """A call ends: the last one gives the caller's flags back, unless the caller has changed them meanwhile."""
        with self._lock:
            self._running -= 1
            if not self._running and _flags() == _exact():
                _set_flags(self._callers)


def _products() -> tuple[Any, Any]:
    return torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul")  # noqa: B009


def _exact() -> Flags:
    return ("ieee", "ieee") if NEWER_FLAGS else ("highest",)


def _flags() -> Flags:
    if NEWER_FLAGS:
        return tuple(product.fp32_precision for product in _products())
    return (torch.get_float32_matmul_precision(),)


def _set_flags(flags: Flags) -> None:
    if NEWER_FLAGS:
        for product, flag in zip(_products(), flags, strict=True):
            product.fp32_precision = flag
    else:
        torch.set_float32_matmul_precision(*flags)


class _Threads:
    """One thread of torch's for each thread that walks.

    torch keeps the number for each thread, and begins a new thread with the number that was set last, anywhere. A
    thread that first meets torch while another one walks would take the walk's one for the caller's number, so the
    caller's is what the first walk of all found.
    """

    def __init__(self) -> None:
        self._lock, self._callers = threading.Lock(), 1
        self._depths: dict[int, int] = {}  # walks inside each other, by thread

    def enter(self) -> int:
        """A walk begins; returns the number by which `leave` knows its thread."""
        thread = threading.get_ident()
        with self._lock:
            if not self._depths:
                self._callers = torch.get_num_threads()
            self._depths[thread] = self._depths.get(thread, 0) + 1
            torch.set_num_threads(1)
        return thread

    def leave(self, thread: int) -> None:
        """A walk ends: the outermost of a thread gives it the caller's number back."""
        with self._lock:
            self._depths[thread] -= 1
            if not self._depths[thread]:
                del self._depths[thread]
                torch.set_num_threads(self._callers)


_PRECISION, _THREADS = _Precision(), _Threads()
_LIMIT = list[int]()  # of threads, where `use_threads` has set one


def use_threads(count: int) -> None:
    """Let this process compute in so many threads, torch's and those of lanes, where it is one of many on a machine."""
    _LIMIT[:] = [count]
    torch.set_num_threads(count)


def most_threads(cores: int) -> int:
    """How many threads lanes may take, of so many cores."""
    return min([cores, *_LIMIT])


def _normal_tensors() -> AbstractContextManager[Any]:
    """Out of the caller's inference mode, whose tensors could not be changed once a walk goes on outside it."""
    return torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()


@contextmanager
def exact_inference() -> Iterator[None]:
    """No gradients and no reduced precision (TF32, bf16 sums, autocast), whatever the caller has set."""
    _PRECISION.enter()
    autocast = [device for device in DEVICES if torch.is_autocast_enabled(device)]
    try:
        for device in autocast:
            torch.set_autocast_enabled(device, False)
        with _normal_tensors(), torch.no_grad():  # in this order: leaving inference mode turns gradients on
            yield
    finally:
        for device in autocast:
            torch.set_autocast_enabled(device, True)
        _PRECISION.leave()


@contextmanager
def stepwise() -> Iterator[None]:
    """Exact inference on one thread, for a walk's steps.

    More threads gain a fifth on the small products of single steps on an idle machine, and on a busy one each product
    waits for the slowest thread (a 64x64 picture took 0.7 s instead of 0.2 s).
    """
    thread = _THREADS.enter()
    try:
        with exact_inference():
            yield
    finally:
        _THREADS.leave(thread)
