"""Rate-distortion optimised rounding of latents: a symbol goes one step nearer to zero where its bits are not worth it.

A latent at mu, in steps, is rounded to k for a squared error of (mu - k)^2 and -ln P(k) nats. The symbol beside it,
nearer to zero, is taken where it saves more nats than it adds of 32 times that squared error: one price serves every
quality, as its steps have grown with the error that it allows. Each choice is made as if all others stood. The decoder
knows nothing of it. Integers throughout, so that a picture's file is the same on every machine.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.lookup import exp_table
from vlcodec.codec.coding.units import CDF_BITS, FINE
from vlcodec.codec.interface import Ints
from vlcodec.models.blocks.latent_block import LatentBlock
from vlcodec.models.blocks.residual_block import ResidualBlock
from vlcodec.models.blocks.turns import ahead
from vlcodec.models.walks.dither import CENTRE, quantise
from vlcodec.models.walks.latent_steps import MixtureStep

NAT_UNIT = FINE  # 1/32 nat, and squared errors are in (1/32 step)^2
LATENT_PRICE = 32  # nats that a squared error of a step must save
BLOCK_PRICE = 5  # likewise of coefficients: near the 6 of an ideal quantiser
ENTRIES = 1 + CDF_BITS * 693 * NAT_UNIT // 1000  # up to the logarithm of the whole mass
LOG_WHOLE = ENTRIES - 1


@cache
def _masses() -> Ints:
    """e^(i / NAT_UNIT) at i, as integers."""
    return exp_table(Fraction(1, NAT_UNIT), ENTRIES, Fraction(0), 1)


def log_mass(mass: Ints) -> Ints:
    """ln of integers up to 2^30, in 1/32 nat; less exact below 64."""
    return np.searchsorted(_masses(), mass, "right")


def rate_distortion_rounded(block: LatentBlock, centres: Ints) -> Ints:
    """Symbols of centres (h, w, latents) in 1/32 step, less the dither; some of them one step nearer to that of 0."""
    symbols = quantise(centres, np.zeros((), np.int64))
    chosen, centre = symbols.reshape(-1), centres.reshape(-1)
    places = np.flatnonzero(chosen != CENTRE)  # the symbol of 0 has none nearer to 0
    for step in block.given(symbols, places):  # which has seen all symbols before its first step
        k = chosen[step.index] - CENTRE
        nearer, _ = nearer_of(step, k, centre[step.index], LATENT_PRICE)
        chosen[step.index] = nearer + CENTRE
    return symbols


def rounded_blocks(block: ResidualBlock, centres: NDArray[np.int32], passes: int = 1) -> Ints:
    """Symbols of coefficients (h, w, coefficients) in 1/32 step: some one step nearer to 0; extents that are smaller
    where what lies beyond is not worth its bits. passes: each after the first sees what the one before it has left."""
    nearest: NDArray[np.int32] = (centres + FINE // 2) // FINE
    symbols = block.layout.symbols(nearest.astype(np.int64))
    for _ in range(passes):
        symbols = _rounded_once(block, symbols, nearest.reshape(-1), centres.reshape(-1))
    return symbols


def _rounded_once(
    block: ResidualBlock, symbols: Ints, nearest: NDArray[np.int32], centres: NDArray[np.int32]
) -> Ints:
    """Symbols, given what others see of them. nearest: whole steps of centres (in 1/32 step), (h w coefficients,)."""
    layout = block.layout
    steps = layout.steps(symbols)
    k, cost = steps.reshape(-1), np.zeros((steps.size // layout.coefficients, layout.groups), np.int64)
    each, logits = block.priced(symbols)

    def choose(step: MixtureStep) -> None:
        mu = centres[step.index].astype(np.int64)
        found, asked = nearer_of(step, nearest[step.index].astype(np.int64), mu, BLOCK_PRICE)
        k[step.index] = found
        asked -= BLOCK_PRICE * (np.square(mu) - np.square(mu - FINE * found)) // NAT_UNIT  # against 0
        block_number, coefficient = np.divmod(step.index[:: layout.group], layout.coefficients)
        cost[block_number, coefficient // layout.group] = asked.reshape(-1, layout.group).sum(1)

    for _ in ahead(choose, each):
        pass
    del each  # all parameters are large
    _trim(steps, cost, logits)
    return layout.symbols(steps)


def _trim(steps: Ints, cost: Ints, logits: Ints) -> None:
    """Leave out the last groups of blocks where that is cheaper. steps: (h, w, coefficients), contiguous. cost: (h w,
    groups), and logits of extents (h w, groups + 1), both in 1/32 nat."""
    groups = cost.shape[1]
    whole = np.concatenate((np.zeros_like(cost[:, :1]), cost.cumsum(1)), 1) - logits  # of each extent
    blocks = steps.reshape(len(cost), groups, -1)
    most = ((blocks != 0).any(2) * np.arange(1, groups + 1)).max(1)
    whole[np.arange(groups + 1) > most[:, None]] = np.iinfo(np.int64).max
    blocks *= (np.arange(groups) < whole.argmin(1)[:, None])[..., None]  # a view of steps


def nearer_of(step: MixtureStep, k: Ints, mu: Ints, price: int) -> tuple[Ints, Ints]:
    """k or one step nearer to 0, of centres mu in 1/32 step; and what these ask for, in 1/32 nat."""
    if compiled.runs():
        from vlcodec.models.photo import rounding_kernels

        return rounding_kernels.nearer(k, mu, price, *step.distribution.parameters(), _masses())
    nearer = k - np.sign(k)
    lower = np.minimum(k, nearer).clip(-CENTRE, 254 - CENTRE) + CENTRE
    logs = log_mass(np.diff(step.distribution.cdf(lower[:, None] + np.arange(3))))
    upper = k > lower - CENTRE
    here, beside = np.where(upper, logs[:, 1], logs[:, 0]), np.where(upper, logs[:, 0], logs[:, 1])
    added = np.square(mu - FINE * nearer) - np.square(mu - FINE * k)
    moved = (k != nearer) & (NAT_UNIT * (beside - here) > price * added)
    return np.where(moved, nearer, k), LOG_WHOLE - np.where(moved, beside, here)
