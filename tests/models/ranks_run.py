"""What each process of the tests of `models.training.ranks` does: train a small net, and leave its weights."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vlcodec.models.training import loop
from vlcodec.models.training.ranks import here, joined


class SmallTask:
    """See models.training.loop.Task. A part of the net has no use at first; noise: of each process's own."""

    terms: tuple[str, ...] = ("loss", "size")
    average = 0.9
    exported = False

    def __init__(self, batch: int, noise: float, end: int) -> None:
        torch.manual_seed(0)
        self.net = nn.ModuleDict({"a": nn.Linear(5, 7), "b": nn.Linear(7, 1), "late": nn.Linear(7, 1)})
        self._batch, self._noise, self._end = batch, noise, end
        self.objective: Callable[..., dict[str, Tensor]] = self._objective

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam([{"params": list(self.net.parameters()), "share": 1.0}], lr=rate)]

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        if step == self._end:
            os._exit(0)  # as a machine is lost
        x = torch.randn(self._batch, 5, generator=rng)
        return x, x.sum(1, keepdim=True).sin(), torch.tensor(1.0), step >= steps // 2

    def _objective(self, x: Tensor, y: Tensor, anneal: Tensor, late: bool) -> dict[str, Tensor]:
        h = self.net["a"](x + self._noise * torch.randn_like(x)).tanh()
        out = self.net["b"](h) + (self.net["late"](h) if late else 0)
        return {"loss": anneal * (out - y).square().mean(), "size": h.square().sum(1)}

    def finish(self) -> None:
        pass

    def measure(self) -> list[dict[str, float]]:
        return [{"rank": float(here().rank)}]


def main(out: Path, batch: int, steps: int, end: int, noise: float, minutes: float) -> None:
    """end: the step, if any, before which the process ends without a word, after a checkpoint. minutes: 0 for none."""
    loop.SAVE_STEPS = end if end >= 0 else loop.SAVE_STEPS
    with joined("cpu"):
        task = SmallTask(batch, noise, end)
        how: dict[str, Any] = {"seed": 3, "device": torch.device("cpu"), "rate": 1e-2, "minutes": minutes or None}
        loop.run(task, out, steps=steps, **how)
        torch.save(task.net.state_dict(), out / f"weights-{here().rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]), *map(float, sys.argv[5:7]))
