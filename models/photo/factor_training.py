"""Training of the factors by which files change the pixel network's weights: what adapting to many pictures shares.

Each of some pictures learns changes of its own, as an encoder at a high effort has it, and all of them learn the
factors, which are then rounded and stored with the weights. A run begins with those that the weights have, if any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from vlcodec.codec.errors import ImageError
from vlcodec.models.layers.activations import round_through
from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.layers.exact import Layer, frozen_copy, layers
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.objective import Agave
from vlcodec.models.layers.probe import simulated_copy
from vlcodec.models.layers.table import Table, tables
from vlcodec.models.photo.adapted import STEPS
from vlcodec.models.photo.adapting import PRICE, RATE, WEIGHT_RATE
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.data import read_rgb
from vlcodec.models.photo.factors import FACTOR_UNIT, large_layers, moved_weights, unit_of
from vlcodec.models.photo.net import GridAgave, GridShape
from vlcodec.models.photo.pixel_training import seen_by
from vlcodec.models.photo.pools import cut
from vlcodec.models.training.loop import Progress, run
from vlcodec.models.training.recipe import begin

PICTURES = 32
WEIGHT_PRICE = 1.0  # nats that a change costs for each nat of 1 + |change|: less than in files, so that more are tried
SIDE = 512  # of the part of a picture that is taken
FACTOR_RATE = 0.5  # of Adam, in units of a factor
MOST = 127  # |factor|


class _Own(nn.Module):
    """A layer's changes, of every picture; what makes its bias, or its weights, of a picture's."""

    def __init__(self, pictures: int, *shape: int) -> None:
        super().__init__()
        self.changes, self.which = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for _ in range(pictures)), 0

    @property
    def rounded(self) -> Tensor:
        return round_through(self.changes[self.which])


class _Bias(_Own):
    def __init__(self, pictures: int, layer: Layer) -> None:
        super().__init__(pictures, layer.outputs)

    def forward(self, bias: Tensor) -> Tensor:
        return bias + self.rounded / STEPS


class _Weights(_Own):
    def __init__(self, pictures: int, frozen: Layer, begun: Tensor) -> None:
        rank, (weight, _, exponent) = len(begun), frozen.integers()
        super().__init__(pictures, frozen.outputs, rank)
        begun = begun[:, : weight.shape[1]].float()
        self.factors = nn.Parameter(begun if begun.any() else FACTOR_UNIT * torch.randn(rank, weight.shape[1]))
        self._exponent, self._unit = exponent.round().float(), unit_of(weight, exponent)

    def forward(self, weight: Tensor) -> Tensor:
        scale, factors = torch.exp2(self._exponent)[:, None], self.factors.clamp(-MOST, MOST)
        integers = (weight * scale).round()
        return moved_weights(integers, self._exponent, self._unit, self.rounded, factors, round_through) / scale


class FactorTask:
    """See models.train.Task."""

    terms: tuple[str, ...] = ("loss", "pixels", "price")
    average = 0.99

    def __init__(
        self, net: GridAgave, pictures: Sequence[Path], *, seed: int, device: torch.device, batch: int, patch: int
    ) -> None:
        rng, frozen = np.random.default_rng(seed), frozen_copy(net)
        model, chosen = PhotoModel(frozen, device, 0.0, ()), rng.permutation(len(pictures))[:PICTURES]
        self._seen = [seen_by(model, read_rgb(pictures[i])[:SIDE, :SIDE], 0) for i in sorted(chosen)]
        self._seen = [part for part in self._seen if min(part.levels.shape[:2]) >= patch]
        if not self._seen:
            raise ImageError(f"no picture is as large as a patch, {patch} x {patch}")
        self.net, self.exported, self._batch, self._patch, self._device = Agave(), True, batch, patch, device
        self.objective: Callable[..., dict[str, Tensor]] = self._objective
        self.net.pixels = simulated_copy(model.pixels.coded())
        self.weights = self._moved(model.pixels.coded(), [table for _, table in tables(net.factors)])

    def _moved(self, frozen: PixelDecoder, begun: Sequence[Table]) -> list[_Weights]:
        count, pixels = len(self._seen), self.net.pixels
        large = zip(large_layers(frozen), begun, strict=True)
        weights = [_Weights(count, layer, table.values.cpu()) for layer, table in large]
        for layer, weight in zip(large_layers(pixels), weights, strict=True):
            parametrize.register_parametrization(layer, "weight", weight)
        for _, layer in list(layers(pixels)):
            parametrize.register_parametrization(layer, "bias", _Bias(count, layer))
        self._own = [part for part in self.net.modules() if isinstance(part, _Own)]
        self.net.to(self._device)
        return weights

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """One for each picture's own changes, whose momentum waits for it, and one for the factors."""
        found = [torch.optim.Adam([{"params": [part.factors for part in self.weights], "share": FACTOR_RATE}], lr=rate)]
        for which in range(len(self._seen)):
            groups = [
                {"params": [part.changes[which]], "share": WEIGHT_RATE if isinstance(part, _Weights) else RATE}
                for part in self._own
            ]
            found.append(torch.optim.Adam(groups, lr=rate))
        return list[torch.optim.Optimizer](found)

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step: pixels and f(z) of patches of one picture after the other."""
        set_mode(self.net, "simulated")
        which = step % len(self._seen)
        for part in self._own:
            part.which = which
        patches = [cut(self._seen[which], self._patch, rng) for _ in range(self._batch)]
        x, beside = (torch.stack(parts).float().to(self._device) for parts in zip(*patches, strict=True))
        return x - 128, beside, self._seen[which].levels[..., 0].numel()

    def _objective(self, x: Tensor, fz: Tensor, pixels: int) -> dict[str, Tensor]:
        with torch.autocast(self._device.type, torch.bfloat16), parametrize.cached():
            nats = self.net.pixel_nats(x, fz).mean()
        sizes = [
            (WEIGHT_PRICE if isinstance(part, _Weights) else PRICE) * torch.log1p(part.changes[part.which].abs()).sum()
            for part in self._own
        ]
        price = torch.stack(sizes).sum() / pixels
        return {"loss": nats + price, "pixels": nats, "price": price}

    def finish(self) -> None:
        """Nothing: factors are rounded when they are stored."""

    def measure(self) -> list[dict[str, float]]:
        """Nothing: what factors gain, files show (`benchmarks/effort.py`)."""
        return []


def train_factors(
    pictures: Sequence[Path],
    out: Path,
    *,
    shape: GridShape,
    weights: dict[str, Tensor],
    steps: int | None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    batch: int = 4,
    patch: int = 96,
    rate: float = 1.0,
    progress: Progress | None = None,
) -> GridAgave:
    """The net of exported weights with other factors; all else stays. rate: in units of changes and factors."""
    on = torch.device(device)
    net = begin(lambda: GridAgave(shape), on, seed, None, weights)
    task = FactorTask(net, pictures, seed=seed, device=on, batch=batch, patch=patch)
    lengths: dict[str, Any] = {"steps": steps, "minutes": minutes, "seed": seed, "rate": rate}
    run(task, out, device=on, progress=progress, on_gpu="as it is", decay_from=0.4, **lengths)
    with torch.no_grad():
        for (_, table), part in zip(tables(net.factors), task.weights, strict=True):
            table.values[:, : part.factors.shape[1]] = part.factors.round().clamp(-MOST, MOST)
    return net
