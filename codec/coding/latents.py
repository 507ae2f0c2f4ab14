"""Latents, so that they cost the KL divergence: rounded, dithered, or by bits-back; one pair of functions for all.

Dithered (universal) quantisation: with q(z | x) = U(mu - 1/2, mu + 1/2) in units of the step, and dither u shared
through the seed, the encoder sends k = round(mu - u) and the decoder forms z = k + u: an exact sample of q, for -log2
of the prior's mass on its cell. A posterior that is rounded to whole steps has u = 0, and costs -log2 of the mass too.

Bits-back (VLAE, eq. 6): z is popped off the stack as if q(z | x) had coded it, then x is pushed under p(x | z) and z
under p(z). The decoder, once it has x, pushes z back under q(z | x): the stack is as it was, and z cost the KL alone.

The first two are bits-back with a posterior that takes no bits (`walk.Settled`).
"""

from __future__ import annotations

from math import prod

import numpy as np

from vlcodec.codec.coding.noise import DITHER_PURPOSE, START_PURPOSE, Likeliest, philox_words
from vlcodec.codec.coding.short_code import ShortCode
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Bytes, Coder, Ints, LatentNet, Source, Tick

DITHER_VALUES = 16  # M
SENTINEL = b"\x01"  # on top of bytes, so that their own zero bytes are kept
START_BITS = 1 << 17  # of noise for a picture: more than latents and pixels of any model take off
RESERVE_BITS = 64  # left on the stack by bits-back: an exhausted stack would give the least likely latents
# sections of the ledger
PRIOR, POSTERIOR, PIXELS, SIDE_INFORMATION = "prior", "posterior", "pixels", "side information"


class StackLow(Exception):
    """Bits-back found fewer bits on the stack than it needs to begin with."""


def dither(seed: int, shape: tuple[int, ...], block: int = 0) -> Ints:
    """u of every latent, odd integers in 1/32 step: 2 j + 1 - 16, j the low four bits of the latent's Philox word."""
    words = philox_words(seed, DITHER_PURPOSE, block, prod(shape))
    j = (words & np.uint64(DITHER_VALUES - 1)).astype(np.int64)
    u: Ints = 2 * j + 1 - DITHER_VALUES
    return u.reshape(shape)


def dither_of(net: LatentNet, seed: int, first: int, n: int, height: int, width: int) -> Ints:
    """u of n pictures of one size; every picture has its own, by its number, from `first` on."""
    if net.posterior_kind != "dithered":
        return np.zeros(net.shape(n, height, width), np.int64)
    one = net.shape(1, height, width)
    return np.concatenate([dither(seed, one, first + i) for i in range(n)])


def primed(pictures: int, seed: int) -> Stack:
    """A stack of noise, for what takes bits off before it puts any on, where nothing else is coded below."""
    words = philox_words(seed, START_PURPOSE, 0, pictures * START_BITS // 64)
    return Stack(words.astype("<u8").tobytes() + SENTINEL)


def push(net: LatentNet, pictures: Bytes, u: Ints, stack: Coder, lossless: bool = True) -> Ints:
    """Pictures (n, H, W, C) onto the stack, or their latents alone. Returns the latents' symbols.

    Raises StackLow, and leaves the stack spoilt, where bits-back finds too few bits on it.
    """
    stack.section(POSTERIOR)
    symbols = net.posterior(pictures, u).pop(stack)
    if net.posterior_kind == "bits-back" and stack.bits < RESERVE_BITS:
        raise StackLow
    if lossless:
        stack.section(PIXELS)
        height, width, colours = pictures.shape[1:]
        block = net.pixels(net.features(symbols, u), range(height), width, colours)
        block.push(net.to_symbols(pictures), stack)
    stack.section(PRIOR)
    net.prior(u).push(symbols, stack)
    return symbols


def pop(
    net: LatentNet, u: Ints, stack: Coder, height: int, width: int, colours: int, drawn: Source | None = None
) -> Bytes:
    """The inverse of `push`: (n, H, W, C) uint8.

    drawn: noise of which pixels are drawn where the stack has latents alone.
    """
    symbols = net.prior(u).pop(stack)
    block = net.pixels(net.features(symbols, u), range(height), width, colours)
    pictures = net.to_pictures(block.pop(stack if drawn is None else drawn))
    if net.posterior_kind == "bits-back":
        net.posterior(pictures, u).push(symbols, stack)
    return pictures


def choose(net: LatentNet, pictures: Bytes, u: Ints) -> Ints:
    """Symbols of a posterior without choice, for latents that have a stack of their own."""
    return net.posterior(pictures, u).pop(Likeliest())


def write_latents(
    net: LatentNet, symbols: Ints, u: Ints, tick: Tick | None = None, coder: type[ShortCode] | type[Stack] = Stack
) -> bytes:
    """The latents' own stack, or short code."""
    stack = coder()
    net.prior(u).push(symbols, stack, tick)
    return stack.to_bytes()


def read_latents(
    net: LatentNet,
    data: bytes,
    u: Ints,
    tick: Tick | None = None,
    coder: type[ShortCode] | type[Stack] = Stack,
) -> Ints:
    """The latents' symbols. Raises FormatError where the stack does not end as it began."""
    stack = coder(data)
    symbols = net.prior(u).pop(stack, tick)
    if not stack.empty:
        raise FormatError("the latents' stack must be empty after the last latent; it is not")
    return symbols
