"""What a model must offer to be a codec, and what the codec offers to it.

Everything that is coded is a block of symbols. A block goes onto a stack and comes back from a source: the stack of a
file, or noise, which draws a sample. Its usual form is a walk over steps of conditionally independent symbols
(`Steps`): "for step t, here is one distribution per symbol; give me the symbols and I give you step t + 1".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Tick = Callable[[int, int], None]  # (done, total)
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


class Source(Protocol):
    """Where decoded symbols come from: a file's stack, or noise."""

    @property
    def exhausted(self) -> bool:
        """Whether every symbol still to come is the lowest, as of a stack without bits."""

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """(n,) symbols, at the places `index` of their block."""


@runtime_checkable
class Coder(Source, Protocol):
    """A stack: what is pushed last is popped first."""

    @property
    def bits(self) -> int:
        """On the stack."""

    def section(self, name: str) -> None:
        """What the symbols from here on are, for the ledger."""

    def book(self, bits: float) -> None:
        """Bits of this section that no symbol stands for, and which other sections book with the other sign."""

    def push(self, distribution: Distribution, symbols: Ints) -> None:
        """(n,) symbols, which `pop` gives back in the same order."""


class Block(Protocol):
    """Symbols that are coded together.

    It may pop while it is pushed, as bits-back and modular layers do; popping it gives these bits back.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the symbols."""

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """Put symbols (block's shape) onto a stack."""

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """The symbols (block's shape) as the source gives them."""

    def bits(self, symbols: Ints) -> float:
        """-log2 P of the symbols, in float64, apart from any table."""


@dataclass(frozen=True)
class Step:
    """Symbols that are independent given all earlier steps. index: (n,) their places in the block, C order."""

    distribution: Distribution
    index: Ints


class Steps(Protocol):
    """A block as steps, walked in two ways that give the same distributions, bit for bit."""

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


class LatentNet(Protocol):
    """q(z | x), p(z) and p(x | z) of n pictures of one size that are coded together, in lanes.

    Pictures are (n, H, W, C) uint8, C = 3 for RGB and 1 for grey. How z is coded follows from the posterior:

        rounded    z follows from x, and costs -log2 P(z)
        dithered   z follows from x and from the dither u that both sides know, and costs the KL on average
        bits-back  z is popped off the stack under q(z | x), which the decoder pushes again once it has x

    u has the shape of the latents' symbols, and is 0 where a posterior knows no dither.
    """

    @property
    def posterior_kind(self) -> Literal["rounded", "dithered", "bits-back"]:
        """See above."""

    @property
    def least_ratio(self) -> int:
        """Pictures on the stack that one more lane of bits-back needs, at least."""

    def shape(self, n: int, height: int, width: int) -> tuple[int, ...]:
        """Of the latents' symbols."""

    def posterior(self, pictures: Bytes, u: Ints) -> Block:
        """q(z | x); of a posterior without choice, a block that gives its symbols and takes no bits."""

    def prior(self, u: Ints) -> Block:
        """p(z)."""

    def features(self, symbols: Ints, u: Ints) -> Any:
        """f(z), in the net's own form."""

    def mean_images(self, fz: Any, height: int, width: int) -> Bytes:
        """(n, H, W, 1 or 3) uint8: what the latents alone say."""

    def pixels(self, fz: Any, rows: range, width: int, colours: int, guided: bool = False) -> Block:
        """p(x | z) of some rows: block (rows, W, colours, n).

        guided: p(x | x<, z) times what the latents alone say of the pixel, for sampling.
        """

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(n, rows, W, C) uint8 -> the block of the pixels' symbols."""

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""


@runtime_checkable
class Adaptive(Protocol):
    """What a LatentNet offers besides, whose network of the pixels a file may change."""

    def learned(self, pictures: Bytes, fz: Any, steps: int, tick: Tick | None = None) -> bytes:
        """Changes that make a picture (1, H, W, C) cheaper given its f(z), from so many steps of training. Equal input
        may give other changes on another machine."""

    def changed(self, changes: bytes) -> LatentNet:
        """The net with a file's changes. Raises FormatError for what is none."""


@runtime_checkable
class Refining(Protocol):
    """What a LatentNet offers besides, whose latents can be searched for, beyond what its encoder says of a picture."""

    def refined(
        self,
        pictures: Bytes,
        symbols: Ints,
        u: Ints,
        steps: int,
        tick: Tick | None = None,
        coded: Bytes | None = None,
    ) -> Ints:
        """Symbols that are worth more for their bits than the posterior's, of a picture (1, H, W, C), after so many
        steps. coded: likewise, the pixels that come after them. Equal input may give other symbols on another machine.
        """


@runtime_checkable
class Layered(Protocol):
    """What a LatentNet offers besides, whose lossy files say what the mean image of the latents lacks."""

    def lacking(self, pictures: Bytes, fz: Any) -> Ints:
        """Symbols of what f(z) lacks of a picture (1, H, W, C), as far as they are worth their bits."""

    def searched(
        self, pictures: Bytes, symbols: Ints, u: Ints, steps: int, tick: Tick | None = None
    ) -> tuple[Ints, Ints]:
        """Latents' symbols, and those of what f(z) lacks, that are together worth more for their bits than the
        posterior's, after so many steps. Equal input may give other symbols on another machine."""

    def residual(self, fz: Any) -> Block:
        """p of these symbols, given f(z)."""

    def changes(self, pictures: Bytes, fz: Any, symbols: Ints) -> bytes:
        """Of the decoder's last layer, for a picture's sake, given what f(z) lacks; none where they are not worth their
        bytes. Equal input may give other changes on another machine."""

    def completed(self, fz: Any, symbols: Ints, changes: bytes = b"") -> Any:
        """f(z) with what it lacked. Raises FormatError for changes that are none."""


@runtime_checkable
class Textured(Protocol):
    """What a LatentNet offers besides, whose pixels are drawn near to a mean image with texture."""

    def seeded(self, fz: Any, seed: int) -> Any:
        """f(z) for pixels that are drawn with a seed, which texture depends on, too."""


@runtime_checkable
class Restoring(Protocol):
    """What a LatentNet offers besides, whose network of the pixels knows that it sees restored ones."""

    def within(self, near: int) -> LatentNet:
        """The net of pixels that are restored within so many levels, from 0 on."""


class Model(Protocol):
    """A trained model: nets for single pictures, by quality, and perhaps one for archives by bits-back."""

    @property
    def qualities(self) -> int:
        """How many; they are counted from 1."""

    def single(self, quality: int, hundredths: int = 0) -> LatentNet:
        """The net of a file of one picture, whose posterior is not bits-back; hundredths: on the way to the next one.

        Raises ModelError for a model that has archives alone.
        """

    def chained(self) -> LatentNet | None:
        """The net whose posterior is bits-back, if there is one."""

    def golden(self) -> Iterator[Ints]:
        """All integers that tables and regenerated pixels are made of, on golden pictures."""
