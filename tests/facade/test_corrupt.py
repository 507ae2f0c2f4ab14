"""Damaged, foreign and hostile files: refused by a rule, quickly, and never a picture without a word."""

import time
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from PIL import Image

import vlcodec
from vlcodec.codec.errors import FormatError, ModelError, VlcodecError
from vlcodec.codec.files import picture_file as container
from vlcodec.codec.files.picture_file import MAX_SIDE, File, Header
from vlcodec.models.photo.codec import golden_picture

PICTURE = Image.fromarray(golden_picture()[18:21, 26:31])  # 5 x 3 pixels
KINDS = pytest.mark.parametrize("lossless", [False, True], ids=["lossy", "lossless"])


@pytest.fixture(scope="module")
def made() -> Callable[[bool], bytes]:
    """lossless -> a small file's bytes."""
    files = {kind: vlcodec.compress(PICTURE, lossless=kind, seed=300 * kind) for kind in (False, True)}
    return lambda lossless: files[lossless]


def sealed(data: bytes | bytearray) -> bytes:
    """The same bytes with a checksum that fits them, so that a test meets what stands behind it."""
    return bytes(data[:-4]) + zlib.crc32(data[:-4]).to_bytes(4, "little")


def altered(data: bytes, place: int, mask: int) -> bytearray:
    out = bytearray(data)
    out[place] ^= mask
    return out


@KINDS
def test_every_truncation(made: Callable[[bool], bytes], lossless: bool) -> None:
    data = made(lossless)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            vlcodec.decompress(data[:length])


@KINDS
def test_every_alteration_of_every_byte(made: Callable[[bool], bytes], lossless: bool) -> None:
    data = made(lossless)
    for place in range(len(data)):
        for mask in range(1, 256):
            with pytest.raises(FormatError):
                vlcodec.decompress(bytes(altered(data, place, mask)))


@KINDS
@pytest.mark.parametrize("more", [b"\0", b"\n", bytes(100)])
def test_bytes_after_the_end(made: Callable[[bool], bytes], lossless: bool, more: bytes) -> None:
    with pytest.raises(FormatError, match="checksum mismatch"):
        vlcodec.decompress(made(lossless) + more)


@pytest.mark.parametrize("mask", [0x01, 0x10, 0x80, 0xFF])
def test_damage_behind_a_sound_checksum_of_a_lossless_file(made: Callable[[bool], bytes], mask: int) -> None:
    """As if the writer had been damaged: the stacks' ends and the pixels' checksums still stand guard. (The seed is
    there for what is regenerated: another one still gives the true picture.)"""
    data = made(True)
    for place in range(len(data) - 4):
        try:
            image = vlcodec.decompress(sealed(altered(data, place, mask)))
        except VlcodecError:
            continue
        assert image.tobytes() == PICTURE.tobytes(), f"byte {place} altered by {mask:#x} gave another picture"


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_damage_behind_a_sound_checksum_of_a_lossy_file(made: Callable[[bool], bytes], mask: int) -> None:
    data = made(False)
    refused = 0
    for place in range(len(data) - 4):
        try:
            vlcodec.decompress(sealed(altered(data, place, mask)), decode="mean")
        except VlcodecError:
            refused += 1
    assert refused >= len(data) // 2


@KINDS
@pytest.mark.parametrize(
    ("change", "error", "rule"),
    [
        ({"model_id": 77}, ModelError, "needs model number 77, which this vlcodec does not have"),
        ({"digest": b"\0\1"}, ModelError, r"made with other weights of model photo \(0001; installed are "),
        (
            {"quality": 0},
            FormatError,
            "a placeholder|the latents' stack must be empty",
        ),
        ({"quality": 5}, FormatError, "model photo has qualities 0 to 4, not 5"),
    ],
)
def test_headers_that_ask_for_something_else(
    made: Callable[[bool], bytes], lossless: bool, change: dict[str, object], error: type[Exception], rule: str
) -> None:
    file = container.unpack(made(lossless))
    data = container.pack(replace(file, header=replace(file.header, **change)))  # type: ignore[arg-type]
    with pytest.raises(error, match=rule):
        vlcodec.decompress(data)


@KINDS
@pytest.mark.parametrize("version", [0, 2, 15])
def test_other_versions(made: Callable[[bool], bytes], lossless: bool, version: int) -> None:
    data = bytearray(made(lossless))
    data[4] = version << 4 | data[4] & 15
    rule = "format version 0 does not exist" if version == 0 else f"newer vlcodec .format version {version}; this one"
    for call in (vlcodec.decompress, vlcodec.info):
        with pytest.raises(FormatError, match=rule):
            call(sealed(data))


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize(
    ("width", "height", "rule"),
    [
        (MAX_SIDE, MAX_SIDE, "1048575 x 1048575 is too large: at most 268435456 pixels"),
        (2**14, 2**14 + 1, "16384 x 16385 is too large"),
        (2**20, 1, "the width is 1048576: it must be from 1 to 1048575"),
        (1, 2**40, "the height is too long"),
        (0, 1, "the width is 0"),
    ],
)
def test_absurd_sizes_are_refused_before_memory_is_taken(
    made: Callable[[bool], bytes], width: int, height: int, rule: str
) -> None:
    head = made(False)[:8]  # magic, version, model, digest
    data = sealed(head + varint(width) + varint(height) + b"\1" + bytes(4))
    started = time.monotonic()
    tracemalloc.start()
    for call in (vlcodec.decompress, vlcodec.info):
        with pytest.raises(FormatError, match=rule):
            call(data)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert time.monotonic() - started < 1


def test_a_lossless_file_without_its_bands(made: Callable[[bool], bytes]) -> None:
    """As large a picture as the format holds, of which nothing follows: the missing band is noticed first."""
    header: Header = replace(container.unpack(made(True)).header, width=2**14, height=2**14, lossless=False)
    data = bytearray(container.pack(File(header, b"")))
    data[4] |= 1
    with pytest.raises(FormatError, match="cut off in the length of the latents"):
        vlcodec.decompress(sealed(data))


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(50), b"text\n", container.MAGIC])
def test_other_files(data: bytes) -> None:
    for call in (vlcodec.decompress, vlcodec.info):
        with pytest.raises(FormatError, match=r"empty|not a \.vlz file|cut short"):
            call(data)
