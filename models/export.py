"""Trained nets as integer weights in safetensors files, and back.

Each layer becomes three tensors: `weight` (int8 or int16), `bias` (int32) and `exponent` (int8, per output channel):
w = weight 2^-exponent. The file's metadata names the model and holds the golden vector: the SHA-256 of everything that
the integer model puts out for a fixed picture. A device that gives another digest is refused.
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

from vlcodec.codec.errors import ModelError
from vlcodec.models.agave import Agave, Shape
from vlcodec.models.exact import BoundError, layers
from vlcodec.models.photo import PhotoModel


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
        tensors[f"{name}.weight"] = weight.to(kind).cpu().contiguous()
        tensors[f"{name}.bias"] = bias.to(torch.int32).cpu().contiguous()
        tensors[f"{name}.exponent"] = exponent.to(torch.int8).cpu().contiguous()
    return tensors


def freeze_from(module: nn.Module, tensors: Mapping[str, Tensor], carrier: torch.dtype | None = None) -> None:
    """Set real weights and frozen integers of every layer. Raises ModelError where a tensor is missing or misshapen."""
    for name, layer in layers(module):
        try:
            weight, bias, exponent = (tensors[f"{name}.{part}"].double() for part in ("weight", "bias", "exponent"))
            layer.load_integers(weight, bias, exponent, carrier)
        except (KeyError, RuntimeError, BoundError) as error:
            raise ModelError(f"the weights do not fit the model at layer {name}: {error}") from None
    module.eval()


def golden_picture() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(40, 56, 3) uint8: gradients, edges and pseudo-random texture, from integers alone."""
    r, c, k = np.indices((40, 56, 3), dtype=np.int64)
    smooth = 3 * r + 2 * c + 40 * k
    texture = (((r * 57 + c * 131 + k * 17) * 2654435761) >> 13) % 61
    block = 90 * ((r // 10 + c // 14) % 2)
    return np.asarray((smooth + np.where(c > 28, texture, 0) + np.where(r > 20, block, 0)) % 256, np.uint8)


def golden_digest(model: PhotoModel) -> str:
    """SHA-256 (hex) of the latents, priors, features and pixel parameters of the golden picture at every quality."""
    picture, digest = golden_picture(), hashlib.sha256()
    for quality in range(1, model.qualities + 1):
        for outputs in model.everything(picture, quality):
            digest.update(np.ascontiguousarray(outputs, "<i4").tobytes())
    return digest.hexdigest()


def export(net: Agave, name: str, path: Path) -> None:
    """Freeze a trained net to integers, and write them with their golden vector.

    Raises BoundError naming the first layer whose sums could leave its carrier's exact range.
    """
    tensors = integer_tensors(net)
    freeze_from(net, tensors)
    model = PhotoModel(net, next(net.parameters()).device)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"name": name, "golden": golden_digest(model)})
    partial.replace(path)


def weights_of(path: Path) -> dict[str, Tensor]:
    """The real weights of an exported file, for training to start from. Raises ModelError."""
    net = Agave(Shape())
    freeze_from(net, read_weights(path)[0])
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
