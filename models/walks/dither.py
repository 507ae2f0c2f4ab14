"""Dithered quantisation: the latents of a uniform posterior as symbols, given noise that both sides know.

All latents are in 1/32 step, z = 32 k + u with u odd in [-15, 15]; the symbol of k is k + 128 in [0, 255].
"""

from __future__ import annotations

from vlcodec.codec.coding.units import FINE
from vlcodec.codec.interface import Ints

CENTRE = 128  # symbol of k = 0


def quantise(mu: Ints, u: Ints) -> Ints:
    """Symbols of the posterior's centres mu, given the dither; mu and u in 1/32 step."""
    symbols: Ints = (mu - u + FINE // 2) // FINE + CENTRE
    return symbols.clip(0, 255)


def reconstruct(symbols: Ints, u: Ints) -> Ints:
    """z in 1/32 step."""
    return FINE * (symbols - CENTRE) + u
