"""Version 2: the examples of the specification, what small files cost, what is refused, and fronts of files."""

import re
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vlcodec.codec import files
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import archive_file, composite_file, picture_file, stored_file
from vlcodec.codec.files import wire as fields
from vlcodec.codec.files.archive_file import ArchiveFile, ArchiveHeader, Starter
from vlcodec.codec.files.chunks import (
    EXIF,
    ICC,
    LATENTS,
    MAX_CHUNKS,
    RESOLUTION,
    TEXT,
    Chunk,
    front_checksum,
    join,
)
from vlcodec.codec.files.composite_file import Composite, Planes
from vlcodec.codec.files.metadata import (
    MAX_METADATA,
    Resolution,
    pack_resolution,
)
from vlcodec.codec.files.palette import Bilevel, Colours, Transparent, pack_palette, unpack_palette
from vlcodec.codec.files.picture_file import (
    Band,
    File,
    Header,
    expected_size,
    preview,
    read_header,
    split_quality,
    unpack,
)
from vlcodec.codec.files.stored_file import Stored
from vlcodec.codec.files.wire import deflate
from vlcodec.models import registry

MODEL = 9, b"\x5e\xed"
SMALL = Header(*MODEL, width=28, height=28, grey=False, lossless=False, quality=2, seed=0, version=2, hundredths=35)
LOSSY = File(replace(SMALL, width=300, height=200), b"\xc0\xff\xee")
PIXELS = bytes([10, 20, 30, 40, 50, 60])
LOSSLESS = File(
    Header(200, b"\x5e\xed", 3, 2, grey=True, lossless=True, quality=1, seed=7, version=2),
    b"\xc0\xff\xee",
    (Band(b"\x0b\xad\xca\xfe", zlib.crc32(PIXELS)),),
    refinements=(b"\xab",),
    changes=b"\x12\x34",
    metadata=((RESOLUTION, pack_resolution(Resolution("inch", 300_000, 300_000))),),
)
CHECKS = zlib.crc32(bytes([0, 255, 255])), 0
ARCHIVE = ArchiveFile(
    ArchiveHeader(*MODEL, 1, 1, 3, True, 1, ratio=25, extra=0, seed=0, version=2, starter=Starter(10, b"\xf0\x0d")),
    (),
    CHECKS[:1],
    b"\x0b\xad\xca\xfe",
)
STORED = Stored("PNG", b"\x89PNG")
COMPOSITE = Composite(
    ((RESOLUTION, pack_resolution(Resolution("inch", 300_000, 300_000))),),
    pack_palette(Bilevel()),
    Planes(3, 2, 1, bytes.fromhex("B8 AD D5 B8 02 00 01 CF 0E")),
)
OTHER = Composite(other=Stored("WebP", b"RIFF"), kept="grey")
DATA = {
    "lossy": picture_file.pack(LOSSY),
    "lossless": picture_file.pack(LOSSLESS),
    "archive": archive_file.pack(ARCHIVE),
    "stored": stored_file.pack_stored(STORED),
    "composite": composite_file.pack_composite(COMPOSITE),
    "other": composite_file.pack_composite(OTHER),
}
UNPACK: dict[str, Callable[[bytes], Any]] = {
    "lossy": unpack,
    "lossless": unpack,
    "archive": archive_file.unpack,
    "stored": stored_file.unpack_stored,
    "composite": composite_file.unpack_composite,
    "other": composite_file.unpack_composite,
}
KINDS = pytest.mark.parametrize("kind", DATA)

FRONT = fields.MAGIC + b"\x20\x09\x5e\xed\x1c\x1c\x64"  # a header of 28 x 28 at quality 1


def sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def front(table: bytes, header: bytes = FRONT) -> bytes:
    """A header and a table with the checksum that fits them."""
    return header + table + front_checksum(header + table)


# ---- the specification ---------------------------------------------------------------------------------------------


def specification() -> str:
    return (Path(files.__file__).parents[1] / "FORMAT.md").read_text(encoding="utf-8")


def test_examples_of_the_specification() -> None:
    examples = specification().split("## Examples of version 2")[1].split("\n## ")[0]
    rows = [re.match(r" {4}((?:[0-9A-F]{2} )*[0-9A-F]{2})  ", line) for line in examples.splitlines()]
    assert b"".join(bytes.fromhex(row[1]) for row in rows if row) == b"".join(DATA.values())


def test_front_checksum() -> None:
    assert front_checksum(b"123456789") == bytes.fromhex("B1 29")


def test_the_table_of_chunk_types_is_the_code_s() -> None:
    from vlcodec.codec.files.chunks import TITLES

    rows = re.findall(r"^\| (\d+) +\| (critical|skippable) \| ([^|]+?) +\|", specification(), re.MULTILINE)
    assert [(int(number), title) for number, _, title in rows] == sorted(TITLES.items())
    assert all((int(number) % 2 == 0) == (rule == "critical") for number, rule, _ in rows)


def test_the_digests_of_released_numbers_are_those_in_files() -> None:
    """The golden files hold them; whatever becomes of the weights files, these literals stay."""
    rows = re.findall(r"^\| (\d+) \| `([a-z0-9-]+)` +\| `([0-9A-F]{2} [0-9A-F]{2})` \|", specification(), re.MULTILINE)
    table = {int(number): bytes.fromhex(digest) for number, _, digest in rows}
    assert sorted(table) == sorted(entry.number for entry in registry.ENTRIES)
    found = {}
    for path in (Path(__file__).parents[2] / "golden").rglob("*.vlz"):
        data = path.read_bytes()
        if composite_file.is_composite(data):
            continue
        header = archive_file.unpack(data).header if fields.is_archive(data) else read_header(data)
        found[header.model_id] = header.digest
    assert found == table


# ---- sizes ---------------------------------------------------------------------------------------------------------


def test_overhead_of_tiny_files() -> None:
    assert len(picture_file.pack(File(SMALL, b""))) == 20
    assert len(picture_file.pack(File(replace(SMALL, quality=1, hundredths=27), b""))) == 19
    assert len(stored_file.pack_stored(Stored("WebP", b"x"))) == 11
    assert len(archive_file.pack(replace(ARCHIVE, header=replace(ARCHIVE.header, starter=None)))) == 22 + 2 + 4 + 4


def test_sizes() -> None:
    expected = {"header": 41, "latents": 4, "changes": 2, "pixels": 4, "metadata": 7}
    assert picture_file.sizes(LOSSLESS) == expected
    assert sum(expected.values()) == len(DATA["lossless"])
    assert archive_file.sizes(ARCHIVE)["checksums"] == 4


def test_qualities_with_decimals() -> None:
    assert SMALL.level == 2.35
    assert [split_quality(level) for level in (0, 2.35, 3.999, 255)] == [(0, 0), (2, 35), (4, 0), (255, 0)]
    for quality, hundredths in ((255, 1), (1, 100), (1, -1)):
        with pytest.raises(FormatError, match="the quality's hundredths is"):
            replace(SMALL, quality=quality, hundredths=hundredths)


# ---- fronts --------------------------------------------------------------------------------------------------------


def test_a_front_is_enough_for_the_header_and_is_trusted() -> None:
    data = DATA["lossless"]
    size = next(n for n in range(len(data)) if _reads(data[:n]))
    assert data[size - 2 : size] == front_checksum(data[: size - 2])
    assert read_header(data[:size]) == LOSSLESS.header
    assert expected_size(data[:size]) == len(data)
    for at in range(size):
        for change in range(1, 256):
            altered = bytearray(data[:size])
            altered[at] ^= change
            assert not _reads(bytes(altered)) or altered[4] >> 4 == 1  # version 1 has no such checksum


def _reads(data: bytes) -> bool:
    try:
        read_header(data)
    except FormatError:
        return False
    return True


def test_a_file_cut_after_a_group_is_checked_like_a_whole_one() -> None:
    file = File(SMALL, b"first", refinements=(b"", b"third", b"fourth"))
    data = picture_file.pack(file)
    found = {}
    for length in range(len(data) + 1):
        with suppress(FormatError):
            found[length] = preview(data[:length]).groups
    assert list(found.values())[-1] == file.groups
    ends = [length for length in found if found[length] != found.get(length - 1)]
    assert len(ends) == 4
    for end in ends:
        assert fields.sound(data[:end])
        altered = bytearray(data[:end])
        altered[-1] ^= 1
        with pytest.raises(FormatError, match="of the latents is damaged"):
            preview(bytes(altered))


def test_a_preview_of_a_lossless_file_is_lossy() -> None:
    found = preview(DATA["lossless"][:50])
    assert found == File(replace(LOSSLESS.header, lossless=False), b"\xc0\xff\xee", refinements=(b"\xab",))
    one = File(replace(SMALL, version=1, hundredths=0, lossless=True), b"\xc0", (Band(b"", 0),))
    assert preview(picture_file.pack(one)) == File(replace(one.header, lossless=False), b"\xc0")


# ---- refusals ------------------------------------------------------------------------------------------------------


@KINDS
def test_every_truncation_is_refused(kind: str) -> None:
    for length in range(len(DATA[kind])):
        with pytest.raises(FormatError):
            UNPACK[kind](DATA[kind][:length])


@KINDS
def test_every_altered_byte_is_refused(kind: str) -> None:
    for at in range(len(DATA[kind])):
        for change in range(1, 256):
            altered = bytearray(DATA[kind])
            altered[at] ^= change
            with pytest.raises(FormatError):
                UNPACK[kind](bytes(altered))


@KINDS
def test_each_reader_takes_its_kind_alone(kind: str) -> None:
    for other in UNPACK:
        if UNPACK[other] is not UNPACK[kind]:
            with pytest.raises(
                FormatError, match=r"not a .*picture|not a coded one|not an archive|not a composite|cut short"
            ):
                UNPACK[other](DATA[kind])
    assert fields.is_archive(DATA[kind]) == (kind == "archive")
    assert stored_file.is_stored(DATA[kind]) == (kind == "stored")
    assert composite_file.is_composite(DATA[kind]) == (kind in ("composite", "other"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (sealed(fields.MAGIC + b"\x30" + bytes(20)), "format version 3; this one reads 1 to 2"),
        (DATA["lossy"][:18], "cut short: the file has 18 bytes, the smallest .vlz file has 19"),
        (DATA["lossless"][:-7], "cut short: the file has 51 bytes of 58"),
        (DATA["lossy"] + b"\0", "the file has 26 bytes, 1 of them after its end"),
        (DATA["lossy"][:-1] + b"\0", "checksum mismatch: the file is damaged"),
        (fields.MAGIC + b"\x20\x89" + DATA["lossy"][6:], "checksum mismatch: the file is damaged or cut short"),
        (sealed(front(b"\x04\x00")[:-1] + b"\0"), "checksum mismatch: the front of the file is damaged"),
        (sealed(front(b"\x2c\x01") + b"x"), "needs chunk type 22 (frame of an animation), which this vlcodec"),
        (sealed(front(b"\x28\x01") + b"x"), "no latents: a picture's file must have a chunk of them"),
        (sealed(front(b"\x05\x00\x28\x00") + bytes(4)), "chunk type 20 (low bytes of 16-bit levels) is empty: it must"),
        (sealed(front(b"\x05\x00\xf4\x03\x00") + bytes(4)), "needs chunk type 250, which this vlcodec does not read"),
        (sealed(front(b"\x18\x01") + b"x"), "needs chunk type 12 (stack), which this vlcodec does not read in such"),
        (sealed(front(b"\x00\x01") + b"x"), "chunk type 0 does not exist"),
        (sealed(front(b"\x84\x00\x00") + b"x"), "the chunk's type is padded"),
        (sealed(front(b"\x84\x80\x80\x01\x00") + b"x"), "the chunk's type is too long"),
        (sealed(front(b"\x02\x01") + b"x"), "no latents: a picture's file must have a chunk of them"),
        (sealed(front(b"\x05\x00\x02\x01") + bytes(5)), "chunk type 1 after 2: types must ascend"),
        (sealed(front(b"\x05\x00\x09\x01\x08\x01") + bytes(6)), "chunk type 4 (changes of weights) is there twice"),
        (sealed(front(b"\x05\x00\x08\x00") + bytes(4)), "chunk type 4 (changes of weights) is empty: it must be left"),
        (sealed(front(b"\x05\x00" * MAX_CHUNKS + b"\x04\x00")), "the number of chunks is 4097: it must be from 1 to"),
        (sealed(front(b"\x04\xff\xff\xff\xff\x0f")), "the file's size in bytes is 4294967"),
        (sealed(front(b"\x05\x00\x04\x00") + bytes(4)), "checksum mismatch"),
        (sealed(front(b"\x04\x00", FRONT[:-1] + b"\x9d\xc7\x01")), "the quality in hundredths is 25501"),
        (sealed(front(b"\x04\x00", fields.MAGIC + b"\x22" + FRONT[5:] + b"\0")), "a seed of 0 must be left out"),
        (sealed(front(b"\x05\x00\x0c\x04") + zlib.crc32(front(b"\x05\x00\x0c\x04")).to_bytes(4, "little") + bytes(4)),
         "0 bands given"),
    ],
)  # fmt: skip
def test_refusals(data: bytes, message: str) -> None:
    if message == "0 bands given":  # what looks refused is a lossless file of one band, and is one
        assert unpack(data).bands == (Band(b"", 0),)
        return
    with pytest.raises(FormatError, match=re.escape(message)):
        unpack(data)


def with_metadata(*chunks: Chunk) -> bytes:
    return join(bytearray(FRONT), [Chunk(LATENTS, b"z"), *chunks])


def test_an_unknown_skippable_type_is_skipped_and_no_other() -> None:
    assert unpack(with_metadata(Chunk(251, b"of a later release"))) == unpack(with_metadata())
    assert unpack(with_metadata(Chunk(8191, b""), Chunk(8191, b""))).latents == b"z"
    data = archive_file.pack(ARCHIVE)
    assert (
        archive_file.unpack(join(bytearray(data[:17]), [Chunk(k, data[a:b]) for k, a, b in _places(data)])) == ARCHIVE
    )


def _places(data: bytes) -> list[tuple[int, int, int]]:
    """The archive's chunks, and one of a later release."""
    checks, stack = len(data) - 12, len(data) - 8
    return [(10, checks, stack), (12, stack, len(data) - 4), (251, 0, 5)]


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (Chunk(EXIF, b"\xff"), "the EXIF cannot be read: it must be deflated bytes"),
        (Chunk(EXIF, deflate(b"x") + b"\0"), "the EXIF must be one deflated stream"),
        (Chunk(EXIF, deflate(b"x" * 1000)[:-1]), "the EXIF must be one deflated stream"),
        (Chunk(EXIF, deflate(b"")), "the EXIF is empty: it must be left out"),
        (Chunk(EXIF, deflate(bytes(MAX_METADATA + 1))), "the EXIF is too long: it must be at most 16777216 bytes"),
    ],
)
def test_refusals_of_metadata(chunk: Chunk, message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        unpack(with_metadata(chunk))


def test_metadata_that_is_too_much_takes_no_memory() -> None:
    bombs = [Chunk(TEXT, deflate(bytes(MAX_METADATA)))] * 60
    data = with_metadata(*bombs)
    tracemalloc.start()
    with pytest.raises(FormatError, match="the text is too long"):
        unpack(data)
    assert tracemalloc.get_traced_memory()[1] < 5 * MAX_METADATA
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": ((LATENTS, b"x"),)}, "chunk type 2 is not metadata"),
        ({"metadata": ((EXIF, b""),)}, "the EXIF is empty"),
        ({"metadata": ((EXIF, b"x"), (ICC, b"x"))}, "in ascending order"),
        ({"metadata": ((EXIF, b"x"), (EXIF, b"x"))}, "only text may be there twice"),
        ({"metadata": ((TEXT, b"x"),) * 1025}, "the number of texts is 1025"),
        ({"refinements": (b"",) * 256}, "the number of groups of latents is 257"),
        ({"header": replace(SMALL, version=1, hundredths=0), "changes": b"x"}, "all else needs version 2"),
        ({"header": replace(SMALL, version=1, hundredths=0), "refinements": (b"",)}, "all else needs version 2"),
    ],
)
def test_files_that_do_not_fit_cannot_be_made(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        replace(File(SMALL, b""), **change)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "a composite must hold either planes or another codec's file"),
        ({"planes": Planes(1, 1, 1, b""), "other": STORED}, "a composite must hold either planes or"),
        ({"planes": Planes(1, 1, 3, b""), "palette": b"\0"}, "a palette that fits 1 channels must stand beside as"),
        ({"planes": Planes(1, 1, 2, b""), "palette": b"\2abc"}, "a palette that fits 3 channels must stand beside as"),
        ({"other": STORED, "palette": b"\0"}, "a palette that fits 1 channels must stand beside as many, not 0"),
        ({"planes": Planes(1, 1, 1, b""), "kept": "grey"}, "another codec's picture must be kept as colour, grey, "),
        ({"other": STORED, "kept": "pink"}, "another codec's picture must be kept as colour, grey, bilevel, not pink"),
    ],
)
def test_composites_that_do_not_fit_cannot_be_made(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        Composite(**parts)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 1, 1), "the width is 0"),
        ((1, 2**20, 1), "the height is 1048576"),
        ((1, 1, 5), "the number of channels is 5"),
        ((2**14, 2**14 + 1, 1), "the number of pixels is 268451840"),
    ],
)
def test_planes_outside_the_limits_cannot_be_made(numbers: tuple[int, int, int], message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        Planes(*numbers, b"")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut off in the palette's kind"),
        (b"\3", "a palette of kind 3, which this vlcodec does not read"),
        (b"\0x", "a bilevel picture's palette has bytes after its end"),
        (b"\2ab", "a transparent colour must have 1 or 3 levels, not 2"),
        (b"\1\0\2" + deflate(b"rgbaa"), "the number of alpha values is 2: it must be from 0 to 1"),
        (b"\1\0\0" + deflate(b"rg"), "a palette of 2 bytes: it must have 3"),
        (b"\1\0\0" + deflate(b"rgba"), "the palette is too long: it must be at most 3 bytes"),
        (b"\1\0\0" + deflate(b"rgb") + b"x", "the palette must be one deflated stream"),
    ],
)
def test_bad_palettes(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        unpack_palette(data)


@pytest.mark.parametrize("palette", [Colours(b"rgb"), Transparent(b"rgb"), Bilevel()])
def test_palettes_that_do_not_fit_a_picture(palette: Colours | Transparent | Bilevel) -> None:
    """A grey lossless picture takes bilevel, or one level that is transparent; none with alpha, and no lossy one."""
    packed = pack_palette(palette)
    if not isinstance(palette, Bilevel):
        with pytest.raises(FormatError, match="a palette's chunk"):
            replace(LOSSLESS, palette=packed)
    fitting = pack_palette(Bilevel())
    assert unpack(picture_file.pack(replace(LOSSLESS, palette=fitting))).palette == fitting
    for change in ({"alpha": b"x"}, {"bands": (), "header": replace(LOSSLESS.header, lossless=False)}):
        with pytest.raises(FormatError, match="a palette's chunk"):
            replace(LOSSLESS, palette=fitting, **change)


def test_headers_that_do_not_fit_cannot_be_made() -> None:
    for version in (0, 3):
        with pytest.raises(FormatError, match=f"the format version is {version}: it must be from 1 to 2"):
            replace(SMALL, version=version)
    with pytest.raises(FormatError, match=re.escape("quality 2.35 has decimals")):
        replace(SMALL, version=1)
    for change, message in (
        ({"version": 1}, "a second one needs version 2"),
        ({"starter": Starter(9, b"ab")}, "the starter is the archive's own model"),
        ({"dithered": 3, "ratio": 0}, "a starter must have some pictures of the archive, and not all"),
        ({"dithered": 0}, "a starter must have some pictures of the archive, and not all"),
    ):
        with pytest.raises(FormatError, match=message):
            replace(ARCHIVE.header, **change)
    for stored in (("BMP", b"x"), ("PNG", b"")):
        with pytest.raises(FormatError, match="a stored picture must"):
            Stored(*stored)
    with pytest.raises(FormatError, match="a stored picture of type 9, which this vlcodec does not read"):
        stored_file.unpack_stored(sealed(fields.MAGIC + b"\x24\x09x"))
