"""Pillow's plugin: after `import vlcodec.pillow`, `Image.open` and `Image.save` know .vlz files.

    from PIL import Image
    import vlcodec.pillow

    image = Image.open("photo.vlz")         # the header alone is read
    image.draft(None, (400, 300))           # what is small enough may be the mean image
    image.save("again.vlz", lossless=True)  # or quality=1 to 9

Opening tells size, mode and number of frames; metadata and texts (`info`, `getexif`, `text`) come with the pixels, as
may an orientation that stands behind a stored PNG's pixels. Of an animation, `seek` goes from frame to frame, and
saving it as .vlz again saves all of them.

`draft` of no size, or of one that is at most half as wide or half as high as the picture, chooses the mean image, which
the latents alone give; `thumbnail` asks for it by itself. Grey of 16 bits has mode I;16; colours and alpha of 16 bits
are for `vlcodec.decompress_array`: here they have their mean image alone. Saving takes `lossless` and `quality`, as
`compress`, and `exif`, `icc_profile`, `xmp` and `dpi`, in place of what the image has.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any, Final, Literal

from PIL import ContainerIO, ExifTags, Image, ImageFile

from vlcodec import facade
from vlcodec.codec.errors import FormatError, VlcodecError
from vlcodec.codec.files import picture_file
from vlcodec.codec.files.composite_file import describe, is_composite
from vlcodec.codec.files.stored_file import FORMATS, PLACE, is_stored, unpack_stored
from vlcodec.codec.files.wire import CRC_BYTES, MAGIC, MAX_PIXELS, is_archive

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

FORMAT: Final = "VLZ"
MEDIA_TYPE: Final = "image/vnd.vlcodec"
METADATA: Final = ("exif", "icc_profile", "xmp", "dpi")
GREY: Final = {8: "L", 16: "I;16"}  # mode, by the bits of a level
TURNED: Final = (5, 6, 7, 8)  # EXIF's orientations that exchange width and height
FRONT: Final = 2**15  # bytes; more than any header with its table has


class VlzImageFile(ImageFile.ImageFile):
    """A .vlz file of one picture, whose pixels are decoded when they are asked for."""

    format = FORMAT
    format_description = "vlcodec picture"
    _decode: Literal["mean"] | None = None
    _preview = ""  # mode of the mean image
    _frames: Image.Image | None = None  # all of an animation, once they are read
    _file = b""  # that holds them
    _at = 0  # the frame that is shown

    def _open(self) -> None:
        """Size and mode. Raises SyntaxError, as Pillow wants it, for what cannot be read."""
        assert self.fp is not None  # Pillow has opened it
        self.text = dict[str, str]()
        front = self.fp.read(FRONT)
        try:
            if is_stored(front):
                with self._inner(front) as inner:
                    turned = _is_turned(inner) and getattr(inner, "n_frames", 1) == 1
                    self._size = inner.size[::-1] if turned else inner.size
                    clear = inner.mode == "1" and "transparency" in inner.info
                    self._mode = self._preview = "LA" if clear else inner.mode
            elif is_composite(front):
                about = self._described(front)
                mode = GREY[about.get("bits", 8)] if about["mode"] == "L" else about["mode"]
                self._size, self._mode = (about["width"], about["height"]), mode
                self._preview = about["mode"]
            else:
                header, mode = picture_file.read_header(front), picture_file.mode(front)
                self._size, self._mode = (header.width, header.height), mode
                self._preview = "L" if mode == "1" else mode
                if mode == "L":
                    self._mode = GREY[picture_file.bits(front)]
        except (FormatError, KeyError, OSError) as error:
            raise SyntaxError(str(error)) from error
        self._preview = "L" if self._mode == GREY[16] else self._preview
        self.tile = [ImageFile._Tile("vlz", (0, 0, *self._size))]  # what is still to decode

    def _inner(self, front: bytes) -> Image.Image:
        """Another codec's picture within ours, not decoded. Raises what Pillow raises."""
        assert self.fp is not None
        return Image.open(_inside(self.fp), formats=[FORMATS.get(front[PLACE - 1], "")])

    @property
    def n_frames(self) -> int:
        """Of an animation as many as it has, else 1."""
        if self._frames is None and self.tile and self.fp is not None:
            self.fp.seek(0)
            front = self.fp.read(PLACE)
            if not is_stored(front):
                return 1
            with self._inner(front) as inner:
                return int(getattr(inner, "n_frames", 1))
        return 1 if self._frames is None else int(getattr(self._frames, "n_frames", 1))

    @property
    def is_animated(self) -> bool:
        """Whether there are several frames."""
        return self.n_frames > 1

    def tell(self) -> int:
        """The number of the frame that is shown, from 0."""
        return self._at

    def seek(self, frame: int) -> None:
        """Show another frame. Raises EOFError for one that is not there, and what `load` raises."""
        if not 0 <= frame < self.n_frames:
            raise EOFError(f"there is no frame {frame}: they are {self.n_frames}, from 0")
        self.load()
        if self._frames is not None and frame != self._at:
            if frame < self._at:  # a PNG that goes back twice makes Pillow lose count of its frames
                self._frames = Image.open(io.BytesIO(self._file), formats=[str(self._frames.format)])
            self._frames.seek(frame)
            self._show(self._frames.copy())
            self._at = frame

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
        self._mode = self._preview
        return self.mode, (0, 0, self.width, self.height)

    def load(self) -> PixelAccess | None:
        """Decode the pixels. Raises OSError for a damaged file, for colours or alpha of 16 bits, and where its weights
        are not here."""
        if self.tile:
            if self.fp is None:
                raise ValueError("the pixels of a closed picture cannot be read")
            self.fp.seek(0)
            try:  # Pillow has looked at the size by its own limit
                data = self.fp.read()
                image = facade.decompress(data, decode=self._decode, max_pixels=MAX_PIXELS)
            except VlcodecError as error:
                raise OSError(str(error)) from error
            animated = getattr(image, "n_frames", 1) > 1
            self._frames, self._file = (image, unpack_stored(data).data) if animated else (None, b"")
            self._show(image.copy() if animated else image)
            self.text = getattr(image, "text", None) or {}
            self.tile = []
            if self._exclusive_fp:
                self.fp.close()
                self.fp = None
        return super().load()

    def _show(self, image: Image.Image) -> None:
        self.im, self._size, self._mode, self.palette = image.im, image.size, image.mode, image.palette
        self.info |= image.info
        self._exif = None  # of what was known before


def _accept(front: bytes) -> bool | str:
    """Whether a file that begins like this is one of ours; Pillow shows a text as the reason why it cannot be read."""
    if not front.startswith(MAGIC):
        return False
    return "a .vlz archive: vlcodec.decompress_archive reads its pictures" if is_archive(front) else True


def _inside(stream: IO[bytes]) -> ContainerIO.ContainerIO[bytes]:
    """Another codec's file within ours."""
    return ContainerIO.ContainerIO(stream, PLACE, stream.seek(0, 2) - CRC_BYTES - PLACE)


def _is_turned(inner: Image.Image) -> bool:
    """Whether width and height change places, as far as what stands before the pixels tells."""
    try:
        return Image.Image.getexif(inner).get(ExifTags.Base.Orientation) in TURNED  # of its own, a PNG reads on
    except Exception:  # damaged metadata is no reason to refuse sound pixels
        return False


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    """All frames of an animation. Raises OSError for what `vlcodec.compress` refuses."""
    options = {name: image.encoderinfo[name] for name in ("lossless", "quality") if name in image.encoderinfo}
    given: dict[str | tuple[int, int], Any] = {
        name: image.encoderinfo[name] for name in METADATA if name in image.encoderinfo
    }
    if given and getattr(image, "n_frames", 1) > 1:
        raise OSError(f"several frames keep the metadata that they have: no {' or '.join(map(str, given))}")
    if given:
        texts, image = getattr(image, "text", {}), image.copy()
        image.text = texts  # type: ignore[attr-defined]
        image.info |= given
    try:
        animation = image._file if isinstance(image, VlzImageFile) else b""
        stream.write(facade.compress(animation or image, **options))
    except VlcodecError as error:
        raise OSError(str(error)) from error


Image.register_open(FORMAT, VlzImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".vlz")
Image.register_mime(FORMAT, MEDIA_TYPE)
Image.preinit()  # else the first `Image.open` would load the usual plugins, in some 10 ms
