"""The family `vapnev`: small colour pictures of one size, in archives, or as latents alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.models.family import Config, Family, Takes, Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vlcodec.codec.interface import Bytes, Model

SIDE = 32


def net(config: Config) -> nn.Module:
    """See models.family.Family."""
    from vlcodec.models.layers.shapes import shape_of
    from vlcodec.models.vapnev.net import Vapnev, VapnevShape

    return Vapnev(shape_of(VapnevShape, config["net"]), config["kinds"])


def freeze(net: nn.Module, config: Config, device: torch.device) -> Model:
    """See models.family.Family."""
    from vlcodec.models.vapnev.codec import VapnevModel
    from vlcodec.models.vapnev.net import Vapnev

    assert isinstance(net, Vapnev)
    return VapnevModel(net, device)


def golden_pictures() -> Bytes:
    """See models.family.Family."""
    from vlcodec.models.vapnev.codec import golden_pictures

    return golden_pictures()


def train(wanted: Training) -> tuple[nn.Module, Config]:
    """See models.family.Family. Raises ImageError and ModelError for data and weights that do not fit."""
    from vlcodec.models.layers.shapes import shape_of
    from vlcodec.models.vapnev import training
    from vlcodec.models.vapnev.net import VapnevShape

    if len(wanted.data) != 1:
        raise ImageError(f"the set that model {wanted.name} is trained on is in one folder")
    config: Config = training.CONFIG
    init = None
    if wanted.init is not None:
        if wanted.init.family != __package__:
            raise ModelError(f"model {wanted.name} takes nothing from weights of {wanted.init.name}")
        config, init = wanted.init.config, dict(wanted.init.weights)
    made = training.train(
        wanted.data[0],
        wanted.out,
        shape=shape_of(VapnevShape, config["net"]),
        kinds=tuple(config["kinds"]),
        steps=wanted.steps,
        minutes=wanted.minutes,
        init=init,
        seed=wanted.seed,
        device=wanted.device,
        batch=wanted.batch or 128,
        rate=2e-3 if wanted.rate is None else wanted.rate,
        progress=wanted.progress,
    )
    return made, config


FAMILY = Family(
    net=net,
    freeze=freeze,
    takes=lambda config: Takes(side=SIDE, bilevel=False, archives="colour", alone=False),
    golden_pictures=golden_pictures,
    parts=("all",),
    train=train,
)
