"""Small random VAPNEVs."""

import math
from dataclasses import replace
from typing import Any

import torch

from vlcodec.models.layers.exact import layers
from vlcodec.models.vapnev import training as recipe
from vlcodec.models.vapnev.net import Vapnev

LATENTS = 8
SMALL: dict[str, Any] = {"latents": 12, "features": LATENTS, "width": 4, "flow_widths": (8, 12), "flow_blocks": 1}


def random_net(seed: int = 0, wild: float = 3.0, **options: Any) -> Vapnev:
    """A small net of random weights; wild: by how much its couplings scale and shift."""
    net, rng = Vapnev(replace(recipe.SHAPE, **SMALL | options)), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, layer in layers(net):
            gain = wild if name.endswith(("leave", "ups.2", "ups.1", "centre")) else 0.8
            layer.weight.normal_(0, gain / math.sqrt(layer.weight.shape[1]), generator=rng)
            layer.bias.add_(0.2 * torch.randn(layer.outputs, generator=rng))
    return net
