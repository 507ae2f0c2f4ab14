"""Trained nets as integer weights in safetensors files, and back.

Each layer becomes three tensors: `weight` (int8 or int16), `bias` (int32) and `exponent` (int8, per output channel):
w = weight 2^-exponent; of a masked layer, the weights that the mask leaves, row by row. The file's metadata names the
model and holds the golden vector: the SHA-256 of all that the integer model puts out for fixed pictures. A device that
gives another digest is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vlcodec.codec.errors import BoundError, ModelError
from vlcodec.models.families import Model, is_whole, model_of, net_of
from vlcodec.models.layers.exact import layers
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.zoo import Family, by_name


def integer_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Every layer's integers by name. Raises BoundError naming the first layer whose sums its carrier cannot hold."""
    tensors = {}
    for name, layer in layers(module):
        weight, bias, exponent = layer.integers()
        try:
            layer.prove(weight, bias)
        except BoundError as error:
            raise BoundError(f"layer {name}: {error}") from None
        kind = torch.int8 if layer.weight_max < 128 else torch.int16
        weight = weight if layer.mask is None else weight[layer.mask.bool()]
        tensors[f"{name}.weight"] = weight.to(kind).cpu().contiguous()
        tensors[f"{name}.bias"] = bias.to(torch.int32).cpu().contiguous()
        tensors[f"{name}.exponent"] = exponent.to(torch.int8).cpu().contiguous()
    return tensors


def freeze_from(module: nn.Module, tensors: Mapping[str, Tensor], carrier: torch.dtype | None = None) -> None:
    """Set real weights and frozen integers of every layer. Raises ModelError where a tensor is missing or misshapen."""
    for name, layer in layers(module):
        try:
            weight, bias, exponent = (tensors[f"{name}.{part}"].double() for part in ("weight", "bias", "exponent"))
            if layer.mask is not None:
                if weight.numel() != int(layer.mask.sum()):
                    raise RuntimeError("as many weights as the mask leaves are needed")
                weight = torch.zeros(layer.mask.shape, dtype=torch.float64).masked_scatter_(
                    layer.mask.cpu() > 0, weight
                )
            layer.load_integers(weight, bias, exponent, carrier)
        except (KeyError, RuntimeError, BoundError) as error:
            raise ModelError(f"the weights do not fit the model at layer {name}: {error}") from None
    set_mode(module, "frozen")


def golden_digest(model: Model) -> str:
    """SHA-256 (hex) of all integers that a model makes tables of, on its golden pictures."""
    digest = hashlib.sha256()
    for outputs in model.golden():
        digest.update(np.ascontiguousarray(outputs, "<i4").tobytes())
    return digest.hexdigest()


def export(net: nn.Module, name: str, path: Path) -> None:
    """Freeze a trained net to integers, and write them with their golden vector (where no part of it is missing).

    Raises BoundError naming the first layer whose sums could leave its carrier's exact range.
    """
    tensors = integer_tensors(net)
    freeze_from(net, tensors)
    model = model_of(by_name(name).family, net, next(net.parameters()).device) if is_whole(net) else None
    golden = "" if model is None else golden_digest(model)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"name": name, "golden": golden})
    partial.replace(path)


def load_file(path: Path, family: Family, device: torch.device, carrier: torch.dtype | None = None) -> Model:
    """A model from a file of exported weights, frozen in the layers' own carriers or a wider one.

    Raises ModelError where the device does not reproduce the golden vector bit for bit, and as freeze_from does.
    """
    tensors, metadata = read_weights(path)
    net = net_of(family).to(device)
    freeze_from(net, tensors, carrier)
    model = model_of(family, net, device)
    if golden_digest(model) != metadata.get("golden"):
        raise ModelError(f"device {device} does not reproduce the golden vector of {path.name}: it is refused")
    return model


def weights_of(path: Path, family: Family) -> dict[str, Tensor]:
    """The real weights of an exported file, for training to start from. Raises ModelError.

    Of a family of several nets, those that the file has.
    """
    tensors = read_weights(path)[0]
    net = net_of(family, {name.split(".", 1)[0] for name in tensors})
    freeze_from(net, tensors)
    return net.state_dict()


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, metadata) of an exported file. Raises ModelError where it is not one."""
    try:
        with safe_open(path, "pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"not a file of exported weights: {error}") from None
    except Exception as error:  # safetensors' own error is a bare Exception subclass
        raise ModelError(f"not a file of exported weights: {error}") from None
