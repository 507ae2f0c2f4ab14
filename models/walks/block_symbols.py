"""Symbols of a grid's blocks of coefficients: of each block its coefficients, its extent, and how far large ones go on.

    k + 128 of each coefficient | extent | steps beyond of each large coefficient

A coefficient beyond its block's extent is 0, as is its symbol. Large coefficients at either end of the symbols have a
further one, which says how many steps k lies beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.interface import Ints
from vlcodec.models.walks.dither import CENTRE

FAR = 1023  # |k| of a large coefficient at most
BEYOND = FAR - 126  # values of the further symbol


@dataclass(frozen=True)
class BlockSymbols:
    """Where what stands: see above. groups: of the coefficients, low frequencies first."""

    coefficients: int
    groups: int
    large: int

    @property
    def width(self) -> int:
        """Symbols of a block."""
        return self.coefficients + 1 + self.large

    @property
    def group(self) -> int:
        """Coefficients of a group."""
        return self.coefficients // self.groups

    def symbols(self, steps: Ints) -> Ints:
        """(..., width) of whole steps (..., coefficients), which are clamped to what can be said."""
        found = np.empty((*steps.shape[:-1], self.width), np.int64)
        near, extent, beyond = np.split(found, [self.coefficients, self.coefficients + 1], -1)  # views
        np.clip(steps, -CENTRE, 255 - CENTRE, out=near)
        beyond[:] = np.abs(steps[..., : self.large].clip(-FAR, FAR) - near[..., : self.large])
        there = (near.reshape(*near.shape[:-1], self.groups, self.group) != 0).any(-1)
        extent[..., 0] = (there * np.arange(1, self.groups + 1)).max(-1)
        near += CENTRE
        near *= self.within(found)
        return found

    def steps(self, symbols: Ints) -> Ints:
        """(..., coefficients) of symbols (..., width), any."""
        near, beyond = symbols[..., : self.coefficients], symbols[..., self.coefficients + 1 :]
        steps = (near - CENTRE) * self.within(symbols)
        steps[..., : self.large] = further(steps[..., : self.large], beyond)
        return steps

    def within(self, symbols: Ints) -> NDArray[np.bool_]:
        """(..., coefficients) whether a coefficient lies within its block's extent."""
        group = np.arange(self.coefficients) // self.group
        within: NDArray[np.bool_] = group < symbols[..., self.coefficients, None]
        return within


def further(steps: Ints, beyond: Ints) -> Ints:
    """Steps that go on from where they are, away from 0."""
    found: Ints = (steps + np.sign(steps) * beyond).clip(-FAR, FAR)
    return found


def saturated(symbols: Ints) -> NDArray[np.bool_]:
    """Where a coefficient's symbol is the outermost."""
    found: NDArray[np.bool_] = (symbols == 0) | (symbols == 255)
    return found
