"""Training of `photo`: patches of widened pictures, AGAVE's objective, and rounding simulated at the end.

Rounding is simulated (`exact.set_quantised`) while the rate decays, so that what is exported is what was trained; from
exported weights it is simulated from the first step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from vlcodec.codec.errors import ImageError
from vlcodec.models.causal_pixels import centred
from vlcodec.models.data import Pixels, draw_patches, make_pool, read_rgb
from vlcodec.models.exact import Layer, layers, set_quantised
from vlcodec.models.grid import GridAgave, Shape
from vlcodec.models.train import DECAY_FROM, Progress, run

QUALITY_SHARES = (0.4, 0.2, 0.2, 0.2)  # of a batch; lossless files use the lowest quality's latents
ANNEALED_AT = 0.05  # as a share of the steps
FULL_RATE_INPUTS = 256
POOL_STEPS = 6000  # steps between new random variants of the pictures
Part = Literal["all", "autoencoder", "pixels"]


def rate_share(layer: Layer) -> float:
    """Share of the learning rate that a layer takes: wide ones less, or Adam's even steps silence their channels."""
    return min(1.0, FULL_RATE_INPUTS / layer.weight.shape[1])


def split_batch(batch: int) -> list[tuple[int, int]]:
    """(quality, pictures) for each quality; every quality gets at least one picture."""
    counts = [max(1, round(batch * share)) for share in QUALITY_SHARES]
    counts[0] = max(1, batch - sum(counts[1:]))
    return list(enumerate(counts))


def measure(model: GridAgave, pictures: Sequence[Pixels], device: torch.device) -> list[dict[str, float]]:
    """For each quality, means over pictures: bits/pixel of the latents, PSNR of the mean image, bits/dim in all."""
    rows = []
    with torch.no_grad():
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

    terms: tuple[str, ...] = ("loss", "pixels", "kl", "mse")
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
        rounded: bool,
    ) -> None:
        self.net, self.rounded = net, rounded
        self.objective: Callable[..., dict[str, Tensor]] = net.objective
        self._sources = [read_rgb(p) for p in pictures]
        self._held_out = [read_rgb(p) for p in validation]
        self._seed, self._device, self._patch, self._variants = seed, device, patch, variants
        self._part, self._split = part, split_batch(batch)
        self._batch, self._pool_number, self._pool = batch, -1, list[Tensor]()
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(part != "pixels" or name.startswith(("pixels.", "decoder.leave.")))

    def optimiser(self, rate: float) -> torch.optim.Optimizer:
        """Adam, with a share of the rate for each layer."""
        groups = [{"params": list(layer.parameters()), "share": rate_share(layer)} for _, layer in layers(self.net)]
        return torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.99), fused=self._device.type == "cuda")

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step."""
        if step // POOL_STEPS != self._pool_number:
            self._pool_number = step // POOL_STEPS
            fresh = make_pool(self._sources, self._variants, [self._seed, self._pool_number], self._patch)
            self._pool = [torch.from_numpy(p).to(self._device) for p in fresh]
            if not self._pool:
                raise ImageError(f"no picture is as large as a patch, {self._patch} x {self._patch}")
        set_quantised(self.net, self.rounded or step >= DECAY_FROM * steps)
        x, grey = draw_patches(self._pool, self._batch, self._patch, rng)
        warm = 1.0 if self.rounded else min(1.0, 0.2 + 0.8 * step / (ANNEALED_AT * steps))
        return x, grey, self._split, torch.tensor(warm, device=self._device), self._part != "autoencoder"

    def finish(self) -> None:
        """Nothing: rounding was part of the training."""

    def measure(self) -> list[dict[str, float]]:
        """On the pictures that are held out."""
        return measure(self.net, self._held_out, self._device) if self._held_out else []


def train(
    pictures: Sequence[Path],
    out: Path,
    *,
    steps: int,
    minutes: float | None = None,
    init: dict[str, Tensor] | None = None,
    validation: Sequence[Path] = (),
    seed: int = 0,
    device: str = "cpu",
    batch: int = 10,
    patch: int = 96,
    variants: int = 3,
    rate: float = 1.2e-3,
    part: Part = "all",
    shape: Shape | None = None,
    progress: Progress | None = None,
) -> GridAgave:
    """Train the photo model and return it with its averaged weights, not frozen.

    pictures: files to learn from. out: folder of `checkpoint.pt` (resumed from where it exists) and `log.csv`.
    steps: length of the schedule; minutes: stop earlier and leave a checkpoint. init: exported weights to start from.
    validation: files that are only measured, at the end. rate: peak learning rate of Adam.
    part: "autoencoder" trains that and the prior alone, at a ninth of the cost; "pixels" the PixelCNN and the decoder's
    last layer, which makes its features, with the rest fixed.
    """
    on = torch.device(device)
    torch.manual_seed(seed)
    net = GridAgave(shape or Shape()).to(on)
    if init is not None:
        net.load_state_dict(init)
    sizes: dict[str, Any] = {"batch": batch, "patch": patch, "variants": variants, "part": part}
    task = PhotoTask(net, pictures, validation, seed=seed, device=on, rounded=init is not None, **sizes)
    run(task, out, steps=steps, minutes=minutes, seed=seed, device=on, rate=rate, progress=progress)
    return net
