"""The family `dvaepp`: small pictures of one size, black and white or in colour, alone or in archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.models.family import Config, Family, Takes, Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vlcodec.codec.interface import Bytes, Model


def net(config: Config) -> nn.Module:
    """See models.family.Family."""
    from vlcodec.models.dvaepp.net import Dvaepp, DvaeppShape
    from vlcodec.models.layers.shapes import shape_of

    return Dvaepp(shape_of(DvaeppShape, config["net"]))


def freeze(net: nn.Module, config: Config, device: torch.device) -> Model:
    """See models.family.Family."""
    from vlcodec.models.dvaepp.codec import DvaeppModel
    from vlcodec.models.dvaepp.net import Dvaepp

    assert isinstance(net, Dvaepp)
    return DvaeppModel(net, device)


def takes(config: Config) -> Takes:
    """See models.family.Family."""
    bilevel = not config["net"]["mixtures"]
    archives = "grey" if bilevel else "colour"
    return Takes(side=config["net"]["side"], bilevel=bilevel, archives=archives, progressive=True)


def golden_pictures(config: Config) -> Bytes:
    """See models.family.Family."""
    from vlcodec.models.dvaepp.codec import golden_pictures
    from vlcodec.models.dvaepp.net import DvaeppShape
    from vlcodec.models.layers.shapes import shape_of

    shape = shape_of(DvaeppShape, config["net"])
    return golden_pictures(shape.side, shape.colours)


def train(wanted: Training) -> tuple[nn.Module, Config]:
    """See models.family.Family. Raises ImageError and ModelError for data and weights that do not fit."""
    from vlcodec.models.dvaepp import training
    from vlcodec.models.dvaepp.net import DvaeppShape
    from vlcodec.models.layers.shapes import shape_of

    if len(wanted.data) != 1:
        raise ImageError(f"the set that model {wanted.name} is trained on is in one folder")
    config: Config = training.CONFIG[wanted.name]
    if wanted.part == "uniform" and wanted.init is None:
        raise ModelError("the uniform posterior is trained from exported weights: they are missing")
    if wanted.init is not None and wanted.init.family != __package__:
        raise ModelError(f"model {wanted.name} takes nothing from weights of {wanted.init.name}")
    if wanted.init is not None:
        config = wanted.init.config
    made = training.train(
        wanted.name,
        wanted.data[0],
        wanted.out,
        shape=shape_of(DvaeppShape, config["net"]),
        steps=wanted.steps,
        minutes=wanted.minutes,
        init=None if wanted.init is None else dict(wanted.init.weights),
        seed=wanted.seed,
        device=wanted.device,
        batch=wanted.batch,
        rate=2e-3 if wanted.rate is None else wanted.rate,
        part="uniform" if wanted.part == "uniform" else "all",
        progress=wanted.progress,
    )
    return made, config


FAMILY = Family(
    net=net,
    freeze=freeze,
    takes=takes,
    golden_pictures=golden_pictures,
    parts=("all", "uniform"),
    train=train,
    qualities=lambda config: 1 + int(config["net"]["groups"]),
)
