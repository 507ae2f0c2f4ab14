"""The container: what goes in comes out, and nothing but a whole, unaltered file is read."""

import random
import re
import subprocess
import sys
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vlcodec.codec.errors import FormatError, VlcodecError
from vlcodec.codec.files import picture_file as container
from vlcodec.codec.files import wire as fields
from vlcodec.codec.files.picture_file import (
    BAND_ROWS,
    MAX_PIXELS,
    MAX_SIDE,
    Band,
    File,
    Header,
    pack,
    read_header,
    sizes,
    unpack,
)

SMALL = Header(model_id=1, digest=b"\x5e\xed", width=28, height=28, grey=False, lossless=False, quality=50, seed=0)
LOSSY = File(replace(SMALL, width=300, height=200), b"\xc0\xff\xee")
LOSSLESS = File(
    Header(model_id=200, digest=b"\x5e\xed", width=3, height=2, grey=True, lossless=True, quality=0, seed=7),
    b"\xc0\xff\xee",
    (Band(b"\x0b\xad\xca\xfe", zlib.crc32(bytes([10, 20, 30, 40, 50, 60]))),),
)
THREE_BANDS = File(
    replace(SMALL, lossless=True, height=2 * BAND_ROWS + 1),
    b"latents",
    (Band(b"first", 1), Band(b"", 2), Band(b"third", 3)),
)
FILES = {"empty": File(SMALL, b""), "lossy": LOSSY, "lossless": LOSSLESS, "bands": THREE_BANDS}

FRONT = container.MAGIC + b"\x10\x01\x5e\xed"  # a header up to the width, no flags


def sealed(body: bytes) -> bytes:
    """The body with a correct checksum, so that a test meets the checks behind it."""
    return body + zlib.crc32(body).to_bytes(4, "little")


def random_file(rng: random.Random) -> File:
    """Any file, fields drawn evenly over their varint lengths."""
    width = rng.randrange(2 ** rng.randint(0, 20)) or 1
    height = min(rng.randrange(2 ** rng.randint(0, 20)) or 1, MAX_PIXELS // width)
    header = Header(
        model_id=rng.randrange(2 ** rng.randint(0, 32)),
        digest=rng.randbytes(2),
        width=width,
        height=height,
        grey=rng.random() < 0.5,
        lossless=rng.random() < 0.5,
        quality=rng.randrange(256),
        seed=rng.randrange(2 ** rng.randint(0, 64)),
    )
    count = header.bands if header.lossless else 0
    bands = tuple(Band(rng.randbytes(rng.choice((0, 1, 127, 128, 300))), rng.getrandbits(32)) for _ in range(count))
    return File(header, rng.randbytes(rng.choice((0, 1, 127, 128, 20_000))), bands)


@pytest.mark.parametrize("seed", range(100))
def test_round_trip(seed: int) -> None:
    file = random_file(random.Random(seed))
    data = pack(file)
    assert unpack(data) == file
    assert read_header(data) == file.header
    assert pack(unpack(data)) == data
    assert sum(sizes(file).values()) == len(data)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_round_trip_of_examples(file: File) -> None:
    assert unpack(pack(file)) == file


def test_examples_of_the_specification() -> None:
    text = (Path(container.__file__).parents[1] / "FORMAT.md").read_text(encoding="utf-8")
    examples = text.split("## Examples")[1].split("\n## ")[0]
    rows = [re.match(r" {4}((?:[0-9A-F]{2} )*[0-9A-F]{2})  ", line) for line in examples.splitlines()]
    assert b"".join(bytes.fromhex(row[1]) for row in rows if row) == pack(LOSSY) + pack(LOSSLESS)


def test_overhead_of_a_tiny_file_is_15_bytes() -> None:
    assert len(pack(File(SMALL, b""))) == 15


def test_sizes() -> None:
    assert sizes(LOSSY) == {"header": 17, "latents": 3, "pixels": 0}
    assert sizes(LOSSLESS) == {"header": 22, "latents": 3, "pixels": 4}


def test_front_of_a_file_is_enough_for_its_header() -> None:
    assert read_header(pack(THREE_BANDS)[:12]) == THREE_BANDS.header


@pytest.mark.parametrize(("height", "bands"), [(1, 1), (512, 1), (513, 2), (1024, 2), (MAX_SIDE, 2048)])
def test_bands(height: int, bands: int) -> None:
    assert replace(SMALL, width=1, height=height).bands == bands


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_every_truncation_is_refused(file: File) -> None:
    data = pack(file)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            unpack(data[:length])


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_every_altered_byte_is_refused(file: File) -> None:
    data = pack(file)
    for at in range(len(data)):
        for change in range(1, 256):
            altered = bytearray(data)
            altered[at] ^= change
            with pytest.raises(FormatError):
                unpack(bytes(altered))


def test_arbitrary_bytes_raise_nothing_but_format_errors() -> None:
    rng = random.Random(0)
    for _ in range(5000):
        body = container.MAGIC + bytes([0x10 | rng.randrange(8)]) + rng.randbytes(rng.randrange(40))
        for read in (unpack, read_header):
            for data in (body, sealed(body)):
                with suppress(FormatError):
                    read(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty: a .vlz file begins with"),
        (b"\x89PNG\r\n\x1a\n", "not a .vlz file: it must begin with the bytes 96 56 0D 0A"),
        (container.MAGIC.replace(b"\r\n", b"\n"), "not a .vlz file"),
        (container.MAGIC[:2], "cut short: the file has 2 bytes"),
        (container.MAGIC, "cut short: the file has 4 bytes"),
        (container.MAGIC + b"\x30", "written by a newer vlcodec (format version 3; this one reads 1 to 2)"),
        (container.MAGIC + b"\x00", "format version 0 does not exist"),
        (pack(LOSSY)[:14], "cut short: the file has 14 bytes, the smallest .vlz file has 15"),
        (pack(LOSSY)[:-1], "checksum mismatch: the file is damaged, cut short or has bytes after its end"),
        (pack(LOSSY) + b"\0", "checksum mismatch"),
        (sealed(container.MAGIC + b"\x18" + bytes(20)), "an archive of pictures, not a picture"),
        (sealed(container.MAGIC + b"\x10\x81\x00" + bytes(20)), "the model id is padded"),
        (sealed(container.MAGIC + b"\x10" + b"\xff" * 20), "the model id is too long: it must be at most 4294967295"),
        (
            sealed(container.MAGIC + b"\x10\xff\xff\xff\xff\x10" + bytes(9)),
            "the model id is 4563402751: it must be from 0",
        ),
        (sealed(FRONT + b"\x9c\x00\x1c\x32"), "the width is padded"),
        (sealed(FRONT + b"\x00\x1c\x32"), "the width is 0: it must be from 1 to 1048575"),
        (sealed(FRONT + b"\x1c\x00\x32"), "the height is 0"),
        (sealed(FRONT + b"\x80\x80\x40\x01\x32"), "the width is 1048576"),
        (sealed(FRONT + b"\x80\x80\x80\x01\x01\x32"), "the width is too long"),
        (sealed(FRONT + b"\xff\xff\x3f\xff\xff\x3f\x32"), "1048575 x 1048575 is too large: at most 268435456 pixels"),
        (sealed(FRONT + b"\x1c\x80\x80"), "cut off in the height: bytes needed 1, left 0"),
        (sealed(FRONT + b"\x80\x01\x1c"), "cut off in the quality: bytes needed 1, left 0"),
        (sealed(container.MAGIC + b"\x14\x01\x5e\xed\x1c\x1c\x32\x00"), "a seed of 0 must be left out"),
        (sealed(container.MAGIC + b"\x14\x01\x5e\xed\x1c\x1c\x32\x80\x00"), "the seed is padded"),
        (
            sealed(container.MAGIC + b"\x14\x01\x5e\xed\x1c\x1c\x32" + b"\xff" * 9 + b"\x02"),
            "the seed is 27670116110564327423: it must",
        ),
        (
            sealed(container.MAGIC + b"\x11\x01\x5e\xed\x1c\x1c\x32\x05abc"),
            "cut off in the latents: bytes needed 5, left 3",
        ),
        (
            sealed(container.MAGIC + b"\x11\x01\x5e\xed\x1c\x1c\x32\xff\xff\xff\xff\xff"),
            "length of the latents is too long",
        ),
        (
            sealed(container.MAGIC + b"\x11\x01\x5e\xed\x1c\x1c\x32\x00abc"),
            "cut off in the checksum of band 1: bytes needed 4, left 3",
        ),
    ],
)
def test_refusals(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        unpack(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_id": 2**32}, "the model id is 4294967296"),
        ({"model_id": -1}, "the model id is -1"),
        ({"digest": b"\x5e"}, "the weights' digest is 1 bytes: it must be 2"),
        ({"width": 0}, "the width is 0"),
        ({"height": MAX_SIDE + 1}, "the height is 1048576"),
        ({"width": 2**14 + 1, "height": 2**14}, "16385 x 16384 is too large"),
        ({"quality": 256}, "the quality is 256"),
        ({"seed": 2**64}, "the seed is 18446744073709551616"),
    ],
)
def test_headers_out_of_range_cannot_be_made(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        replace(SMALL, **change)


def test_bands_that_do_not_fit_the_header_cannot_be_made() -> None:
    with pytest.raises(FormatError, match="1 bands given: this picture must have 0"):
        File(SMALL, b"", (Band(b"", 0),))
    with pytest.raises(FormatError, match="0 bands given: this picture must have 1"):
        File(replace(SMALL, lossless=True), b"")
    with pytest.raises(FormatError, match="the pixel checksum is 4294967296"):
        Band(b"", 2**32)


def test_largest_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack(LOSSY)
    monkeypatch.setattr(fields, "MAX_FILE", len(data))
    assert unpack(pack(LOSSY)) == LOSSY
    monkeypatch.setattr(fields, "MAX_FILE", len(data) - 1)
    with pytest.raises(FormatError, match="the file would be 20 bytes: at most 19 are allowed"):
        pack(LOSSY)
    with pytest.raises(FormatError, match="too long: the file has 20 bytes, at most 19 are allowed"):
        unpack(data)


def test_errors_are_one_family() -> None:
    assert issubclass(FormatError, VlcodecError)


def test_imports_only_the_standard_library() -> None:
    code = "import sys, vlcodec.codec.files.picture_file\n"
    code += "print({'numpy', 'torch', 'constriction', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
