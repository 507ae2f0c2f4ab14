"""Symbols of one picture that are worth their bits, found by gradients: what an encoder's single pass leaves undone.

The encoder foretells symbols for all pictures alike; those that serve this one best are a search away (cf. Campos et
al. 2019, "Content adaptive optimization for neural image compression"). All are steps: a symbol that moves by one
changes the objective by its gradient, by half its curvature, and by what the prior then asks for it. Of the moves that
promise something a random share is made, as moves beside each other get in each other's way; what does not lower the
objective is undone, and the share halved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vlcodec.codec.interface import Tick
from vlcodec.models.layers.mixture import nats
from vlcodec.models.photo.net import NEAR

SHARE, MOST, GROWTH = 0.25, 0.6, 1.2  # of the moves that promise something, made at first, at most, after a success
DRAWS = 2  # of signs by which curvatures are measured
LEAST_CURVATURE = 1.5  # nats that a move costs beside its gradient and bits, at least
MARGIN = 4  # latents that are seen around a window
Mixtures = tuple[Tensor, Tensor, Tensor]  # logits, centres and scales, (m, K) of m symbols


class Window(NamedTuple):
    """A part of a grid of latents, and the margin that is seen around it: rows and columns of both together, and rows
    and columns of the part alone, counted from their first."""

    rows: slice
    columns: slice
    inner: tuple[slice, slice]

    def of(self, grid: Tensor, scale: int = 1) -> Tensor:
        """(h, w, ...) of a grid with so many positions for each latent along each side; a view."""
        return grid[_scaled(self.rows, scale), _scaled(self.columns, scale)]

    def free(self, grid: Tensor, scale: int = 1) -> Tensor:
        """Like a part (1, h, w, n) with its margin: 1 within, 0 in the margin."""
        found = torch.zeros_like(grid)
        found[:, _scaled(self.inner[0], scale), _scaled(self.inner[1], scale)] = 1
        return found


@dataclass(frozen=True)
class Grid:
    """Symbols k (1, h, w, n) in whole steps. gradient: of the objective but for their own bits. places: (m,) of those
    that are coded, counted through all of them; None is all."""

    k: Tensor
    gradient: Tensor
    mixtures: Mixtures
    places: Tensor | None = None


@dataclass(frozen=True)
class Found:
    """Grids of symbols, and the objective, in nats."""

    total: float
    grids: tuple[Grid, ...]


Objective = Callable[[Sequence[Tensor]], Found]


def windows(height: int, width: int, side: int) -> Iterator[Window]:
    """Of a grid of latents, left to right and top to bottom."""
    for r in range(0, height, side):
        for c in range(0, width, side):
            (rows, above), (columns, left) = (_around(at, side) for at in (r, c))
            yield Window(rows, columns, (above, left))


def search(
    objective: Objective,
    start: Sequence[Tensor],
    curvatures: Sequence[Tensor],
    free: Sequence[Tensor],
    steps: int,
    random: torch.Generator,
    tick: Callable[[], None],
) -> tuple[Tensor, ...]:
    """Grids of symbols (1, h, w, n) that are worth more than those of the start, after so many steps of many moves.

    curvatures: (n,) of each grid, half the objective's second derivatives. free: like the grids, 1 where symbols may
    move. tick: called after each step.
    """
    found, share = objective(start), SHARE
    for _ in range(steps):
        parts = zip(found.grids, curvatures, free, strict=True)
        tried = objective([_moved(grid, curvature, share * may, random) for grid, curvature, may in parts])
        if tried.total < found.total:
            found, share = tried, min(GROWTH * share, MOST)
        else:
            share /= 2
        tick()
    return tuple(grid.k for grid in found.grids)


def curvature(errors: Callable[[Tensor], Tensor], k: Tensor, random: torch.Generator) -> Tensor:
    """(n,) half the second derivative of errors, in nats, by channel of k (1, h, w, n) (Hutchinson's estimator)."""
    total = torch.zeros_like(k[0, 0, 0])
    for _ in range(DRAWS):
        signs = (2 * torch.randint(0, 2, k.shape, generator=random) - 1).to(k)
        slopes = [torch.autograd.grad(errors(at), at)[0] for at in _beside(k, signs)]
        total += ((slopes[1] - slopes[0]) * signs).mean((0, 1, 2)) / (2 * DRAWS)
    return total.clamp_min(LEAST_CURVATURE)


def cost(mixtures: Mixtures, k: Tensor) -> Tensor:
    """Nats that the prior asks for symbols (m,)."""
    logit, centre, scale = mixtures
    return nats(logit, centre, scale, k.clamp(-NEAR, NEAR))


def _beside(k: Tensor, signs: Tensor) -> Iterator[Tensor]:
    for side in (-0.5, 0.5):
        yield (k + side * signs).requires_grad_(True)


def _moved(grid: Grid, curvature: Tensor, share: Tensor, random: torch.Generator) -> Tensor:
    """Symbols of which a share has moved by a step, where that promises something. share: (1, h, w, n)."""
    whole = [part.expand_as(grid.k).reshape(-1) for part in (grid.k, grid.gradient, curvature, share)]
    k, gradient, curvature, share = whole if grid.places is None else [part[grid.places] for part in whole]
    now = cost(grid.mixtures, k)
    up, down = (side * gradient + curvature + cost(grid.mixtures, k + side) - now for side in (1, -1))
    chosen = (torch.minimum(up, down) < 0) & (torch.rand(k.shape, generator=random, dtype=torch.float32).to(k) < share)
    moved = torch.where(chosen, torch.where(up < down, k + 1, k - 1).clamp(-NEAR, NEAR), k)
    if grid.places is not None:
        moved = whole[0].index_copy(0, grid.places, moved)
    return moved.view_as(grid.k)


def counted(tick: Tick | None, whole: int) -> Callable[[], None]:
    """What is called after each of so many steps."""
    done = iter(range(1, whole + 1))

    def count() -> None:
        if tick is not None:
            tick(next(done), whole)

    return count


def _around(first: int, side: int) -> tuple[slice, slice]:
    """A part of a row with its margin, and the part alone, counted from where its margin begins."""
    start = max(first - MARGIN, 0)
    return slice(start, first + side + MARGIN), slice(first - start, first - start + side)


def _scaled(part: slice, scale: int) -> slice:
    return slice(scale * part.start, scale * part.stop)
