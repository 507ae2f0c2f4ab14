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

from vlcodec.codec.coding.lookup import exp_table
from vlcodec.codec.coding.units import CDF_BITS, FINE
from vlcodec.codec.interface import Ints
from vlcodec.models.walks.dither import CENTRE, quantise, quantise_far, saturated
from vlcodec.models.walks.latent_block import LatentBlock

NAT_UNIT = FINE  # 1/32 nat, and squared errors are in (1/32 step)^2
LATENT_PRICE = 32  # nats that a squared error of a step must save
ENTRIES = 1 + CDF_BITS * 693 * NAT_UNIT // 1000  # up to the logarithm of the whole mass


@cache
def _masses() -> Ints:
    """e^(i / NAT_UNIT) at i, as integers."""
    return exp_table(Fraction(1, NAT_UNIT), ENTRIES, Fraction(0), 1)


def log_mass(mass: Ints) -> Ints:
    """ln of integers up to 2^30, in 1/32 nat; less exact below 64."""
    return np.searchsorted(_masses(), mass, "right")


def rate_distortion_rounded(block: LatentBlock, centres: Ints, far: bool = False, price: int = LATENT_PRICE) -> Ints:
    """Symbols of centres (h, w, latents) in 1/32 step, less the dither; some of them one step nearer to that of 0.

    far: in two planes (see `dither`), of which those that the second one says more of stay as they are. price: nats
    that a squared error of a step must save.
    """
    symbols = quantise_far(centres) if far else quantise(centres, np.zeros((), np.int64))
    chosen, centre = symbols.reshape(-1)[: centres.size], centres.reshape(-1)
    free = chosen != CENTRE  # the symbol of 0 has none nearer to 0
    places = np.flatnonzero(free & ~saturated(chosen) if far else free)
    for step in block.given(symbols, places):  # which has seen all symbols before its first step
        symbol, mu = chosen[step.index], centre[step.index]
        k = symbol - CENTRE
        nearer = k - np.sign(k)
        lower = np.minimum(k, nearer) + CENTRE
        logs = log_mass(np.diff(step.distribution.cdf(lower[:, None] + np.arange(3))))
        saved = np.sign(k) * (logs[:, 0] - logs[:, 1])
        added = np.square(mu - FINE * nearer) - np.square(mu - FINE * k)
        chosen[step.index] = np.where(NAT_UNIT * saved > price * added, nearer, k) + CENTRE
    return symbols
