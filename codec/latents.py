"""The ways to code z. Here: a uniform posterior by dithered (universal) quantisation, which costs the KL divergence.

With q(z | x) = U(mu - 1/2, mu + 1/2) in units of the step, and dither u shared through the seed, the encoder sends
k = round(mu - u) and the decoder forms z = k + u: an exact sample of q, for -log2 of the prior's mass on its cell.
u lies on a grid of 16 values, so that networks see integers: all latents are in 1/32 step, z = 32 k + (2 j - 15).
Bits-back coding of gaussian posteriors takes its place here, beside this.
"""

from __future__ import annotations

import numpy as np

from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import ImageModel, Ints
from vlcodec.codec.stack import Stack, philox_words
from vlcodec.codec.tables import FINE
from vlcodec.codec.walk import Tick, decode, encode

DITHER_VALUES = FINE // 2  # M
DITHER_PURPOSE = 1  # of the noise: dither and pixels never share bits
CENTRE = 128  # symbol of k = 0


def grid_shape(model: ImageModel, height: int, width: int) -> tuple[int, int, int]:
    """(h, w, latents) of a picture's grid."""
    return -(-height // model.stride), -(-width // model.stride), model.latents


def dither(seed: int, shape: tuple[int, ...]) -> Ints:
    """u of every latent, odd integers in 1/32 step: 2 j + 1 - 16, j the low four bits of the latent's Philox word."""
    words = philox_words(seed, DITHER_PURPOSE, 0, int(np.prod(shape)))
    j = (words & np.uint64(DITHER_VALUES - 1)).astype(np.int64)
    u: Ints = 2 * j + 1 - DITHER_VALUES
    return u.reshape(shape)


def quantise(mu: Ints, u: Ints) -> Ints:
    """Symbols k + 128 in [0, 255] of the dithered quantisation; mu and u in 1/32 step."""
    symbols: Ints = (mu - u + FINE // 2) // FINE + CENTRE
    return symbols.clip(0, 255)


def symbols_of(z: Ints, u: Ints) -> Ints:
    """The inverse of `reconstruct`."""
    return (z - u) // FINE + CENTRE


def reconstruct(symbols: Ints, u: Ints) -> Ints:
    """z in 1/32 step."""
    return FINE * (symbols - CENTRE) + u


def write_latents(model: ImageModel, symbols: Ints, u: Ints, quality: int, tick: Tick | None = None) -> bytes:
    """The grid's stack."""
    stack = Stack()
    encode(model.prior(u, quality), symbols, stack, tick)
    return stack.to_bytes()


def read_latents(model: ImageModel, data: bytes, u: Ints, quality: int, tick: Tick | None = None) -> Ints:
    """z in 1/32 step. Raises FormatError where the stack does not end as it began."""
    stack = Stack(data)
    symbols = decode(model.prior(u, quality), stack, tick)
    if not stack.empty:
        raise FormatError("the latents' stack must be empty after the last latent; it is not")
    return reconstruct(symbols, u)
