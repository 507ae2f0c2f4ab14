"""The .vlz container: bytes <-> header and chunks.

    magic | version, flags | model | digest | width | height | quality | [seed] | latents | [bands] | CRC-32
    4       1                1..5    2        1..3    1..3     1         1..10    n         n         4

It knows no model and no coder: chunks are opaque bytes here. FORMAT.md, beside this file, is the specification to the
byte. Only the standard library is imported, so that looking into a file needs neither numpy nor torch.

Headers and files check themselves when they are made, so one that exists is one that the format can hold, whether it
was read from bytes or is about to be written.
"""

from dataclasses import dataclass
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.wire import (
    ARCHIVE,
    CRC_BYTES,
    DIGEST_BYTES,
    LOSSLESS,
    MAGIC,
    MAX_MODEL,
    MAX_PIXELS,
    MAX_SEED,
    MAX_SIDE,
    SEED,
    VERSION,
    Reader,
    check_front,
    check_range,
    chunk,
    seal,
    unseal,
    varint,
)

BAND_ROWS: Final = 512  # rows of one independently coded band of pixels
SMALLEST: Final = 15  # bytes: every field at its shortest, no seed, an empty latents chunk
_GREY: Final = 2


@dataclass(frozen=True)
class Header:
    """What a file says about itself before its chunks.

    Raises FormatError when a field is outside what the format can hold.
    """

    model_id: int  # the model's number in the zoo, 0 to MAX_MODEL
    digest: bytes  # first 2 bytes of the SHA-256 of the model's weights
    width: int  # pixels, 1 to MAX_SIDE
    height: int  # pixels, 1 to MAX_SIDE; width * height <= MAX_PIXELS
    grey: bool  # one channel instead of RGB
    lossless: bool  # band chunks follow the latents
    quality: int  # 0 to 255, its meaning is the model's
    seed: int  # of the decoder's noise, 0 to MAX_SEED

    def __post_init__(self) -> None:
        check_range("model id", self.model_id, 0, MAX_MODEL)
        check_range("width", self.width, 1, MAX_SIDE)
        check_range("height", self.height, 1, MAX_SIDE)
        check_range("quality", self.quality, 0, 255)
        check_range("seed", self.seed, 0, MAX_SEED)
        if len(self.digest) != DIGEST_BYTES:
            raise FormatError(f"the weights' digest is {len(self.digest)} bytes: it must be {DIGEST_BYTES}")
        if self.width * self.height > MAX_PIXELS:
            raise FormatError(f"{self.width} x {self.height} is too large: at most {MAX_PIXELS} pixels are allowed")

    @property
    def bands(self) -> int:
        """Number of bands of BAND_ROWS rows in the picture, the last perhaps shorter; a lossy file stores none."""
        return -(-self.height // BAND_ROWS)


@dataclass(frozen=True)
class Band:
    """One band of a lossless file. Raises FormatError when the checksum is no 32-bit number."""

    stack: bytes  # the coded pixels
    pixels_crc: int  # CRC-32 of the decoded pixels, row-major bytes: H x W grey, H x W x 3 RGB

    def __post_init__(self) -> None:
        check_range("pixel checksum", self.pixels_crc, 0, 2**32 - 1)


@dataclass(frozen=True)
class File:
    """All that a .vlz file holds. Raises FormatError when the bands do not fit the header."""

    header: Header
    latents: bytes
    bands: tuple[Band, ...] = ()  # header.bands of them in a lossless file, none in a lossy one

    def __post_init__(self) -> None:
        expected = self.header.bands if self.header.lossless else 0
        if len(self.bands) != expected:
            raise FormatError(f"{len(self.bands)} bands given: this picture must have {expected}")


def pack(file: File) -> bytes:
    """Write a file's bytes; equal files give equal bytes.

    Raises FormatError when the result would exceed MAX_FILE bytes.
    """
    header = file.header
    flags = LOSSLESS * header.lossless | _GREY * header.grey | SEED * (header.seed > 0)
    out = bytearray(MAGIC)
    out.append(VERSION << 4 | flags)
    out += varint(header.model_id)
    out += header.digest
    out += varint(header.width)
    out += varint(header.height)
    out.append(header.quality)
    if header.seed:
        out += varint(header.seed)

    out += chunk(file.latents, last=not file.bands)
    for number, band in enumerate(file.bands, start=1):
        out += band.pixels_crc.to_bytes(CRC_BYTES, "little")
        out += chunk(band.stack, last=number == len(file.bands))

    return seal(out)


def unpack(data: bytes) -> File:
    """Read a whole file, its checksum first, so that damage is called damage and nothing stranger.

    Raises FormatError, and nothing else, for bytes that are not exactly one valid file.
    """
    reader = unseal(data, SMALLEST)
    header = _read_header(reader)
    if not header.lossless:
        return File(header, latents=reader.rest())
    latents = reader.chunk("latents")
    bands = []
    for number in range(1, header.bands + 1):
        pixels_crc = int.from_bytes(reader.take(CRC_BYTES, f"checksum of band {number}"), "little")
        stack = reader.rest() if number == header.bands else reader.chunk(f"band {number}")
        bands.append(Band(stack, pixels_crc))
    return File(header, latents, tuple(bands))


def read_header(data: bytes) -> Header:
    """Read the header alone; the front of a file is enough, so its checksum is not looked at.

    Raises FormatError when the bytes do not begin with a valid header.
    """
    check_front(data, SMALLEST)
    return _read_header(Reader(memoryview(data)))


def sizes(file: File) -> dict[str, int]:
    """Bytes of the file by purpose, summing to its size: "header" (lengths and checksums too), "latents", "pixels".

    Raises FormatError as pack does.
    """
    latents = len(file.latents)
    pixels = sum(len(band.stack) for band in file.bands)
    return {"header": len(pack(file)) - latents - pixels, "latents": latents, "pixels": pixels}


def _read_header(reader: Reader) -> Header:
    """The header, from the file's first byte on; magic and version are known to be right. Raises FormatError."""
    flags = reader.take(len(MAGIC) + 1, "magic")[-1] & 0x0F
    if flags & ARCHIVE:
        raise FormatError("an archive of pictures, not a picture: it must be read as an archive")
    model_id = reader.varint(MAX_MODEL, "model id")
    digest = reader.take(DIGEST_BYTES, "weights' digest")
    width = reader.varint(MAX_SIDE, "width")
    height = reader.varint(MAX_SIDE, "height")
    (quality,) = reader.take(1, "quality")
    seed = reader.varint(MAX_SEED, "seed") if flags & SEED else 0
    if flags & SEED and not seed:
        raise FormatError("the seed is 0: a seed of 0 must be left out")
    return Header(
        model_id=model_id,
        digest=digest,
        width=width,
        height=height,
        grey=bool(flags & _GREY),
        lossless=bool(flags & LOSSLESS),
        quality=quality,
        seed=seed,
    )
