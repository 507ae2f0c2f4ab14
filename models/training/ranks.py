"""Several processes that train one net: torchrun begins them, each takes its share of every batch.

    torchrun --nproc-per-node 4 -m vlcodec train photo PICTURES... -o run --batch 40

The batch is that of all processes together, so that a run of four is the run of one, but for rounding and noise. All
draw the same batch and keep their own part of it, gradients are averaged as they come (torch's
DistributedDataParallel), and the first process alone writes. Without torchrun there is one, and nothing costs anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vlcodec.codec.errors import ModelError

Objective = Callable[..., dict[str, Tensor]]
Random = tuple[Tensor, Tensor | None]  # states of torch's random numbers: of the CPU, of the GPU

# The last barrier, held until the process ends. DistributedDataParallel keeps the group's threads alive beyond the
# group; a thread that dropped the last hold of a finished collective would ask for the interpreter's lock, and one that
# asks while the interpreter ends aborts the process.
_held: list[Any] = []


@dataclass(frozen=True)
class Ranks:
    """This process's number among so many."""

    rank: int = 0
    count: int = 1

    def begin_noise(self, seed: int) -> None:
        """Noise of this process's own, from here on; the first one's is that of a run of one."""
        if self.rank:
            torch.manual_seed(seed * self.count + self.rank)

    def agreed(self, seconds: float) -> float:
        """The first process's, so that all stop at one step."""
        if self.count == 1:
            return seconds
        told = [seconds]
        dist.broadcast_object_list(told)
        return told[0]

    def share(self, arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], float]:
        """This process's part of an objective's arguments, and what its mean counts among those of all.

        Tensors that have an axis have the pictures of a batch on the first. Raises ModelError for fewer than processes.
        """
        if self.count == 1:
            return arguments, 1.0
        (whole,) = {len(each) for each in arguments if _of_pictures(each)}
        if whole < self.count:
            raise ModelError(f"a batch of {whole} cannot be shared by {self.count} processes (--batch)")
        own = tuple(each[self.rank :: self.count] if _of_pictures(each) else each for each in arguments)
        return own, len(range(self.rank, whole, self.count)) * self.count / whole

    def parallel(self, net: nn.Module, objective: Objective) -> Objective:
        """The objective, whose gradients are the mean of all processes'. The net's weights become the first one's."""
        if self.count == 1:
            return objective
        return DistributedDataParallel(_Terms(net, objective), find_unused_parameters=True)

    def mean(self, sums: Tensor) -> Tensor:
        """Of all processes."""
        if self.count == 1:
            return sums
        whole = sums.clone()
        dist.all_reduce(whole)
        return whole / self.count

    def gathered(self, own: Random) -> list[Random]:
        """What all processes have, in their order."""
        found: list[Any] = [own] * self.count
        if self.count > 1:
            dist.all_gather_object(found, own)
        return found


def here() -> Ranks:
    """This process among those that have joined."""
    if not (dist.is_available() and dist.is_initialized()):
        return Ranks()
    return Ranks(dist.get_rank(), dist.get_world_size())


@contextmanager
def joined(device: str) -> Iterator[str]:
    """This process among those that torchrun has begun, if it has; gives the device that it is to use."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield device
        return
    own = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
    if device == "cuda":
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield own
        barrier = dist.barrier(async_op=True)
        _held.append(barrier)
        barrier.wait()  # nobody leaves while the first one measures and writes
    finally:
        dist.destroy_process_group()


def _of_pictures(each: Any) -> bool:
    return isinstance(each, Tensor) and each.dim() > 0


class _Terms(nn.Module):
    """An objective as the module that DistributedDataParallel takes: the loss alone has gradients."""

    def __init__(self, net: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.net, self._objective = net, objective

    def forward(self, *arguments: Any) -> dict[str, Tensor]:
        terms = self._objective(*arguments)
        return {name: term if name == "loss" else term.detach() for name, term in terms.items()}
