"""Training of the DVAE++ models: a net with the gaussian posterior, then the layers at the latents of the uniform one.

The inverse temperature of the smoothing rises over the whole run; the KL's weight rises at first, while z has some nats
for nothing and some pictures for itself. Each group has some nats for nothing throughout. So neither z nor a group is
given up. What begins with exported weights begins where all that has vanished.

The uniform posterior is for files of one picture, whose groups may be cut off. A latent whose noise is as wide as a
step tells nothing before it is large: so the KL weighs next to nothing at first, and never its whole. Each picture has
a random number of groups, so that the first ones learn to tell most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from vlcodec.models.dvaepp.data import Pictures, load_pictures
from vlcodec.models.dvaepp.net import KINDS, Dvaepp, DvaeppShape
from vlcodec.models.dvaepp.rbm import ENUMERATED
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.posterior import Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.recipe import begin

BETA = (6.0, 16.0)  # inverse temperature, from the first step to the last
BETA_EXPORTED = 12.0  # where training begins with exported weights
ANNEALED_AT, ANNEALED_FROM = 0.15, 0.1  # share of the run until the KL has its whole weight; what it has first
BITS_FREE, ALONE = 4.0, 0.3  # nats of z for nothing, and share of pictures without groups
VANISHED_AT = 0.4  # share of the run over which both vanish
GROUP_FREE = {28: 1.0, 32: 16.0}  # nats of each group for nothing, by the pictures' side
UNIFORM_WEIGHT = 0.02, 0.15  # of the uniform posterior's KL, at first and from UNIFORM_FROM on
UNIFORM_FROM = 0.6  # share of the run
LOG_Z_STEPS = 200  # between two estimates of ln Z where it cannot be enumerated: for the log alone
LOG_Z_RUNGS = 200
MEASURED, MEASURED_AT_ONCE = 500, 100
BINARY = DvaeppShape(
    side=28,
    bits=16,
    layers=2,
    prior_hidden=0,
    groups=4,
    locals=4,
    widths=(32, 64),
    blocks=(1, 2),
    scale_blocks=(2, 1),
    group_blocks=1,
    squeezed=16,
    bottleneck=8,
    hidden=256,
    mixtures=0,
)
COLOUR = DvaeppShape(
    side=32,
    bits=128,
    layers=2,
    prior_hidden=256,
    groups=4,
    locals=8,
    widths=(64, 128),
    blocks=(1, 2),
    scale_blocks=(2, 1),
    group_blocks=1,
    squeezed=16,
    bottleneck=8,
    hidden=256,
    mixtures=4,
)
FEWER = replace(BINARY, blocks=(1, 1), scale_blocks=(1, 1))  # a small set is soon overfitted
SHAPES = {"dvaepp-mnist": BINARY, "dvaepp-caltech101": FEWER, "dvaepp-cifar10": COLOUR}
BATCHES = {"dvaepp-mnist": 256, "dvaepp-caltech101": 128, "dvaepp-cifar10": 128}


Part = Literal["all", "uniform"]


class DvaeppTask:
    """See models.training.loop.Task: Adamax and Polyak averaging."""

    terms: tuple[str, ...] = ("loss", "pixels", "locals", "bits")
    average = 0.999

    def __init__(
        self,
        net: Dvaepp,
        data: Pictures,
        batch: int,
        device: torch.device,
        exported: bool = False,
        part: Part = "all",
    ) -> None:
        self.net, self._data, self._device, self.exported = net, data.to(device), device, exported
        self._part, self._kind = part, KINDS[KINDS.index("gaussian" if part == "all" else "uniform")]
        self._batch, self._log_z = batch, torch.zeros((), device=device)
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(part == "all" or ".ends.uniform." in name)
        self.objective: Callable[..., dict[str, Tensor]] = self._objective

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Adamax."""
        learned = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        return [torch.optim.Adamax([{"params": learned, "share": 1.0}], lr=rate)]

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step."""
        done, rbm = step / steps, self.net.rbm
        exact = rbm.bits <= ENUMERATED
        if exact:
            self._log_z = rbm.exact_log_z()
        elif step % LOG_Z_STEPS == 0:
            self._log_z = torch.tensor(rbm.annealed_log_z(LOG_Z_RUNGS), device=self._device)
        low = BETA_EXPORTED if self.exported else BETA[0]
        beta = low + (BETA[1] - low) * done
        anneal = 1.0 if self.exported else min(1.0, ANNEALED_FROM + (1 - ANNEALED_FROM) * done / ANNEALED_AT)
        first = 0.0 if self.exported else max(0.0, 1 - done / VANISHED_AT)
        groups, drawn = self.net.shape.groups, torch.rand(self._batch, generator=rng)
        kept = groups * (drawn >= ALONE * first)
        if self._part == "uniform":
            low, high = UNIFORM_WEIGHT
            anneal, kept = low * (high / low) ** min(1.0, done / UNIFORM_FROM), 1 + (groups * drawn).long()
        numbers = (torch.tensor(value, device=self._device) for value in (beta, anneal, BITS_FREE * first * exact))
        return self._data.batch(self._batch, rng), rbm.sample(), *numbers, self._log_z, kept.to(self._device)

    def _objective(
        self,
        x: Tensor,
        chains: tuple[Tensor, Tensor],
        beta: Tensor,
        anneal: Tensor,
        free: Tensor,
        log_z: Tensor,
        kept: Tensor,
    ) -> dict[str, Tensor]:
        """In bfloat16, at half the time, but for what makes tables."""
        with torch.autocast(self._device.type, torch.bfloat16):
            nats = free, GROUP_FREE[x.shape[1]] if self._part == "all" else 0.0
            return self.net.objective(x, [(self._kind, len(x))], chains, beta, log_z, anneal, nats, kept)

    def finish(self) -> None:
        """p(z1) as it is coded follows the machine."""
        if self._part == "all":
            self.net.rbm.settle()

    def measure(self) -> list[dict[str, float]]:
        """Nats of validation pictures by posterior, one sample each and z of 0 and 1, of what would be exported."""
        net = frozen_copy(self.net)
        return [{"kind": float(i), **measure(net, self._data, kind)} for i, kind in enumerate(KINDS)]


def measure(net: Dvaepp, data: Pictures, kind: Kind) -> dict[str, float]:
    """Mean -ELBO, in nats per picture, over validation pictures."""
    total, count = 0.0, 0
    with exact_inference():
        for x in data.validation(MEASURED, MEASURED_AT_ONCE):
            total += float(net.sampled_nats(x, 1, kind).double().sum())
            count += len(x)
    return {"elbo": total / count}


def train(
    model: str,
    data: Path,
    out: Path,
    *,
    steps: int | None,
    minutes: float | None = None,
    init: dict[str, Tensor] | None = None,
    seed: int = 0,
    device: str = "cpu",
    batch: int | None = None,
    rate: float = 2e-3,
    shape: DvaeppShape | None = None,
    part: Part = "all",
    progress: Progress | None = None,
) -> Dvaepp:
    """Train a net and return it with its averaged weights, not frozen.

    data: the folder that holds the binary sets, or cifar10.npz. out, steps, minutes: see `models.training.loop.run`.
    init: real weights to start from. shape: another net than the package's. part: "uniform" trains the layers at the
    latents of the uniform posterior alone, from the beginning, with the rest fixed.
    """
    on = torch.device(device)
    net = begin(lambda: Dvaepp(shape or SHAPES[model]), on, seed, init)
    if part == "uniform":
        net.forget("uniform")
    task = DvaeppTask(net, load_pictures(model, data), batch or BATCHES[model], on, init is not None, part)
    run(task, out, steps=steps, minutes=minutes, seed=seed, device=on, rate=rate, progress=progress)
    return net


CONFIG: dict[str, dict[str, Any]] = {name: {"net": asdict(shape)} for name, shape in SHAPES.items()}
