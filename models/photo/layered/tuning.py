"""The last layer of the network that mends a picture, tuned to it: a gain for each channel that it sees.

    w' = w (32 + k) / 32, rounded, of all integer weights of a channel

k: integers in [-31, 31], one for each channel, which a lossy file may send as changes of weights (see `adapted`). They
are those of the least squared error, and are sent where that is worth their bits. Equal pictures may have other gains
on another machine.
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vlcodec.codec.errors import BoundError, FormatError
from vlcodec.codec.interface import Ints
from vlcodec.models.layers.resnet import space_to_depth
from vlcodec.models.photo.adapted import pack_changes, unpack_changes
from vlcodec.models.photo.layered.restoration import CELL, Restoration, Strip

UNIT = 32  # of a gain
MOST = UNIT - 1  # |k|
RIDGES = 1e-3, 1e-2, 1e-1  # of the mean of the squares that gains are fitted to: the first that the layer takes


class Fit:
    """The normal equations of gains, in float64."""

    def __init__(self, net: Restoration) -> None:
        layer = self._layer = net.leave
        self._net, size = net, layer.inputs
        weight, _, exponent = layer.integers()
        real = weight * (layer.gain.double() * torch.exp2(-exponent.to(weight)))[:, None]
        self._weight = real.view(layer.outputs, len(layer.taps), size).float()
        self._squares, self._products = weight.new_zeros(size, size), weight.new_zeros(size)

    def add(self, strip: Strip, lacking: Tensor) -> None:
        """lacking: of the strip, before the network, (1, rows, W, 3) in 1/4 level."""
        layer, h = self._layer, self._net.hidden(*strip.seen)
        error = (space_to_depth(lacking, CELL) - strip.inner(layer(h))).flatten(0, 2)
        padded = F.pad(h, (0, 0, layer.left, layer.right, layer.above, layer.below))
        parts = [padded[:, a : a + h.shape[1], b : b + h.shape[2]] for a, b in layer.corners]
        taps = strip.inner(torch.stack(parts, 3)).flatten(0, 2)  # (n, taps, channels)
        told = torch.einsum("ntc,otc->noc", taps, self._weight)  # (n, 48, channels): of each channel, of the output
        self._squares += torch.einsum("noc,nod->cd", told, told).double()
        self._products += torch.einsum("noc,no->c", told, error).double()

    def gains(self, nats_per_error: float) -> bytes:
        """Packed, or nothing where they are not worth their bits; nats_per_error: of a squared 1/4 level."""
        for ridge in RIDGES:
            added = torch.diag(ridge * self._squares.diagonal().mean() * torch.ones_like(self._products))
            k = (UNIT * torch.linalg.solve(self._squares + added, self._products)).round().clamp(-MOST, MOST)
            packed = pack_changes([k.long().cpu().numpy()])
            if _taken(self._net, packed):
                saved = 2 * k @ self._products / UNIT - k @ self._squares @ k / UNIT**2
                return packed if float(saved) * nats_per_error > 8 * len(packed) * math.log(2) else b""
        return b""


def tuned(net: Restoration, packed: bytes) -> Restoration:
    """A frozen network whose last layer has a file's gains. Raises FormatError for what is none."""
    (k,) = unpack_changes(packed, [net.leave.inputs])
    if abs(k).max() > MOST:
        raise FormatError(f"changes of weights of {abs(k).max()}: a lossy file's are at most {MOST}")
    made = copy.deepcopy(net)
    weight, bias, exponent = (part.cpu() for part in made.leave.integers())
    moved = (weight.view(len(weight), -1, len(k)) * _scaled(k)).add(0.5).floor().flatten(1)
    most = made.leave.weight_max
    try:
        made.leave.load_integers(moved.clamp(-most, most), bias, exponent.round())
    except BoundError as error:
        raise FormatError(f"changes of weights that the last layer does not take: {error}") from None
    return made


def _taken(net: Restoration, packed: bytes) -> bool:
    try:
        tuned(net, packed)
    except FormatError:
        return False
    return True


def _scaled(k: Ints) -> Tensor:
    """Of a channel, exact in float64."""
    return torch.from_numpy(UNIT + k).double() / UNIT
