"""A small net in layers, for tests."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from vlcodec.models.photo.net import GridAgave

LAYERS = [[0, 0, 100], [1, 100, 200], [1, 200, 200]]
RESIDUAL: dict[str, Any] = {
    "residual_steps": (640, 320, 160),
    "residual_channels": 8,
    "residual_depth": 1,
    "residual_hidden": 8,
}
RESTORATION: dict[str, Any] = {"restoration_channels": 8, "restoration_blocks": 1}


def layered_net(agave: Callable[[int], GridAgave]) -> GridAgave:
    """Of random weights, not frozen."""
    torch.manual_seed(0)
    made = GridAgave(replace(agave(0).shape, **RESIDUAL, **RESTORATION))
    made.load_state_dict(agave(0).state_dict(), strict=False)
    with torch.no_grad():
        made.restoration.leave.weight.normal_(0, 0.05)
    return made
