"""An archive's pictures on one stack: links of lanes, most of them coded by bits-back.

Bits-back needs bits on the stack to begin with, more for more lanes. So the first links pushed are coded by dither,
which needs none, and the links after them grow as the stack does:

    pushed first                                                                   pushed last, popped first
    | extra bytes | dithered pictures | 1 lane | 1 | 2 | 2 | 3 | ... | 256 lanes | 256 lanes | ... |

The decoder pops the last link first, so pictures are pushed from the last to the first: what stands at the front of an
archive is decoded first, and can be handed out before a damaged word is reached. Sizes follow from three numbers that
the file holds: how many pictures, how many of them dithered, and the ratio of growth.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vlcodec.codec.coding.latents import StackLow, dither, pop_chained, pop_dithered, push_chained, push_dithered
from vlcodec.codec.coding.pixels import PIXEL_PURPOSE
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import ArchiveDamage, FormatError
from vlcodec.codec.files.archive_file import CHECKED
from vlcodec.codec.interface import Bytes, ChainedModel, DitheredModel, Ints

LANES = 256  # of a link, at most
CREDIT_BYTES = 16  # of extra bytes that count for one picture already on the stack
SENTINEL = b"\x01"  # on top of extra bytes, so that their own zero bytes are kept
LAST_RATIO = 255
Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Models:
    """The two nets of a model that takes archives."""

    chained: ChainedModel
    dithered: DitheredModel


@dataclass(frozen=True)
class Link:
    """Pictures first .. first + count - 1, coded together."""

    first: int
    count: int
    dithered: bool


@dataclass(frozen=True)
class Coded:
    """What an archive's stack is, and the numbers that its links follow from; latents: of each link, as pushed."""

    stack: bytes
    dithered: int
    ratio: int
    latents: tuple[Ints, ...]
    start_bits: int  # on the stack before the first link coded by bits-back


def links(count: int, dithered: int, ratio: int, extra: int) -> Iterator[Link]:
    """Links in the order in which they are pushed: from the last picture to the first.

    dithered: how many pictures, from the end, are coded by dither. ratio: pictures on the stack that a lane of
    bits-back needs, 0 where all are dithered. extra: bytes on the stack's bottom.
    """
    done = 0
    while done < count:
        by_dither = done < dithered
        room = dithered - done if by_dither else max(1, (done + extra // CREDIT_BYTES) // ratio)
        size = min(room, LANES, count - done)
        yield Link(count - done - size, size, by_dither)
        done += size


def write(models: Models, pictures: Bytes, extra: bytes, seed: int, lossless: bool, tick: Tick | None = None) -> Coded:
    """Pictures (N, H, W[, 3]) uint8 on one stack. Lossy: the latents alone, all by dither."""
    count = len(pictures)
    if not lossless:
        return _push(models, pictures, extra, seed, False, count, 0, tick)
    for ratio in range(models.chained.least_ratio, LAST_RATIO + 1):
        dithered = min(count, max(0, ratio - len(extra) // CREDIT_BYTES))
        try:
            return _push(models, pictures, extra, seed, True, dithered, ratio, tick)
        except StackLow:
            continue
    return _push(models, pictures, extra, seed, True, count, 0, tick)


def _push(
    models: Models,
    pictures: Bytes,
    extra: bytes,
    seed: int,
    lossless: bool,
    dithered: int,
    ratio: int,
    tick: Tick | None,
) -> Coded:
    stack, latents, start_bits = Stack(extra + SENTINEL if extra else b""), list[Ints](), 0
    for link in links(len(pictures), dithered, ratio, len(extra)):
        part = pictures[link.first : link.first + link.count]
        if link.dithered:
            u = link_dither(models, link, seed)
            latents.append(push_dithered(models.dithered, part, u, lossless, stack))
        else:
            start_bits = start_bits or stack.bits
            latents.append(push_chained(models.chained, part, stack))
        if tick is not None:
            tick(len(pictures) - link.first, len(pictures))
    return Coded(stack.to_bytes(), dithered, ratio if dithered < len(pictures) else 0, tuple(latents), start_bits)


def link_dither(models: Models, link: Link, seed: int) -> Ints:
    """(count, latents): u of a link's latents; every picture has its own, by its number."""
    shape = (models.dithered.latents,)
    return np.stack([dither(seed, shape, link.first + i) for i in range(link.count)])


def read(
    models: Models,
    coded: bytes,
    count: int,
    dithered: int,
    ratio: int,
    extra: int,
    checks: tuple[int, ...],
    seed: int,
    drawn: int,
    tick: Tick | None = None,
) -> tuple[Bytes, bytes]:
    """(N, H, W[, 3]) pictures and the extra bytes.

    checks: of each run of 512 pictures; none in a lossy archive, whose pixels are drawn with the seed `drawn`.
    Raises ArchiveDamage, with the pictures before it, for a run that does not match its checksum, and with all of them
    where the stack does not end as it began (FormatError in a lossy archive, where nothing vouches for them).
    """
    stack, parts, done = Stack(coded), list[Bytes](), 0
    for link in reversed(list(links(count, dithered, ratio, extra))):
        if link.dithered:
            u = link_dither(models, link, seed)
            parts.append(pop_dithered(models.dithered, u, stack, None if checks else drawn, link.first, PIXEL_PURPOSE))
        else:
            parts.append(pop_chained(models.chained, link.count, stack))
        if checks:
            done = _check(parts, checks, done, count)
        if tick is not None:
            tick(link.first + link.count, count)
    bottom = stack.to_bytes()
    if (len(bottom), bottom[-1:]) != ((extra + 1, SENTINEL) if extra else (0, b"")):
        rule = "the stack must hold the extra bytes alone after the last picture; it does not"
        raise ArchiveDamage(rule, np.concatenate(parts)) if checks else FormatError(rule)
    return np.concatenate(parts), bottom[:extra]


def _check(parts: list[Bytes], checks: tuple[int, ...], done: int, count: int) -> int:
    """Hold all runs that are complete against their checksums, from number `done` on; how many are now done."""
    present = sum(map(len, parts))
    while done < len(checks) and present >= min(count, (done + 1) * CHECKED):
        parts[:] = [np.concatenate(parts)]
        first = done * CHECKED
        if zlib.crc32(parts[0][first : first + CHECKED].tobytes()) != checks[done]:
            raise ArchiveDamage(f"the archive is damaged from picture {first} on", parts[0][:first])
        done += 1
    return done


def checksums(pictures: Bytes) -> tuple[int, ...]:
    """CRC-32 of each run of 512 pictures, (N, H, W[, 3]) uint8."""
    return tuple(zlib.crc32(pictures[i : i + CHECKED].tobytes()) for i in range(0, len(pictures), CHECKED))
