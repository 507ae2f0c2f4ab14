"""Training of `photo`: patches of widened pictures, AGAVE's objective, and rounding simulated at the end.

The autoencoder begins as a linear transform coder (`klt`); large matrices are trained by Muon. Rounding is simulated
(see `mode`) in the last steps, so that what is exported is what was trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from vlcodec.codec.errors import ImageError
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.exact import Layer, frozen_copy, layers
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.photo.data import Pixels, draw_patches, make_pool, read_rgb
from vlcodec.models.photo.linear_start import start_linear
from vlcodec.models.photo.net import DRAWN, GridAgave, GridShape
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.optimisers import muon_and_adam
from vlcodec.models.training.recipe import begin

LOWEST_SHARE = 3 / 8  # of a batch, for the lowest quality, whose latents lossless files use
NEAR_MOST = 12  # levels that pixels which the PixelCNN sees are off
ANNEALED_AT = 0.05  # as a share of the steps
ROUNDED_FROM = 0.9
MUON_SHARE = 2.0  # of the learning rate
HIDDEN = 48  # inputs and outputs of a layer that Muon trains, at least
BATCH = 10  # patches, unless told otherwise
TRANSFORMED = 400  # patches that the linear start is fitted to
POOL_STEPS = 6000  # steps between new random variants of the pictures
SHAPE = GridShape(
    latents=256,
    features=5,
    widths=(64, 128, 256),
    hidden=(64, 128, 256),
    encoder_blocks=(1, 2, 1),
    decoder_blocks=(2, 2, 1),
    prior_channels=128,
    prior_groups=8,
    pixel_channels=96,
    pixel_depth=6,
    pixel_hidden=64,
    mixtures=4,
    pixel_bits=8,
    prior_depth=4,
    prior_hidden=96,
    prior_mixtures=2,
    told=1,
    told_drawn=128,
    told_near=32,
    factors=8,
    aux_sigma=(13.0, 10.0, 7.6, 5.0),
    kl_weight=(14.0, 7.7, 4.4, 1.8),
    residual_steps=(),
    residual_channels=0,
    residual_depth=0,
    residual_hidden=0,
    restoration_channels=0,
    restoration_blocks=0,
    texture_channels=0,
    texture_blocks=0,
)
CORRECTION: dict[str, Any] = {"correction": (70, 90, 110)}  # edges of classes, see `correction`
CONFIG: dict[str, Any] = {"net": asdict(SHAPE), "guide_width": 0.5, **CORRECTION}
Part = Literal["all", "autoencoder"]


def begins(shape: GridShape) -> bool:
    """Whether the PixelCNN of a net of a shape begins the recipe's, whose autoencoder is another."""
    return shape != SHAPE and shape.pixel_channels == SHAPE.pixel_channels and shape.pixel_bits == SHAPE.pixel_bits


def is_hidden(name: str, layer: Layer) -> bool:
    """Whether Muon trains a layer: large matrices, but for those at the latents."""
    at_latents = name.startswith("decoder.enter.") or layer.precise
    return not at_latents and min(layer.weight.shape) >= HIDDEN


def optimisers_of(net: GridAgave, rate: float, device: torch.device) -> list[torch.optim.Optimizer]:
    """Muon for the hidden layers of what is trained of a net; Adam for the others."""
    hidden = {name for name, layer in layers(net) if is_hidden(name, layer)}
    return muon_and_adam(net, hidden, rate, MUON_SHARE, device)


def split_batch(batch: int, qualities: int) -> list[tuple[int, int]]:
    """(quality, pictures) for each quality; every quality gets at least one picture."""
    others = max(qualities - 1, round(batch * (1 - LOWEST_SHARE)))
    counts = [(others + q) // (qualities - 1) for q in range(qualities - 1)]
    return list(enumerate([max(1, batch - others), *counts]))


def measure(model: GridAgave, pictures: Sequence[Pixels], device: torch.device) -> list[dict[str, float]]:
    """For each quality, means over pictures: bits/pixel of the latents, PSNR of the mean image, bits/dim in all."""
    rows = []
    with exact_inference():
        for q in range(model.qualities):
            sums = torch.zeros(3, dtype=torch.float64)
            for picture in pictures:
                h, w = (s // 16 * 16 for s in picture.shape[:2])
                x = centred(picture[None, :h, :w]).to(device)
                terms = {k: float(v) for k, v in model.losses(x, x.new_zeros(1), [(q, 1)]).items()}
                kl, pixels = terms["kl"] / math.log(2), terms["pixels"] / math.log(2)
                sums += torch.tensor([kl, 10 * math.log10(255**2 / terms["mse"]), (kl + pixels) / 3])
            bpp, psnr, bpd = (sums / len(pictures)).tolist()
            rows.append({"quality": q + 1, "latent_bpp": bpp, "psnr": psnr, "bpd": bpd})
    return rows


class PhotoTask:
    """See models.train.Task. The pool of patches is renewed every POOL_STEPS."""

    terms: tuple[str, ...] = ("loss", "pixels", "kl", "mse", "smooth")
    average = 0.999

    def __init__(
        self,
        net: GridAgave,
        pictures: Sequence[Path],
        validation: Sequence[Path],
        *,
        seed: int,
        device: torch.device,
        batch: int,
        patch: int,
        variants: int,
        part: Part,
        exported: bool,
    ) -> None:
        self.net, self.exported = net, exported
        self.objective: Callable[..., dict[str, Tensor]] = self._objective
        self._sources = [read_rgb(p) for p in pictures]
        self._held_out = [read_rgb(p) for p in validation]
        self._seed, self._device, self._patch, self._variants = seed, device, patch, variants
        self._part = part
        self._batch, self._pool_number, self._pool = batch, -1, list[Tensor]()
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(part == "all" or not name.startswith("pixels."))

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Muon for the hidden layers; Adam for the others, with a share of the rate for each layer."""
        return optimisers_of(self.net, rate, self._device)

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step."""
        self._fill(step // POOL_STEPS)
        exact = step >= ROUNDED_FROM * steps
        coarse = self.net.shape.pixel_bits < 10  # 8 bits cost too much to be met at the end alone
        told_by_rounded = coarse and self.exported and self._part == "all"  # as the pixel network has learned
        set_mode(self.net, "simulated" if exact or told_by_rounded else "training")
        if coarse:
            set_mode(self.net.pixels, "simulated")
        x, grey = draw_patches(self._pool, self._batch, self._patch, rng)
        warm = 1.0 if self.exported else min(1.0, 0.2 + 0.8 * step / (ANNEALED_AT * steps))
        return x, grey, torch.tensor(warm, device=self._device), exact, self._noise(rng)

    def _noise(self, rng: torch.Generator) -> Tensor | None:
        """Of what is seen of each picture of a batch, of all qualities: some as if they were being drawn, as many as if
        they were restored, most within one level or two."""
        if not self.net.shape.told:
            return None
        noise, count = torch.zeros(self._batch), self._batch // DRAWN
        which = torch.randperm(self._batch, generator=rng)
        noise[which[:count]] = 1 - torch.rand(count, generator=rng)
        if self.net.shape.told_near:
            near = torch.randint(1, NEAR_MOST + 1, (count,), generator=rng)
            usual = torch.randint(1, 3, (count,), generator=rng)
            noise[which[count : 2 * count]] = -torch.where(torch.rand(count, generator=rng) < 0.8, usual, near).float()
        return noise.to(self._device)

    def start(self) -> None:
        """The linear start, fitted to patches of the first pool."""
        self._fill(0)
        start_linear(self.net, draw_patches(self._pool, TRANSFORMED, self._patch, torch.Generator().manual_seed(0))[0])

    def _fill(self, number: int) -> None:
        """The pool of a number."""
        if number != self._pool_number:
            self._pool_number = number
            fresh = make_pool(self._sources, self._variants, [self._seed, number], self._patch)
            self._pool = [torch.from_numpy(p).to(self._device) for p in fresh]
            if not self._pool:
                raise ImageError(f"no picture is as large as a patch, {self._patch} x {self._patch}")

    def _objective(
        self, x: Tensor, grey: Tensor, anneal: Tensor, exact: bool, noise: Tensor | None
    ) -> dict[str, Tensor]:
        """In bfloat16, at a third of the time, until rounding to more than its 8 bits is simulated."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=not exact):
            split = split_batch(len(x), self.net.qualities)
            return self.net.objective(x, grey, split, anneal, self._part != "autoencoder", noise)

    def finish(self) -> None:
        """Nothing: rounding was part of the training."""

    def measure(self) -> list[dict[str, float]]:
        """On the pictures that are held out, of what would be exported."""
        return measure(frozen_copy(self.net), self._held_out, self._device) if self._held_out else []


def train(
    pictures: Sequence[Path],
    out: Path,
    *,
    steps: int | None,
    minutes: float | None = None,
    init: dict[str, Tensor] | None = None,
    related: dict[str, Tensor] | None = None,
    validation: Sequence[Path] = (),
    seed: int = 0,
    device: str = "cpu",
    batch: int = BATCH,
    patch: int = 96,
    variants: int = 3,
    rate: float = 1.2e-3,
    part: Part = "all",
    shape: GridShape = SHAPE,
    progress: Progress | None = None,
) -> GridAgave:
    """Train the photo model and return it with its averaged weights, not frozen.

    pictures: files to learn from. out: folder of `checkpoint.pt` (resumed from where it exists) and `log.csv`.
    steps: length of the schedule; minutes: stop earlier and leave a checkpoint. init: exported weights to start from;
    related: where there are none, a PixelCNN's, of which what fits is taken.
    validation: files that are only measured, at the end. rate: peak learning rate of Adam.
    part: "autoencoder" trains that and the prior alone, at a fifth of the cost.
    """
    on = torch.device(device)
    net = begin(lambda: GridAgave(shape), on, seed, init, related)
    sizes: dict[str, Any] = {"batch": batch, "patch": patch, "variants": variants, "part": part}
    task = PhotoTask(net, pictures, validation, seed=seed, device=on, exported=init is not None, **sizes)
    if init is None:
        task.start()
    run(task, out, steps=steps, minutes=minutes, seed=seed, device=on, rate=rate, progress=progress, on_gpu="replayed")
    return net
