"""Pillow's plugin: after `import vlcodec.pillow`, `Image.open` and `Image.save` know .vlz files.

    from PIL import Image
    import vlcodec.pillow

    image = Image.open("photo.vlz")         # the header alone is read
    image.draft(None, (400, 300))           # what is small enough may be the mean image
    image.save("again.vlz", lossless=True)  # or quality=1 to 4

`draft` of no size, or of one that is at most half as wide or half as high as the picture, chooses the mean image, which
the latents alone give; `thumbnail` asks for it by itself. Grey of 16 bits has mode I;16; colours and alpha of 16 bits
are for `vlcodec.decompress_array`: here they have their mean image alone. Saving takes `lossless` and `quality`, as
`compress`, and `exif`, `icc_profile`, `xmp` and `dpi`, in place of what the image has.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Final, Literal

from PIL import ContainerIO, Image, ImageFile

from vlcodec import facade
from vlcodec.codec.errors import FormatError, VlcodecError
from vlcodec.codec.files import picture_file
from vlcodec.codec.files.composite_file import describe, is_composite
from vlcodec.codec.files.stored_file import FORMATS, PLACE, is_stored
from vlcodec.codec.files.wire import CRC_BYTES, MAGIC, MAX_PIXELS, is_archive

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

FORMAT: Final = "VLZ"
MEDIA_TYPE: Final = "image/vnd.vlcodec"
METADATA: Final = ("exif", "icc_profile", "xmp", "dpi")
GREY: Final = {8: "L", 16: "I;16"}  # mode, by the bits of a level
FRONT: Final = 2**15  # bytes; more than any header with its table has


class VlzImageFile(ImageFile.ImageFile):
    """A .vlz file of one picture, whose pixels are decoded when they are asked for."""

    format = FORMAT
    format_description = "vlcodec picture"
    _decode: Literal["mean"] | None = None

    def _open(self) -> None:
        """Size and mode. Raises SyntaxError, as Pillow wants it, for what cannot be read."""
        assert self.fp is not None  # Pillow has opened it
        front = self.fp.read(FRONT)
        try:
            if is_stored(front):
                with Image.open(_inner(self.fp), formats=[FORMATS.get(front[PLACE - 1], "")]) as inner:
                    self._size, self._mode = inner.size, inner.mode
            elif is_composite(front):
                about = self._described(front)
                mode = GREY[about.get("bits", 8)] if about["mode"] == "L" else about["mode"]
                self._size, self._mode = (about["width"], about["height"]), mode
            else:
                header, grey = picture_file.read_header(front), GREY[picture_file.bits(front)]
                self._size, self._mode = (header.width, header.height), grey if header.grey else "RGB"
        except (FormatError, KeyError, OSError) as error:
            raise SyntaxError(str(error)) from error
        self.tile = [ImageFile._Tile("vlz", (0, 0, *self._size))]  # what is still to decode

    def _described(self, front: bytes) -> dict[str, Any]:
        """Of a composite; all of it is read where a long profile stands first."""
        try:
            return describe(front)
        except FormatError:
            assert self.fp is not None
            return describe(front + self.fp.read())

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Choose the mean image where nothing is decoded yet, and no size or a small one is asked for."""
        if not self.tile or (size is not None and 2 * size[0] > self.width and 2 * size[1] > self.height):
            return None
        self._decode = "mean"
        self._mode = "L" if self.mode == GREY[16] else self.mode
        return self.mode, (0, 0, self.width, self.height)

    def load(self) -> PixelAccess | None:
        """Decode the pixels. Raises OSError for a damaged file, for colours or alpha of 16 bits, and where its weights
        are not here."""
        if self.tile:
            if self.fp is None:
                raise ValueError("the pixels of a closed picture cannot be read")
            self.fp.seek(0)
            try:  # Pillow has looked at the size by its own limit
                image = facade.decompress(self.fp.read(), decode=self._decode, max_pixels=MAX_PIXELS)
            except VlcodecError as error:
                raise OSError(str(error)) from error
            self.im, self._size, self._mode, self.palette = image.im, image.size, image.mode, image.palette
            self.info |= image.info
            self.tile = []
            if self._exclusive_fp:
                self.fp.close()
                self.fp = None
        return super().load()


def _accept(front: bytes) -> bool | str:
    """Whether a file that begins like this is one of ours; Pillow shows a text as the reason why it cannot be read."""
    if not front.startswith(MAGIC):
        return False
    return "a .vlz archive: vlcodec.decompress_archive reads its pictures" if is_archive(front) else True


def _inner(stream: IO[bytes]) -> ContainerIO.ContainerIO[bytes]:
    """Another codec's file within ours."""
    return ContainerIO.ContainerIO(stream, PLACE, stream.seek(0, 2) - CRC_BYTES - PLACE)


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    """Raises OSError for what `vlcodec.compress` refuses."""
    options = {name: image.encoderinfo[name] for name in ("lossless", "quality") if name in image.encoderinfo}
    given: dict[str | tuple[int, int], Any] = {
        name: image.encoderinfo[name] for name in METADATA if name in image.encoderinfo
    }
    if given:
        image = image.copy()
        image.info |= given
    try:
        stream.write(facade.compress(image, **options))
    except VlcodecError as error:
        raise OSError(str(error)) from error


Image.register_open(FORMAT, VlzImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".vlz")
Image.register_mime(FORMAT, MEDIA_TYPE)
Image.preinit()  # else the first `Image.open` would load the usual plugins, in some 10 ms
