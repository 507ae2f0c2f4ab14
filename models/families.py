"""The families of models: which net stands behind a name, and what makes a codec of it once it is frozen."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import nn

from vlcodec.codec.interface import Bytes
from vlcodec.models.agave import codec as small
from vlcodec.models.agave.codec import SmallModel
from vlcodec.models.agave.net import LadderAgave, LadderShape
from vlcodec.models.photo import codec as photo
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.net import GridAgave, GridShape
from vlcodec.models.vlae import codec as binary
from vlcodec.models.vlae.codec import BinaryModel, BinaryNets
from vlcodec.models.zoo import Family

Model = PhotoModel | SmallModel | BinaryModel
KINDS = frozenset(("gaussian", "uniform"))  # of binary nets


def net_of(family: Family, kinds: Collection[str] = KINDS) -> nn.Module:
    """The family's net, untrained. kinds: of the binary nets, where not all are wanted."""
    if family == "photo":
        return GridAgave(GridShape())
    return LadderAgave(LadderShape()) if family == "small" else BinaryNets(sorted(kinds))


def is_whole(net: nn.Module) -> bool:
    """Whether nothing is missing of a family's net."""
    return not isinstance(net, BinaryNets) or set(net) == KINDS


def model_of(family: Family, net: nn.Module, device: torch.device) -> Model:
    """A frozen net as a codec."""
    if family == "photo":
        assert isinstance(net, GridAgave)
        return PhotoModel(net, device)
    if family == "small":
        assert isinstance(net, LadderAgave)
        return SmallModel(net, device)
    assert isinstance(net, BinaryNets)
    return BinaryModel(net, device)


def golden_picture(family: Family) -> Bytes:
    """(H, W, 3) uint8: a picture that the family takes, from integers alone."""
    if family == "photo":
        return photo.golden_picture()
    if family == "small":
        return small.golden_pictures()[0]
    return np.repeat(binary.golden_pictures()[0][..., None], 3, 2)
