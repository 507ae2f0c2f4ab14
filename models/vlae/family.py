"""The family `vlae`: black and white pictures of one size, alone or in archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.models.family import Config, Family, Takes, Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vlcodec.codec.interface import Bytes, Model

SIDE = 28
KINDS = ("gaussian", "uniform")


def net(config: Config) -> nn.Module:
    """See models.family.Family."""
    from vlcodec.models.layers.shapes import shape_of
    from vlcodec.models.vlae.codec import VlaeNets
    from vlcodec.models.vlae.net import VlaeShape

    return VlaeNets({kind: shape_of(VlaeShape, shape) for kind, shape in config["nets"].items()})


def freeze(net: nn.Module, config: Config, device: torch.device) -> Model:
    """See models.family.Family."""
    from vlcodec.models.vlae.codec import VlaeModel, VlaeNets

    assert isinstance(net, VlaeNets)
    return VlaeModel(net, device)


def golden_pictures(config: Config) -> Bytes:
    """See models.family.Family."""
    from vlcodec.models.vlae.codec import golden_pictures

    return golden_pictures()


def train(wanted: Training) -> tuple[nn.Module, Config]:
    """See models.family.Family: one of the two nets; the other comes from `init`, or stays away.

    Raises ImageError and ModelError for data and weights that do not fit.
    """
    from vlcodec.models.layers.shapes import shape_of
    from vlcodec.models.vlae import training
    from vlcodec.models.vlae.codec import VlaeNets
    from vlcodec.models.vlae.net import VlaeShape

    if len(wanted.data) != 1:
        raise ImageError(f"the sets that model {wanted.name} is trained on are in one folder")
    if wanted.init is not None and wanted.init.family != __package__:
        raise ModelError(f"model {wanted.name} takes nothing from weights of {wanted.init.name}")
    shapes = dict(wanted.init.config["nets"]) if wanted.init is not None else {}
    shapes = {wanted.part: training.CONFIG["nets"][wanted.part], **shapes}
    weights = dict(wanted.init.weights) if wanted.init is not None else {}
    own = {k.removeprefix(f"{wanted.part}."): v for k, v in weights.items() if k.startswith(f"{wanted.part}.")}
    related = {k.split(".", 1)[1]: v for k, v in weights.items() if not own}
    made = training.train(
        wanted.name,
        wanted.data[0],
        wanted.out,
        shape=shape_of(VlaeShape, shapes[wanted.part]),
        steps=wanted.steps,
        minutes=wanted.minutes,
        init=own or None,
        related=related or None,
        seed=wanted.seed,
        device=wanted.device,
        batch=wanted.batch or 100,
        rate=2e-3 if wanted.rate is None else wanted.rate,
        progress=wanted.progress,
    )
    nets = VlaeNets({kind: shape_of(VlaeShape, shape) for kind, shape in shapes.items()})
    nets.load_state_dict(weights | {f"{wanted.part}.{k}": v for k, v in made.state_dict().items()})
    return nets, {"nets": shapes}


FAMILY = Family(
    net=net,
    freeze=freeze,
    takes=lambda config: Takes(side=SIDE, bilevel=True, archives="grey"),
    golden_pictures=golden_pictures,
    parts=KINDS,
    train=train,
    whole=lambda config: set(config["nets"]) == set(KINDS),
)
