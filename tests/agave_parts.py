"""Small AGAVEs of random weights, and pictures for them."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vlcodec.codec.interface import Bytes
from vlcodec.models.agave import training as agave_recipe
from vlcodec.models.agave.codec import LadderModel, golden_pictures
from vlcodec.models.agave.net import LadderAgave
from vlcodec.models.layers.exact import layers
from vlcodec.models.weights.integers import freeze_from, integer_tensors

SMALL: dict[str, Any] = {
    "latents": (3, 2),
    "widths": (4, 6, 8),
    "blocks": 1,
    "features": 2,
    "pixel_channels": 6,
    "dilations": (1, 2, 4),
    "pixel_hidden": 5,
    "stream": 3,
}
NARROW: dict[str, Any] = {"pixel_bits": 8, "stream": 0}


def random_ladder(seed: int = 0, **options: Any) -> LadderAgave:
    """A small net of random weights whose latents carry something."""
    torch.manual_seed(seed)
    net, rng = LadderAgave(replace(agave_recipe.SHAPE, **SMALL | options)), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, layer in layers(net):
            gain = 0.3 if "params" in name else 4.0 if name.endswith(("centre", "shift")) else 0.8
            layer.weight.normal_(0, gain / math.sqrt(layer.weight.shape[1]), generator=rng)
            layer.bias.add_(0.2 * torch.randn(layer.outputs, generator=rng))
    return net


def frozen(net: LadderAgave) -> LadderModel:
    freeze_from(net, integer_tensors(net))
    return LadderModel(net, torch.device("cpu"))


def pictures(count: int) -> Bytes:
    """(count, 32, 32, 3): golden pictures, shifted, no two alike."""
    both = golden_pictures()
    return np.stack([np.roll(both[n % 2], (n, 3 * n), (0, 1)) for n in range(count)])
