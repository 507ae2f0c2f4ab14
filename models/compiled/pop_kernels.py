"""A wavefront's step of a grid of latents, or of blocks of coefficients, popped from an ANS coder: one compiled call.

The coder is constriction's, as FORMAT.md has it: a state below 2^64 over words of 32 bits. Steps compute what
`latent_kernels` computes for a walk that pops with constriction itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.compiled import loop, part
from vlcodec.codec.coding.kernels import scale_row, weight_row
from vlcodec.codec.coding.tables import Uniform
from vlcodec.codec.coding.units import TABLE_BITS
from vlcodec.codec.interface import Ints
from vlcodec.models.compiled.front_kernels import first_row, last_row
from vlcodec.models.compiled.latent_kernels import (
    DIGIT,
    Prior,
    State,
    Tables,
    advance_step,
    count_at,
    extents_of_step,
    head_of_group,
    leave_step,
)
from vlcodec.models.walks.block_symbols import FAR
from vlcodec.models.walks.dither import CENTRE

LARGEST = DIGIT * DIGIT - 1  # symbol
LOW, HALF, WORD = np.uint64((1 << TABLE_BITS) - 1), np.uint64(1 << 32), np.uint64(32)
SHIFT = np.uint64(TABLE_BITS)


class Coder(NamedTuple):
    """words: (n,) those below the state. state: (1,). left: (1,) how many of the words there still are."""

    words: NDArray[np.uint32]
    state: NDArray[np.uint64]
    left: Ints


class Room(NamedTuple):
    """Counts that no mixture has. extents: (groups + 1,) of a block's extent, and weights likewise, and edges (groups +
    2,). beyond: (values,) of how far a large coefficient goes on; they are those of a uniform distribution. first:
    (rows group,) digits."""

    weights: Ints
    extents: Ints
    beyond: Ints
    first: Ints


def coder_of(words: NDArray[np.uint32]) -> Coder:
    """As constriction begins with words: the last ones are the state."""
    left, state = len(words), 0
    while left and state < 1 << 32:
        left -= 1
        state = state << 32 | int(words[left])
    return Coder(words, np.array([state], np.uint64), np.array([left]))


def words_of(coder: Coder) -> NDArray[np.uint32]:
    """What constriction begins with, to go on."""
    rest, state = coder.words[: coder.left[0]], int(coder.state[0])
    above = [part for part in (state & 0xFFFFFFFF, state >> 32) if state >> 32 or part]
    return np.concatenate((rest, np.array(above, np.uint32)))


def room_of(groups: int, symbols: int, beyond: int) -> Room:
    """Room for a step's symbols of a group."""
    uniform = Uniform(1, beyond).counts([])[0]
    return Room(np.zeros(groups + 1, np.int64), np.zeros(groups + 2, np.int64), uniform, np.zeros(symbols, np.int64))


@part
def exhausted(coder: Coder) -> bool:
    """Whether nothing is left."""
    return coder.left[0] == 0 and coder.state[0] == np.uint64(0)


@part
def take(coder: Coder, counts: Any, values: int) -> int:
    """A digit, of so many values with these counts."""
    state = coder.state[0]
    rest, digit = np.int64(state & LOW), 0
    frequency = np.int64(counts[0]) + 1
    while rest >= frequency and digit < values - 1:
        rest -= frequency
        digit += 1
        frequency = np.int64(counts[digit]) + 1
    state = (state >> SHIFT) * np.uint64(frequency) + np.uint64(rest)
    if state < HALF and coder.left[0] > 0:
        coder.left[0] -= 1
        state = state << WORD | np.uint64(coder.words[coder.left[0]])
    coder.state[0] = state
    return digit


@loop
def pop_step(
    net: Prior, state: State, tables: Tables, room: Room, coder: Coder, found: Ints, groups: int, step: int
) -> bool:
    """A step's symbols into found (h w, symbols of a position); whether anything is left for the next step.

    Where nothing is left, what would follow is not computed: symbols stay 0.
    """
    first, width = first_row(step, state.width), state.width
    n, coefficients, large = last_row(step, state.height) - first, state.z.shape[1], state.base.shape[1]
    size = net.params.bias.shape[1] // (3 * state.logit.shape[1])
    if exhausted(coder):
        return False
    advance_step(net, state, step)
    if len(net.told):
        extents_of_step(net, state, step)
        for i in range(n):
            weight_row(room.weights, state.extent_logits[i], tables.exponentials)
            room.extents[0] = 0
            for k in range(groups + 1):
                room.extents[k + 1] = room.extents[k] + room.weights[k]
            scale_row(room.extents)
            extent = take(coder, room.extents, groups + 1)
            state.extent[i] = extent
            found[(first + i) * width + step - 2 * (first + i), coefficients] = extent
    for group in range(groups):
        m = 0
        for i in range(n):
            m += state.extent[i] > group
        if m == 0:
            break
        if exhausted(coder):
            return False
        head_of_group(net, state, tables, group, step)
        for at in range(m * size):
            room.first[at] = take(coder, state.counts[at], DIGIT)
        m = 0
        far = False
        for i in range(n):
            if state.extent[i] <= group:
                continue
            index = (first + i) * width + step - 2 * (first + i)
            for a in range(size):
                at, place = m * size + a, group * size + a
                count_at(state, tables, at, room.first[at] * DIGIT, 1)
                symbol = room.first[at] * DIGIT + take(coder, state.counts[at], DIGIT)
                found[index, place] = symbol
                state.z[i, place] = np.float32(32 * (symbol - CENTRE))
                far = far or (place < large and (symbol == 0 or symbol == LARGEST))
            m += 1
        if far:
            if exhausted(coder):
                return False
            pop_beyond(state, room, coder, found, step)
    leave_step(net, state, step)
    return True


@part
def pop_beyond(state: State, room: Room, coder: Coder, found: Ints, step: int) -> None:
    """How far large coefficients go on whose symbol is the outermost."""
    first, width, coefficients = first_row(step, state.width), state.width, state.z.shape[1]
    for i in range(last_row(step, state.height) - first):
        if state.extent[i] == 0:
            continue
        index = (first + i) * width + step - 2 * (first + i)
        for a in range(state.base.shape[1]):
            symbol = found[index, a]
            if symbol == 0 or symbol == LARGEST:
                more = take(coder, room.beyond, len(room.beyond))
                found[index, coefficients + 1 + a] = more
                steps = symbol - CENTRE
                steps += more if steps > 0 else -more
                state.z[i, a] = np.float32(32 * min(max(steps, -FAR), FAR))
