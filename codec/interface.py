"""What a model must offer to be a codec, and what the codec offers to it.

Everything that is coded is a sequence of steps of conditionally independent symbols: "for step t, here is one
distribution per symbol; give me the symbols and I give you step t + 1". A block of symbols (a latent grid, a band of
pixels) is a `Steps`, walked in two ways that give the same distributions, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Progress = Callable[[str, int, int], None]  # (what, done, total)


class Distribution(Protocol):
    """Integer tables of n independent symbols, each coded as digits, most significant first."""

    @property
    def radix(self) -> tuple[int, ...]:
        """How many values each digit has; a symbol lies in [0, product)."""

    def counts(self, digits: Sequence[Ints]) -> Ints:
        """(n, A) table of the digit after the given ones, each row >= 0 and summing to exactly 2^24 - A.

        The coder gives value a the frequency counts[a] + 1 of 2^24.
        """


@dataclass(frozen=True)
class Step:
    """Symbols that are independent given all earlier steps. index: (n,) their places in the block, C order."""

    distribution: Distribution
    index: Ints


class Steps(Protocol):
    """One block of symbols under one model."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the block."""

    @property
    def count(self) -> int:
        """How many steps, at most; for progress."""

    def sequential(self) -> Generator[Step, Ints, None]:
        """The decoder's walk, first step first: each step is answered by its (n,) symbols, through `send`."""

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """The encoder's walk over known symbols (block's shape): one network pass, then LAST step first."""


@runtime_checkable
class Adaptive(Steps, Protocol):
    """A block whose model is fitted to its symbols: by numbers in [0, 255] that are coded before them."""

    @property
    def numbers(self) -> int:
        """How many."""

    def adapt(self, symbols: Ints) -> Ints:
        """The numbers for these symbols (block's shape), in use from now on; none where they would not pay."""

    def use(self, numbers: Ints) -> None:
        """Use (numbers,) from now on."""


class Source(Protocol):
    """Where decoded symbols come from: a file's stack, or noise."""

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols of one step."""


class ImageModel(Protocol):
    """A trained model of pictures with a grid of latents.

    Its posterior is uniform, one step wide, and coded by dither; or all on the nearest whole step, coded as it is: its
    dither is 0.
    """

    qualities: int
    latents: int  # per grid position
    stride: int  # pixels per grid position, along each side

    @property
    def posterior(self) -> Literal["uniform", "rounded"]:
        """See above."""

    def encode(self, pixels: Bytes, quality: int, dither: Ints) -> Ints:
        """(H, W, 3) uint8 -> (h, w, latents) symbols of the latents, given their dither in 1/32 step."""

    def prior(self, dither: Ints, quality: int) -> Steps:
        """The latents' symbols, k + 128 in [0, 255], given the dither (h, w, latents) in 1/32 step."""

    def decode(self, z: Ints, quality: int) -> Any:
        """(h, w, latents) in 1/32 step -> f(z), in the model's own form."""

    def mean_image(self, fz: Any, height: int, width: int) -> Bytes:
        """(height, width, 3) uint8."""

    def pixels(self, fz: Any, first_row: int, rows: int, width: int, grey: bool, guided: bool = False) -> Steps:
        """One band of pixels; block (rows, width, 1 or 3, 1), symbols are levels in the model's channel order.

        guided: p(x | x<, z) times what the latents alone say of the pixel, for sampling.
        """

    def to_symbols(self, pixels: Bytes, grey: bool) -> Ints:
        """(rows, W, 3) uint8 -> the block of the band's symbols."""

    def to_pixels(self, symbols: Ints) -> Bytes:
        """The inverse, to (rows, W, 3) uint8."""


class Lanes(Protocol):
    """What models of pictures of one fixed size offer to archives: N at once, (N, H, W) or (N, H, W, 3) uint8."""

    latents: int  # of a picture

    def pixels(self, z: Ints) -> Steps:
        """p(x | z) of latents (N, latents): block (H, W, colours, N)."""

    def to_symbols(self, pictures: Bytes) -> Ints:
        """The block's symbols."""

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""


class ChainedModel(Lanes, Protocol):
    """A gaussian posterior on a grid, coded by bits-back. Symbols of latents and of noise are (N, latents)."""

    posterior: Literal["gaussian"]
    least_ratio: int  # pictures on the stack that one more lane needs, at least

    def given(self, pictures: Bytes) -> Steps:
        """q(z | x)."""

    def prior(self, n: int) -> Steps:
        """p of the noise symbols of n pictures."""

    def to_noise(self, z: Ints) -> Ints:
        """Latents' symbols -> noise symbols, a bijection; the identity where the prior is that of the latents."""

    def from_noise(self, noise: Ints) -> Ints:
        """The inverse of to_noise."""


class DitheredModel(Lanes, Protocol):
    """A uniform posterior of one step, coded by dither. Latents are (N, latents) in 1/32 step."""

    posterior: Literal["uniform"]

    def encode(self, pictures: Bytes, dither: Ints) -> Ints:
        """(N, latents): symbols of the latents, given their dither."""

    def prior(self, dither: Ints) -> Steps:
        """The latents' symbols, k + 128 in [0, 255], given the dither; block of its shape."""
