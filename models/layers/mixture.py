"""Mixtures of discretised logistics: layout of a head's outputs, and the loss that trains them.

The integers mean: logits in 1/32 nat, offsets of the centre in 1/32 of a level (or of a latent's step), scales as an
index into `0.002 e^(i/16)`. `vlcodec.codec.coding.tables.LogisticMixture` turns the same integers into tables.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

FINE = 32  # units of a centre per level
LOGIT_UNIT = 32  # units of a logit per nat
SCALE_UNIT = 16  # units of a scale index per nat
SCALE_LOW = 0.002  # levels, at index 0
SCALE_LAST = 191
FLOOR = 2.0**-14  # share of the uniform distribution in every mixture
LEVELS = 256  # symbols stand for the values -128 .. 127


def layout(k: int, offset_gain: float, scale: float) -> tuple[list[float], list[float], list[float], list[float]]:
    """Gain, low, high and initial bias of the 3 k outputs (logits, offsets, scales) of one mixture.

    scale: initial scale in levels.
    """
    gain = [0.5] * k + [offset_gain] * k + [0.5] * k
    low = [-255.0] * k + [-8191.0] * k + [0.0] * k
    high = [255.0] * k + [8191.0] * k + [float(SCALE_LAST)] * k
    index = SCALE_UNIT * math.log(scale / SCALE_LOW)
    spread = [0.1 * (i - (k - 1) / 2) for i in range(k)]
    bias = [0.0] * k + spread + [index / 32 + 0.1 * s for s in spread]
    return gain, low, high, bias


def nats(logit: Tensor, centre: Tensor, scale: Tensor, value: Tensor, width: float | Tensor = 1.0) -> Tensor:
    """-ln P(value) under the mixture, uniform floor included.

    logit, centre, scale: (..., k) in the units above; value: (...) in levels, the middle of a cell of the given width,
    or of widths (..., 1); the cells fill -128.5 .. 127.5, and the outermost reach to infinity.
    """
    inverse = torch.exp(-scale / SCALE_UNIT) / SCALE_LOW  # 1 / level
    d = value[..., None] - centre / FINE
    flip = torch.where(d > 0, -1.0, 1.0)  # keeps both sigmoids in their accurate tail
    near, far = (flip * d + width / 2) * inverse, (flip * d - width / 2) * inverse
    upper, lower = torch.sigmoid(near), torch.sigmoid(far)
    v = value[..., None]
    first, last = -LEVELS / 2 - 0.5 + width, LEVELS / 2 - 0.5 - width
    upper = torch.where(((v < first) & (flip < 0)) | ((v > last) & (flip > 0)), torch.ones_like(upper), upper)
    lower = torch.where(((v < first) & (flip > 0)) | ((v > last) & (flip < 0)), torch.zeros_like(lower), lower)
    mass = (F.softmax(logit / LOGIT_UNIT, -1) * (upper - lower)).sum(-1, keepdim=True)
    return -torch.log(mass * (1 - FLOOR) + FLOOR * width / LEVELS)[..., 0]


def draw(logit: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    """A level (...) of each mixture (..., k), drawn with torch's random numbers, in [-128, 127]."""
    gumbel = -torch.log(-torch.log(torch.rand_like(logit).clamp(1e-6, 1 - 1e-6)))
    chosen = (logit / LOGIT_UNIT + gumbel).argmax(-1, keepdim=True)
    at, width = (part.gather(-1, chosen)[..., 0] for part in (centre / FINE, SCALE_LOW * torch.exp(scale / SCALE_UNIT)))
    u = torch.rand_like(at).clamp(1e-4, 1 - 1e-4)
    return (at + width * torch.log(u / (1 - u))).round().clamp(-LEVELS // 2, LEVELS // 2 - 1)
