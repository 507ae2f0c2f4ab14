"""What of torch's settings an exact product needs, whatever the caller has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def exact_inference() -> Iterator[None]:
    """No gradients and no reduced precision (TF32, bf16 sums, autocast), whatever the caller has set."""
    with ExitStack() as stack:
        if hasattr(torch.backends, "fp32_precision"):  # newer torch: the older names no longer read every state
            for part in (torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul")):  # noqa: B009
                stack.callback(setattr, part, "fp32_precision", part.fp32_precision)
                part.fp32_precision = "ieee"
        else:
            stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            torch.set_float32_matmul_precision("highest")
        for context in (torch.no_grad(), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False)):
            stack.enter_context(context)
        yield


@contextmanager
def stepwise() -> Iterator[None]:
    """Exact inference held over a walk's steps (entering it for each took a tenth of a decoder's time), on one thread.

    More threads gain a fifth on the small products of single steps on an idle machine, and on a busy one each product
    waits for the slowest thread (a 64x64 picture took 0.7 s instead of 0.2 s).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with exact_inference():
            yield
    finally:
        torch.set_num_threads(threads)
