"""Pictures <-> the colours that models take. What stands around them is read by `whole.py` and `tags.py`.

What cannot come back whole is refused, never quietly reduced. For archives, batches and rates that is alpha, more than
8 bits, further pages, other colour spaces.
"""

import io
import math
import struct
import threading
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, EXTRASAMPLES, SAMPLESPERPIXEL, TiffImageFile

from vlcodec.codec.errors import ImageError
from vlcodec.codec.files.wire import MAX_PIXELS, MAX_SIDE

# Only formats whose bit depth can be told for certain. It also keeps Pillow from starting the outside programs that
# some of its other formats need.
FORMATS: Final = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")

_RULE: Final = "a picture must be 8-bit RGB, grey (L), bilevel (1) or palette (P) without transparency"
_TOO_LARGE: Final = f"too large: at most {MAX_SIDE} pixels a side and {MAX_PIXELS} in all are allowed"

UPRIGHT: Final = {  # EXIF orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

MOVED_EXTRASAMPLES: Final = 50338  # TIFF's tag 338 in what `opened` makes of grey and alpha
_SHORT: Final = 3  # TIFF's type of numbers of 2 bytes
_TWO_OF_16: Final = (b"\x10\0\x10\0", b"\0\x10\0\x10")

_PILLOW_STATE: Final = threading.RLock()  # a .vlz that Pillow's plugin reads inside is decoded by our readers


@dataclass(frozen=True)
class Picture:
    """A picture's pixels, all that is coded of it."""

    pixels: npt.NDArray[np.uint8]  # (H, W, 3) uint8 RGB, C-contiguous; of a grey picture R = G = B
    grey: bool  # the picture had one channel


def load(
    source: str | Path | bytes | BinaryIO | Image.Image | npt.NDArray[Any], max_pixels: int = MAX_PIXELS
) -> Picture:
    """Read a picture from a path, a file's bytes, a binary stream (to its end), a Pillow image or an array.

    Taken are 8-bit RGB, grey (mode L), bilevel (mode 1, as grey) and opaque palette pictures; a palette becomes the RGB
    values that it stands for, exactly. EXIF orientation is applied. A Pillow image is not changed; one whose pixels are
    in memory already is taken at the 8 bits it shows. An array, (H, W) or (H, W, C), is taken as Pillow takes it: of
    uint8 it is grey or RGB, of bool bilevel.

    Raises ImageError for anything else: unreadable, damaged, larger than the container's limits, alpha or a transparent
    colour, 16 bits, several frames, other modes.
    """
    if isinstance(source, np.ndarray):
        source = of_array(source)
    if isinstance(source, Image.Image):
        with pillow():
            return _picture(source)
    data = read_source(source)
    if not data:
        raise ImageError("no bytes: an empty file is not a picture")
    with pillow(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if max_pixels < image.width * image.height <= MAX_PIXELS:
            raise ImageError(f"too large: {image.width} x {image.height} are more than {max_pixels:,} pixels")
        return _picture(image)


def size_of(data: bytes) -> tuple[int, int]:
    """(width, height) of a picture file, from its header. Raises ImageError where that is one that `load` refuses."""
    with pillow(), opened(data) as image:
        check_size(image)
        return image.size


def opened(data: bytes, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """Pillow's image of a picture file, not yet decoded. Raises whatever Pillow raises.

    A TIFF of grey and alpha of 16 bits, which Pillow does not know, is one of grey by its tags, and never to be loaded.
    """
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        if "TIFF" not in formats or (grey := _as_grey(data)) is None:
            raise
        return Image.open(io.BytesIO(grey), formats=("TIFF",))


def of_array(array: npt.NDArray[Any]) -> Image.Image:
    """The image of an array. Raises ImageError for one that Pillow does not take for a picture."""
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(f"an array of a picture is (H, W) or (H, W, C), none of them 0, not {array.shape}")
    try:
        return Image.fromarray(np.ascontiguousarray(array))
    except TypeError:
        raise ImageError(
            f"an array of a picture is (H, W) of uint8, uint16 or bool, or (H, W, C), not {array.shape} {array.dtype}"
        ) from None


def load_many(data: bytes) -> list[Picture] | npt.NDArray[np.uint8] | None:
    """The pictures of a file that holds several: a TIFF of several pages, an array in an .npy or .npz file.

    None for any other file. Raises ImageError for a damaged one, and for arrays of anything else.
    """
    if data[:6] == b"\x93NUMPY" or data[:4] == b"PK\x03\x04":
        return _array(data)
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    with pillow(), Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        count = getattr(image, "n_frames", 1)
        if count == 1:
            return None
        pages, area = list[Picture](), 0
        for number in range(count):
            image.seek(number)
            area += image.width * image.height
            if area > MAX_PIXELS:
                raise ImageError(_TOO_LARGE)
            _check(image, frames=count)
            pages.append(_picture(image.copy()))
        return pages


def holds_many(data: bytes) -> bool:
    """Whether a file holds several pictures, or an array of them; what is damaged is left to its reader."""
    if data[:4] in (b"II*\0", b"MM\0*"):
        try:
            with pillow(), Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
                return getattr(image, "n_frames", 1) > 1
        except ImageError:
            return False
    return data[:6] == b"\x93NUMPY" or data[:4] == b"PK\x03\x04"


def _array(data: bytes) -> npt.NDArray[np.uint8]:
    """The one array of an .npy or .npz file, once its header says that it is one of pictures."""
    try:
        stream: IO[bytes] = io.BytesIO(data)
        if data[:2] == b"PK":
            archive = zipfile.ZipFile(stream)
            if len(archive.namelist()) != 1:
                raise ImageError(f"an .npz file must hold one array, not {len(archive.namelist())}")
            data = b""
            stream = archive.open(archive.namelist()[0])
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = readers[version](stream)
        check_array(shape, dtype)
        if math.prod(shape[:3]) > MAX_PIXELS:
            raise ImageError(_TOO_LARGE)
        stream.seek(0)
        array: npt.NDArray[np.uint8] = np.lib.format.read_array(stream, allow_pickle=False)
        return array
    except ImageError:
        raise
    except Exception as error:  # numpy's and zipfile's readers raise whatever they run into
        raise ImageError("damaged or cut short: the array cannot be read") from error


def check_array(shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Raises ImageError for an array that is not one of pictures."""
    grey = len(shape) == 3 and dtype in (np.uint8, np.bool_)
    if not grey and not (len(shape) == 4 and shape[3] == 3 and dtype == np.uint8):
        raise ImageError(
            f"an array of pictures is (N, H, W) of uint8 or bool, or (N, H, W, 3) of uint8, not {shape} {dtype}"
        )


def to_image(pixels: npt.NDArray[np.uint8], grey: bool) -> Image.Image:
    """The Pillow image, mode RGB or L, of (H, W, 3) uint8 pixels; the red channel stands for a grey picture's one."""
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels))


def is_bilevel(picture: Picture) -> bool:
    """Whether a picture is grey with the values 0 and 255 alone; an RGB picture may be, too."""
    p = picture.pixels
    return bool(((p == 0) | (p == 255)).all() and (p == p[..., :1]).all())


def threshold(picture: Picture, level: int) -> Picture:
    """Black and white: white where the luminance (ITU-R 601, as Pillow has it) is at least `level`."""
    if not 0 <= level <= 255:
        raise ImageError(f"a threshold is a grey level from 0 to 255, not {level}")
    grey = np.asarray(Image.fromarray(picture.pixels).convert("L"))
    return Picture(np.repeat(np.where(grey >= level, 255, 0).astype(np.uint8)[..., np.newaxis], 3, axis=2), grey=True)


def resized(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """(height, width, 3) uint8, by Pillow's bicubic filter, which computes in integers.

    Rows first: some versions of Pillow take columns first where that is quicker, which rounds otherwise.
    """
    image = Image.fromarray(pixels)
    for size in ((width, image.height), (width, height)):
        image = image.resize(size, Image.Resampling.BICUBIC)
    return np.array(image)


def png_bytes(image: Image.Image) -> bytes:
    """The bytes of a PNG file of the image."""
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def read_source(source: str | Path | bytes | BinaryIO) -> bytes:
    """All bytes of a source. Raises ImageError when it cannot be read."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if not isinstance(source, str | Path) and not hasattr(source, "read"):
        raise ImageError(f"a picture is a path, bytes, a stream, an image or an array, not {type(source).__name__}")
    try:
        return Path(source).read_bytes() if isinstance(source, str | Path) else source.read()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL byte in a path, a closed stream
        raise ImageError(f"cannot be read: {error}") from error


@contextmanager
def pillow() -> Iterator[None]:
    """Run Pillow under our limits and give its many kinds of failure one name, ImageError.

    Its size limit and the warning filters are global, so they are swapped under a lock and put back.
    """
    with _PILLOW_STATE, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they concern metadata, which is dropped anyway
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS
        try:
            yield
        except ImageError:
            raise
        except UnidentifiedImageError as error:
            known = ", ".join(FORMATS)
            raise ImageError(f"not a picture: none of {known}, or damaged in its first bytes") from error
        except Image.DecompressionBombError as error:
            raise ImageError(_TOO_LARGE) from error
        except MemoryError as error:
            raise ImageError("there is not enough memory to hold the picture") from error
        except Exception as error:  # on damaged bytes Pillow's readers raise whatever they run into
            raise ImageError("damaged or cut short: the picture cannot be decoded") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _picture(image: Image.Image) -> Picture:
    """Check what an image says of itself, then decode it. Raises ImageError, or whatever Pillow raises."""
    _check(image)
    turned = upright(image)
    if image.mode in ("L", "1"):
        grey = np.asarray(turned.convert("L"))  # (H, W)
        return Picture(np.repeat(grey[:, :, np.newaxis], 3, axis=2), grey=True)  # (H, W, 3)
    return Picture(np.array(turned.convert("RGB")), grey=False)  # (H, W, 3)


def _check(image: Image.Image, frames: int = 1) -> None:
    """Raises ImageError for an image that is not taken, or has more than so many frames; decodes no pixels."""
    check_size(image)
    if image.has_transparency_data:
        raise ImageError(f"mode {image.mode} with transparency: only a file of a single picture keeps alpha")
    if image.mode not in ("RGB", "L", "P", "1"):
        raise ImageError(f"mode {image.mode} is not supported: {_RULE}")
    if is_deep(image):
        raise ImageError(f"more than 8 bits per channel are not supported: {_RULE}")
    check_frames(image, frames)


def check_frames(image: Image.Image, frames: int = 1) -> None:
    """Raises ImageError for an image that has more than so many."""
    found = getattr(image, "n_frames", 1)
    if found > frames and image.format == "MPO":
        raise ImageError(f"a JPEG of {found} pictures (MPO), as some cameras write them: a picture must be alone")
    if found > frames:
        raise ImageError(f"{found} frames or pages: a picture must have one")


def check_size(image: Image.Image) -> None:
    """Raises ImageError for a size outside the limits; decodes no pixels."""
    if min(image.size) < 1:
        raise ImageError("empty: a picture must have at least one pixel")
    if max(image.size) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
        raise ImageError(_TOO_LARGE)


def is_deep(image: Image.Image) -> bool:
    """Whether Pillow is about to cut an RGB picture down to 8 bits a channel, which it does without a word."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []  # how to decode; empty once it is done
    if isinstance(image, TiffImageFile):
        return bool(tiles) and max(image.tag_v2.get(BITSPERSAMPLE, (1,))) > 8
    if image.format == "PNG":
        return any(";16" in str(tile.args) for tile in tiles)  # raw mode
    if image.format == "PPM":
        return any(isinstance(tile.args, tuple) and tile.args[1] > 255 for tile in tiles)  # raw mode, largest value
    return False


def upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation wants it seen. Raises whatever Pillow raises on damaged pixels."""
    image.load()
    method = UPRIGHT.get(orientation_of(image))
    return image if method is None else image.transpose(method)


def orientation_of(image: Image.Image) -> int:
    """EXIF's, 1 where it tells none; of a TIFF only until its pixels are loaded, as Pillow turns them then."""
    try:
        orientation: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata is no reason to refuse sound pixels
        return 1
    return orientation


def _as_grey(data: bytes) -> bytes | None:
    """A TIFF of grey and alpha, of 16 bits, with the tags of one of grey alone; None of anything else."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    out, found = bytearray(data), set[int]()
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        for place in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, number, value = struct.unpack_from(order + "HHIH", data, place)
            if (tag, kind, number) == (BITSPERSAMPLE, _SHORT, 2) and data[place + 8 : place + 12] in _TWO_OF_16:
                struct.pack_into(order + "HHIHH", out, place, tag, kind, 1, 16, 0)
            elif (tag, kind, number, value) == (SAMPLESPERPIXEL, _SHORT, 1, 2):
                struct.pack_into(order + "H", out, place + 8, 1)
            elif (tag, kind, number) == (EXTRASAMPLES, _SHORT, 1):
                struct.pack_into(order + "H", out, place, MOVED_EXTRASAMPLES)
            else:
                continue
            found.add(tag)
    except struct.error:
        return None
    return bytes(out) if len(found) == 3 else None
