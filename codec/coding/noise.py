"""Noise that stands in for a stack: it answers `pop` with symbols drawn from the same tables.

That makes sampling the decoder's loop fed with noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.stack import join_digits
from vlcodec.codec.coding.tables import DrawnGaussian, DrawnMixture, Uniforms
from vlcodec.codec.coding.units import TABLE_BITS
from vlcodec.codec.interface import Distribution, Ints

DITHER_PURPOSE = 1  # dither and pixels never share bits
PIXEL_PURPOSE = 2
START_PURPOSE = 3  # of bits that bits-back begins with where nothing else is at hand
TEXTURE_PURPOSE = 4  # of what a net sees that draws texture
DRAWN_DIGITS = 64 // TABLE_BITS  # from one 64-bit word
PAIR_SHIFT = 16
_MASK = (1 << TABLE_BITS) - 1


class Noise:
    """Symbols drawn by inverting 24 bits of numpy's raw Philox stream per digit.

    The bits are addressed by (seed, purpose, block, place in the block): they depend neither on the order of work nor
    on the batch. A symbol's digits take 24 bits each of a 64-bit word, the lowest first; a word serves two digits, and
    the words of digits 2 p and 2 p + 1 have the purpose plus 2^16 p. A distribution that is inverted as a whole takes
    the highest 30 bits of its one word, or, where it is uniform with sizes of its own, the lowest 16.

    Args:
        seed: in [0, 2^64). purpose: in [0, 2^16). block: in [0, 2^32). size: symbols in the block. A block that codes
            more than its symbols (of a grey picture three channels, say) has places beyond, where the stream goes on.
        lanes: so many such blocks, interleaved, each drawn as if it were alone.
    """

    exhausted = False

    def __init__(self, seed: int, purpose: int, block: int, size: int, lanes: int = 1) -> None:
        self._address, self._lanes = (seed, purpose, block, size), lanes
        self._pairs = list[NDArray[np.uint64]]()

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols at the places `index` of the block."""
        if isinstance(distribution, DrawnMixture | DrawnGaussian | Uniforms):
            return distribution.inverse(self._at(0, index))
        digits = list[Ints]()
        for place in range(len(distribution.radix)):
            pair, second = divmod(place, DRAWN_DIGITS)
            words = self._at(pair, index) >> np.uint64(TABLE_BITS * second)
            draw = (words & np.uint64(_MASK)).astype(np.int64)
            digits.append(drawn(distribution.counts(digits), draw))
        return join_digits(digits, distribution.radix)

    def _at(self, pair: int, index: Ints) -> NDArray[np.uint64]:
        """(n,) words of a pair of digits at these places."""
        seed, purpose, block, size = self._address
        most = int(index.max(initial=0))
        if most >= size * self._lanes:
            self._address = (seed, purpose, block, most // self._lanes + 1)
            self._pairs.clear()
            for known in range(pair):
                self.words(known)
        return self.words(pair)[index]

    def words(self, pair: int = 0) -> NDArray[np.uint64]:
        """(size lanes,) of all blocks for a pair of digits, made when they are first needed."""
        if pair == len(self._pairs):
            seed, purpose, block, size = self._address
            words = philox_words(seed, purpose + (pair << PAIR_SHIFT), block, size)
            self._pairs.append(words.repeat(self._lanes))
        return self._pairs[pair]


class Likeliest:
    """Every symbol's likeliest value, digit by digit; of equals the smallest."""

    exhausted = False

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols."""
        digits: list[Ints] = []
        for _ in distribution.radix:
            digits.append(distribution.counts(digits).argmax(1))
        return join_digits(digits, distribution.radix)


def drawn(counts: Ints, draw: Ints) -> Ints:
    """(n, A) counts and (n,) in [0, 2^24) -> (n,) digits whose share of 2^24 the draws fall in."""
    if compiled.runs():
        from vlcodec.codec.coding import kernels

        return kernels.drawn(counts, draw)
    upper = (counts + 1).cumsum(1)  # (n, A) in (0, 2^24]
    digits: Ints = (upper <= draw[:, None]).sum(1)
    return digits


def philox_words(seed: int, purpose: int, block: int, size: int) -> NDArray[np.uint64]:
    """(size,) raw 64-bit words of Philox4x64 with key (seed, purpose 2^32 + block), counter from 0."""
    key = np.array([seed, (purpose << 32) + block], np.uint64)
    return np.random.Philox(key=key, counter=0).random_raw(size)
