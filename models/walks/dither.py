"""Dithered quantisation: the latents of a uniform posterior as symbols, given noise that both sides know.

All latents are in 1/32 step, z = 32 k + u with u odd in [-15, 15]; the symbol of k is k + 128 in [0, 255].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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


# Latents that reach far have two planes of symbols: k + 128 as far as symbols go, and how many steps k lies beyond.

FAR = 1023  # |k| at most
BEYOND = FAR - 126  # values of the second plane


def quantise_far(mu: Ints) -> Ints:
    """(2, ...) symbols of the posterior's centres mu (...), in 1/32 step."""
    k = ((mu + FINE // 2) // FINE).clip(-FAR, FAR)
    near = k.clip(-CENTRE, 255 - CENTRE)
    return np.stack((near + CENTRE, abs(k - near)))


def saturated(symbols: Ints) -> NDArray[np.bool_]:
    """Where symbols of the first plane are the outermost, so that the second one says more."""
    found: NDArray[np.bool_] = (symbols == 0) | (symbols == 255)
    return found


def steps_far(near: Ints, beyond: Ints) -> Ints:
    """k of both planes' symbols."""
    k: Ints = near - CENTRE + np.where(near == 0, -beyond, beyond)
    return k.clip(-FAR, FAR)
