"""What an archive of pictures holds, whatever its version; headers and files check themselves when they are made."""

from dataclasses import dataclass
from typing import Final

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.front import Front, check_version
from vlcodec.codec.files.names import check_names
from vlcodec.codec.files.wire import MAX_PIXELS, MAX_SEED, check_model, check_range

CHECKED: Final = 512  # pictures under one checksum
MAX_PICTURES: Final = 2**24
MAX_EXTRA: Final = 2**28  # bytes


@dataclass(frozen=True)
class Starter:
    """The other model, of the pictures that an archive starts with. Raises FormatError for fields out of range."""

    model_id: int
    digest: bytes

    def __post_init__(self) -> None:
        check_model(self.model_id, self.digest)


@dataclass(frozen=True)
class ArchiveHeader(Front):
    """What an archive says of itself; the size is that of every picture.

    Raises FormatError when a field is outside what the format can hold.
    """

    count: int  # pictures, at least 1
    lossless: bool  # checksums stand in the file, and the stack holds pixels
    dithered: int  # how many pictures, from the end, are coded by dither, or by the starter
    ratio: int  # pictures on the stack that a lane of bits-back needs; 0 where all are dithered
    extra: int  # bytes on the stack's bottom
    seed: int
    version: int = 1  # of the format
    starter: Starter | None = None  # None where the archive's own model codes all pictures

    def __post_init__(self) -> None:
        super().__post_init__()
        check_version(self.version)
        check_range("number of pictures", self.count, 1, MAX_PICTURES)
        check_range("number of dithered pictures", self.dithered, 0, self.count)
        check_range("ratio", self.ratio, *((0, 0) if self.dithered == self.count else (1, 255)))
        check_range("number of extra bytes", self.extra, 0, MAX_EXTRA)
        check_range("seed", self.seed, 0, MAX_SEED)
        if self.width * self.height * self.count > MAX_PIXELS:
            raise FormatError(f"{self.count} pictures are too many: at most {MAX_PIXELS} pixels are allowed")
        if not self.lossless and self.dithered != self.count:
            raise FormatError("a lossy archive must hold dithered pictures alone")
        if self.starter is not None:
            self._check_starter(self.starter)

    @property
    def runs(self) -> int:
        """Number of runs of CHECKED pictures that have a checksum each; a lossy archive has none."""
        return -(-self.count // CHECKED) if self.lossless else 0

    def _check_starter(self, starter: Starter) -> None:
        if self.version == 1:
            raise FormatError("version 1 holds archives of one model alone: a second one needs version 2")
        if starter.model_id == self.model_id:
            raise FormatError("the starter is the archive's own model: it must be left out")
        if not 0 < self.dithered < self.count:
            raise FormatError("a starter must have some pictures of the archive, and not all")


@dataclass(frozen=True)
class ArchiveFile:
    """All that an archive holds. Raises FormatError when names or checksums do not fit the header."""

    header: ArchiveHeader
    names: tuple[str, ...]  # one for each picture, or none
    checks: tuple[int, ...]  # CRC-32 of each run of 512 pictures of a lossless archive, row-major bytes
    stack: bytes

    def __post_init__(self) -> None:
        check_names(self.names, self.header.count)
        if len(self.checks) != self.header.runs:
            raise FormatError(f"{len(self.checks)} checksums given: this archive must have {self.header.runs}")
        for check in self.checks:
            check_range("pictures' checksum", check, 0, 2**32 - 1)
