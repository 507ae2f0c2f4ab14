"""The family `vlae`: black and white pictures of one size, alone or in archives."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.models.family import Config, Family, Takes, Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vlcodec.codec.interface import Bytes, Model
    from vlcodec.models.vlae.net import VlaeShape

SIDE = 28
QUALITIES = ("uniform", "uniform-2", "uniform-3")  # nets of lossy files, the smallest first
UNTIL_5: Config = {  # what the configs of numbers up to 5 do not say: there was no choice yet
    "flow_in": "prior",
    "auxiliary": False,
    "kl_weight": 1.0,
}


def net(config: Config) -> nn.Module:
    """See models.family.Family."""
    from vlcodec.models.vlae.codec import VlaeNets

    return VlaeNets({kind: sizes_in(shape) for kind, shape in config["nets"].items()})


def sizes_in(said: Config) -> VlaeShape:
    """The shape of a net; a config that says something the first ones do not must say all."""
    from vlcodec.models.layers.shapes import shape_of
    from vlcodec.models.vlae.net import VlaeShape

    return shape_of(VlaeShape, said if UNTIL_5.keys() & said.keys() else {**UNTIL_5, **said})


def freeze(net: nn.Module, config: Config, device: torch.device) -> Model:
    """See models.family.Family."""
    from vlcodec.models.vlae.codec import VlaeModel, VlaeNets

    assert isinstance(net, VlaeNets)
    says_all = any(UNTIL_5.keys() & shape.keys() for shape in config["nets"].values())
    return VlaeModel(net, device, says_all and config["short_code"])  # up to number 5 there were stacks alone


def golden_pictures(config: Config) -> Bytes:
    """See models.family.Family."""
    from vlcodec.models.vlae.codec import golden_pictures

    return golden_pictures()


def train(wanted: Training) -> tuple[nn.Module, Config]:
    """See models.family.Family: one of the nets; the others come from `init`, or stay away.

    Raises ImageError and ModelError for data and weights that do not fit.
    """
    from vlcodec.models.vlae import training
    from vlcodec.models.vlae.codec import VlaeNets

    if len(wanted.data) != 1:
        raise ImageError(f"the sets that model {wanted.name} is trained on are in one folder")
    if wanted.init is not None and wanted.init.family != __package__:
        raise ModelError(f"model {wanted.name} takes nothing from weights of {wanted.init.name}")
    shapes, recipe = dict(wanted.init.config["nets"]) if wanted.init is not None else {}, training.SHAPES[wanted.part]
    shape = replace(sizes_in(shapes.get(wanted.part, asdict(recipe))), kl_weight=recipe.kl_weight)
    shapes[wanted.part] = asdict(shape)
    weights = dict(wanted.init.weights) if wanted.init is not None else {}
    own = {k.removeprefix(f"{wanted.part}."): v for k, v in weights.items() if k.startswith(f"{wanted.part}.")}
    related = {k.split(".", 1)[1]: v for k, v in weights.items() if not own}
    made = training.train(
        wanted.name,
        wanted.data[0],
        wanted.out,
        shape=shape,
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
    nets = VlaeNets({kind: sizes_in(shape) for kind, shape in shapes.items()})
    nets.load_state_dict(weights | {f"{wanted.part}.{k}": v for k, v in made.state_dict().items()})
    return nets, {"nets": shapes, "short_code": True}


FAMILY = Family(
    net=net,
    freeze=freeze,
    takes=lambda config: Takes(side=SIDE, bilevel=True, archives="grey"),
    golden_pictures=golden_pictures,
    parts=("gaussian", *QUALITIES),
    train=train,
    qualities=lambda config: max(1, len(config["nets"]) - 1),
    whole=lambda config: set(config["nets"]) == {"gaussian", *QUALITIES[: max(1, len(config["nets"]) - 1)]},
)
