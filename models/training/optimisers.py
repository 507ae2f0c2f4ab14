"""Muon for the large matrices of a net, Adam for all else."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from vlcodec.codec.errors import ModelError
from vlcodec.models.layers.exact import Layer, layers

FULL_RATE_INPUTS = 256


def rate_share(layer: Layer) -> float:
    """Share of the learning rate that a layer takes: wide ones less, or Adam's even steps silence their channels."""
    return min(1.0, FULL_RATE_INPUTS / layer.weight.shape[1])


def muon_and_adam(
    net: nn.Module, hidden: Collection[str], rate: float, share: float, device: torch.device
) -> list[torch.optim.Optimizer]:
    """Muon for the weights of the layers of these names; Adam for the others, with a share of the rate for each layer.

    share: of the rate, that Muon takes. What needs no gradient is left out. Raises ModelError where torch has no Muon.
    """
    groups, matrices = list[dict[str, Any]](), list[Tensor]()
    for name, layer in layers(net):
        if not layer.weight.requires_grad:
            continue
        matrices += [layer.weight] if name in hidden else []
        rest = [layer.bias] if name in hidden else list(layer.parameters())
        groups.append({"params": rest, "share": rate_share(layer)})
    adam = torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.99), fused=device.type == "cuda")
    if not matrices:
        return [adam]
    if not hasattr(torch.optim, "Muon"):
        raise ModelError("this training needs torch 2.9 or later, for its optimiser Muon")
    return [adam, torch.optim.Muon([{"params": matrices, "share": share}], lr=rate, weight_decay=0.0)]
