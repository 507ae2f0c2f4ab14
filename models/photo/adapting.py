"""What an encoder learns of one picture: changes of the pixel network's biases, in floating point.

After the shared network has been trained on many pictures, a few hundred steps of Adam on patches of the picture itself
move its biases (cf. low-rank adaptation in CALLIC and HPAC-FT), with rounding to 8 bits simulated and what the changes
cost in the loss. Files that hold them decode everywhere alike; two machines may learn them differently.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.near import width_of
from vlcodec.codec.interface import Bytes, Ints, Tick
from vlcodec.models.layers.causal_pixels import PixelDecoder, centred
from vlcodec.models.layers.exact import layers
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.objective import Agave
from vlcodec.models.layers.probe import carry
from vlcodec.models.photo.adapted import MOST, STEPS
from vlcodec.models.photo.net import BODY_STRIDE
from vlcodec.models.walks.pictures import in_colour

PATCH, PATCHES = 96, 4  # side in pixels; of a step, side by side in one strip of rows
RATE, DECAY_FROM = 8e-3, 0.4  # of Adam; the share of the steps after which it falls to 0
PRICE = 0.5  # nats that a change costs for each nat of 1 + |change|
Render = Callable[[range], Tensor]


def learned(
    decoder: PixelDecoder, render: Render, picture: Bytes, near: int, steps: int, tick: Tick | None
) -> Ints:
    """(count,) changes in [-127, 127] that make a picture (1, H, W, C) cheaper, which is restored within `near` levels.

    decoder: frozen. render: rows of the picture, the first of them a multiple of 4, to f(z) (rows, W, 3 + features).
    """
    with torch.inference_mode(False), torch.enable_grad():
        return _learned(decoder, render, picture, near, steps, tick)


def _learned(
    decoder: PixelDecoder, render: Render, picture: Bytes, near: int, steps: int, tick: Tick | None
) -> Ints:
    net = Agave()
    net.pixels = copy.deepcopy(decoder)
    net.requires_grad_(False)
    carry(net, False)
    set_mode(net, "training")  # integers become real weights
    biases = [layer.bias for _, layer in layers(net.pixels)]
    first = [bias.detach().clone() for bias in biases]
    for bias in biases:
        bias.requires_grad_(True)
    set_mode(net, "simulated")
    x, device = centred(in_colour(picture)), biases[0].device
    (height, width), rng = x.shape[1:3], torch.Generator().manual_seed(0)
    side, grey = min(PATCH, height, width), torch.full((PATCHES,), float(picture.shape[3] == 1), device=device)
    optimiser = torch.optim.Adam(biases, lr=RATE)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (1 - step / steps) / (1 - DECAY_FROM))
        top = int(torch.randint(0, (height - side) // BODY_STRIDE + 1, (), generator=rng)) * BODY_STRIDE
        strip = render(range(top, top + side))
        starts = torch.randint(0, width - side + 1, (PATCHES,), generator=rng).tolist()
        pixels = torch.cat([x[:, top : top + side, c : c + side] for c in starts]).to(device)
        seen = torch.stack([strip[:, c : c + side] for c in starts])
        with torch.autocast(device.type, torch.bfloat16):
            nats = net.pixel_nats(pixels, seen, grey, width=float(width_of(near))).mean()
        moved = torch.cat([bias - before for bias, before in zip(biases, first, strict=True)])
        price = PRICE * torch.log1p(STEPS * moved.abs()).sum() / (height * width)
        optimiser.zero_grad()
        (nats + price).backward()
        optimiser.step()
        if tick is not None:
            tick(step + 1, steps)
    moved = torch.cat([bias.detach() - before for bias, before in zip(biases, first, strict=True)])
    changes: Ints = np.clip(np.round(STEPS * moved.double().cpu().numpy()), -MOST, MOST).astype(np.int64)
    return changes
