"""The flow on whole cells, exactly invertible: what `flow.Flow` is in floating point, as a codec.

A coupling scales by s = R / 2^10 without loss, by way of a stack (modular affine transform, Zhang et al. 2021, iFlow):

    encoder: pops r, even in [0, R);    t = x R + r;  y = t div 2^10;  pushes t mod 2^10
    decoder: pops d, even in [0, 2^10); t = y 2^10 + d;  x = t div R;  pushes t mod R

so that it costs 10 - log2 R = -log2 s bits, the Jacobian's. A level's cells are the same with another table: u is
popped in [0, n_i), and x = EDGES[i] + u.

Bounds, in cells. A value is moved at most eight times on its way. Forwards |x| <= 2^15.6 at first, and a move gives at
most 3.96 |x| + 2^18 + 1: less than 2^33 at last. Backwards |y| < 2^33.1 (`prior.py`), a move gives at most
3.96 (|y| + 2^18): less than 2^49. Times 2^12 both stay within 64 bits, whatever a file holds.

Values are (H, W, C, n) int64, n pictures innermost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vlcodec.codec.coding.latents import RESERVE_BITS, StackLow
from vlcodec.codec.coding.tables import Uniforms
from vlcodec.codec.interface import Coder, Ints, Source
from vlcodec.models.layers.activations import FINE_MAX
from vlcodec.models.vapnev.flow import COLOUR_HALVES, FINE_SHIFT, HALVES, TURNS, Half
from vlcodec.models.vapnev.grid import LEVELS, LOG_REACH, SHARE, SHARE_BITS, edges, scales

Told = Callable[[tuple[int, int, int], Ints], Ints]
"""What a coupling (scale, which halves, turn) says, given what it sees, in 1/1024, (s, s, c, n): ln s before its bound,
and m in cells, (s, s, 2 c, n)."""


def squeezed(x: Ints) -> Ints:
    """(2 s, 2 s, C, n) -> (s, s, 4 C, n), as `resnet.space_to_depth`."""
    h, w, c, n = x.shape
    return x.reshape(h // 2, 2, w // 2, 2, c, n).transpose(0, 2, 1, 3, 4, 5).reshape(h // 2, w // 2, 4 * c, n)


def unsqueezed(x: Ints) -> Ints:
    """The inverse of `squeezed`."""
    h, w, c, n = x.shape
    return x.reshape(h, w, 2, 2, c // 4, n).transpose(0, 2, 1, 3, 4, 5).reshape(2 * h, 2 * w, c // 4, n)


def taken(source: Source, sizes: Ints) -> Ints:
    """Uniform symbols of these sizes (any shape). Raises StackLow where a stack has too few bits."""
    flat = sizes.reshape(-1)
    found = source.pop(Uniforms(flat), np.arange(flat.size, dtype=np.int64))
    if isinstance(source, Coder) and source.bits < RESERVE_BITS:
        raise StackLow
    return found.reshape(sizes.shape)


def given(source: Source, sizes: Ints, symbols: Ints) -> None:
    """Uniform symbols onto a stack; noise has no place for them."""
    if isinstance(source, Coder):
        source.push(Uniforms(sizes.reshape(-1)), symbols.reshape(-1))


def moved(x: Ints, ratio: Ints, shift: Ints, stack: Coder) -> Ints:
    """Eq. 13: x2 -> y2, with s = ratio / 2^10 and m = shift."""
    t = x * ratio
    t += taken(stack, ratio)
    given(stack, np.full_like(t, SHARE), t & (SHARE - 1))
    t >>= SHARE_BITS
    return t + shift


def unmoved(y: Ints, ratio: Ints, shift: Ints, source: Source) -> Ints:
    """Eq. 15: the inverse."""
    found = source.pop(Uniforms(np.full(y.size, SHARE)), np.arange(y.size, dtype=np.int64))
    t = ((y - shift) << SHARE_BITS) + found.reshape(y.shape)
    x: Ints = t // ratio
    given(source, ratio, t - x * ratio)
    return x


class IntegerFlow:
    """See above."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def push(self, x: Ints, stack: Coder) -> Ints:
        """x (32, 32, 3, n) -> y (16, 16, 12, n)."""
        kept, out = (list(half) for half in COLOUR_HALVES)
        h = self._scale(0, squeezed(x), stack)
        return np.concatenate((h[:, :, out], unsqueezed(self._scale(1, squeezed(h[:, :, kept]), stack))), 2)

    def pop(self, y: Ints, source: Source) -> Ints:
        """The inverse of `push`; the source is a stack, or noise."""
        kept, out = (list(half) for half in COLOUR_HALVES)
        h = np.empty_like(y)
        h[:, :, out] = y[:, :, : len(out)]
        h[:, :, kept] = unsqueezed(self._unscale(1, squeezed(y[:, :, len(out) :]), source))
        return unsqueezed(self._unscale(0, h, source))

    def _scale(self, scale: int, h: Ints, stack: Coder) -> Ints:
        """All couplings of a scale; h is overwritten."""
        for kind, halves in enumerate(HALVES[scale]):
            for turn in range(TURNS):
                seen, part = _turned(halves, turn)
                h[:, :, part] = moved(h[:, :, part], *self._says((scale, kind, turn), h[:, :, seen]), stack)
        return h

    def _unscale(self, scale: int, h: Ints, source: Source) -> Ints:
        for kind in reversed(range(len(HALVES[scale]))):
            for turn in reversed(range(TURNS)):
                seen, part = _turned(HALVES[scale][kind], turn)
                h[:, :, part] = unmoved(h[:, :, part], *self._says((scale, kind, turn), h[:, :, seen]), source)
        return h

    def _says(self, which: tuple[int, int, int], seen: Ints) -> tuple[Ints, Ints]:
        """R and m of a coupling."""
        fine = (seen + (1 << FINE_SHIFT >> 1)) >> FINE_SHIFT
        told = self._told(which, np.clip(fine, -FINE_MAX, FINE_MAX))
        log_scale, shift = np.split(told, 2, axis=2)
        return scales()[np.clip(log_scale, -LOG_REACH, LOG_REACH) + LOG_REACH], shift


def _turned(halves: tuple[Half, Half], turn: int) -> tuple[list[int], list[int]]:
    """What is seen, and what is moved."""
    first, second = (list(half) for half in halves)
    return (second, first) if turn % 2 else (first, second)


def spread(levels: Ints, stack: Coder) -> Ints:
    """Levels in [0, 255] -> cells of them, drawn evenly from the stack."""
    return edges()[levels] + taken(stack, np.diff(edges())[levels])


def unspread(cells: Ints, source: Source) -> Ints:
    """The inverse of `spread`; cells beyond the outermost levels, as only samples have them, count to these."""
    inside = np.clip(cells, edges()[0], edges()[LEVELS] - 1)
    levels: Ints = np.searchsorted(edges(), inside, "right") - 1
    given(source, np.diff(edges())[levels], inside - edges()[levels])
    return levels
