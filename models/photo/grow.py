"""A larger PixelCNN that begins as a smaller one: it computes the same, what is new says nothing.

What goes into a new channel is random, and what comes out of it is 0; a new residual layer adds 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vlcodec.models.layers.activations import Rectifier
from vlcodec.models.layers.exact import Layer, layers
from vlcodec.models.layers.masked import CausalNet
from vlcodec.models.photo.net import GridAgave, GridShape

NET = "pixels.net."
QUIET = 0.5  # what a new channel's random weights are scaled by


def started(net: GridAgave, weights: Mapping[str, Tensor], shape: GridShape) -> dict[str, Tensor]:
    """The parameters of a net that begins as a smaller one: of its PixelCNN, while all else is of the same sizes.

    weights: by name, of a net of the smaller shape.
    """
    found = net.state_dict()
    own = {name.removeprefix(NET): value for name, value in weights.items() if name.startswith(NET)}
    for name, value in weights.items():
        if not name.startswith(NET):
            found[name].copy_(value)
    grow(net.pixels.net, own, Rectifier(shape.pixel_bits).unit)
    return found


def grow(net: CausalNet, weights: Mapping[str, Tensor], unit: int) -> None:
    """Set a causal net from the weights of a smaller one, whose activations are in other units per 1.0.

    weights: by the names of the net's parameters. unit: of the smaller net's activations.
    """
    with torch.no_grad():
        for name, layer in layers(net):
            old = weights.get(f"{name}.weight")
            if old is None:
                if name.startswith("out."):
                    layer.weight.zero_()
                continue
            hidden = name.startswith("hidden.")
            _widen(layer, old, weights[f"{name}.bias"], net.relu.unit / unit if hidden else 1.0)


def _widen(layer: Layer, weight: Tensor, bias: Tensor, beside: float) -> None:
    """A layer's weights at the old places; beside: what the weights of inputs beside are scaled by."""
    taps, rows = len(layer.taps), len(weight)
    near = (weight.shape[1] - layer.beside) // taps
    layer.bias[:rows] = bias
    grid = layer.weight[:, : taps * layer.inputs].view(layer.outputs, taps, layer.inputs)
    grid[rows:] *= QUIET
    grid[:rows] = 0
    grid[:rows, :, :near] = weight[:, : taps * near].view(rows, taps, near)
    layer.weight[:rows, taps * layer.inputs :] = beside * weight[:, taps * near :]
