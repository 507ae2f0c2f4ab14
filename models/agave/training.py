"""Training of the ladder AGAVEs on CIFAR-10: both posteriors of a net at once, half of every batch each.

As in the paper (section 4.1) the autoencoder and the PixelCNN are trained apart first, then jointly. Muon trains the
PixelCNN's matrices, Adam all else. Rounding of the weights is simulated at the end, or, to 8 bits, from the start, so
that what is exported is what was trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from vlcodec.models.agave.data import Cifar10, drawn, load_cifar10
from vlcodec.models.agave.net import LadderAgave, LadderShape
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.exact import frozen_copy, layers
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.posterior import UNIFORMS, Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.optimisers import muon_and_adam
from vlcodec.models.training.recipe import begin

APART = 0.05  # share of the steps in which the two halves are trained apart
ANNEALED_AT = 0.1  # the KL's weight rises until then
JOINING = 300, 1000  # steps between which a new PixelCNN comes to teach a trained autoencoder
ROUNDED_FROM = 0.92
MUON_SHARE = 12.0  # of the learning rate
MEASURED_AT_ONCE = 100
SHAPE = LadderShape(
    latents=(16, 8),
    widths=(48, 96, 160),
    blocks=2,
    features=5,
    pixel_channels=80,
    dilations=(1, 1, 1, 1, 1, 1),
    pixel_hidden=48,
    mixtures=4,
    stream=16,
    gated=False,
    kl_weight=8.0,
    aux_levels=256,
    aux_stride=1,
    pixel_bits=10,
    context="colour",
    spacing=1,
    auxiliary=True,
    free_nats=0.0,
    finer=(),
)  # number 6's
LONG = replace(SHAPE, pixel_channels=96, dilations=(1, 1, 2, 4, 1, 2, 4, 1, 2, 4), gated=True)
GROWN = replace(
    SHAPE,
    pixel_channels=128,
    dilations=(1, 1, 1, 2, 1, 1, 2, 1, 4, 1, 1, 1),
    pixel_hidden=96,
    mixtures=6,
    stream=0,
    pixel_bits=8,
)
VLAE = replace(GROWN, pixel_channels=96, dilations=(1,) * 8, kl_weight=1.0, auxiliary=False, free_nats=0.05)
SHAPES = {  # by the names of models; a VLAE's says what its window shows, and so what its latents need not hold
    "agave-cifar10": replace(GROWN, finer=(2.0, 0.5)),
    "vlae-cifar10": VLAE,
    "vlae-cifar10-small": replace(VLAE, dilations=(0,) * 8),
    "vlae-cifar10-grey": replace(VLAE, context="grey"),
    "vlae-cifar10-coarse": replace(VLAE, dilations=(2,) * 8, spacing=2),
}
Part = Literal["all", "pixels"]


class SmallTask:
    """See models.train.Task."""

    terms: tuple[str, ...] = ("loss", "pixels", "auxiliary", "kl", "mse")
    average = 0.999

    def __init__(
        self, net: LadderAgave, data: Cifar10, batch: int, device: torch.device, joint: bool, exported: bool
    ) -> None:
        self.net, self._data, self._batch, self._device = net, data, batch, device
        self._pictures = torch.from_numpy(data.train).to(device)
        self._coarse = net.shape.pixel_bits < 10  # costs too much to be met at the end alone
        self.exported, self._joint = exported, joint
        self.objective: Callable[..., dict[str, Tensor]] = self._objective

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Muon for the PixelCNN's layers but the last ones, Adam for all else."""
        hidden = {name for name, layer in layers(self.net) if name.startswith("pixels.net.") and not layer.precise}
        return muon_and_adam(self.net, hidden, rate, MUON_SHARE, self._device)

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step."""
        done = step / steps
        exact = not self._coarse and done >= ROUNDED_FROM
        set_mode(self.net, "simulated" if exact else "training")
        if self._coarse:
            set_mode(self.net.pixels, "simulated")
        joint = self._joint or self.exported  # a checkpoint brings `exported` back
        anneal = 1.0 if joint else min(1.0, 0.1 + done / ANNEALED_AT)
        first, last = JOINING
        joined = min(1.0, max(0.0, (step - first) / (last - first))) if self._joint and not self.exported else 1.0
        x = drawn(self._pictures, self._batch, rng)
        shares = (torch.tensor(share, device=self._device) for share in (anneal, joined))
        return x, *shares, not joint and done < APART, exact

    def _objective(self, x: Tensor, anneal: Tensor, joined: Tensor, apart: bool, exact: bool) -> dict[str, Tensor]:
        """In bfloat16, at a third of the time, until rounding to more than its 8 bits is simulated."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=not exact):
            return self.net.objective(x, _shares(self.net.kinds, len(x)), anneal, apart, joined)

    def finish(self) -> None:
        """Nothing: rounding was part of the training."""

    def measure(self) -> list[dict[str, float]]:
        """Of each posterior, over the pictures held out, of what would be exported."""
        net = frozen_copy(self.net)
        return [measure(net, self._data.valid, kind, self._device) for kind in net.kinds]


class PixelsTask(SmallTask):
    """The PixelCNN alone, on a trained autoencoder that stays as it is."""

    terms: tuple[str, ...] = ("loss", "pixels")

    def __init__(self, net: LadderAgave, data: Cifar10, batch: int, device: torch.device) -> None:
        super().__init__(net, data, batch, device, joint=True, exported=True)
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith("pixels."))
        self.objective = self._of_pixels

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step."""
        x, *_, exact = super().arguments(step, steps, rng)
        kinds = _shares(self.net.kinds, len(x))
        parts = zip(kinds, x.split([n for _, n in kinds]), strict=True)
        with torch.no_grad(), torch.autocast(self._device.type, torch.bfloat16):
            fz = torch.cat([self.net.infer(part, kind)[0] for (kind, _), part in parts])
        return x, fz.float(), exact

    def _of_pixels(self, x: Tensor, fz: Tensor, exact: bool) -> dict[str, Tensor]:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=not exact):
            pixels = self.net.pixel_nats(x, fz)
        return {"pixels": pixels, "loss": pixels.mean()}


def _shares(kinds: tuple[Kind, ...], batch: int) -> list[tuple[Kind, int]]:
    """How many pictures of a batch each kind of posterior gets."""
    return [(kind, (batch + i) // len(kinds)) for i, kind in enumerate(kinds)]


def measure(net: LadderAgave, pictures: Any, kind: Kind, device: torch.device) -> dict[str, float]:
    """Means over (N, 32, 32, 3) uint8 RGB pictures, one sample of z each: bits/dim, PSNR (dB) of the mean image."""
    sums = torch.zeros(4, dtype=torch.float64)
    with exact_inference():
        for i in range(0, len(pictures), MEASURED_AT_ONCE):
            x = centred(pictures[i : i + MEASURED_AT_ONCE]).to(device)
            terms = net.losses(x, [(kind, len(x))])
            sums += torch.stack([terms[k].double().sum().cpu() for k in ("kl", "pixels", "auxiliary", "mse")])
    kl, pixels, auxiliary, mse = (sums / len(pictures)).tolist()
    unit = 3 * math.log(2)
    return {
        "kl": kl / unit,
        "pixels": pixels / unit,
        "auxiliary": auxiliary / unit,
        "bpd": (kl + pixels) / unit,
        "psnr": 10 * math.log10(255**2 / mse),
    }


def train(
    data: Path,
    out: Path,
    *,
    steps: int | None,
    minutes: float | None = None,
    init: dict[str, Tensor] | None = None,
    related: dict[str, Tensor] | None = None,
    seed: int = 0,
    device: str = "cpu",
    batch: int = 32,
    rate: float = 1e-3,
    shape: LadderShape = SHAPE,
    kinds: tuple[Kind, ...] | None = None,
    joint: bool = False,
    part: Part = "all",
    progress: Progress | None = None,
) -> LadderAgave:
    """Train a net on CIFAR-10 and return it with its averaged weights, not frozen.

    data: the folder of cifar10.npz. out, steps, minutes: see `models.training.loop.run`.
    init: real weights to start from. related: those of another AGAVE, of which what fits is taken; qualities that it
    does not have begin as its first. shape, kinds: another net than the package's. joint: not apart first, and with
    the whole of the KL's weight, as from weights that are trained already.
    part: "pixels" trains the PixelCNN alone, with the rest fixed.
    """
    on = torch.device(device)
    net = begin(lambda: LadderAgave(shape, kinds), on, seed, init, related and with_finer(related))
    pictures = load_cifar10(data)
    task = (
        PixelsTask(net, pictures, batch, on)
        if part == "pixels"
        else SmallTask(net, pictures, batch, on, joint=joint, exported=init is not None)
    )
    run(task, out, steps=steps, minutes=minutes, seed=seed, device=on, rate=rate, progress=progress)
    return net


def with_finer(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a net with all qualities: the layers at the latents of those that it lacks are its first one's."""
    copies = {
        name.replace(f".ends.{UNIFORMS[0]}.", f".ends.{kind}."): value
        for name, value in weights.items()
        for kind in UNIFORMS
    }
    return copies | weights
