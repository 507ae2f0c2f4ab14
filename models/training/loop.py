"""The training loop, one for all models: a task in, trained weights and a checkpoint out; stops at a time limit.

Runs with torch, numpy and Pillow alone. The schedule is by steps, or as long as the time that is given: warm-up, a
plateau, and a decay, over the last 30 % unless a run wants it otherwise. A run by steps resumes exactly from its
checkpoint. Several processes may share it (`ranks`).
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from vlcodec.models.layers.mode import set_mode
from vlcodec.models.training.graphs import Replayed
from vlcodec.models.training.ranks import Ranks, here

WARM_UP_STEPS, DECAY_FROM = 200, 0.7  # the latter as a share of the steps
LOG_STEPS = 100
SAVE_STEPS = 5000
DEFAULT_STEPS = 100_000
CLIP_NORM = 1.0
Progress = Callable[[str, int, int], None]
OnGpu = Literal["compiled", "replayed", "as it is"]
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


def learning_rate(peak: float, step: int, steps: int, decay_from: float = DECAY_FROM) -> float:
    """Warm-up, plateau, cosine decay to 1 % of the peak, from a share of the steps on."""
    done = min(1.0, step / steps)
    decay = 0.0 if done < decay_from else (done - decay_from) / (1 - decay_from)
    return peak * min(1.0, (step + 1) / WARM_UP_STEPS) * (0.505 + 0.495 * math.cos(math.pi * decay))


def foretold(first: int, step: int, seconds: float, limit: float) -> int:
    """The step that a run of `limit` seconds ends at, whose first `seconds` led from step `first` to this one."""
    return max(step + 1, first + round((step - first) * limit / max(seconds, 1e-9)))


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
    steps: int | None,
    minutes: float | None,
    seed: int,
    device: torch.device,
    rate: float,
    progress: Progress | None = None,
    on_gpu: OnGpu = "compiled",
    decay_from: float = DECAY_FROM,
) -> None:
    """Train a task's net in place; it ends with its averaged weights, not frozen.

    out: folder of `checkpoint.pt` (resumed from where it exists) and `log.csv`. steps: length of the schedule;
    minutes: stop earlier and leave a checkpoint, or, without steps, let the schedule end then. on_gpu: how the
    objective is computed there: compiled as a whole, replayed by CUDA graphs, or as it is, where the task compiles
    what is worth it. decay_from: share of the steps after which the rate falls.
    """
    ranks = here()
    ranks.begin_noise(seed)
    net, rng = task.net, torch.Generator().manual_seed(seed)
    optimisers, average, step = task.optimisers(rate), Average(net, task.average), 0
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists():
        step = _restore(out / "checkpoint.pt", task, optimisers, average, rng, ranks)
    objective, gradients = task.objective, None
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 holds 11 bits: all that the simulated integers have
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        if on_gpu == "replayed" and ranks.count == 1:
            gradients = Replayed(task.objective, list(net.parameters()))
        elif on_gpu != "as it is":
            objective = torch.compile(task.objective)
    objective = ranks.parallel(net, objective)
    started, first_step = time.monotonic(), step
    set_mode(net, "training")
    with (out / "log.csv" if ranks.rank == 0 else Path(os.devnull)).open("a", newline="") as file:
        log = csv.writer(file)
        if not file.tell():
            log.writerow(["step", "seconds", *task.terms])
        sums, summed = torch.zeros(len(task.terms), device=device), 0
        length = DEFAULT_STEPS if steps is None else steps
        while step < length and not (minutes and ranks.agreed(time.monotonic() - started) > 60 * minutes):
            if steps is None and minutes and step > first_step:
                gone = ranks.agreed(time.monotonic() - started)
                length = foretold(first_step, step, gone, 60 * minutes)
            for group in (group for optimiser in optimisers for group in optimiser.param_groups):
                group["lr"] = group["share"] * learning_rate(rate, step, length, decay_from)
            arguments, weight = ranks.share(task.arguments(step, length, rng))
            if gradients is not None:
                terms = gradients(*arguments)
            else:
                terms = objective(*arguments)
                for optimiser in optimisers:
                    optimiser.zero_grad(set_to_none=True)
                (weight * terms["loss"]).backward()
            nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM)
            for optimiser in optimisers:
                optimiser.step()
            step += 1
            average.update(net, step)
            sums += weight * torch.stack([terms[k].detach().mean() for k in task.terms])
            summed += 1
            if step % LOG_STEPS == 0:
                row = [f"{v / summed:.5f}" for v in ranks.mean(sums).tolist()]
                log.writerow([step, f"{time.monotonic() - started:.1f}", *row])
                file.flush()
                sums, summed = torch.zeros(len(task.terms), device=device), 0
            if progress is not None and ranks.rank == 0:
                progress("train", step, length)
            if step % SAVE_STEPS == 0:
                _save(out / "checkpoint.pt", task, optimisers, average, rng, step, ranks)
        speed = (step - first_step) / max(1e-9, time.monotonic() - started)
        log.writerow([f"# step {step}", f"{speed:.2f} steps/s"])
        _save(out / "checkpoint.pt", task, optimisers, average, rng, step, ranks)
        for k, v in net.named_parameters():
            v.data.copy_(average.values[k])
        task.finish()
        for means in task.measure() if ranks.rank == 0 else ():
            log.writerow(["# held out", *(f"{k} {v:.4f}" for k, v in means.items())])


def _save(
    path: Path,
    task: Task,
    optimisers: Optimisers,
    average: Average,
    rng: torch.Generator,
    step: int,
    ranks: Ranks,
) -> None:
    """By the first of the processes, with what the others' noise needs."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    (torch_rng, cuda_rng), *others = ranks.gathered((torch.get_rng_state(), cuda))
    if ranks.rank:
        return
    state = {
        "model": task.net.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "average": average.values,
        "rng": rng.get_state(),
        "torch_rng": torch_rng,
        "cuda_rng": cuda_rng,
        "others": others,
        "step": step,
        "exported": task.exported,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _restore(
    path: Path, task: Task, optimisers: Optimisers, average: Average, rng: torch.Generator, ranks: Ranks
) -> int:
    """The step. A process that the checkpoint does not know keeps the noise that it has begun."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    task.net.load_state_dict(state["model"])
    for optimiser, values in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(values)
    for k, v in average.values.items():
        v.copy_(state["average"][k])
    rng.set_state(state["rng"])
    random = [(state["torch_rng"], state["cuda_rng"]), *state.get("others", ())][ranks.rank : ranks.rank + 1]
    for torch_rng, cuda_rng in random:
        torch.set_rng_state(torch_rng)
        if cuda_rng is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(cuda_rng)
    task.exported = bool(state["exported"])
    return int(state["step"])
