"""What every header begins with, in pictures' and archives' files of both versions.

    magic | version and kind | model | digest | width | height
    4       1                  1..5    2        1..3    1..3

What follows differs.
"""

from dataclasses import dataclass

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.wire import (
    DIGEST_BYTES,
    MAGIC,
    MAX_MODEL,
    MAX_PIXELS,
    MAX_SIDE,
    NEWEST,
    Reader,
    check_model,
    check_range,
    varint,
)


@dataclass(frozen=True)
class Front:
    """The model and the size. Raises FormatError when a field is outside what the format can hold."""

    model_id: int  # the model's number in the zoo, 0 to MAX_MODEL
    digest: bytes  # 2 bytes that tell the model's weights from others
    width: int  # pixels, 1 to MAX_SIDE
    height: int  # pixels, 1 to MAX_SIDE; width * height <= MAX_PIXELS

    def __post_init__(self) -> None:
        check_model(self.model_id, self.digest)
        check_range("width", self.width, 1, MAX_SIDE)
        check_range("height", self.height, 1, MAX_SIDE)
        if self.width * self.height > MAX_PIXELS:
            raise FormatError(f"{self.width} x {self.height} is too large: at most {MAX_PIXELS} pixels are allowed")


def write_front(version: int, low: int, front: Front) -> bytearray:
    """The fields' bytes. low: the low nibble of byte 4, which says the kind."""
    out = bytearray(MAGIC)
    out.append(version << 4 | low)
    out += varint(front.model_id) + front.digest
    return out + varint(front.width) + varint(front.height)


def read_low(reader: Reader) -> int:
    """The low nibble of byte 4, from the file's first byte on. Raises FormatError when it is not there."""
    return reader.take(len(MAGIC) + 1, "magic")[-1] & 0x0F


def read_front(reader: Reader) -> tuple[int, bytes, int, int]:
    """Model, digest, width and height, which are checked when a header is made. Raises FormatError for bad varints."""
    model_id = reader.varint(MAX_MODEL, "model id")
    digest = reader.take(DIGEST_BYTES, "weights' digest")
    return model_id, digest, reader.varint(MAX_SIDE, "width"), reader.varint(MAX_SIDE, "height")


def check_version(version: int) -> None:
    """Raises FormatError unless there is such a version."""
    check_range("format version", version, 1, NEWEST)
