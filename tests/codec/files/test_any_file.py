"""Any file of any kind and version comes back, and any bytes raise nothing but FormatError."""

import random
import zlib
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import archive_file, chunks, composite_file, picture_file, stored_file
from vlcodec.codec.files.archive_file import CHECKED, ArchiveFile, ArchiveHeader, Starter
from vlcodec.codec.files.chunks import EXIF, ICC, RESOLUTION, TEXT, XMP
from vlcodec.codec.files.composite_file import KEPT, Composite, Planes
from vlcodec.codec.files.metadata import Metadata
from vlcodec.codec.files.palette import Bilevel, Colours, Palette, Transparent, pack_palette, unpack_palette
from vlcodec.codec.files.picture_data import MAX_NEAR
from vlcodec.codec.files.picture_file import BAND_ROWS, MAX_PIXELS, MAX_SIDE, Band, File, Header
from vlcodec.codec.files.stored_file import FORMATS, Stored

SOME = st.binary(max_size=200)
WORDS = st.integers(0, 2**32 - 1)
DIGESTS = st.binary(min_size=2, max_size=2)
SEEDS = st.just(0) | st.integers(0, 2**64 - 1)
VERSIONS = st.integers(1, 2)
NAMES = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1, max_size=60)


@st.composite
def sides(draw: st.DrawFn) -> tuple[int, int]:
    """(width, height) within the limits; at most three bands."""
    width = draw(st.integers(1, MAX_SIDE))
    return width, draw(st.integers(1, min(MAX_PIXELS // width, 3 * BAND_ROWS)))


@st.composite
def metadata(draw: st.DrawFn) -> Metadata:
    some = st.binary(min_size=1, max_size=50)
    kinds = sorted(draw(st.sets(st.sampled_from((ICC, EXIF, XMP, RESOLUTION)))) | draw(st.sets(st.just(TEXT))))
    return tuple((k, draw(some)) for kind in kinds for k in [kind] * (draw(st.integers(1, 3)) if kind == TEXT else 1))


@st.composite
def pictures(draw: st.DrawFn) -> File:
    version, lossless = draw(VERSIONS), draw(st.booleans())
    quality = draw(st.integers(0, 255))
    hundredths = draw(st.integers(0, 99)) if version == 2 and quality < 255 else 0
    fields = draw(WORDS), draw(DIGESTS), *draw(sides()), draw(st.booleans()), lossless, quality, draw(SEEDS)
    near = draw(st.integers(0, MAX_NEAR)) if version == 2 and lossless else 0
    header = Header(*fields, version, hundredths, near)
    bands = tuple(Band(draw(SOME), draw(WORDS)) for _ in range(header.bands * lossless))
    if version == 1:
        return File(header, draw(SOME), bands)
    more = tuple(draw(st.lists(SOME, max_size=4)))
    alpha, palette = draw(st.just(b"") | SOME), b""
    if header.exact and not alpha and draw(st.booleans()):
        channels = 1 if header.grey else 3
        found: Palette = Transparent(draw(st.binary(min_size=channels, max_size=channels)))
        palette = pack_palette(Bilevel() if header.grey and draw(st.booleans()) else found)
    file = File(header, draw(SOME), bands, more, draw(st.just(b"") | SOME), draw(metadata()), alpha, palette)
    return picture_file.as_written(file)


@st.composite
def archives(draw: st.DrawFn) -> ArchiveFile:
    version, lossless, model = draw(VERSIONS), draw(st.booleans()), draw(WORDS)
    width, height = draw(sides())
    count = draw(st.integers(1, min(MAX_PIXELS // (width * height), 3 * CHECKED)))
    dithered = draw(st.integers(0, count)) if lossless else count
    ratio = draw(st.integers(1, 255)) if dithered < count else 0
    starter = None
    if version == 2 and 0 < dithered < count:
        starter = draw(st.none() | st.builds(Starter, WORDS.filter(lambda number: number != model), DIGESTS))
    numbers = count, lossless, dithered, ratio, draw(st.integers(0, 2**28)), draw(SEEDS)
    header = ArchiveHeader(model, draw(DIGESTS), width, height, *numbers, version, starter)
    names: tuple[str, ...] = ()
    if draw(st.booleans()):
        first = draw(NAMES.filter(lambda name: name not in (".", "..")))
        names = (first, *(f"{number}" for number in range(10**6, 10**6 + count - 1)))
        names = names if len(set(names)) == len(names) else ()
    checks = tuple(draw(WORDS) for _ in range(header.runs))
    return ArchiveFile(header, names, checks, draw(SOME))


@st.composite
def palettes(draw: st.DrawFn) -> Palette:
    count = draw(st.integers(1, 256))
    colours = st.binary(min_size=3 * count, max_size=3 * count)
    levels = st.sampled_from((1, 3)).flatmap(lambda channels: st.binary(min_size=channels, max_size=channels))
    return draw(
        st.just(Bilevel()) | st.builds(Colours, colours, st.binary(max_size=count)) | st.builds(Transparent, levels)
    )


@st.composite
def composites(draw: st.DrawFn) -> Composite:
    if draw(st.booleans()):
        return Composite(draw(metadata()), other=draw(STORED), kept=draw(st.sampled_from(KEPT)))
    palette = draw(st.none() | palettes())
    channels = draw(st.integers(1, 4)) if palette is None else 1
    if isinstance(palette, Transparent):
        channels = len(palette.colour)
    planes = Planes(*draw(sides()), channels, draw(SOME))
    return Composite(draw(metadata()), b"" if palette is None else pack_palette(palette), planes)


STORED = st.builds(Stored, st.sampled_from(list(FORMATS.values())), st.binary(min_size=1, max_size=200))


def sealed(body: bytes) -> bytes:
    """The body with a correct checksum, so that a test meets the checks behind it."""
    return body + zlib.crc32(body).to_bytes(4, "little")


# ---- round trips ---------------------------------------------------------------------------------------------------


@given(pictures())
def test_pictures_come_back(file: File) -> None:
    data = picture_file.pack(file)
    assert picture_file.unpack(data) == file
    assert picture_file.read_header(data) == file.header
    assert picture_file.pack(picture_file.unpack(data)) == data
    assert sum(picture_file.sizes(file).values()) == len(data)
    assert picture_file.preview(data).groups == file.groups


@given(archives())
def test_archives_come_back(file: ArchiveFile) -> None:
    data = archive_file.pack(file)
    assert archive_file.unpack(data) == file
    assert archive_file.unpack(data[:-1] + bytes([data[-1] ^ 1]), damaged=True) == file
    assert sum(archive_file.sizes(file).values()) == len(data)


@given(STORED)
def test_stored_pictures_come_back(stored: Stored) -> None:
    data = stored_file.pack_stored(stored)
    assert stored_file.unpack_stored(data) == stored
    assert stored_file.is_stored(data)
    assert len(data) == len(stored.data) + 10


@given(composites())
def test_composites_come_back(composite: Composite) -> None:
    data = composite_file.pack_composite(composite)
    assert composite_file.unpack_composite(data) == composite
    assert composite_file.pack_composite(composite_file.unpack_composite(data)) == data
    assert composite_file.is_composite(data)
    assert sum(composite_file.sizes(composite).values()) == len(data)


@given(palettes())
def test_palettes_come_back(palette: Palette) -> None:
    assert unpack_palette(pack_palette(palette)) == palette


# ---- any bytes -----------------------------------------------------------------------------------------------------


READERS: tuple[Callable[[bytes], object], ...] = (
    picture_file.unpack,
    archive_file.unpack,
    stored_file.unpack_stored,
    composite_file.unpack_composite,
)


def read_all(data: bytes) -> None:
    """All readers: each gives something or raises FormatError."""
    for unpack in READERS:
        with suppress(FormatError):
            unpack(data)
    with suppress(FormatError):
        archive_file.unpack(data, damaged=True)
    for read in (picture_file.read_header, picture_file.preview):
        with suppress(FormatError):
            read(data)


@given(st.binary(max_size=80), st.integers(0x10, 0x2F))
@example(b"", 0x20)
def test_any_bytes_raise_nothing_but_format_errors(body: bytes, low: int) -> None:
    body = picture_file.MAGIC + bytes([low]) + body
    for data in (body, sealed(body)):
        read_all(data)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to three alterations: a byte changed, some removed, some put in, the end cut off."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(4):
            case 0 if at < len(out):
                out[at] ^= rng.randrange(1, 256)
            case 1:
                del out[at : at + rng.randint(1, 4)]
            case 2:
                out[at:at] = rng.randbytes(rng.randint(1, 4))
            case _:
                del out[at:]
    return bytes(out)


def check_mutation(pack: Callable[[], bytes], seed: int) -> None:
    """A mutated file is refused as it is; with its checksums made good, all that it raises is FormatError."""
    data, rng = pack(), random.Random(seed)
    other = mutated(data, rng)
    read_all(other)
    if other != data:
        for unpack in READERS:
            with pytest.raises(FormatError):
                unpack(other)
    read_all(sealed(other[:-4]))
    with mock.patch.object(chunks, "front_checksum", return_value=mock.ANY):
        read_all(sealed(other[:-4]))


FILES = (
    pictures().map(lambda file: lambda: picture_file.pack(file))
    | archives().map(lambda file: lambda: archive_file.pack(file))
    | STORED.map(lambda stored: lambda: stored_file.pack_stored(stored))
    | composites().map(lambda composite: lambda: composite_file.pack_composite(composite))
)


@given(FILES, WORDS)
def test_mutated_files_raise_nothing_but_format_errors(pack: Callable[[], bytes], seed: int) -> None:
    check_mutation(pack, seed)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(FILES, WORDS)
def test_ten_thousand_mutated_files(pack: Callable[[], bytes], seed: int) -> None:
    check_mutation(pack, seed)


@given(pictures(), st.data())
def test_every_front_of_a_picture_gives_whole_groups_or_an_error(file: File, data: st.DataObject) -> None:
    packed = picture_file.pack(file)
    cut = packed[: data.draw(st.integers(0, len(packed)))]
    try:
        groups = picture_file.preview(cut).groups
    except FormatError:
        return
    assert groups == file.groups[: len(groups)]


@given(archives())
def test_runs(file: ArchiveFile) -> None:
    assert file.header.runs == (ceil(file.header.count / CHECKED) if file.header.lossless else 0)
