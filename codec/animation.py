"""Animations: all frames, as the file that holds them, or as a lossless WebP of the same frames."""

import io
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from PIL import Image
from PIL.ExifTags import Base

from vlcodec.codec import whole
from vlcodec.codec.errors import ImageError
from vlcodec.codec.files.metadata import Metadata
from vlcodec.codec.files.stored_file import Stored
from vlcodec.codec.files.wire import MAX_PIXELS
from vlcodec.codec.image import UPRIGHT, check_size, is_deep, pillow
from vlcodec.codec.tags import metadata_of, saved_in

FORMATS: Final = {"PNG": "PNG", "WEBP": "WebP", "GIF": "GIF"}  # Pillow's names of those that hold animations
ONCE: Final = 1  # how often a GIF plays that does not say


@dataclass(frozen=True)
class Animation:
    """Frames as they are shown, RGBA, all of one size, 0 where they are transparent.

    durations: in milliseconds. loops: 0 for ever.
    """

    frames: tuple[Image.Image, ...]
    durations: tuple[int, ...]
    loops: int
    metadata: Metadata = ()
    stored: Stored | None = None

    def frame(self, number: int) -> Image.Image:
        """One of them, counted from 1. Raises ImageError for one that is not there."""
        if not 1 <= number <= len(self.frames):
            raise ImageError(f"an animation of {len(self.frames)} frames has no frame {number}: they count from 1")
        return self.frames[number - 1]


def open_animation(source: object, max_pixels: int = MAX_PIXELS, strip: bool = False) -> Animation | None:
    """The animation in a file's bytes, or in an image that Pillow has opened; None for anything else.

    Raises ImageError for a damaged one, and for one whose frames have more than max_pixels together.
    """
    if isinstance(source, Image.Image):
        if source.format not in FORMATS or getattr(source, "n_frames", 1) < 2:
            return None
        with pillow():
            return _animation(source, None, max_pixels, strip)
    if not isinstance(source, bytes) or not source.startswith((b"\x89PNG", b"GIF8", b"RIFF")):
        return None
    with pillow(), Image.open(io.BytesIO(source), formats=tuple(FORMATS)) as image:
        return _animation(image, source, max_pixels, strip) if getattr(image, "n_frames", 1) > 1 else None


def _animation(image: Image.Image, data: bytes | None, max_pixels: int, strip: bool) -> Animation:
    check_size(image)
    count = getattr(image, "n_frames", 1)
    if image.width * image.height * count > max_pixels:
        size = f"{count} frames of {image.width} x {image.height}"
        raise ImageError(f"too large: {size} are more than {max_pixels:,} pixels")
    if is_deep(image):
        raise ImageError("an animation of more than 8 bits per channel is not supported")
    if image.info.get("default_image"):
        raise ImageError("an animation with a picture in its place, for who shows none, is not supported")
    frames, durations, before = [], [], image.tell()
    for number in range(count):
        image.seek(number)
        frames.append(_shown(image.convert("RGBA")))
        durations.append(round(image.info.get("duration", 0)))
    loops = int(image.info.get("loop", ONCE))
    metadata = () if strip else metadata_of(image)
    if (turn := _turn(image)) is not None:
        frames = [frame.transpose(turn) for frame in frames]
    image.seek(before)
    stored = None if data is None or (strip and metadata_of(image)) else Stored(FORMATS[str(image.format)], data)
    return Animation(tuple(frames), tuple(durations), loops, metadata, stored)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What undoes the orientation that the file's EXIF tells, if it tells one."""
    exif = Image.Exif()
    with suppress(Exception):  # on damaged metadata Pillow raises whatever it runs into
        exif.load(image.info.get("exif", b""))  # `getexif` would load the image, and close its file
    return UPRIGHT.get(exif.get(Base.Orientation, 1))


def _shown(frame: Image.Image) -> Image.Image:
    """What is seen of an RGBA frame: 0 where it is transparent, since WebP's frames keep no colours there."""
    clear = Image.new("RGBA", frame.size, (0, 0, 0, 0))
    return Image.composite(frame, clear, frame.getchannel("A").point(lambda level: 255 * (level > 0)))


def same_frames(a: Animation, b: Animation) -> bool:
    """Whether two show the same: frames, times, loops."""
    times = (a.durations, a.loops, len(a.frames)) == (b.durations, b.loops, len(b.frames))
    return times and all(x.tobytes() == y.tobytes() for x, y in zip(a.frames, b.frames, strict=True))


def smallest(animation: Animation) -> Stored:
    """The file that came, or the WebP that Pillow makes, if it has the same frames and metadata.

    Raises ImageError for neither.
    """
    found = [animation.stored] if animation.stored is not None else []
    if max(animation.frames[0].size) <= whole.WEBP_SIDE:
        webp = as_file(animation, "WebP", method=6, quality=100)
        back = open_animation(webp)
        if back is not None and same_frames(back, animation) and back.metadata == animation.metadata:
            found.append(Stored("WebP", webp))
    if not found:
        raise ImageError("an animation that a WebP does not hold, frame by frame with its texts, must come as a file")
    return min(found, key=lambda stored: len(stored.data))


def as_file(animation: Animation, format: str, **options: object) -> bytes:
    """The bytes of a PNG (APNG) or a lossless WebP of all frames. Raises ImageError for other formats.

    Pillow joins frames that follow each other and are alike; they are shown as long.
    """
    name = format.upper()
    if name not in ("PNG", "WEBP"):
        raise ImageError(f"a {format} holds no animation: PNG and WebP do, and --frame takes one frame")
    if name == "WEBP":
        whole.check_webp(animation.frames[0])
        options = {"lossless": True, "exact": True} | options
    first, *others = animation.frames
    times = {"duration": list(animation.durations), "loop": animation.loops}
    out = io.BytesIO()
    kept = saved_in(name, animation.metadata)
    first.save(out, format=name, save_all=True, append_images=others, **times, **kept, **options)
    return out.getvalue()


def written(found: whole.Whole | Image.Image, format: str) -> bytes:
    """The bytes of a file of a decoded picture: of frames by `as_file`, of one by `whole.as_file`, of 16 bits by
    `sixteen_files.as_file`.

    Raises ImageError for a TIFF of several frames, and a WebP of 16 bits.
    """
    if isinstance(found, whole.Whole) and found.low is not None:
        from vlcodec.codec import sixteen_files

        return sixteen_files.as_file(found, format)
    image = found.image if isinstance(found, whole.Whole) else found
    frames = open_animation(image)
    return whole.as_file(image, format) if frames is None else as_file(frames, format)


def shown(animation: Animation) -> Image.Image:
    """An image of all frames, as Pillow opens them: `seek` goes from one to the next."""
    data = animation.stored.data if animation.stored is not None else as_file(animation, "PNG")
    image = Image.open(io.BytesIO(data), formats=tuple(FORMATS))
    image.load()
    return image
