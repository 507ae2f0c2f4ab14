"""The family `agave`: small colour pictures of one size, alone or in archives."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.models.family import Config, Family, Takes, Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vlcodec.codec.interface import Bytes, Model

SIDE = 32
UNTIL_6: Config = {  # what the config of number 6 does not say: there was no choice yet
    "pixel_bits": 10,
    "context": "colour",
    "spacing": 1,
    "auxiliary": True,
    "free_nats": 0.0,
}
UNTIL_31: Config = {"finer": ()}  # likewise of number 31
RELATED = "vlcodec.models.photo"  # a family whose PixelCNN can be started from


def net(config: Config) -> nn.Module:
    """See models.family.Family."""
    from vlcodec.models.agave.net import LadderAgave, LadderShape
    from vlcodec.models.layers.shapes import shape_of

    return LadderAgave(shape_of(LadderShape, sizes_in(config)), config["kinds"])


def sizes_in(config: Config) -> Config:
    """All that a config says of the net; one that says something the first ones do not must say all."""
    said: Config = config["net"]
    for unsaid in (UNTIL_6, UNTIL_31):
        said = said if unsaid.keys() & said.keys() else {**unsaid, **said}
    return said


def freeze(net: nn.Module, config: Config, device: torch.device) -> Model:
    """See models.family.Family."""
    from vlcodec.models.agave.codec import LadderModel
    from vlcodec.models.agave.net import LadderAgave

    assert isinstance(net, LadderAgave)
    says_all = bool(UNTIL_31.keys() & config["net"].keys())
    return LadderModel(net, device, says_all and config["short_code"])  # up to number 31 there were stacks alone


def golden_pictures(config: Config) -> Bytes:
    """See models.family.Family."""
    from vlcodec.models.agave.codec import golden_pictures

    return golden_pictures()


def train(wanted: Training) -> tuple[nn.Module, Config]:
    """See models.family.Family. Raises ImageError and ModelError for data and weights that do not fit."""
    from vlcodec.models.agave import training
    from vlcodec.models.agave.net import LadderShape
    from vlcodec.models.layers.shapes import shape_of

    if len(wanted.data) != 1:
        raise ImageError(f"the set that model {wanted.name} is trained on is in one folder")
    shape, init, related = training.SHAPES[wanted.name], None, None
    if wanted.init is not None and wanted.init.family == __package__:
        same = shape_of(LadderShape, sizes_in(wanted.init.config)) == shape
        init, related = (dict(wanted.init.weights), None) if same else (None, dict(wanted.init.weights))
    elif wanted.init is not None:
        if wanted.init.family != RELATED:
            rule = f"model {wanted.name} takes nothing from weights of {wanted.init.name}: photo's or its own serve"
            raise ModelError(rule)
        related = {k: v for k, v in wanted.init.weights.items() if k.startswith("pixels.")}
    made = training.train(
        wanted.data[0],
        wanted.out,
        shape=shape,
        steps=wanted.steps,
        minutes=wanted.minutes,
        init=init,
        related=related,
        joint=wanted.init is not None and wanted.init.family == __package__,
        part="pixels" if wanted.part == "pixels" else "all",
        seed=wanted.seed,
        device=wanted.device,
        batch=wanted.batch or 32,
        rate=1e-3 if wanted.rate is None else wanted.rate,
        progress=wanted.progress,
    )
    return made, {"net": asdict(shape), "kinds": shape.kinds, "short_code": True}


FAMILY = Family(
    net=net,
    freeze=freeze,
    takes=lambda config: Takes(side=SIDE, bilevel=False, archives="colour"),
    golden_pictures=golden_pictures,
    parts=("all", "pixels"),
    train=train,
    qualities=lambda config: len(config["kinds"]) - 1,
)
