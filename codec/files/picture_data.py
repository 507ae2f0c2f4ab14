"""What a picture's file holds, whatever its version.

Headers and files check themselves when they are made, so one that exists is one that the format can hold, whether it
was read from bytes or is about to be written.
"""

from dataclasses import dataclass, replace
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.chunks import ALPHA, LOW_BYTES, PALETTE, Chunk
from vlcodec.codec.files.front import Front, check_version
from vlcodec.codec.files.metadata import Metadata, check_metadata
from vlcodec.codec.files.palette import Bilevel, Colours, Transparent, unpack_palette
from vlcodec.codec.files.wire import MAX_SEED, check_range

BAND_ROWS: Final = 512  # rows of one independently coded band of pixels
MAX_GROUPS: Final = 256  # chunks of latents
MAX_QUALITY: Final = 255
MAX_NEAR: Final = 63  # levels


@dataclass(frozen=True)
class Header(Front):
    """What a file says about itself before its chunks.

    Raises FormatError when a field is outside what the format can hold.
    """

    grey: bool  # one channel instead of RGB
    lossless: bool  # band chunks follow the latents
    quality: int  # 0 to MAX_QUALITY, its whole part; its meaning is the model's
    seed: int  # of the decoder's noise, 0 to MAX_SEED
    version: int = 1  # of the format
    hundredths: int = 0  # of quality, 0 to 99; in version 1 always 0
    near: int = 0  # levels that a pixel of the bands may be off, 0 to MAX_NEAR; in version 1 always 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_version(self.version)
        check_range("quality", self.quality, 0, MAX_QUALITY)
        check_range("quality's hundredths", self.hundredths, 0, 99 if self.quality < MAX_QUALITY else 0)
        check_range("seed", self.seed, 0, MAX_SEED)
        if self.version == 1 and self.hundredths:
            raise FormatError(f"quality {self.level} has decimals: version 1 holds whole qualities alone")
        check_range("number of levels that a pixel may be off", self.near, 0, MAX_NEAR)
        if self.near and not self.lossless:
            raise FormatError("levels that a pixel may be off must stand in a file with bands of pixels")
        if self.version == 1 and self.near:
            raise FormatError("version 1 holds lossless and lossy pictures: near-lossless ones need version 2")

    @property
    def level(self) -> float:
        """The quality with its decimals."""
        return self.quality + self.hundredths / 100

    @property
    def exact(self) -> bool:
        """Whether the bands are the picture, to the last bit."""
        return self.lossless and not self.near

    @property
    def lossy(self) -> "Header":
        """Of the latents alone."""
        return replace(self, lossless=False, near=0)

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
    """All that a .vlz file holds. Raises FormatError when its parts do not fit the header."""

    header: Header
    latents: bytes  # the first group, the only one of version 1
    bands: tuple[Band, ...] = ()  # header.bands of them in a lossless file, none in a lossy one
    refinements: tuple[bytes, ...] = ()  # the further groups of latents
    changes: bytes = b""  # of the model's weights, the model knows how
    metadata: Metadata = ()  # (type, bytes), types ascending
    alpha: bytes = b""  # a plane
    palette: bytes = b""  # what makes bilevel of grey, or a colour transparent: see palette.py
    low: bytes = b""  # of 16-bit levels, their low bytes: see low_bytes.py; all else is of the high ones

    def __post_init__(self) -> None:
        expected = self.header.bands if self.header.lossless else 0
        if len(self.bands) != expected:
            raise FormatError(f"{len(self.bands)} bands given: this picture must have {expected}")
        check_range("number of groups of latents", len(self.groups), 1, MAX_GROUPS)
        check_metadata(self.metadata)
        self._check_palette()
        if self.header.version == 1 and any((self.refinements, self.changes, self.metadata, *self.beside.values())):
            raise FormatError("version 1 holds one group of latents and pixels alone: all else needs version 2")

    @property
    def groups(self) -> tuple[bytes, ...]:
        """All chunks of latents, the first one first."""
        return self.latents, *self.refinements

    @property
    def beside(self) -> dict[int, bytes]:
        """The chunks that stand beside the colours' pixels, by type; an empty one is not there."""
        return {ALPHA: self.alpha, PALETTE: self.palette, LOW_BYTES: self.low}

    def _check_palette(self) -> None:
        if self.low and (self.palette or not self.header.exact):
            raise FormatError("low bytes of 16-bit levels must stand in a lossless picture's file without a palette")
        if not self.palette:
            return
        palette, grey = unpack_palette(self.palette), self.header.grey
        if isinstance(palette, Colours) or self.alpha or not self.header.exact:
            raise FormatError("a palette's chunk in a picture's file must say bilevel or a transparent colour, alone")
        if (isinstance(palette, Bilevel) and not grey) or (
            isinstance(palette, Transparent) and len(palette.colour) != (1 if grey else 3)
        ):
            raise FormatError("a palette's chunk must fit the picture's channels")


@dataclass(frozen=True)
class Pieces:
    """What can still be read of a damaged lossless file; that its bands are right, their pixels' checksums tell."""

    lossy: File  # what its latents alone are
    bands: tuple[Band | None, ...]  # header.bands of them; None where one is not wholly there
    beside: tuple[Chunk, ...] = ()  # what else is wholly there; no checksum tells whether it is right
    missing: tuple[int, ...] = ()  # types of what is not
    near: int = 0  # levels that a pixel of the bands may be off


def split_quality(level: float) -> tuple[int, int]:
    """A quality with decimals -> its whole part and its hundredths, rounded to the nearest of these."""
    return divmod(round(100 * level), 100)
