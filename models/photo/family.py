"""The family `photo`: pictures of any size, RGB and grey, lossy at several qualities or lossless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.models.family import Config, Family, Takes, Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vlcodec.codec.interface import Bytes, Model
    from vlcodec.models.photo.net import GridShape

UNTIL_9: Config = {  # what the configs of numbers up to 9, and up to 8, do not say: there was no choice yet
    "pixel_bits": 10,
    "hidden": [64, 128, 256],
    "told": 0,
    "told_drawn": 256,
    "told_near": 0,
    "factors": 0,
}
UNTIL_37: Config = {  # likewise up to 37
    **UNTIL_9,
    "residual_steps": [],
    "residual_channels": 0,
    "residual_depth": 0,
    "residual_hidden": 0,
    "restoration_channels": 0,
    "restoration_blocks": 0,
    "texture_channels": 0,
    "texture_blocks": 0,
}
UNTIL_36 = "correction_edges"  # of corrections that are told as bytes, in configs of numbers up to 36
ONLY_37 = "prior_large"  # a field that is 0 in the configs of numbers 36 and 37, and has gone


def net(config: Config) -> nn.Module:
    """See models.family.Family."""
    from vlcodec.models.photo.net import GridAgave

    return GridAgave(_shape(config["net"]))


def _shape(fields: Config) -> GridShape:
    from vlcodec.models.layers.shapes import shape_of
    from vlcodec.models.photo.net import GridShape

    return shape_of(GridShape, {name: v for name, v in {**UNTIL_37, **fields}.items() if name != ONLY_37})


def freeze(net: nn.Module, config: Config, device: torch.device) -> Model:
    """See models.family.Family."""
    from vlcodec.models.photo.codec import PhotoModel
    from vlcodec.models.photo.layered.codec import Layer, LayeredModel
    from vlcodec.models.photo.net import GridAgave

    assert isinstance(net, GridAgave)
    logistic = UNTIL_36 not in config
    edges = tuple(config["correction" if logistic else UNTIL_36])
    if "layers" in config:
        layers = [Layer(*layer) for layer in config["layers"]]
        return LayeredModel(net, device, config["guide_width"], edges, layers)
    return PhotoModel(net, device, config["guide_width"], edges, logistic)


def golden_pictures(config: Config) -> Bytes:
    """See models.family.Family."""
    from vlcodec.models.photo.codec import golden_pictures

    return golden_pictures()


def train(wanted: Training) -> tuple[nn.Module, Config]:
    """See models.family.Family. Raises ImageError where there is nothing to train on, ModelError for bad sizes."""
    from vlcodec.models.photo import factor_training, pixel_training, training
    from vlcodec.models.photo.data import find_pictures
    from vlcodec.models.photo.layered import residual_training, restoration_training, texture_training
    from vlcodec.models.photo.layered.codec import Layer
    from vlcodec.models.photo.layered.perceptual import read_perceptual

    if wanted.patch % 16:
        raise ModelError("a patch's side is a multiple of 16")
    if wanted.init is not None and wanted.init.family != __package__:
        raise ModelError(f"model {wanted.name} takes nothing from weights of {wanted.init.name}")
    pictures = find_pictures(wanted.data, wanted.exclude)
    if not pictures:
        raise ImageError("there is no picture to train on")
    held_out = [path for path in find_pictures(wanted.data) if path.name in set(wanted.exclude)]
    config: Config = training.CONFIG if wanted.init is None else wanted.init.config
    weights = None if wanted.init is None else dict(wanted.init.weights)
    given: dict[str, Any] = {
        "steps": wanted.steps,
        "minutes": wanted.minutes,
        "validation": held_out,
        "seed": wanted.seed,
        "device": wanted.device,
        "patch": wanted.patch,
        "progress": wanted.progress,
    }
    given |= {name: value for name in ("batch", "rate") if (value := getattr(wanted, name)) is not None}
    if wanted.part in ("pixels", "factors", "residual", "restoration", "texture"):
        if weights is None:
            raise ModelError(f"part {wanted.part} is trained from exported weights: they are missing")
        config = {k: v for k, v in config.items() if k != UNTIL_36} | training.CORRECTION
        config["net"] = {**asdict(_shape(config["net"])), **pixel_training.BEYOND_9}
        if wanted.part == "residual":
            config["net"] |= residual_training.SHAPE
            config["layers"] = residual_training.LAYERS
        if wanted.part == "restoration":
            if "layers" not in config:
                raise ModelError("part restoration is trained from weights with a residual")
            config["net"] |= restoration_training.SHAPE
        if wanted.part == "texture":
            if not config["net"]["restoration_blocks"]:
                raise ModelError("part texture is trained from weights with a network that mends")
            config["net"] |= texture_training.SHAPE
            config["layers"] = texture_training.layers_of(config["layers"])
        given |= {"shape": _shape(config["net"]), "weights": weights}
        if wanted.part == "pixels":
            return pixel_training.train_pixels(pictures, wanted.out, **given), config
        del given["validation"]
        if wanted.part == "residual":
            return residual_training.train_residual(pictures, wanted.out, **given), config
        if wanted.part in ("restoration", "texture"):
            given["layers"] = [Layer(*layer) for layer in config["layers"]]
        if wanted.part == "restoration":
            return restoration_training.train_restoration(pictures, wanted.out, **given), config
        if wanted.part == "texture":
            perceptual = read_perceptual(_features_of(wanted.data))
            return texture_training.train_texture(pictures, wanted.out, perceptual=perceptual, **given), config
        return factor_training.train_factors(pictures, wanted.out, **given), config
    shape, related = _shape(config["net"]), None
    if weights is not None and training.begins(shape):
        related = {name: value for name, value in weights.items() if name.startswith("pixels.")}
        config, shape, weights = training.CONFIG, training.SHAPE, None
    if given.get("batch", training.BATCH) < len(shape.kl_weight):
        raise ModelError(f"a batch has at least {len(shape.kl_weight)} patches: one of each quality")
    made = training.train(
        pictures,
        wanted.out,
        shape=shape,
        init=weights,
        related=related,
        part=wanted.part,  # type: ignore[arg-type]
        **given,
    )
    return made, config


def _features_of(data: Sequence[Path]) -> Path:
    """The one file of a network of features among what is given to train on."""
    found = [path for path in data if path.suffix == ".onnx"]
    if len(found) != 1:
        raise ModelError(f"part texture takes one ONNX file of LPIPS beside the pictures, not {len(found)}")
    return found[0]


FAMILY = Family(
    net=net,
    freeze=freeze,
    takes=lambda config: Takes(
        side=None,
        bilevel=False,
        archives="",
        placeholders=True,
        between="layers" in config,
    ),
    golden_pictures=golden_pictures,
    parts=("all", "autoencoder", "pixels", "factors", "residual", "restoration", "texture"),
    train=train,
    qualities=lambda config: len(config.get("layers", config["net"]["kl_weight"])),
)
