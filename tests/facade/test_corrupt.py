"""Damaged, foreign and hostile files: refused by a rule, quickly, and never a picture without a word."""

import resource
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

import vlcodec
from vlcodec.codec.errors import ArchiveDamage, FormatError, ModelError, VlcodecError
from vlcodec.codec.files import archive_file
from vlcodec.codec.files import picture_file as container
from vlcodec.codec.files.picture_file import MAX_SIDE, File, Header
from vlcodec.codec.interface import Bytes
from vlcodec.models.agave import codec as agave
from vlcodec.models.photo.codec import golden_pictures
from vlcodec.models.vlae import codec as vlae

PIXELS = golden_pictures()[0, 4:7, 8:13]  # 5 x 3 pixels
PICTURE = Image.fromarray(PIXELS)
KINDS = pytest.mark.parametrize("lossless", [False, True], ids=["lossy", "lossless"])
MOST_PIXELS = 2**16
LONGEST, MOST_MEMORY = 2.0, 2**30  # seconds of this process's own, and bytes, that any file may take
MASKS = (0x01, 0x80)  # of bytes behind the header, where not all are tried


@pytest.fixture(scope="module")
def made() -> Callable[[bool], bytes]:
    """lossless -> a small file's bytes."""
    files = {kind: vlcodec.compress(PICTURE, lossless=kind, seed=300 * kind) for kind in (False, True)}
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
    """A small file; pixels: (N, H, W) or (N, H, W, 3) of what is in it. header: bytes before its first chunk."""

    data: bytes
    pixels: Bytes
    header: int
    archive: bool
    lossless: bool

    def read(self, data: bytes) -> Bytes:
        """What the file's own reader makes of bytes."""
        if self.archive:
            images = vlcodec.decompress_archive(data, max_pixels=MOST_PIXELS).images
            return np.stack([np.asarray(image) for image in images])
        return np.asarray(vlcodec.decompress(data, max_pixels=MOST_PIXELS))[None]


def _photo(lossless: bool) -> Sample:
    data = vlcodec.compress(PICTURE, lossless=lossless)
    return Sample(data, PIXELS[None], 11, archive=False, lossless=lossless)


def _digit() -> Sample:
    """One of few strokes, and few bytes."""
    picture = np.zeros((28, 28), np.uint8)
    picture[6:22, 14:16] = 255
    data = vlcodec.compress(Image.fromarray(picture), model="vlae-mnist", lossless=True)
    return Sample(data, picture[None], 11, archive=False, lossless=True)


def _digits() -> Sample:
    """Three, with names; the extra bytes let bits-back code two of them."""
    pictures = np.zeros((3, 28, 28), np.uint8)
    for number, picture in enumerate(pictures):
        picture[6 : 18 + number, 14:16] = 255
    data = vlcodec.compress_archive(pictures, names=["a", "b", "c"], extra=bytes(range(1, 49)))
    assert 0 < archive_file.unpack(data).header.dithered < 3
    return Sample(data, pictures, 19, archive=True, lossless=True)


def _colours() -> Sample:
    pictures = agave.golden_pictures() // 64 * 16 + 90
    data = vlcodec.compress_archive(pictures, lossless=False)
    return Sample(data, pictures, 15, archive=True, lossless=False)


SAMPLES: dict[str, Callable[[], Sample]] = {
    "photo lossy": lambda: _photo(False),
    "photo lossless": lambda: _photo(True),
    "vlae lossless": _digit,
    "vlae archive lossless": _digits,
    "agave archive lossy": _colours,
}


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]()


@contextmanager
def quickly() -> Iterator[None]:
    """Within the limits of time and memory."""
    started, before = time.thread_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.thread_time() - started < LONGEST
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 2**10 < MOST_MEMORY


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
ALL = tuple(range(1, 256))


def test_every_byte_and_every_length_as_it_is(sample: Sample) -> None:
    """Of the header's bytes every value. An archive without its CRC-32 is salvaged, so that all of it is tried."""
    masks = ALL if not (sample.archive and sample.lossless) else MASKS
    for data in damaged(sample, range(sample.header), masks):
        check_as_it_is(sample, data)
    for data in damaged(sample, range(sample.header, len(sample.data)), MASKS[:1] if sample.archive else MASKS):
        check_as_it_is(sample, data)
    for data in every_length(sample):
        check_as_it_is(sample, data)


def test_every_byte_and_every_length_made_good(sample: Sample) -> None:
    step = 1 if not sample.archive else 3
    for data in damaged(sample, range(sample.header), ALL):
        check_made_good(sample, data)
    for data in damaged(sample, range(sample.header, len(sample.data) - 4, step), MASKS[:1]):
        check_made_good(sample, data)
    for data in list(every_length(sample))[5::step]:
        check_made_good(sample, data)


@pytest.mark.slow
@how
def test_every_value_of_every_byte(sample: Sample, check: Callable[[Sample, bytes], None]) -> None:
    for data in damaged(sample, range(len(sample.data) - 4 * (check is check_made_good)), ALL):
        check(sample, data)
    for data in every_length(sample):
        if len(data) > 4:
            check(sample, data)
