"""Training of VAPNEV on CIFAR-10: both posteriors of a net at once, the gaussian one with three quarters of a batch.

As in the paper the KL's weight rises at first (section 3.3), with Adam, and every other picture is mirrored. Layers are
so fine that their rounding is left out of training.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlcodec.codec.interface import Bytes
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.posterior import Kind
from vlcodec.models.layers.resnet import Block
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.recipe import begin
from vlcodec.models.vapnev.data import load
from vlcodec.models.vapnev.net import Vapnev, VapnevShape

ANNEALED_AT = 0.4  # share of the schedule until which the KL's weight rises
WEIGHT_DECAY = 0.02
FULL_STEP = 192  # inputs of a layer that is trained with the whole learning rate
FREE_NATS = 60.0  # of KL that cost nothing, a picture: with none of them z says next to nothing
UNIFORM_SHARE = 4  # one picture of so many has the uniform posterior
MEASURED, MEASURED_AT_ONCE = 250, 50  # of the pictures held out
SHAPE = VapnevShape(
    latents=256,
    features=256,
    width=16,
    flow_widths=(64, 96),
    flow_blocks=2,
    conditional=True,
)
KINDS: tuple[Kind, ...] = ("gaussian", "uniform")
CONFIG: dict[str, Any] = {"net": asdict(SHAPE), "kinds": KINDS}


class FlowTask:
    """See models.training.loop.Task."""

    terms: tuple[str, ...] = ("loss", "given", "kl", "y", "determinants")
    average = 0.999

    def __init__(
        self, net: Vapnev, train: Bytes, valid: Bytes, batch: int, device: torch.device, exported: bool
    ) -> None:
        self.net, self._valid, self._batch, self._device, self.exported = net, valid, batch, device, exported
        self._train = centred(train).to(device, torch.int8)
        self.objective: Callable[..., dict[str, Tensor]] = self._objective
        if device.type == "cuda":  # a few small graphs in place of one that takes minutes
            for block in (part for part in net.modules() if isinstance(part, Block)):
                block.compile(dynamic=False)

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Adam, as in the paper, with some decay of weights, and smaller steps for layers of many inputs."""
        shared = defaultdict[float, list[Tensor]](list)
        for p in self.net.parameters():
            shared[min(1.0, FULL_STEP / p.shape[-1]) if p.dim() > 1 else 1.0].append(p)
        groups = [{"params": some, "share": share} for share, some in shared.items()]
        return [torch.optim.AdamW(groups, lr=rate, weight_decay=WEIGHT_DECAY, fused=self._device.type == "cuda")]

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step."""
        chosen = torch.randint(len(self._train), (self._batch,), generator=rng)
        mirrored = (torch.rand(self._batch, generator=rng) < 0.5).to(self._device)
        x = self._train[chosen.to(self._device)].float()
        x = torch.where(mirrored.view(-1, 1, 1, 1), x.flip(2), x)
        anneal = 1.0 if self.exported else min(1.0, 0.02 + step / steps / ANNEALED_AT)
        return x, torch.tensor(anneal).to(self._device)

    def _objective(self, x: Tensor, anneal: Tensor) -> dict[str, Tensor]:
        """Layers that are not precise in bfloat16."""
        with torch.autocast(self._device.type, torch.bfloat16):
            return self.net.objective(x, shares(self.net.kinds, len(x)), anneal, FREE_NATS)

    def finish(self) -> None:
        """Nothing."""

    def measure(self) -> list[dict[str, float]]:
        """Of each posterior, over the pictures held out, of what would be exported."""
        net = frozen_copy(self.net)
        return [measure(net, self._valid[:MEASURED], kind, self._device) for kind in net.kinds]


def shares(kinds: tuple[Kind, ...], batch: int) -> list[tuple[Kind, int]]:
    """How many pictures of a batch each kind of posterior gets, in order."""
    if len(kinds) == 1:
        return [(kinds[0], batch)]
    uniform = batch // UNIFORM_SHARE
    return [(kind, uniform if kind == "uniform" else batch - uniform) for kind in kinds]


def measure(net: Vapnev, pictures: Bytes, kind: Kind, device: torch.device) -> dict[str, float]:
    """Means over (N, 32, 32, 3) uint8 RGB pictures, one sample of z and of cells each: parts of -ELBO in bits/dim."""
    sums = dict.fromkeys(("kl", "y", "determinants", "cells"), 0.0)
    with exact_inference():
        for i in range(0, len(pictures), MEASURED_AT_ONCE):
            x = centred(pictures[i : i + MEASURED_AT_ONCE]).to(device)
            terms = net.losses(x, [(kind, len(x))])
            for name in sums:
                sums[name] += float(terms[name].double().sum())
    parts = {name: total / len(pictures) / math.log(2) for name, total in sums.items()}
    return {"bpd": sum(parts.values()), **parts}


def train(
    data: Path,
    out: Path,
    *,
    steps: int | None,
    minutes: float | None = None,
    init: dict[str, Tensor] | None = None,
    seed: int = 0,
    device: str = "cpu",
    batch: int = 128,
    rate: float = 2e-3,
    shape: VapnevShape = SHAPE,
    kinds: tuple[Kind, ...] = KINDS,
    progress: Progress | None = None,
) -> Vapnev:
    """Train a net on CIFAR-10 and return it with its averaged weights, not frozen.

    data: the folder of cifar10.npz. out, steps, minutes: see `models.training.loop.run`. init: real weights to start
    from. shape, kinds: another net than the package's.
    """
    on = torch.device(device)
    net = begin(lambda: Vapnev(shape, kinds), on, seed, init)
    task = FlowTask(net, *load(data), batch, on, exported=init is not None)
    how: dict[str, Any] = {"seed": seed, "device": on, "rate": rate, "progress": progress, "on_gpu": "as it is"}
    run(task, out, steps=steps, minutes=minutes, **how)
    return net
