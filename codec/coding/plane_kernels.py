"""The loop that codes planes: an adaptive binary model, mixed from 14 contexts, and an arithmetic coder.

The same loop encodes and decodes, as it is or compiled. All numbers are integers below 2^63.
"""

from __future__ import annotations

from typing import Any

from vlcodec.codec.coding.compiled import loop

CONTEXTS = 14
ABOVE, BEFORE, AFTER = 3, 4, 4  # zeros around the planes: rows above, columns on either side
SETS = 32  # of weights, for each channel and for the flags
EVEN, MOST = 1 << 15, 1 << 16  # a probability of one half, and of one
LEAST = 16  # a context's probability stays so far from 0 and from 1
COUNTED = 126  # bits after which a context learns no slower
OUTERMOST = 3071  # of a mixed probability, in 1/256 nat
MASK = 0xFFFFFFFF
HASH, NODE, SPREAD = 0x2F0B4C47, 0x5E3779B1, 0x45EBCA6B  # odd, and below 2^31


def code_planes(
    levels: Any,
    width: int,
    height: int,
    channels: int,
    bits: int,
    table_bits: int,
    rate: int,
    tables: Any,
    weights: Any,
    context: Any,
    place: Any,
    stretched: Any,
    stretch: Any,
    squash: Any,
    reciprocal: Any,
    data: Any,
    encode: bool,
) -> int:
    """Code planes into data, or decode them from it.

    Args:
        levels: (ABOVE + height) x (BEFORE + width + AFTER) x channels, flat, 0 wherever nothing is known.
        bits: of a level. table_bits: of a hash. rate: of the mixers, larger is quicker.
        tables: (channels * CONTEXTS << table_bits,) all EVEN * 256: probability of a one and count of each slot.
        weights: ((channels + 1) * SETS * (CONTEXTS + 1),) in 2^-16, all 2^14.
        context, place, stretched: (CONTEXTS + 1,) to work in.
        data: bytes; to be read, three zeros after their end.

    Returns the number of bytes written, or read; -1 where data have not so many.
    """
    stride = (BEFORE + width + AFTER) * channels
    shift = 32 - table_bits
    low, high, value, at = 0, MASK, 0, 0
    if not encode:
        for at in range(4):
            value = value << 8 | data[at]
        at = 4
    before = 0
    for row in range(height):
        start = (row + ABOVE) * stride + BEFORE * channels
        for column in range(-1, width):
            here = start + column * channels
            for channel in range(-1, channels):
                # what is coded: a row's flag, a place's flag, or a level; and under which contexts
                wanted, count, selected, tabled = 0, 1, 0, 0
                if column < 0:
                    if channel >= 0:
                        break
                    wanted = 1
                    if encode:
                        for i in range(start, start + width * channels):
                            if levels[i] != levels[i - stride]:
                                wanted = 0
                                break
                    selected = channels * SETS
                    for i in range(CONTEXTS):
                        context[i] = MASK - 2 * i - before
                elif channel < 0:
                    if channels * bits == 1:
                        continue
                    even = 1
                    for i in range(here, here + channels):
                        w = levels[i - channels]
                        if (
                            w != levels[i - stride]
                            or w != levels[i - stride - channels]
                            or w != levels[i - stride + channels]
                            or w != levels[i - 2 * channels]
                            or w != levels[i - 2 * stride]
                        ):
                            even = 0
                            break
                    if not even:
                        continue
                    wanted = 1
                    if encode:
                        for i in range(here, here + channels):
                            if levels[i] != levels[i - channels]:
                                wanted = 0
                                break
                    selected = channels * SETS + 1
                    w = levels[here - channels]
                    pattern = 0
                    pattern = 2 * pattern + (levels[here - stride + 2 * channels] != w)
                    pattern = 2 * pattern + (levels[here - stride - 2 * channels] != w)
                    pattern = 2 * pattern + (levels[here - 2 * stride + channels] != w)
                    pattern = 2 * pattern + (levels[here - 2 * stride - channels] != w)
                    pattern = 2 * pattern + (levels[here - stride + 3 * channels] != w)
                    pattern = 2 * pattern + (levels[here - 3 * channels] != w)
                    pattern = 2 * pattern + (levels[here - 3 * stride] != w)
                    for i in range(CONTEXTS):
                        seen = pattern >> (7 - i) if i < 7 else (pattern >> (CONTEXTS - i)) * 256 + w
                        context[i] = ((32 + i) * HASH + seen + 1) & MASK
                else:
                    i = here + channel
                    wanted, count, tabled = levels[i], bits, channel * CONTEXTS
                    w, n = levels[i - channels], levels[i - stride]
                    nw, ne = levels[i - stride - channels], levels[i - stride + channels]
                    ww, nn = levels[i - 2 * channels], levels[i - 2 * stride]
                    www = levels[i - 3 * channels]
                    gradient = min(max(w + n - nw, 0), 255)
                    context[0] = (0 * HASH + w + 1) & MASK
                    context[1] = (1 * HASH + n + 1) & MASK
                    context[2] = (((2 * HASH + w + 1) & MASK) * HASH + n + 1) & MASK
                    context[3] = (context[2] * HASH + nw + 1) & MASK
                    context[4] = (((4 * HASH + context[2] + 1) & MASK) * HASH + ne + 1) & MASK
                    context[5] = (context[3] * HASH + ne + 1) & MASK
                    context[6] = (((context[5] * HASH + ww + 1) & MASK) * HASH + nn + 1) & MASK
                    context[7] = (((7 * HASH + gradient + 1) & MASK) * HASH + (w + n >> 1) + 1) & MASK
                    context[8] = (((8 * HASH + w + 1) & MASK) * HASH + ww + 1) & MASK
                    context[8] = (context[8] * HASH + www + 1) & MASK
                    if channels == 1:
                        further = (context[6] * HASH + levels[i - stride + 2] + 1) & MASK
                        further = (further * HASH + levels[i - stride - 2] + 1) & MASK
                        further = (further * HASH + levels[i - 2 * stride + 1] + 1) & MASK
                        further = (further * HASH + levels[i - 2 * stride - 1] + 1) & MASK
                        further = (further * HASH + www + 1) & MASK
                        context[9] = further
                        further = (further * HASH + levels[i - stride + 3] + 1) & MASK
                        further = (further * HASH + levels[i - stride - 3] + 1) & MASK
                        further = (further * HASH + levels[i - 3 * stride] + 1) & MASK
                        context[10] = (further * HASH + levels[i - 4] + 1) & MASK
                        context[11] = (((11 * HASH + n + 1) & MASK) * HASH + nn + 1) & MASK
                        context[11] = (context[11] * HASH + ne + 1) & MASK
                        context[12] = 12
                        context[13] = (((13 * HASH + nw + 1) & MASK) * HASH + ne + 1) & MASK
                        context[13] = (context[13] * HASH + ww + 1) & MASK
                    else:
                        a = levels[i - 1] if channel > 0 else 0
                        b = levels[i - 2] if channel > 1 else 0
                        c = levels[i - 3] if channel > 2 else 0
                        west = levels[i - 1 - channels] if channel > 0 else nn
                        north = levels[i - 1 - stride] if channel > 0 else ne
                        context[9] = (((9 * HASH + a + 1) & MASK) * HASH + b + 1) & MASK
                        context[9] = (context[9] * HASH + c + 1) & MASK
                        context[10] = (((context[9] * HASH + w + 1) & MASK) * HASH + n + 1) & MASK
                        context[11] = (((11 * HASH + a + 1) & MASK) * HASH + b + 1) & MASK
                        context[11] = (context[11] * HASH + gradient + 1) & MASK
                        context[12] = (((12 * HASH + a + 1) & MASK) * HASH + west + 1) & MASK
                        context[12] = (context[12] * HASH + w + 1) & MASK
                        context[13] = (((13 * HASH + a + 1) & MASK) * HASH + north + 1) & MASK
                        context[13] = (context[13] * HASH + n + 1) & MASK
                        context[6] = (((context[6] * HASH + a + 1) & MASK) * HASH + b + 1) & MASK
                        context[5] = (((context[5] * HASH + a + 1) & MASK) * HASH + b + 1) & MASK
                        context[2] = (context[2] * HASH + a + 1) & MASK
                    selected = channel * SETS + 8 * ((w == n) + 2 * (n == ne))

                node = 1
                for k in range(count):
                    first = (selected + k) * (CONTEXTS + 1)
                    mixed = weights[first + CONTEXTS] * 256
                    for i in range(CONTEXTS):
                        slot = ((context[i] + node * NODE) & MASK) * SPREAD & MASK
                        slot = ((tabled + i) << table_bits) + (slot >> shift)
                        place[i] = slot
                        stretched[i] = stretch[tables[slot] >> 12]
                        mixed += weights[first + i] * stretched[i]
                    one = squash[min(max(mixed >> 16, -OUTERMOST), OUTERMOST) + OUTERMOST]

                    middle = low + ((high - low) * one >> 16)
                    bit = wanted >> (count - 1 - k) & 1 if encode else int(value <= middle)
                    if bit:
                        high = middle
                    else:
                        low = middle + 1
                    while (low ^ high) >> 24 == 0:
                        if encode:
                            if at + 1 >= len(data):
                                return -1
                            data[at] = high >> 24
                        else:
                            if at >= len(data):
                                return -1
                            value = (value << 8 & MASK) | data[at]
                        at += 1
                        low, high = low << 8 & MASK, (high << 8 & MASK) | 255

                    error = ((bit << 16) - one) * rate
                    for i in range(CONTEXTS):
                        weights[first + i] += stretched[i] * error + 0x20000 >> 18
                        slot = tables[place[i]]
                        chance, seen = slot >> 8, slot & 255
                        chance += ((bit << 16) - chance) * reciprocal[seen] >> 16
                        chance = min(max(chance, LEAST), MOST - 1 - LEAST)
                        tables[place[i]] = chance << 8 | min(seen + 1, COUNTED)
                    weights[first + CONTEXTS] += 256 * error + 0x20000 >> 18
                    node = 2 * node + bit

                # what it says
                found = node - (1 << count)
                if channel >= 0:
                    levels[here + channel] = found
                elif found and column < 0:
                    for i in range(start, start + width * channels):
                        levels[i] = levels[i - stride]
                    break
                elif found:
                    for i in range(here, here + channels):
                        levels[i] = levels[i - channels]
                    break
            if column < 0:
                before = found
                if found:
                    break
    if encode:  # the decoder reads zeros behind it: a number above low, and not above high
        data[at] = (low >> 24) + 1
        at += 1
    return at


compiled_planes = loop(code_planes)
