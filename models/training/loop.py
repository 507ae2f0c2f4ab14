"""The training loop, one for all models: a task in, trained weights and a checkpoint out; stops at a time limit.

Runs with torch, numpy and Pillow alone. The schedule is by steps: warm-up, a plateau, and a decay over the last 30 %.
A run resumes exactly from its checkpoint.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vlcodec.models.layers.mode import set_mode

WARM_UP_STEPS, DECAY_FROM = 200, 0.7  # the latter as a share of the steps
LOG_STEPS = 100
SAVE_STEPS = 5000
CLIP_NORM = 1.0
Progress = Callable[[str, int, int], None]
Optimisers = Sequence[torch.optim.Optimizer]


class Task(Protocol):
    """What is trained, on what.

    terms: of the objective, for the log. average: per step, of the exponential average of the weights. exported:
    whether training began from exported weights, which a checkpoint keeps. objective: given `arguments`, the terms,
    "loss" among them.
    """

    terms: tuple[str, ...]
    average: float
    exported: bool
    objective: Callable[..., dict[str, Tensor]]

    @property
    def net(self) -> nn.Module:
        """Its parameters are trained."""

    def optimisers(self, rate: float) -> Optimisers:
        """Each of their groups has a "share" of the rate."""

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step, in the mode of the step, which it sets where it is not training."""

    def finish(self) -> None:
        """Once training is over and the net has its averaged weights."""

    def measure(self) -> list[dict[str, float]]:
        """Figures of the trained net on what was held out, row by row: frozen, as its export will be."""


def learning_rate(peak: float, step: int, steps: int) -> float:
    """Warm-up, plateau, cosine decay to 1 % of the peak."""
    done = min(1.0, step / steps)
    decay = 0.0 if done < DECAY_FROM else (done - DECAY_FROM) / (1 - DECAY_FROM)
    return peak * min(1.0, (step + 1) / WARM_UP_STEPS) * (0.505 + 0.495 * math.cos(math.pi * decay))


class Average:
    """Exponential moving average of the trainable weights."""

    def __init__(self, model: nn.Module, rate: float) -> None:
        self.rate = rate
        self.values = {k: v.detach().clone() for k, v in model.named_parameters()}

    def update(self, model: nn.Module, step: int) -> None:
        keep = min(self.rate, (1 + step) / (10 + step))
        new = [v.detach() for _, v in model.named_parameters()]
        torch._foreach_lerp_(list(self.values.values()), new, 1 - keep)


def run(
    task: Task,
    out: Path,
    *,
    steps: int,
    minutes: float | None,
    seed: int,
    device: torch.device,
    rate: float,
    progress: Progress | None = None,
    timed: bool = False,
) -> None:
    """Train a task's net in place; it ends with its averaged weights, not frozen.

    out: folder of `checkpoint.pt` (resumed from where it exists) and `log.csv`. steps: length of the schedule;
    minutes: stop earlier and leave a checkpoint. timed: the schedule is as long as the minutes are, and its
    steps are reckoned anew at each step; it begins after the first one, which may compile.
    """
    net, rng = task.net, torch.Generator().manual_seed(seed)
    optimisers, average, step = task.optimisers(rate), Average(net, task.average), 0
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists():
        step = _restore(out / "checkpoint.pt", task, optimisers, average, rng)
    objective = task.objective
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 holds 11 bits: all that the simulated integers have
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        objective = torch.compile(task.objective)
    started, first_step = time.monotonic(), step
    begun = started
    set_mode(net, "training")
    with (out / "log.csv").open("a", newline="") as file:
        log = csv.writer(file)
        if not file.tell():
            log.writerow(["step", "seconds", *task.terms])
        sums, summed = torch.zeros(len(task.terms), device=device), 0
        while step < steps and not (minutes and time.monotonic() - started > 60 * minutes):
            if minutes and timed:
                gone = max(1e-4, (time.monotonic() - begun) / (60 * minutes - (begun - started)))
                steps = step + 1 + round((step + 1 - first_step) * max(0.0, 1 - gone) / gone)
            for group in (group for optimiser in optimisers for group in optimiser.param_groups):
                group["lr"] = group["share"] * learning_rate(rate, step, steps)
            terms = objective(*task.arguments(step, steps, rng))
            for optimiser in optimisers:
                optimiser.zero_grad(set_to_none=True)
            terms["loss"].backward()
            nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM)
            for optimiser in optimisers:
                optimiser.step()
            step += 1
            begun = begun if step > first_step + 1 else time.monotonic()
            average.update(net, step)
            sums += torch.stack([terms[k].detach().mean() for k in task.terms])
            summed += 1
            if step % LOG_STEPS == 0:
                row = [f"{v / summed:.5f}" for v in sums.tolist()]
                log.writerow([step, f"{time.monotonic() - started:.1f}", *row])
                file.flush()
                sums, summed = torch.zeros(len(task.terms), device=device), 0
            if progress is not None:
                progress("train", step, steps)
            if step % SAVE_STEPS == 0:
                _save(out / "checkpoint.pt", task, optimisers, average, rng, step)
        speed = (step - first_step) / max(1e-9, time.monotonic() - started)
        log.writerow([f"# step {step}", f"{speed:.2f} steps/s"])
        _save(out / "checkpoint.pt", task, optimisers, average, rng, step)
        for k, v in net.named_parameters():
            v.data.copy_(average.values[k])
        task.finish()
        for means in task.measure():
            log.writerow(["# held out", *(f"{k} {v:.4f}" for k, v in means.items())])


def _save(
    path: Path,
    task: Task,
    optimisers: Optimisers,
    average: Average,
    rng: torch.Generator,
    step: int,
) -> None:
    state = {
        "model": task.net.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "average": average.values,
        "rng": rng.get_state(),
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "step": step,
        "exported": task.exported,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _restore(path: Path, task: Task, optimisers: Optimisers, average: Average, rng: torch.Generator) -> int:
    state = torch.load(path, map_location="cpu", weights_only=True)
    task.net.load_state_dict(state["model"])
    for optimiser, values in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(values)
    for k, v in average.values.items():
        v.copy_(state["average"][k])
    rng.set_state(state["rng"])
    torch.set_rng_state(state["torch_rng"])
    if state["cuda_rng"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda_rng"])
    task.exported = bool(state["exported"])
    return int(state["step"])
