"""A linear start for the grid's autoencoder: the Karhunen-Loeve transform of the training pictures.

The autoencoder's main path is linear (activations stand inside residual blocks alone), so it can begin as the best
linear transform coder: the principal components at each change of resolution, transposed in the decoder, and latents
whose steps fit each quality. Training goes on from there.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from vlcodec.models.layers.causal_latents import LatentPrior
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT
from vlcodec.models.layers.exact import Layer
from vlcodec.models.layers.mixture import FINE, SCALE_LOW, SCALE_UNIT
from vlcodec.models.layers.resnet import Down, Up, space_to_depth
from vlcodec.models.photo.net import GridAgave

CELL = 16 * COLOURS  # values of 4 x 4 pixels
REST = 0.05  # what the random weights beside the linear path are scaled by


def principal(x: Tensor, kept: int) -> Tensor:
    """(..., C) -> (kept, C), the orthonormal directions of the largest second moments, largest first."""
    flat = x.reshape(-1, x.shape[-1]).double()
    return torch.linalg.eigh(flat.t() @ flat).eigenvectors.flip(1).t()[:kept].float()


def start_linear(net: GridAgave, x: Tensor) -> None:
    """Set encoder, decoder and the prior's first widths from pictures x (N, H, W, 3) in [-128, 127]."""
    first, second = (m.mix for m in net.encoder.stages if isinstance(m, Down))
    up, last = (m.mix for m in net.decoder.stages if isinstance(m, Up))
    a, latents, sigmas = net.encoder.enter.outputs, net.shape.latents, net.shape.aux_sigma
    with torch.no_grad():
        h = space_to_depth(space_to_depth(x, 4), 2)  # (N, H/8, W/8, 4 x 48)
        transform = principal(h, first.outputs)
        wide = F.pad(transform.view(-1, 4, CELL), (0, a - CELL)).flatten(1)  # the other channels begin unused
        _set(net.encoder.enter, torch.eye(CELL))
        _set(first, wide)
        _set(last, wide.t())
        h = space_to_depth(h @ transform.t(), 2)
        transform = principal(h, second.outputs)
        _set(second, transform)
        _set(up, transform.t())
        h = (h @ transform.t())[..., :latents]
        _set(cast(Layer, net.decoder.stages[0]), torch.eye(second.outputs))
        colours = F.pad(torch.eye(CELL).view(16, COLOURS, CELL), (0, 0, 0, net.shape.features))
        _set(net.decoder.leave, MEAN_UNIT * colours.flatten(0, 1))
        steps = [math.sqrt(12) * sigma for sigma in sigmas]  # of uniform quantisers with these errors
        for leave, enter, step in zip(net.encoder.leave, net.decoder.enter, steps, strict=True):
            _set(cast(Layer, leave), FINE / 4 / step * torch.eye(latents))
            _set(cast(Layer, enter), step / FINE * torch.eye(latents))
        scale = 0.5 * h.flatten(0, 2).std(0) / steps[1]
        _start_widths(net.prior, scale.clamp_min(0.02))


def _set(layer: Layer, matrix: Tensor) -> None:
    """A layer's weights at the own position, in the first rows and columns; the rest is made small."""
    matrix = matrix[: layer.outputs, : layer.inputs]
    rows, columns = matrix.shape
    place = layer.taps.index((0, 0)) * layer.inputs
    layer.weight.mul_(REST)
    own = layer.weight[:, place : place + layer.inputs]
    own[:rows, :columns] = matrix


def _start_widths(prior: LatentPrior, scale: Tensor) -> None:
    """Scales of the prior's logistics, (latents,) in steps, before it has learned anything."""
    k = prior.mixtures
    for params, part in zip(prior.net.params, scale.split(prior.group), strict=True):
        bias = params.get_parameter("bias").view(prior.group, 3 * k)
        bias[:, 2 * k :] = (SCALE_UNIT * torch.log(part / SCALE_LOW) / 32)[:, None]
