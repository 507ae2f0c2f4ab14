"""Damaged, foreign and hostile files: refused by a rule, quickly, and never a picture without a word."""

import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from limits import quickly
from PIL import Image

import vlcodec
from vlcodec.codec.errors import ArchiveDamage, FormatError, ModelError, VlcodecError
from vlcodec.codec.files import archive_file
from vlcodec.codec.files import picture_file as container
from vlcodec.codec.files.picture_file import File, Header
from vlcodec.codec.files.wire import MAGIC, MAX_SIDE
from vlcodec.codec.interface import Bytes
from vlcodec.models.agave import codec as agave
from vlcodec.models.photo.codec import golden_pictures

PIXELS = golden_pictures()[0, 4:7, 8:13]  # 5 x 3 pixels
PICTURE = Image.fromarray(PIXELS)
KINDS = pytest.mark.parametrize("lossless", [False, True], ids=["lossy", "lossless"])
MOST_PIXELS = 2**16
ALL = tuple(range(1, 256))
FEW = ALL[::51]
BITS = (*(1 << bit for bit in range(8)), 0xFF)


@pytest.fixture(scope="module")
def made() -> Callable[[bool], bytes]:
    """lossless -> a small file's bytes, of version 1."""
    files = {kind: vlcodec.compress(PICTURE, model="photo-8", lossless=kind, seed=300 * kind) for kind in (False, True)}
    return lambda lossless: files[lossless]


def sealed(data: bytes | bytearray) -> bytes:
    """The same bytes with a checksum that fits them, so that a test meets what stands behind it."""
    return bytes(data[:-4]) + zlib.crc32(data[:-4]).to_bytes(4, "little")


def altered(data: bytes, place: int, mask: int) -> bytes:
    out = bytearray(data)
    out[place] ^= mask
    return bytes(out)


# ---- every byte and every length of every kind of file -------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """A small file; pixels: (N, H, W) or (N, H, W, 3) of what is in it. header: bytes before its first chunk.

    slow: places of the header most of whose values are taken, so that the file is read to its end.
    """

    data: bytes
    pixels: Bytes
    header: int
    slow: range
    archive: bool
    lossless: bool

    def read(self, data: bytes) -> Bytes:
        """What the file's own reader makes of bytes."""
        if self.archive:
            images = vlcodec.decompress_archive(data, max_pixels=MOST_PIXELS).images
            return np.stack([np.asarray(image) for image in images])
        return np.asarray(vlcodec.decompress(data, max_pixels=MOST_PIXELS))[None]


def _photo(lossless: bool) -> Sample:
    data = vlcodec.compress(PICTURE, lossless=lossless, model="photo")
    return Sample(data, PIXELS[None], 11, range(8, 10), archive=False, lossless=lossless)


def _digit() -> Sample:
    """One of few strokes, and few bytes."""
    picture = np.zeros((28, 28), np.uint8)
    picture[6:22, 14:16] = 255
    data = vlcodec.compress(Image.fromarray(picture), model="vlae-mnist", lossless=True)
    return Sample(data, picture[None], 11, range(0), archive=False, lossless=True)


def _digits() -> Sample:
    """Three, with names; the extra bytes let bits-back code one of them."""
    pictures = np.zeros((3, 28, 28), np.uint8)
    for number, picture in enumerate(pictures):
        picture[6 : 18 + number, 14:16] = 255
    data = vlcodec.compress_archive(pictures, names=["a", "b", "c"], extra=bytes(range(1, 69)))
    assert 0 < archive_file.unpack(data).header.dithered < 3
    return Sample(data, pictures, 26, range(11, 26), archive=True, lossless=True)


def _colours() -> Sample:
    pictures = agave.golden_pictures() // 64 * 16 + 90
    data = vlcodec.compress_archive(pictures, lossless=False)
    return Sample(data, pictures, 15, range(13, 15), archive=True, lossless=False)


SAMPLES: dict[str, Callable[[], Sample]] = {
    "photo lossy": lambda: _photo(False),
    "photo lossless": lambda: _photo(True),
    "vlae lossless": _digit,
    "vlae archive lossless": _digits,
    "agave archive lossy": _colours,
}


LONG = {"vlae archive lossless", "agave archive lossy"}  # which are read to their ends, picture by picture


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in SAMPLES],
)
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]()


def damaged(sample: Sample, places: range, masks: tuple[int, ...]) -> Iterator[bytes]:
    """The file with one byte of it another one."""
    for place in places:
        for mask in masks:
            yield altered(sample.data, place, mask)


def every_length(sample: Sample) -> Iterator[bytes]:
    """The file cut short at each byte, and with bytes after its end."""
    yield from (sample.data[:length] for length in range(len(sample.data)))
    yield from (sample.data + more for more in (b"\0", b"\n", bytes(100)))


def check_as_it_is(sample: Sample, data: bytes) -> None:
    """It is refused; an archive gives the pictures that are sound, and no wrong one."""
    with quickly(), pytest.raises(VlcodecError) as caught:
        sample.read(data)
    if isinstance(caught.value, ArchiveDamage):
        known = caught.value.pictures
        assert np.array_equal(known, sample.pixels[: len(known)])


def check_made_good(sample: Sample, data: bytes) -> None:
    """With a checksum that fits, it is refused, or read as FORMAT.md says: lossless pixels are those of their checksum.

    What is no longer the file of the picture (another size or kind, a lossy file) may show another one.
    """
    data = sealed(data)
    with quickly():
        try:
            found = sample.read(data)
        except ArchiveDamage as error:
            found = error.pictures
        except VlcodecError:
            return
    about = vlcodec.info(data)
    assert found.shape[1:3] == (about["height"], about["width"])
    assert found.size <= 3 * MOST_PIXELS
    if about["lossless"]:
        assert np.array_equal(found, sample.pixels[: len(found)])


HOW: dict[str, Callable[[Sample, bytes], None]] = {"as it is": check_as_it_is, "made good": check_made_good}
how = pytest.mark.parametrize("check", HOW.values(), ids=HOW)


@how
def test_every_byte_and_every_length(sample: Sample, check: Callable[[Sample, bytes], None]) -> None:
    """All values of the header's bytes, one of each byte behind it, and each length; of archives, which are read to
    their ends (a damaged one for what is sound), some of them."""
    read = sample.archive and (sample.lossless or check is check_made_good)
    step = len(sample.data) // 8 if read else 1
    for place in range(sample.header):
        few = place in sample.slow and (read or check is check_made_good)
        for data in damaged(sample, range(place, place + 1), (FEW[:1] if read else FEW) if few else ALL):
            check(sample, data)
    for data in damaged(sample, range(sample.header, len(sample.data) - 4, step), FEW[:1]):
        check(sample, data)
    for data in list(every_length(sample))[5::step]:
        check(sample, data)


@pytest.mark.slow
@how
def test_every_byte_in_several_ways(sample: Sample, check: Callable[[Sample, bytes], None]) -> None:
    """Every bit of each byte, and all at once (of archives, which are read to their ends, its first and last bit
    and all); and every length. The header's other values are not slow."""
    masks = BITS[::7] + BITS[-1:] if sample.archive else BITS
    for data in damaged(sample, range(len(sample.data) - 4 * (check is check_made_good)), masks):
        check(sample, data)
    for data in every_length(sample):
        if len(data) > 4:
            check(sample, data)


# ---- what is refused, and by which rule ----------------------------------------------------------------------------


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
        ({"digest": b"\0\1"}, ModelError, r"made with other weights of model photo \(0001; number 8 here is "),
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
@pytest.mark.parametrize("version", [0, 3, 15])
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


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(50), b"text\n", MAGIC])
def test_other_files(data: bytes) -> None:
    for call in (vlcodec.decompress, vlcodec.info):
        with pytest.raises(FormatError, match=r"empty|not a \.vlz file|cut short"):
            call(data)
