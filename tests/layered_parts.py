"""A small net in layers, for tests."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from vlcodec.models.photo.layered.perceptual import STAGES
from vlcodec.models.photo.net import GridAgave

LAYERS = [[0, 0, 100], [1, 100, 200], [1, 200, 200]]
RESIDUAL: dict[str, Any] = {
    "residual_steps": (640, 320, 160),
    "residual_channels": 8,
    "residual_depth": 1,
    "residual_hidden": 8,
}
RESTORATION: dict[str, Any] = {"restoration_channels": 8, "restoration_blocks": 1}
TEXTURE: dict[str, Any] = {"texture_channels": 8, "texture_blocks": 1}


def layered_net(agave: Callable[[int], GridAgave]) -> GridAgave:
    """Of random weights, not frozen."""
    torch.manual_seed(0)
    made = GridAgave(replace(agave(0).shape, **RESIDUAL, **RESTORATION, **TEXTURE))
    made.load_state_dict(agave(0).state_dict(), strict=False)
    with torch.no_grad():
        for part in (made.restoration, made.texture):
            part.leave.weight.normal_(0, 0.05)
    return made


def perceptual_file(path: Path) -> Path:
    """An ONNX file of LPIPS, as narrow as can be, of random weights."""
    rng, held = np.random.default_rng(0), dict[str, NDArray[np.float32]]()

    def layer(name: str, outputs: int, inputs: int, side: int) -> None:
        held[f"core.net.{name}.weight"] = rng.normal(0, 1, (outputs, inputs, side, side)).astype(np.float32)
        held[f"core.net.{name}.bias"] = np.zeros(outputs, np.float32)

    layer("slice1.0", 4, 3, 3)
    for fire in (name for stage in STAGES for name in stage):
        layer(f"slice{fire}.squeeze", 2, 4, 1)
        layer(f"slice{fire}.expand1x1", 2, 2, 1)
        layer(f"slice{fire}.expand3x3", 2, 2, 3)
    for number in range(1 + len(STAGES)):
        held[f"core.lins.{number}.model.1.weight"] = np.ones((1, 4, 1, 1), np.float32)
    for name in ("shift", "scale"):
        held[f"core.scaling_layer.{name}"] = np.full((1, 3, 1, 1), 0.5, np.float32)
    tensors = [numpy_helper.from_array(value, name) for name, value in held.items()]
    onnx.save(helper.make_model(helper.make_graph([], "lpips", [], [], tensors)), path)
    return path
