"""How a run begins, whatever is trained: with weights drawn by a seed, with given ones, or with what fits of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)
Weights = Mapping[str, Tensor]  # real ones, by name


def begin(
    make: Callable[[], Net], device: torch.device, seed: int, init: Weights | None, related: Weights | None = None
) -> Net:
    """The net that a run begins with, on its device; torch's random numbers follow from the seed from here on.

    init: all of its weights. related: where there is no init, another net's, of which what fits is taken.
    """
    torch.manual_seed(seed)
    net = make().to(device)
    if init is not None:
        net.load_state_dict(init)
    elif related is not None:
        take_what_fits(net, related)
    return net


def take_what_fits(net: nn.Module, weights: Weights) -> None:
    """Set weights by name, where a layer has as many outputs; inputs that the other layer does not have begin at 0."""
    own = net.state_dict()
    for name, value in weights.items():
        if name not in own or own[name].shape[:1] != value.shape[:1]:
            continue
        if own[name].shape == value.shape:
            own[name].copy_(value)
        elif value.dim() == 2 and value.shape[1] < own[name].shape[1]:
            own[name].zero_()[:, : value.shape[1]] = value
