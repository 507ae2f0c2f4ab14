"""What an encoder learns of one picture: changes of the pixel network's weights, in floating point.

After the shared network has been trained on many pictures, a few hundred steps of Adam on patches of the picture itself
move its biases, and the weights of its larger layers by matrices of low rank (cf. CALLIC and HPAC-FT), with rounding to
8 bits simulated and what the changes cost in the loss. Files that hold them decode everywhere alike; two machines may
learn them differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from vlcodec.codec.coding.near import width_of
from vlcodec.codec.interface import Bytes, Ints, Tick
from vlcodec.models.layers.activations import round_through
from vlcodec.models.layers.causal_pixels import PixelDecoder, centred
from vlcodec.models.layers.exact import Layer, layers
from vlcodec.models.layers.objective import Agave
from vlcodec.models.layers.probe import simulated_copy
from vlcodec.models.photo.adapted import MOST, STEPS
from vlcodec.models.photo.factors import large_layers, moved_weights, unit_of
from vlcodec.models.photo.net import BODY_STRIDE
from vlcodec.models.walks.pictures import in_colour

PATCH, PATCHES = 96, 2  # side in pixels; of a step, side by side in one strip of rows
RATE, WEIGHT_RATE = 0.4, 0.1  # of Adam, in units of a change
DECAY_FROM = 0.4  # the share of the steps after which they fall to 0
PRICE, WEIGHT_PRICE = 0.5, 4.0  # nats that a change of a bias, of a weight costs for each nat of 1 + |change|
WITH_WEIGHTS = 120  # steps, at least, in which weights learn something that is worth its bits
Render = Callable[[range], Tensor]


class _MovedBias(nn.Module):
    """A layer's bias after changes in 1/STEPS, learned."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.changes = nn.Parameter(torch.zeros_like(layer.bias))

    def forward(self, bias: Tensor) -> Tensor:
        return bias + round_through(self.changes) / STEPS


class _MovedWeights(nn.Module):
    """A layer's weights after changes of low rank, learned, and rounded as `adapted` rounds them."""

    exponent: Tensor
    factors: Tensor

    def __init__(self, frozen: Layer, factors: Tensor) -> None:
        super().__init__()
        weight, _, exponent = frozen.integers()
        self.changes = nn.Parameter(weight.new_zeros(frozen.outputs, len(factors), dtype=torch.float32))
        self._unit = unit_of(weight, exponent)
        self.register_buffer("exponent", exponent.round().float(), False)
        self.register_buffer("factors", factors.float(), False)

    def forward(self, weight: Tensor) -> Tensor:
        scale, changes = torch.exp2(self.exponent)[:, None], round_through(self.changes)
        integers = (weight * scale).round()
        return moved_weights(integers, self.exponent, self._unit, changes, self.factors, round_through) / scale


@torch.inference_mode(False)
@torch.enable_grad()
def learned(
    decoder: PixelDecoder,
    factors: Sequence[Tensor],
    render: Render,
    picture: Bytes,
    near: int,
    steps: int,
    tick: Tick | None,
) -> list[Ints]:
    """Changes in [-127, 127], part by part, that make a picture (1, H, W, C) cheaper, restored within `near` levels.

    decoder: frozen. factors: of its large layers, or none. render: rows of the picture, the first of them a multiple of
    4, to f(z) (rows, W, 3 + features).
    """
    net = Agave()
    net.pixels = simulated_copy(decoder)
    x, device = centred(in_colour(picture)), next(net.parameters()).device
    large = zip(large_layers(decoder), factors, strict=bool(factors))
    weights = [_MovedWeights(layer, each).to(device) for layer, each in large]
    biases = [_MovedBias(layer) for _, layer in layers(net.pixels)]
    for layer, weight in zip(large_layers(net.pixels) if steps >= WITH_WEIGHTS else (), weights, strict=False):
        parametrize.register_parametrization(layer, "weight", weight)
    for (_, layer), bias in zip(list(layers(net.pixels)), biases, strict=True):
        parametrize.register_parametrization(layer, "bias", bias)
    (height, width), rng = x.shape[1:3], torch.Generator().manual_seed(0)
    side, grey = min(PATCH, height, width), torch.full((PATCHES,), float(picture.shape[3] == 1), device=device)
    rates = {RATE: [part.changes for part in biases], WEIGHT_RATE: [part.changes for part in weights]}
    optimiser = torch.optim.Adam([{"params": part, "rate": rate} for rate, part in rates.items()], lr=RATE)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * min(1.0, (1 - step / steps) / (1 - DECAY_FROM))
        top = int(torch.randint(0, (height - side) // BODY_STRIDE + 1, (), generator=rng)) * BODY_STRIDE
        strip = render(range(top, top + side))
        starts = torch.randint(0, width - side + 1, (PATCHES,), generator=rng).tolist()
        pixels = torch.cat([x[:, top : top + side, c : c + side] for c in starts]).to(device)
        seen = torch.stack([strip[:, c : c + side] for c in starts])
        with torch.autocast(device.type, torch.bfloat16), parametrize.cached():
            nats = net.pixel_nats(pixels, seen, grey, width=float(width_of(near))).mean()
        price = PRICE * _log_size(biases) + WEIGHT_PRICE * _log_size(weights)
        optimiser.zero_grad()
        (nats + price / (height * width)).backward()
        optimiser.step()
        if tick is not None:
            tick(step + 1, steps)
    return [_integers(biases), *(_integers([part]) for part in weights)]


def _log_size(parts: Iterable[_MovedBias | _MovedWeights]) -> Tensor:
    return sum((torch.log1p(part.changes.abs()).sum() for part in parts), torch.zeros(()))


def _integers(parts: Iterable[_MovedBias | _MovedWeights]) -> Ints:
    """(count,) of all, one after the other."""
    values = torch.cat([part.changes.detach().flatten() for part in parts])
    found: Ints = np.clip(np.round(values.double().cpu().numpy()), -MOST, MOST).astype(np.int64)
    return found
