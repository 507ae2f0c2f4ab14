"""LPIPS (Zhang et al. 2018, v0.1, SqueezeNet 1.1), differentiable: weights of an ONNX file of the whole metric.

One is `model/tiny/lpips_sq.onnx` of the public repository lusoris/vmaf; `benchmarks/perceptual.py` measures with it.
Fitted to what people said of pairs of pictures. Training alone needs it.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.codec.errors import ModelError

EXTRA = "networks of features are read by onnx: pip install 'vlcodec[perceptual]'"
STAGES = ("2.3", "2.4"), ("3.6", "3.7"), ("4.9",), ("5.10",), ("6.11",), ("7.12",)  # fire modules, as the file has them
POOLED = 3  # of the stages begin at half the resolution
SMALL = 1e-10
Features = list[Tensor]


class Perceptual(nn.Module):
    """Features of pictures, and distances between them; parameters are not trained."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self._names = {name: name.replace(".", "_") for name in weights}
        for name, value in weights.items():
            self.register_buffer(self._names[name], value, False)

    def features(self, pictures: Tensor) -> Features:
        """(N, 3, H, W) RGB levels in [0, 255] -> seven maps."""
        x = (pictures / 127.5 - 1 - self._weight("scaling_layer.shift")) / self._weight("scaling_layer.scale")
        x = self._layer(x, "net.slice1.0", stride=2)
        found = [x]
        for stage, fires in enumerate(STAGES):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True) if stage < POOLED else x
            for fire in fires:
                name = f"net.slice{fire}"
                x = self._layer(x, f"{name}.squeeze")
                x = torch.cat([self._layer(x, f"{name}.expand1x1"), self._layer(x, f"{name}.expand3x3", padding=1)], 1)
            found.append(x)
        return found

    def distance(self, one: Features, other: Features) -> Tensor:
        """(N,) LPIPS between pictures of these features."""
        parts = []
        for number, pair in enumerate(zip(one, other, strict=True)):
            a, b = (x.float() / (x.float().square().sum(1, keepdim=True) + SMALL).sqrt() for x in pair)
            parts.append(((a - b).square() * self._weight(f"lins.{number}.model.1.weight")).sum(1).mean((1, 2)))
        return torch.stack(parts).sum(0)

    def _layer(self, x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return F.relu(F.conv2d(x, weight, bias, stride, padding))

    def _weight(self, name: str) -> Tensor:
        found: Tensor = getattr(self, self._names[f"core.{name}"])
        return found


def read_perceptual(path: Path) -> Perceptual:
    """Raises ModelError where onnx is not installed, and for files that hold no such network."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise ModelError(f"{EXTRA} ({error})") from None
    try:
        held = onnx.load(path).graph.initializer
        net = Perceptual({t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in held if "core." in t.name})
        with torch.no_grad():
            net.features(torch.zeros(1, 3, 64, 64))
    except Exception as error:
        raise ModelError(f"{path} is no ONNX file of LPIPS with SqueezeNet: {error}") from None
    return net
