"""The family: what the registry's lines lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlcodec.models.family import Config, Family, Takes, Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vlcodec.codec.interface import Bytes, Model


def net(config: Config) -> nn.Module:
    """See models.family.Family."""
    from toy.net import ToyNet, ToyShape

    return ToyNet(ToyShape(**config["net"]))


def freeze(net: nn.Module, config: Config, device: torch.device) -> Model:
    """See models.family.Family."""
    from toy.codec import ToyModel
    from toy.net import ToyNet

    assert isinstance(net, ToyNet)
    return ToyModel(net)


def golden_pictures(config: Config) -> Bytes:
    """See models.family.Family."""
    from toy.codec import golden_pictures

    return golden_pictures()


def train(wanted: Training) -> tuple[nn.Module, Config]:
    """The prior is counted on the pictures in the folders."""
    import numpy as np
    import torch
    from PIL import Image

    from toy.net import VALUES, ToyNet, ToyShape

    config: Config = {"net": {"side": 8, "scale": 136, "chained": wanted.name == "toy-chained"}}
    made = ToyNet(ToyShape(**config["net"]))
    paths = [path for folder in wanted.data for path in sorted(folder.glob("*.png"))]
    levels = [np.asarray(Image.open(path)).reshape(-1) for path in paths]
    counts = 1.0 + np.bincount(np.concatenate(levels) // (256 // VALUES), minlength=VALUES)
    with torch.no_grad():
        made.prior.bias.copy_(torch.from_numpy(np.log(counts / counts.sum()) * 32 / made.prior.unit))
    return made, config


FAMILY = Family(
    net=net,
    freeze=freeze,
    takes=lambda config: Takes(side=config["net"]["side"], bilevel=False, archives="grey"),
    golden_pictures=golden_pictures,
    parts=("all",),
    train=train,
)
