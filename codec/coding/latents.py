"""The ways to code z so that it costs the KL divergence: dither for a uniform posterior, bits-back for a gaussian one.

Dithered (universal) quantisation: with q(z | x) = U(mu - 1/2, mu + 1/2) in units of the step, and dither u shared
through the seed, the encoder sends k = round(mu - u) and the decoder forms z = k + u: an exact sample of q, for -log2
of the prior's mass on its cell. u lies on a grid of 16 values, so that networks see integers: all latents are in 1/32
step, z = 32 k + (2 j - 15). A posterior that is rounded to whole steps has u = 0, and costs -log2 of the mass as well.

Bits-back (VLAE, eq. 6): z is popped off the stack as if q(z | x) had coded it, then x is pushed under p(x | z) and z
under p(z). The decoder, once it has x, pushes z back under q(z | x): the stack is as it was, and z cost the KL alone.
"""

from __future__ import annotations

import numpy as np

from vlcodec.codec.coding.dither import reconstruct
from vlcodec.codec.coding.stack import Noise, Stack, philox_words
from vlcodec.codec.coding.tables import FINE
from vlcodec.codec.coding.walk import Tick, decode, encode
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Bytes, ChainedModel, DitheredModel, ImageModel, Ints

DITHER_VALUES = FINE // 2  # M
DITHER_PURPOSE = 1  # of the noise: dither and pixels never share bits
LATENT_PURPOSE = 3  # draws from p(z)
RESERVE_BITS = 64  # left on the stack by bits-back: an exhausted stack would give the least likely latents


def grid_shape(model: ImageModel, height: int, width: int) -> tuple[int, int, int]:
    """(h, w, latents) of a picture's grid."""
    return -(-height // model.stride), -(-width // model.stride), model.latents


class StackLow(Exception):
    """Bits-back found fewer bits on the stack than it needs to begin with."""


def dither(seed: int, shape: tuple[int, ...], block: int = 0) -> Ints:
    """u of every latent, odd integers in 1/32 step: 2 j + 1 - 16, j the low four bits of the latent's Philox word."""
    words = philox_words(seed, DITHER_PURPOSE, block, int(np.prod(shape)))
    j = (words & np.uint64(DITHER_VALUES - 1)).astype(np.int64)
    u: Ints = 2 * j + 1 - DITHER_VALUES
    return u.reshape(shape)


def dither_of(model: ImageModel, seed: int, height: int, width: int) -> Ints:
    """u of a picture's grid (h, w, latents), in 1/32 step."""
    shape = grid_shape(model, height, width)
    return dither(seed, shape) if model.posterior == "uniform" else np.zeros(shape, np.int64)


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


def push_chained(model: ChainedModel, pictures: Bytes, stack: Stack) -> Ints:
    """Bits-back: N pictures onto the stack, which must hold what q(z | x) takes. Returns z, (N, latents).

    Raises StackLow, and leaves the stack spoilt, where it does not.
    """
    z = decode(model.given(pictures), stack)
    if stack.bits < RESERVE_BITS:
        raise StackLow
    encode(model.pixels(z), model.to_symbols(pictures), stack)
    encode(model.prior(len(pictures)), model.to_noise(z), stack)
    return z


def pop_chained(model: ChainedModel, n: int, stack: Stack) -> Bytes:
    """The inverse of push_chained: n pictures, and the stack as it was before them."""
    z = model.from_noise(decode(model.prior(n), stack))
    pictures = model.to_pictures(decode(model.pixels(z), stack))
    encode(model.given(pictures), z, stack)
    return pictures


def push_dithered(model: DitheredModel, pictures: Bytes, u: Ints, lossless: bool, stack: Stack) -> Ints:
    """N pictures onto the stack, or their latents alone, given the dither (N, latents). Returns the symbols."""
    symbols = model.encode(pictures, u)
    if lossless:
        encode(model.pixels(reconstruct(symbols, u)), model.to_symbols(pictures), stack)
    encode(model.prior(u), symbols, stack)
    return symbols


def pop_dithered(model: DitheredModel, u: Ints, stack: Stack, seed: int | None, block: int, purpose: int) -> Bytes:
    """The inverse of push_dithered: N pictures; where the stack has latents alone, drawn from p(x | z) with a
    seed, the noise addressed by (purpose, block)."""
    z = reconstruct(decode(model.prior(u), stack), u)
    steps = model.pixels(z)
    source = stack if seed is None else Noise(seed, purpose, block, int(np.prod(steps.shape)))
    return model.to_pictures(decode(steps, source))
