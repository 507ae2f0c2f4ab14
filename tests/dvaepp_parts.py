"""Small DVAE++ nets of random weights."""

import math
from dataclasses import replace
from typing import Any

import torch

from vlcodec.models.dvaepp import training
from vlcodec.models.dvaepp.net import Dvaepp, DvaeppShape
from vlcodec.models.layers.exact import layers

SMALL: dict[str, Any] = {
    "groups": 2,
    "locals": 2,
    "widths": (4, 6),
    "blocks": (1, 1),
    "scale_blocks": (1, 1),
    "squeezed": 3,
    "bottleneck": 2,
    "hidden": 8,
}
KINDS: dict[str, dict[str, Any]] = {
    "binary": {},
    "four layers": {"layers": 4},
    "one layer": {"layers": 1},
    "colour": {"bits": 20, "prior_hidden": 12, "mixtures": 2},
}


def shape_of(kind: str) -> DvaeppShape:
    return replace(training.COLOUR if kind == "colour" else training.BINARY, **SMALL | KINDS[kind])


def random_net(kind: str, seed: int = 0) -> Dvaepp:
    """A small net of random weights whose latents carry something."""
    torch.manual_seed(seed)
    net, rng = Dvaepp(shape_of(kind)), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, layer in layers(net):
            gain = 3.0 if name.endswith(("uniform.shift", "tell.0", "tell.1")) else 0.8
            layer.weight.normal_(0, gain / math.sqrt(layer.weight.shape[1]), generator=rng)
            layer.bias.add_(0.2 * torch.randn(layer.outputs, generator=rng))
    return net
