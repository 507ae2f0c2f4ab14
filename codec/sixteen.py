"""Pictures of 16 bits a channel: their levels, from files, images and arrays.

Pillow has grey of 16 bits alone, mode I;16, and cuts colours to 8 bits without a word. So colours and alpha are read by
imagecodecs, an extra, which is imported once there is such a picture. Metadata are Pillow's in any case.
"""

import logging
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    EXTRASAMPLES,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
    TiffImageFile,
)

from vlcodec.codec.errors import ImageError
from vlcodec.codec.image import MOVED_EXTRASAMPLES, orientation_of, upright
from vlcodec.codec.interface import Bytes

Levels = npt.NDArray[np.uint16]  # (H, W, C): grey; grey and alpha; red, green and blue; these and alpha

MODES: Final = ("I;16", "I;16L", "I;16B", "I;16N")  # Pillow's, of grey
MAX_CHANNELS: Final = 4
EXTRA: Final = "pictures of 16 bits with colours or alpha are read by imagecodecs: pip install 'vlcodec[deep]'"
_RULE: Final = "16 bits are taken from PNG and TIFF files, as grey or RGB, with alpha or without"
_SILENT: Final = logging.NullHandler()
_UNSIGNED, _SEPARATE, _STRAIGHT = 1, 2, 2  # values of TIFF's SampleFormat, PlanarConfiguration, ExtraSamples


def of_array(array: npt.NDArray[Any]) -> Levels:
    """(H, W) or (H, W, C) uint16 of any byte order -> levels. Raises ImageError for other shapes."""
    levels = array[..., None] if array.ndim == 2 else array
    if levels.ndim != 3 or 0 in levels.shape or levels.shape[2] > MAX_CHANNELS:
        raise ImageError(f"an array of 16-bit levels is (H, W) or (H, W, C), C from 1 to 4, not {array.shape}")
    return np.ascontiguousarray(levels, np.uint16)


def of_image(image: Image.Image, data: bytes | None) -> Levels:
    """The levels, upright, of an image that is checked to be of more than 8 bits. data: the file that it stands in.

    Raises ImageError for what is not taken, and where the extra is missing; on damage whatever its readers raise.
    """
    tags = _tags(image) if isinstance(image, TiffImageFile) and data is not None else None
    if image.mode in MODES and "transparency" not in image.info and MOVED_EXTRASAMPLES not in (tags or {}):
        return of_array(np.asarray(upright(image)))
    if data is None:
        raise ImageError("Pillow cuts colours of 16 bits to 8: give the file itself, or an array, not Pillow's image")
    codecs = _imagecodecs()
    turn = orientation_of(image)
    if tags is not None:
        levels = codecs.tiff_decode(data)
        if tags.get(PLANAR_CONFIGURATION) == _SEPARATE and levels.ndim == 3:
            levels = np.moveaxis(levels, 0, -1)
    elif image.format == "PNG":
        levels = codecs.png_decode(data)  # a transparent colour becomes alpha
        image.load()  # text may stand behind the pixels
    else:
        raise ImageError(_RULE)
    if levels.dtype != np.uint16:
        raise ImageError(_RULE)
    return of_array(turned(of_array(levels), turn))


def turned(levels: Levels, orientation: int) -> Levels:
    """As EXIF's orientation, 1 to 8, wants it seen: (H, W, C), or (W, H, C) from 5 on."""
    if orientation in (5, 6, 7, 8):
        levels = levels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return levels[::rows, ::columns]


def split(levels: Levels) -> tuple[Bytes, Bytes]:
    """The high and the low bytes, (H, W, C) uint8 each."""
    return (levels >> 8).astype(np.uint8), (levels & 255).astype(np.uint8)


def joined(high: Bytes, low: Bytes) -> Levels:
    """The inverse of `split`."""
    levels: Levels = high.astype(np.uint16) * np.uint16(256) + low
    return levels


def rounded(levels: Levels) -> Bytes:
    """(H, W, C) uint8: the nearest levels of 8 bits, 255 for 65535."""
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _tags(image: TiffImageFile) -> dict[int, Any]:
    """A TIFF's tags. Raises ImageError for levels that are not 16 unsigned bits, and colours that are not taken."""
    tags = dict(image.tag_v2)
    extra = (tags[MOVED_EXTRASAMPLES],) if MOVED_EXTRASAMPLES in tags else tuple(tags.get(EXTRASAMPLES, ()))
    colours = 1 if image.mode in MODES else 2
    if (
        set(tags.get(BITSPERSAMPLE, ())) != {16}
        or set(tags.get(SAMPLEFORMAT, (_UNSIGNED,))) != {_UNSIGNED}
        or tags.get(PHOTOMETRIC_INTERPRETATION) != colours
        or extra not in ((), (_STRAIGHT,))
    ):
        raise ImageError(f"a TIFF of other levels than 16 unsigned bits, or of other colours: {_RULE}")
    return tags


def _imagecodecs() -> Any:
    """The extra. Raises ImageError where it is not installed."""
    try:
        import imagecodecs
    except ImportError:
        raise ImageError(EXTRA) from None
    logging.getLogger("imagecodecs").addHandler(_SILENT)  # what it warns of, metadata, is Pillow's to read
    return imagecodecs
