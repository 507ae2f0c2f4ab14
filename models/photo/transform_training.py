"""Training of the transforms of the residual's blocks, given what an exported autoencoder makes of whole pictures.

After Sezer, Guleryuz & Altunbasak (2015): each block goes to the transform that serves it best, coefficients that are
not worth their bits are left out, and each transform becomes the orthonormal one that comes nearest to making its
blocks of what is left (orthogonal Procrustes); and again. Steps are random, so that a transform serves all of them, and
large at first, so that what is strong in a block finds its place first. The mean, and the cosine transform, stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vlcodec.models.layers.causal_pixels import MEAN_UNIT
from vlcodec.models.photo.net import STRIDE, GridAgave, GridShape
from vlcodec.models.photo.pools import model_of, random_part
from vlcodec.models.photo.residual import (
    COSINES,
    KEPT,
    MATRIX_UNIT,
    PIXELS,
    SIDE,
    STEP_UNIT,
    forms_of,
    in_units,
    planes_of,
)
from vlcodec.models.photo.residual_training import BASES, lacking
from vlcodec.models.training.loop import Progress
from vlcodec.models.training.recipe import begin

ROUNDS = 45
PICTURES, BLOCKS, LARGEST = 240, 120_000, 384
FINEST, COARSEST = 13.0, 88.0  # steps, in levels
HIGHER, HIGHER_UNTIL = 2.5, 0.6  # the first ones, and the share of the rounds after which they are no higher
FEWEST = 300  # blocks that a transform is learned from
Seen = Callable[[int], None]  # told of each picture or round, from 0


def blocks_of(net: GridAgave, pictures: Sequence[Path], device: torch.device, seed: int, seen: Seen) -> Tensor:
    """Planes (n, 3, 64) of random blocks of residuals, see `residual.planes_of`, float32."""
    model, rng, found = model_of(net, device), np.random.default_rng(seed), list[Tensor]()
    for number, i in enumerate(rng.permutation(len(pictures))[:PICTURES]):
        pixels = random_part(pictures[i], rng, STRIDE, LARGEST)
        height, width = (max(1, side // STRIDE) * STRIDE for side in pixels.shape[:2])
        _, residual = lacking(model, pixels[:height, :width], int(rng.choice(BASES)))
        found.append(planes_of(residual[None]).float().cpu())
        seen(number)
    every = torch.cat(found)
    return every[torch.from_numpy(rng.permutation(len(every))[:BLOCKS].copy())]


def learned(planes: Tensor, forms: int, seed: int, seen: Seen) -> Tensor:
    """Transforms (forms, 2, 64, 64) of brightness and of colours, in 1/4096, of blocks' planes (n, 3, 64)."""
    blocks = planes @ (COSINES / MATRIX_UNIT).t().float() / (MEAN_UNIT * MATRIX_UNIT)  # frequencies, in levels
    rng, found = torch.Generator().manual_seed(seed), _directed(planes[:, 0], blocks[:, 0], forms)
    for number in range(ROUNDS):
        spread = torch.exp(math.log(COARSEST / FINEST) * torch.rand(len(blocks), generator=rng))
        step = FINEST * spread * max(1.0, HIGHER * (1 - number / (HIGHER_UNTIL * ROUNDS)))
        least = KEPT * step[:, None, None]
        chosen = forms_of(planes, in_units(found.double() @ COSINES), STEP_UNIT * step)
        for form in range(1, forms):
            here = chosen == form
            if int(here.sum()) >= FEWEST:
                for side, part in enumerate((blocks[here, :1], blocks[here, 1:])):
                    found[form, side] = _nearest(part, found[form, side], least[here])
        seen(number)
    for form in range(1, forms):
        here = chosen == form
        for side, part in enumerate((blocks[here, :1], blocks[here, 1:])):
            worth = ((part @ found[form, side].t()).abs() > least[here]).sum((0, 1))
            found[form, side, 1:] = found[form, side, 1:][worth[1:].argsort(descending=True, stable=True)]
    return in_units(found.double() @ COSINES)


def _nearest(part: Tensor, rows: Tensor, least: Tensor) -> Tensor:
    """Rows (64, 64), the first as it was, by which the coefficients of blocks (n, c, 64) that are worth it say most."""
    scaled = (part / least).reshape(-1, PIXELS)
    found = scaled @ rows.t()
    u, _, v = torch.linalg.svd(scaled[:, 1:].double().t() @ (found * (found.abs() > 1))[:, 1:].double())
    made = torch.eye(PIXELS)
    made[1:, 1:] = (u @ v).t()
    return made


def _directed(plane: Tensor, bright: Tensor, forms: int) -> Tensor:
    """(forms, 2, 64, 64): principal axes of the blocks whose edges go in a direction, of each form but the first; their
    brightness as pixels and as frequencies, both (n, 64)."""
    found = torch.eye(PIXELS).repeat(forms, 2, 1, 1)
    blocks = plane.view(-1, SIDE, SIDE)
    down, right = blocks.diff(dim=1)[:, :, 1:], blocks.diff(dim=2)[:, 1:]
    angle = torch.atan2(2 * (right * down).sum((1, 2)), (right.square() - down.square()).sum((1, 2)))
    sector = ((angle / (2 * math.pi) + 0.5) * (forms - 1)).long()
    for form in range(1, forms):
        here = bright[sector == form - 1, 1:].double()
        found[form, :, 1:, 1:] = torch.linalg.eigh(here.t() @ here)[1].flip(1).t().float()
    return found


def train_transforms(
    pictures: Sequence[Path],
    *,
    shape: GridShape,
    weights: dict[str, Tensor],
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> GridAgave:
    """A net of a shape, with transforms that are learned from its residuals, and an untrained prior of these.

    weights: exported ones, of all but the residual's prior and what depends on it.
    """
    on = torch.device(device)
    net = begin(lambda: GridAgave(shape), on, seed, None, weights)

    def told(what: str, whole: int) -> Seen:
        return lambda number: progress(what, number + 1, whole) if progress else None

    blocks = blocks_of(net, pictures, on, seed, told("residuals", min(PICTURES, len(pictures))))
    net.transforms.values.copy_(learned(blocks, shape.residual_forms, seed, told("rounds", ROUNDS)))
    return net
