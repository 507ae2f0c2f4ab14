"""Hostile files without a network: mutated pictures, archives, stored files and their metadata, at every reader.

    python benchmarks/mutations.py [--count 1000000] [--seed 0]

Each mutation is read as it is, and once more with every checksum taken for right, as whoever writes a hostile file can
make it. A reader gives something, or raises FormatError: anything else ends the run, and the mutation is shown. The
slowest one and the growth of memory are told.
"""

from __future__ import annotations

import random
import resource
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

from common import keep, parser, say, show

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import archive_file, chunks, composite_file, picture_file, stored_file, wire
from vlcodec.codec.files.archive_file import ArchiveFile, ArchiveHeader, Starter
from vlcodec.codec.files.chunks import EXIF, ICC, LATENTS, RESOLUTION, TEXT, XMP
from vlcodec.codec.files.composite_file import Composite, Planes
from vlcodec.codec.files.metadata import (
    Metadata,
    Resolution,
    pack_resolution,
    pack_text,
    unpack_resolution,
    unpack_text,
)
from vlcodec.codec.files.palette import Bilevel, Colours, Transparent, pack_palette, unpack_palette
from vlcodec.codec.files.picture_file import Band, File, Header
from vlcodec.codec.files.stored_file import Stored
from vlcodec.codec.files.wire import CRC_BYTES

EXTREMES = (b"\0", b"\xff", b"\x80", b"\x7f", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x10", b"\xff" * 9 + b"\x01")
AT_ONCE, REPORTED = 1_000, 100_000  # mutations that are made together, and between two signs of life


class Any32(int):
    """A checksum that equals every other."""

    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def seeds() -> list[bytes]:
    """Small sound files of every kind and version."""
    rng, digest = random.Random(0), b"ab"
    metadata = (
        (ICC, rng.randbytes(60)),
        (EXIF, b"II*\0" + bytes(40)),
        (XMP, b"<x:xmpmeta/>" * 9),
        (TEXT, pack_text("Title", "a picture")),
        (TEXT, pack_text("Comment", "of nothing " * 20)),
        (RESOLUTION, pack_resolution(Resolution("inch", 300_000, 300_000))),
    )
    found = []
    for version in (1, 2):
        for lossless in (False, True):
            header = Header(9, digest, 640, 1100, False, lossless, 1, 300 * version, version)
            bands = tuple(Band(rng.randbytes(30), number) for number in range(header.bands * lossless))
            found.append(picture_file.pack(File(header, rng.randbytes(20), bands)))
            if version == 2:
                more = (rng.randbytes(9), b"", rng.randbytes(3))
                clear, low = (b"", pack_palette(Transparent(b"abc"))), (b"", b"", rng.randbytes(30))
                for beside in (clear, low) if lossless else ((rng.randbytes(30),),):
                    rest = (bands, more, b"changes" * lossless, metadata, *beside)
                    found.append(picture_file.pack(File(header, rng.randbytes(20), *rest)))
        for starter in (None, Starter(3, digest)) if version == 2 else (None,):
            counts = (600, True, 9, 4, 80, 7, version, starter)
            archive = ArchiveHeader(2, digest, 28, 28, *counts)
            names = tuple(f"picture {number}.png" for number in range(600))
            found.append(archive_file.pack(ArchiveFile(archive, names, tuple(range(archive.runs)), rng.randbytes(90))))
    colours = pack_palette(Colours(rng.randbytes(90), rng.randbytes(7)))
    composites = [
        Composite(metadata, b"", Planes(640, 1100, 4, rng.randbytes(50))),
        Composite((), colours, Planes(30, 20, 1, rng.randbytes(50))),
        Composite((), pack_palette(Bilevel()), Planes(9, 8, 1, rng.randbytes(50))),
        Composite(metadata[:2], other=Stored("WebP", rng.randbytes(50)), kept="bilevel"),
    ]
    found += map(composite_file.pack_composite, composites)
    return [*found, *(stored_file.pack_stored(Stored(name, rng.randbytes(50))) for name in ("PNG", "JPEG XL"))]


def mutated(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """One to four alterations, most of them near the front, where lengths and counts are."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(min(len(out), 80) + 1) if rng.random() < 0.7 else rng.randrange(len(out) + 1)
        match rng.randrange(7):
            case 0 | 1 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 2 if at < len(out):
                out[at] = rng.randrange(256)
            case 3:
                del out[at : at + rng.randint(1, 9)]
            case 4:
                out[at:at] = rng.choice(EXTREMES)
            case 5:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                out[at : at + rng.randint(0, 40)] = other[start : start + rng.randint(1, 40)]
            case _:
                del out[at:]
    return bytes(out)


def repaired(data: bytes) -> bytes:
    """The same bytes with checksums that fit, as far as the front says where they are."""
    out = bytearray(data)
    with trusting():
        try:
            table = _table(data)
        except FormatError:
            table = None
    if table is not None and table.total == len(out):
        out[table.size - chunks.FRONT_CRC_BYTES : table.size] = chunks.front_checksum(
            out[: table.size - chunks.FRONT_CRC_BYTES]
        )
        for place in table.places[:-1]:
            if place.type == LATENTS:
                crc = zlib.crc32(out[: place.end])
                out[place.end : place.end + CRC_BYTES] = crc.to_bytes(CRC_BYTES, "little")
    body = out[:-CRC_BYTES]
    return bytes(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little"))


def _table(data: bytes) -> chunks.Table | None:
    """Where chunks of a version 2 picture or a composite lie. Raises FormatError where its front does not tell."""
    from vlcodec.codec.files import picture_v2

    if len(data) <= len(wire.MAGIC) or data[len(wire.MAGIC)] >> 4 != 2:
        return None
    if composite_file.is_composite(data):
        return composite_file._read_start(2, data)
    return picture_v2._read_start(data)[1]


@contextmanager
def trusting() -> Iterator[None]:
    """Every checksum of a container is taken for right."""
    crc = SimpleNamespace(crc32=lambda *_: Any32())
    with (
        mock.patch.object(chunks, "front_checksum", return_value=mock.ANY),
        mock.patch.object(chunks, "sound", return_value=True),
        mock.patch.object(wire, "sound", return_value=True),
        mock.patch.object(chunks, "zlib", crc),
    ):
        yield


def _picture(data: bytes) -> None:
    file = picture_file.unpack(data)
    _metadata(file.metadata)
    if file.palette:
        unpack_palette(file.palette)


def _metadata(metadata: Metadata) -> None:
    for kind, content in metadata:
        if kind in (TEXT, RESOLUTION):
            (unpack_text if kind == TEXT else unpack_resolution)(content)


def _composite(data: bytes) -> None:
    composite = composite_file.unpack_composite(data)
    _metadata(composite.metadata)
    if composite.palette:
        unpack_palette(composite.palette)


READERS: dict[str, Callable[[bytes], Any]] = {
    "picture": _picture,
    "header": picture_file.read_header,
    "preview": picture_file.preview,
    "pieces": picture_file.pieces,
    "archive": archive_file.unpack,
    "damaged archive": lambda data: archive_file.unpack(data, damaged=True),
    "stored": stored_file.unpack_stored,
    "composite": _composite,
    "front of a composite": composite_file.describe,
}


def read_all(data: bytes) -> Iterator[str]:
    """The readers that give something. Raises what is not FormatError."""
    for name, read in READERS.items():
        try:
            read(data)
        except FormatError:
            continue
        yield name


def seconds(data: bytes, how: str, given: Counter[str]) -> float:
    """That a mutation takes; who gives something for it is counted. Ends the run where anything else happens."""
    start = time.thread_time()
    try:
        given.update(f"{name}, {how}" for name in read_all(data))
    except Exception as error:
        raise SystemExit(f"{data.hex()}, {how}: {error!r}") from error
    return time.thread_time() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Mutate, keep, show."""
    options = parser(__doc__, "mutations")
    options.add_argument("--count", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args(arguments)
    rng, files, given = random.Random(chosen.seed), seeds(), Counter[str]()
    before, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0.0
    for done in range(0, chosen.count, AT_ONCE):
        some = [mutated(rng.choice(files), files, rng) for _ in range(min(AT_ONCE, chosen.count - done))]
        for how, state in (("as it is", nullcontext), ("checksums right", trusting)):
            with state():
                slowest = max(slowest, *(seconds(data, how, given) for data in some))
        if done % REPORTED == 0:
            say(f"{done + len(some):,} mutations, slowest {slowest:.3f} s")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    found = {"count": chosen.count, "seed": chosen.seed, "slowest_seconds": slowest, "memory_grown_bytes": grown}
    keep(chosen.out, found | {"accepted": dict(sorted(given.items()))})
    show(
        ["mutations", "other than FormatError", "slowest, s", "memory grown, MiB"],
        [[f"{chosen.count:,}", "0", f"{slowest:.3f}", f"{grown / 2**20:.1f}"]],
    )
    show(["accepted by", "mutations"], [[name, f"{count:,}"] for name, count in sorted(given.items())])


if __name__ == "__main__":
    main()
