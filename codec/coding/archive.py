"""An archive's pictures on one stack: links of lanes, most of them coded by bits-back.

Bits-back needs bits on the stack to begin with, more for more lanes. So the first links pushed are coded by the
starter, whose posterior takes none, and the links after them grow as the stack does:

    pushed first                                                                   pushed last, popped first
    | extra bytes | starter's pictures | 1 lane | 1 | 2 | 2 | 3 | ... | 256 lanes | 256 lanes | ... |

The decoder pops the last link first, so pictures are pushed from the last to the first: what stands at the front of an
archive is decoded first, and can be handed out before a damaged word is reached. Sizes follow from three numbers that
the file holds: how many pictures, how many of them coded by the starter, and the ratio of growth.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.latents import SENTINEL, StackLow, dither_of, pop, push
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import ArchiveDamage, FormatError
from vlcodec.codec.files.archive_file import CHECKED, ArchiveFile
from vlcodec.codec.interface import Bytes, LatentNet, Tick

LANES = 256  # of a link, at most
CREDIT_BYTES = 16  # of extra bytes that count for one picture already on the stack
LAST_RATIO = 255


@dataclass(frozen=True)
class Nets:
    """What codes an archive. chained: by bits-back; None where the starter codes all. starter: without start-up bits;
    it may be of another model."""

    chained: LatentNet | None
    starter: LatentNet


@dataclass(frozen=True)
class Link:
    """Pictures first .. first + count - 1, coded together. dithered: by the starter."""

    first: int
    count: int
    dithered: bool


@dataclass(frozen=True)
class Coded:
    """What an archive's stack is, and the numbers that its links follow from.

    promised: bits by section, of the starter's links and of the chained ones. start_bits: on the stack before the
    first chained link. lanes: of the largest link.
    """

    stack: bytes
    dithered: int
    ratio: int
    start_bits: int
    lanes: int
    starter_promised: dict[str, float]
    chained_promised: dict[str, float]
    dithered_latents: int  # that the starter coded by dither


def links(count: int, dithered: int, ratio: int, extra: int) -> Iterator[Link]:
    """Links in the order in which they are pushed: from the last picture to the first.

    dithered: how many pictures, from the end, the starter codes. ratio: pictures on the stack that a lane of
    bits-back needs, 0 where the starter codes all. extra: bytes on the stack's bottom.
    """
    done = 0
    while done < count:
        by_starter = done < dithered
        room = dithered - done if by_starter else max(1, (done + extra // CREDIT_BYTES) // ratio)
        size = min(room, LANES, count - done)
        yield Link(count - done - size, size, by_starter)
        done += size


def write(
    nets: Nets, pictures: Bytes, extra: bytes, seed: int, lossless: bool, metered: bool, tick: Tick | None = None
) -> Coded:
    """Pictures (n, H, W, C) uint8 on one stack. Lossy: the latents alone, all by the starter.

    metered: whether what the likelihood promises is kept, which takes time.
    """
    count = len(pictures)
    compiled.expect(pictures.size)
    if lossless and nets.chained is not None:
        for ratio in range(nets.chained.least_ratio, LAST_RATIO + 1):
            dithered = min(count, max(0, ratio - len(extra) // CREDIT_BYTES))
            plan = list(links(count, dithered, ratio, len(extra)))
            begun = plan[: 1 + sum(link.dithered for link in plan)]
            try:  # the first chained link tells, so that the whole is encoded once
                _push(nets, pictures, extra, seed, True, begun)
                return _push(nets, pictures, extra, seed, True, plan, ratio, metered, tick)
            except StackLow:
                continue
    return _push(nets, pictures, extra, seed, lossless, list(links(count, count, 0, len(extra))), 0, metered, tick)


def _push(
    nets: Nets,
    pictures: Bytes,
    extra: bytes,
    seed: int,
    lossless: bool,
    plan: list[Link],
    ratio: int = 0,
    metered: bool = False,
    tick: Tick | None = None,
) -> Coded:
    """Push the links of a plan. Raises StackLow where bits-back runs dry."""
    stack = Stack(extra + SENTINEL if extra else b"")
    meters = {by_starter: Meter(stack) for by_starter in (False, True)}
    start_bits = lanes = dithered_latents = 0
    dithered = sum(link.count for link in plan if link.dithered)
    for link in plan:
        part = pictures[link.first : link.first + link.count]
        net = net_of(nets, link)
        u = dither_of(net, seed, link.first, *part.shape[:3])
        start_bits = start_bits or (0 if link.dithered else stack.bits)
        latents = push(net, part, u, meters[link.dithered] if metered else stack, lossless)
        dithered_latents += latents.size if net.posterior_kind == "dithered" else 0
        lanes = max(lanes, link.count)
        if tick is not None:
            tick(len(pictures) - link.first, len(pictures))
    return Coded(
        stack.to_bytes(),
        dithered,
        ratio if dithered < len(pictures) else 0,
        start_bits,
        lanes,
        dict(meters[True].promised),
        dict(meters[False].promised),
        dithered_latents,
    )


def net_of(nets: Nets, link: Link) -> LatentNet:
    """The net that codes a link. Raises FormatError where bits-back is needed and no net has it."""
    if link.dithered:
        return nets.starter
    if nets.chained is None:
        raise FormatError("the archive's pictures are coded by bits-back: its model has no net for it")
    return nets.chained


def read(nets: Nets, file: ArchiveFile, drawn: int, colours: int, tick: Tick | None = None) -> tuple[Bytes, bytes]:
    """(n, H, W, C) pictures and the extra bytes. drawn: the seed of a lossy archive's pixels.

    Raises ArchiveDamage, with the pictures before it, for a run that does not match its checksum, and with all of them
    where the stack does not end as it began (FormatError in a lossy archive, where nothing vouches for them).
    """
    header, checks = file.header, file.checks
    stack, parts, done = Stack(file.stack), list[Bytes](), 0
    size = (header.height, header.width, colours)
    compiled.expect(header.count * prod(size))
    for link in reversed(list(links(header.count, header.dithered, header.ratio, header.extra))):
        net = net_of(nets, link)
        u = dither_of(net, header.seed, link.first, link.count, header.height, header.width)
        pixels = link.count * header.height * header.width * colours
        noise = None if checks else Noise(drawn, PIXEL_PURPOSE, link.first, pixels)
        parts.append(pop(net, u, stack, *size, noise))
        if checks:
            done = _check(parts, checks, done, header.count)
        if tick is not None:
            tick(link.first + link.count, header.count)
    bottom = stack.to_bytes()
    if (len(bottom), bottom[-1:]) != ((header.extra + 1, SENTINEL) if header.extra else (0, b"")):
        rule = "the stack must hold the extra bytes alone after the last picture; it does not"
        raise ArchiveDamage(rule, np.concatenate(parts)) if checks else FormatError(rule)
    return np.concatenate(parts), bottom[: header.extra]


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
    """CRC-32 of each run of 512 pictures, (n, H, W, C) uint8."""
    return tuple(zlib.crc32(pictures[i : i + CHECKED].tobytes()) for i in range(0, len(pictures), CHECKED))
