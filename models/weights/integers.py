"""Trained nets as integer weights in safetensors files, and back.

Each layer becomes three tensors: `weight` (int8 or int16), `bias` (int32) and `exponent` (int8, per output channel):
w = weight 2^-exponent; of a masked layer, the weights that the mask leaves, row by row. A table becomes `values`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vlcodec.codec.errors import BoundError, ModelError
from vlcodec.models.layers.exact import layers
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.table import tables


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
    return tensors | {f"{name}.values": table.values.cpu() for name, table in tables(module)}


def freeze_from(module: nn.Module, tensors: Mapping[str, Tensor], carrier: torch.dtype | None = None) -> None:
    """Load every layer's integers, and tables. Raises ModelError where a tensor is missing or misshapen."""
    for name, layer in layers(module):
        try:
            weight, bias, exponent = (tensors[f"{name}.{part}"] for part in ("weight", "bias", "exponent"))
            if layer.mask is not None:
                if weight.numel() != int(layer.mask.sum()):
                    raise RuntimeError("as many weights as the mask leaves are needed")
                weight = weight.new_zeros(layer.mask.shape).masked_scatter_(layer.mask.cpu() > 0, weight)
            layer.load_integers(weight, bias, exponent, carrier)
        except (KeyError, RuntimeError, BoundError) as error:
            raise ModelError(f"the weights do not fit the model at layer {name}: {error}") from None
    for name, table in tables(module):
        values = tensors.get(f"{name}.values")
        if values is None or values.shape != table.values.shape:
            raise ModelError(f"the weights do not fit the model at table {name}")
        table.values.copy_(values)
    set_mode(module, "frozen")


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of tensors' names and values, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """All of a file or nothing; the same bytes for the same tensors and metadata."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(_in_order(save(dict(tensors), dict(metadata))))
    partial.replace(path)


def _in_order(data: bytes) -> bytes:
    """A safetensors file with its metadata in the order of names: safetensors leaves it to chance, and so a digest."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of an exported file. Raises ModelError where it is not one."""
    try:
        with safe_open(path, "pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors' own error is a bare Exception subclass
        raise ModelError(f"not a file of exported weights: {error}") from None
