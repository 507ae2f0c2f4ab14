"""Training of the network that draws texture, given what an exported model in layers makes of whole pictures.

    loss = LPIPS + STATISTICS |ln of local energies, less the original's| + AVERAGES squared errors of averages
           + PIXELS squared errors

the last two as shares of the mean image's. Energies are those of each frequency of 8 x 8 cosine transforms, of
brightness and two colours, at two scales, over squares of 24 x 24: what a texture is like, whatever its phases, which
errors of pixels do not ask for. Patterns that repeat, which LPIPS alone lets pass, have the wrong ones. LPIPS sees
patches at random places of its grid, so that patterns of the grid do not pay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vlcodec.codec.errors import ModelError
from vlcodec.models.layers.causal_pixels import MEAN_UNIT, ORDER
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.resnet import depth_to_space
from vlcodec.models.photo.data import Pixels
from vlcodec.models.photo.layered.codec import Layer, LayeredModel
from vlcodec.models.photo.layered.perceptual import Perceptual
from vlcodec.models.photo.layered.residual import COLOUR_MATRIX, COSINES, MATRIX_UNIT
from vlcodec.models.photo.layered.restoration import CELL
from vlcodec.models.photo.layered.restoration_training import seen_by as seen_before
from vlcodec.models.photo.layered.texture import NOISE, NOISE_BITS, WHOLE
from vlcodec.models.photo.net import STRIDE, GridAgave, GridShape, averages
from vlcodec.models.photo.pools import PoolTask, random_part
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.recipe import begin

POOL, POOL_STEPS = 240, 1500  # pictures that patches are cut from, and steps until others take their places
LARGEST = 320  # side of the part of a picture that is taken
QUALITIES, LOWER = 5.5, 1.3  # from 1 on; the larger the power, the more of the lowest
ROUNDED_FROM = 0.9  # share of the steps after which rounding is simulated
STATISTICS, AVERAGES, PIXELS = 0.6, 0.05, 0.02  # weights beside LPIPS
LEAST = 0.3, 4.0  # of the mean image's errors, averages' and pixels', in levels^2
BLOCK = 8  # side of averages
SCALES, OVERLAP, AROUND = 2, 4, 5  # of energies; pixels from a transform to the next one; so many of these along a side
SMALLEST = 64  # patch
MOVED = 8  # pixels: patches of LPIPS begin at one of these, down and to the right
LOWEST = 23  # sixteenths of it that pixels of the lowest quality are drawn with: LPIPS is as good from 16 to 23
SHAPE: dict[str, Any] = {"texture_channels": 64, "texture_blocks": 3}


class Seen(NamedTuple):
    """A picture of the pool, int16, as cells of 4 x 4 pixels: levels and the mended mean image, each (h, w, 48) in 1/4
    level; what the restoration's last layer sees (h, w, C); inputs that tell the step, (h, w, steps)."""

    levels: Tensor
    mean: Tensor
    hidden: Tensor
    step: Tensor


def seen_by(model: LayeredModel, pixels: Pixels, quality: float) -> Seen:
    """A picture (H, W, 3), sides multiples of 16, as a model's files of a quality have it."""
    before, net = seen_before(model, pixels, quality), model.net.restoration
    mean, added, body, step = (part[None].to(model.device, torch.float32) for part in before[1:])
    with torch.inference_mode():
        hidden = net.hidden(mean, added, body, step)
        mended = mean + added + net.leave(hidden)
    return Seen(before.levels, mended[0].cpu().to(torch.int16), hidden[0].cpu().to(torch.int16), before.step)


def layers_of(layers: Sequence[Sequence[int]]) -> list[list[int]]:
    """What a configuration says of each quality, with texture."""
    return [[*layer[:3], WHOLE if number else LOWEST] for number, layer in enumerate(layers)]


class TextureTask(PoolTask):
    """See models.train.Task."""

    terms: tuple[str, ...] = ("loss", "lpips", "statistics", "averages", "pixels", "texture")
    average = 0.999
    pool_pictures, pool_steps = POOL, POOL_STEPS

    def __init__(
        self,
        net: GridAgave,
        pictures: Sequence[Path],
        perceptual: Perceptual,
        layers: Sequence[Layer],
        *,
        seed: int,
        device: torch.device,
        batch: int,
        patch: int,
    ) -> None:
        super().__init__(net, "texture.", pictures, seed=seed, device=device, batch=batch)
        self.objective: Callable[..., dict[str, Tensor]] = self._objective
        self._side = patch // CELL
        self._layered = LayeredModel(self._model.net, device, 0.0, (), layers)
        self._perceptual = perceptual.to(device)

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step: patches of what a pool's pictures are seen as, noise, and rows and columns that
        LPIPS sees."""
        set_mode(self.net, "simulated" if step >= ROUNDED_FROM * steps else "training")
        levels, mean, hidden, told = self.patches(step, self._side, rng)
        half = 1 << NOISE_BITS - 1
        noise = torch.randint(-half, half, (*mean.shape[:3], NOISE), generator=rng).float()
        moved = torch.arange(CELL * self._side - MOVED + 1)[None] + torch.randint(MOVED, (2, 1), generator=rng)
        return levels, mean, hidden, told, noise.to(self._device), *moved.to(self._device)

    def seen(self, path: Path, rng: np.random.Generator) -> Seen:
        """A part of a picture at any quality, lower ones more often."""
        pixels = random_part(path, rng, CELL * self._side, LARGEST)
        height, width = (max(1, side // STRIDE) * STRIDE for side in pixels.shape[:2])
        most = min(QUALITIES, self._layered.qualities - 1)
        return seen_by(self._layered, pixels[:height, :width], 1 + most * rng.random() ** LOWER)

    def _objective(
        self, levels: Tensor, mean: Tensor, hidden: Tensor, step: Tensor, noise: Tensor, rows: Tensor, columns: Tensor
    ) -> dict[str, Tensor]:
        """In bfloat16 until rounding is simulated."""
        coarse = self.net.mode == "training"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=coarse):
            more = self.net.texture(mean, hidden, noise, step)
        original, shown, drawn = (depth_to_space(x, CELL) / MEAN_UNIT for x in (levels, mean, mean + more.float()))
        with torch.autocast(self._device.type, torch.bfloat16):
            seen = [self._perceptual.features(part(x, rows, columns)) for x in (original, drawn)]
        terms = {
            "lpips": self._perceptual.distance(*seen).mean(),
            "statistics": unlike(drawn, original),
            "averages": share_of(averages(drawn - original, BLOCK), averages(shown - original, BLOCK), LEAST[0]),
            "pixels": share_of(drawn - original, shown - original, LEAST[1]),
        }
        weights = 1.0, STATISTICS, AVERAGES, PIXELS
        loss = torch.stack([w * term for w, term in zip(weights, terms.values(), strict=True)]).sum()
        return {"loss": loss, **terms, "texture": share_of(drawn - shown, shown - original, LEAST[1])}

    def measure(self) -> list[dict[str, float]]:
        """Nothing: `benchmarks/rd.py` measures files."""
        return []


def part(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Of pictures (N, H, W, 3) in [-128, 127], G, R, B, some rows and columns: (N, 3, h, w) RGB levels."""
    cut = x.index_select(1, rows).index_select(2, columns)
    return 128 + cut[..., ORDER].permute(0, 3, 1, 2)


def share_of(error: Tensor, other: Tensor, least: float) -> Tensor:
    """Mean squares of an error as a share of another's, in all."""
    return error.square().mean() / (other.square().mean() + least)


def unlike(one: Tensor, other: Tensor) -> Tensor:
    """How far local energies are apart, in nats, of pictures (N, H, W, 3) in levels, G, R, B."""
    found = [(a.log() - b.log()).abs().mean() for a, b in zip(energies(one), energies(other), strict=True)]
    return torch.stack(found).mean()


def energies(pictures: Tensor) -> Iterator[Tensor]:
    """(N, 191, h, w) roots of local mean squares of coefficients, in levels, at least 1, but for the average
    brightness; see the module."""
    cosines, colours = ((matrix / MATRIX_UNIT).to(pictures) for matrix in (COSINES, COLOUR_MATRIX))
    each = torch.einsum("kc,ai,bj->kabcij", colours, cosines, cosines)
    filters, x = each.flatten(0, 2)[1:], pictures.permute(0, 3, 1, 2)
    for scale in range(SCALES):
        x = F.avg_pool2d(x, 2) if scale else x
        found = F.conv2d(x, filters, stride=OVERLAP).square()
        yield (F.avg_pool2d(found, AROUND, 2) + 1).sqrt()


def train_texture(
    pictures: Sequence[Path],
    out: Path,
    *,
    shape: GridShape,
    layers: Sequence[Layer],
    perceptual: Perceptual,
    weights: dict[str, Tensor],
    steps: int | None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    batch: int = 6,
    patch: int = 128,
    rate: float = 1e-3,
    progress: Progress | None = None,
) -> GridAgave:
    """Train the network that draws texture, of exported weights in layers; all else stays as it is. See
    `training.train`.

    shape: of the net, whose weights may lack this network's. Raises ModelError for patches that are too small.
    """
    if patch < SMALLEST:
        raise ModelError(f"part texture takes patches of at least {SMALLEST} x {SMALLEST}, not {patch}")
    on = torch.device(device)
    net = begin(lambda: GridAgave(shape), on, seed, None, weights)
    sizes: dict[str, Any] = {"seed": seed, "device": on, "batch": batch, "patch": patch}
    task = TextureTask(net, pictures, perceptual, layers, **sizes)
    lengths: dict[str, Any] = {"steps": steps, "minutes": minutes, "seed": seed, "rate": rate}
    run(task, out, device=on, progress=progress, on_gpu="replayed", **lengths)
    return net
