"""Training of the VLAE models: one of a model's two nets on one of the four binary sets, with one recipe for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.mixture import FINE, SCALE_LAST, SCALE_UNIT, nats
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.posterior import dither_like
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.recipe import begin
from vlcodec.models.vlae.data import BinarySet, load_binary
from vlcodec.models.vlae.net import SPREAD_GAIN, Vlae, VlaeShape

CENTRED_ON = 10_000  # pictures
VALID_PICTURES = 1000  # of the validation set that are measured, at most
MEASURED_AT_ONCE = 250
SHAPE = VlaeShape(
    posterior="gaussian",
    latents=64,
    widths=(32, 64),
    blocks=(1, 2),
    bottleneck=16,
    hidden=256,
    flow_steps=4,
    flow_hidden=640,
    features=4,
    pixel_channels=12,
    window=6,
    dilation=1,
    tied=False,
    flow_in="prior",
    auxiliary=False,
    kl_weight=1.0,
)
UNIFORM = replace(SHAPE, posterior="uniform")
KEPT = replace(UNIFORM, flow_steps=2, flow_hidden=192, auxiliary=True)  # whose mean image is to be looked at
SHAPES = {  # "uniform-2" and on are the lossy qualities from 2 on, of more bits each
    "gaussian": SHAPE,
    "uniform": UNIFORM,
    "uniform-2": replace(KEPT, kl_weight=3.0),
    "uniform-3": replace(KEPT, kl_weight=0.35),
}
AT_LATENTS = ("flow.", "spread.", "encoder.centre.", "encoder.scale.", "decoder.enter.")


class BinaryTask:
    """See models.train.Task: Adamax and Polyak averaging, as in the paper."""

    terms: tuple[str, ...] = ("loss", "pixels", "kl", "auxiliary")
    average = 0.998
    exported = False

    def __init__(self, net: Vlae, data: BinarySet, batch: int, device: torch.device) -> None:
        self.net, self._data, self._batch, self._device = net, data, batch, device
        self.objective: Callable[..., dict[str, Tensor]] = self._objective

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Adamax."""
        return [torch.optim.Adamax([{"params": list(self.net.parameters()), "share": 1.0}], lr=rate)]

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step."""
        return (self._data.batch(self._batch, rng).to(self._device),)

    def _objective(self, x: Tensor) -> dict[str, Tensor]:
        """In bfloat16 where the CPU multiplies it, at half the time."""
        with torch.autocast(self._device.type, torch.bfloat16):
            return self.net.objective(x)

    def finish(self) -> None:
        """Centre the idle latents of a uniform posterior on pictures of the training set."""
        if self.net.shape.posterior == "uniform":
            pictures = self._data.batch(CENTRED_ON, torch.Generator().manual_seed(0))
            centre_idle_latents(self.net, pictures.to(self._device))

    def measure(self) -> list[dict[str, float]]:
        """Nats of the validation set, one sample of z each, of what would be exported."""
        net = frozen_copy(self.net)
        valid = self._data.valid[:: -(-len(self._data.valid) // VALID_PICTURES)]
        sums = torch.zeros(2, dtype=torch.float64)
        with exact_inference():
            for i in range(0, len(valid), MEASURED_AT_ONCE):
                x = torch.from_numpy(valid[i : i + MEASURED_AT_ONCE])[..., None].float().to(self._device)
                terms = net.losses(x)
                sums += torch.stack([terms[k].double().sum().cpu() for k in ("kl", "pixels")])
        kl, pixels = (sums / len(valid)).tolist()
        return [{"kl": kl, "pixels": pixels, "elbo": kl + pixels}]


def train(
    model: str,
    data: Path,
    out: Path,
    *,
    steps: int | None,
    minutes: float | None = None,
    init: dict[str, Tensor] | None = None,
    related: dict[str, Tensor] | None = None,
    seed: int = 0,
    device: str = "cpu",
    batch: int = 100,
    rate: float = 2e-3,
    shape: VlaeShape = SHAPE,
    progress: Progress | None = None,
) -> Vlae:
    """Train one net of a model and return it with its averaged weights, not frozen.

    data: the folder that holds all sets. out, steps, minutes: see `models.train.run`. init: real weights to start from.
    related: those of a net with the other posterior, of which all is taken that does not touch the latents.
    shape: another net than the package's, for the paper's studies.
    """
    on = torch.device(device)
    shared = {k: v for k, v in (related or {}).items() if not k.startswith(AT_LATENTS)}
    net = begin(lambda: Vlae(shape), on, seed, init, shared)
    task = BinaryTask(net, load_binary(model, data), batch, on)
    run(task, out, steps=steps, minutes=minutes, seed=seed, device=on, rate=rate, progress=progress)
    return net


def centre_idle_latents(net: Vlae, pictures: Tensor) -> None:
    """Refit, to the rounded weights, what a uniform posterior and its prior say of each latent alone.

    A latent that carries nothing has a prior so narrow that it costs nothing, as long as its noise fills just one cell.
    Rounded weights move it by 1/32 step or two, over the cell's edge: half a bit for each of fifty latents. So centres
    are moved to the middle of what rounds to one value, and widths are the best for the rounded net.

    pictures: (N, 28, 28, 1) of 0 and 1.
    """
    past = FINE_UNIT * (2 * pictures - 1)
    set_mode(net, "simulated")
    with exact_inference():
        u = dither_like(pictures.new_zeros(len(pictures), net.shape.latents), "frozen")
        centre = _in_parts(lambda x: net.encoder(x)[0], past).median(0).values
        net.encoder.centre.bias.add_((2 * (centre / 2).round() - centre) / FINE)
        if net.shape.flow_steps:
            last, before = net.flow.mades()[-1], _rounded(net, past, u, net.shape.flow_steps - 1)
            last.leave.bias.add_((before - u - _in_parts(last, before)).median(0).values / FINE)
        value = _rounded(net, past, u, net.shape.flow_steps) / FINE
        zero, costs = torch.zeros_like(value[:1, :1]), []
        for index in range(SCALE_LAST + 1):
            costs.append(nats(zero, zero, zero + index, value).mean(0))
        net.spread.bias.copy_(torch.stack(costs).argmin(0) / (SPREAD_GAIN * SCALE_UNIT))
    set_mode(net, "training")


def _rounded(net: Vlae, past: Tensor, u: Tensor, steps: int) -> Tensor:
    """(N, latents) in 1/32 step: z of the net in integers after so many steps of its flow."""
    frozen = frozen_copy(net)
    z = _in_parts(lambda x: frozen.encoder(x)[0], past) + u
    for made in frozen.flow.mades()[:steps]:
        z = z - _in_parts(made, z)
    return z


def _in_parts(work: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([work(part) for part in x.split(MEASURED_AT_ONCE)])
