"""One picture <-> the bytes of a .vlz file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from vlcodec import adaptive, beside, others, placeholder
from vlcodec._shared import (
    MAX_PIXELS,
    QUICK,
    Progress,
    Steps,
    as_taken,
    check_alone,
    check_memory,
    check_near,
    check_pixels,
    check_quality,
    effort_steps,
    encoder,
    installed,
    load,
    memory,
    planes,
    tick,
)
from vlcodec.codec.errors import FormatError, ImageError, ModelError, VlcodecError
from vlcodec.codec.files import composite_file, picture_file, stored_file, wire
from vlcodec.codec.files.picture_file import File, Header
from vlcodec.estimates import needed
from vlcodec.jobs import Ticks, side_by_side
from vlcodec.models import registry, zoo
from vlcodec.writing import at_once, banded, write

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from vlcodec.codec.image import Picture
    from vlcodec.codec.interface import Bytes, LatentNet, Model
    from vlcodec.codec.whole import Whole

DEFAULT_MODEL = "photo"
MOST_PIXELS = wire.MAX_PIXELS  # of what is compressed: all that the format holds, unless told otherwise
DEFAULT_QUALITY = {"lossy": 3, "lossless": 1}


def compress(
    image: str | Path | bytes | BinaryIO | Image | NDArray[Any],
    *,
    model: str | None = None,
    lossless: bool = False,
    near_lossless: int = 0,
    effort: int = 1,
    quality: float | None = None,
    seed: int = 0,
    threshold: int | None = None,
    strip: bool = False,
    device: str = "auto",
    max_pixels: int = MOST_PIXELS,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """A picture as the bytes of a .vlz file; equal input and options give equal bytes on every machine.

    Args:
        image: path, bytes or stream of a PNG, JPEG, WebP, ..., a PIL image, or an array (H, W) or (H, W, C) of uint8
            or uint16; RGB or grey, with alpha or without, palette or bilevel. Of 16 bits a lossless file keeps all (PNG
            and TIFF files with colours or alpha need the extra `deep`), a lossy one the nearest 8.
        model: a name, or NAME-NUMBER, which codes the picture in any case. None is photo, or whatever takes fewer bytes
            without a loss: planes, a PNG, a WebP, or the PNG or WebP that the picture came in. An animation is kept
            without a loss in any case, as a file of all its frames.
        near_lossless: levels that each pixel may be off, up to 63; 0 makes a lossy file, or a lossless one. Alpha comes
            back exactly. A file that other codecs make smaller, or a picture with a palette, is lossless all the same.
        effort: 1 to 9; from 2 on a model that can (photo's) learns the picture. A lossless or near-lossless file holds
            what it has learned, a lossy one latents that serve the picture better, as lossless ones from 7 on. Its
            bytes then depend on the machine that writes it, too; it decodes everywhere alike.
        quality: 1 (smallest) to 9; None is 3 for lossy files, and 1 for lossless ones, whose preview it is. 0 makes a
            placeholder of at most 40 bytes (a little more with a long seed). Hundredths count for models that have
            qualities between those that were trained.
        seed: of the dither and, unless told otherwise when decompressing, of the regenerated pixels.
        threshold: for models of black and white pictures: a grey level from which on a pixel is white.
        strip: leave out EXIF, ICC profile, XMP, texts and resolution. They are kept otherwise, but in files of version
            1 and placeholders. EXIF's orientation is applied to the pixels.
        device: "auto", "cpu" or "cuda".
        max_pixels: of a picture that is read from a file; one that has more is refused.
        jobs: bands of a lossless picture that are worked on at the same time; None is as many as there are cores.

    Raises ImageError for a picture that cannot be taken, ModelError for an unknown model, quality or device,
    FormatError for a seed outside [0, 2^64). Calls from several threads give the bytes that one gives.
    """
    from vlcodec.codec import animation
    from vlcodec.codec.image import read_source
    from vlcodec.codec.whole import open_whole

    source: Any = image
    if isinstance(image, str | Path) or hasattr(source, "read"):
        source = read_source(source)
    if (frames := animation.open_animation(source, max_pixels, strip)) is not None:
        if model is not None:
            raise ImageError(f"model {model} codes single pictures: an animation is kept as a file of frames")
        return stored_file.pack_stored(animation.smallest(frames))
    whole, name = open_whole(source, max_pixels, strip), model or DEFAULT_MODEL
    whole = whole if lossless and not near_lossless else whole.rounded
    lossless = lossless or near_lossless > 0
    check_alone(encoder(name), lossless)
    check_near(encoder(name), near_lossless)
    steps = effort_steps(effort, lossless)
    picture, header = fitted(whole.picture, name, lossless, quality, seed, threshold)
    header = replace(header, near=near_lossless)
    with memory():
        near = others.quick(whole) if model is None and lossless else None
        if near is not None and others.is_flat(whole, near):
            return others.smallest(whole, near)
        kept = beside.of_picture(whole, header)
        file = file_of(load(encoder(name), device, encodes=True), planes(picture), header, jobs, progress, steps)
        ours = picture_file.pack(replace(file, **kept))
        if model is not None or header.quality == placeholder.QUALITY:
            return ours
        return others.smallest(whole, others.quick(whole, len(ours)) if near is None else near, ours)


def decompress(
    data: bytes,
    *,
    decode: Literal["sample", "mean"] | None = None,
    seed: int | None = None,
    texture: float = 1.0,
    front: bool = False,
    frame: int | None = None,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Image:
    """The picture of a .vlz file. Lossless files give every pixel back, grey of 16 bits as mode I;16.

    Args:
        decode: for lossy files, "sample" (the default) draws the pixels from p(x | z) with the file's seed, "mean"
            gives the mean image. "mean" of a lossless file is its preview, of 8 bits. A placeholder has the mean image
            alone.
        seed: draws other pixels than the file's own seed would; the latents stay.
        texture: of what is drawn, from 0, the mean image, to 1: mean + texture (sample - mean), in hundredths.
        front: take what has arrived of a file that may be cut: its latents, of a progressive model the groups that are
            there, as of a lossy file; each is held against its checksum.
        frame: of an animation, counted from 1; None is an image of all of them, as Pillow opens such files.
        max_pixels: of the picture; a file that asks for more is refused.
        jobs: bands that are worked on at the same time; None is as many as there are cores.

    Raises FormatError for bytes that are not a whole, sound .vlz file and for a seed outside [0, 2^64), ModelError
    where the file needs other weights, ImageError for colours or alpha of 16 bits, which Pillow does not hold: see
    `decompress_array`. Warns (ProvisionalWarning) of a file made with weights in the making.
    """
    shared: dict[str, Any] = {"device": device, "max_pixels": max_pixels, "jobs": jobs, "progress": progress}
    return decoded(data, decode=decode, seed=seed, texture=texture, front=front, frame=frame, **shared).shown


def decoded(
    data: bytes,
    *,
    decode: Literal["sample", "mean"] | None = None,
    seed: int | None = None,
    texture: float = 1.0,
    front: bool = False,
    frame: int | None = None,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Whole:
    """What `decompress` and `decompress_array` give, with 16 bits where the file has them."""
    check_decode(decode, texture)
    as_preview = front or decode == "mean"
    if stored_file.is_stored(data):
        return others.shown(others.read_stored(data, max_pixels, frame), as_preview)
    if frame is not None:
        raise ImageError("one picture, no animation: it has no frames to choose from")
    if composite_file.is_composite(data):
        return others.shown(others.read_composite(data, max_pixels), as_preview)
    file, drawn, model = opened(data, seed, device, max_pixels, front)
    with memory():
        return beside.dressed(regenerated(model, file, decode, drawn, jobs, progress, texture), file, decode)


def fitted(
    picture: Picture, model: str, lossless: bool, quality: float | None, seed: int, threshold: int | None
) -> tuple[Picture, Header]:
    """The picture as the model takes it, and the file's header; refuses what does not fit."""
    entry = encoder(model)
    if quality is None:
        most = zoo.qualities(entry)
        usual = min(DEFAULT_QUALITY["lossless" if lossless else "lossy"], most)
        quality = most if zoo.takes(entry).progressive else usual
    check_quality(entry, quality, ModelError)
    if quality == placeholder.QUALITY and lossless:
        raise ModelError("quality 0 is a placeholder: a lossless file has a quality from 1 on")
    picture = as_taken(picture, entry, zoo.takes(entry), threshold)
    height, width, _ = picture.pixels.shape
    whole, hundredths = picture_file.split_quality(quality)
    fields = (entry.number, entry.in_files, width, height, picture.grey, lossless, whole, seed)
    header = Header(*fields, version=entry.version, hundredths=hundredths)
    _check_size(header)
    return picture, header


def prepare(
    picture: Picture,
    model: str,
    lossless: bool,
    quality: float | None,
    seed: int,
    threshold: int | None,
    device: str,
) -> tuple[Bytes, Model, Header]:
    """The pixels (1, H, W, C) as the model takes them, the model, and the file's header; refuses what does not fit."""
    picture, header = fitted(picture, model, lossless, quality, seed, threshold)
    return planes(picture), load(encoder(model), device, encodes=True), header


def check_decode(decode: str | None, texture: float = 1.0) -> None:
    """Raises VlcodecError for what decoding is not."""
    if decode not in (None, "sample", "mean"):
        raise VlcodecError(f"decode is sample or mean, not {decode!r}")
    if not 0 <= texture <= 1:
        raise VlcodecError(f"texture is from 0, the mean image, to 1, not {texture:g}")


def file_of(
    model: Model,
    pixels: Bytes,
    header: Header,
    jobs: int | None,
    progress: Progress | None = None,
    steps: Steps = QUICK,
) -> File:
    """A picture (1, H, W, C) as the file of its header."""
    net = net_of(model, header)
    if header.quality == placeholder.QUALITY:
        return placeholder.write(net, pixels, header)
    made = write(net, pixels, header, jobs, progress, refining=steps.latents)
    if not steps.learning:
        return made.file

    def again(net: LatentNet) -> tuple[picture_file.Band, ...]:
        return banded(net, made.fz, pixels, header, jobs, progress)[0]

    return adaptive.improved(net, pixels, made.fz, made.file, again, steps.learning, progress)


def opened(data: bytes, seed: int | None, device: str, max_pixels: int, front: bool = False) -> tuple[File, int, Model]:
    """What a file holds, the seed of its pixels, its own unless another one is given, and the model that it needs.

    front: see `decompress`; of a progressive model, the file is one of the quality that has arrived. Raises what
    `decompress` raises.
    """
    file = picture_file.preview(data) if front else picture_file.unpack(data)
    header = file.header
    drawn = replace(header, seed=header.seed if seed is None else seed).seed
    check_pixels(header.width * header.height, max_pixels)
    model = model_of(header, device)
    if front and zoo.takes(registry.by_number(header.model_id)).progressive:
        file = replace(file, header=replace(file.header, quality=min(header.quality, len(file.groups))))
    check_chunks(file, net_of(model, file.header))
    if file.changes and not (header.lossless or len(file.groups) > 1):
        raise FormatError("the file holds changes of weights, and nothing that was coded with them")
    return file, drawn, model


def model_of(header: Header, device: str) -> Model:
    """The model that a file needs. Raises ModelError where it is not here, FormatError where it is for others."""
    entry = installed(header.model_id, header.digest)
    takes = zoo.takes(entry)
    check_quality(entry, header.level, FormatError)
    if header.quality == placeholder.QUALITY and header.lossless:
        raise FormatError("a placeholder (quality 0) must be a lossy file")
    if takes.side is not None and (header.width, header.height) != (takes.side, takes.side):
        raise FormatError(f"model {entry.name} makes pictures of {takes.side} x {takes.side} alone")
    if header.lossless and not takes.alone:
        raise FormatError(f"model {entry.name} makes no lossless files of single pictures")
    if takes.bilevel and not header.grey:
        raise FormatError(f"model {entry.name} makes grey pictures alone")
    if takes.bilevel and header.near:
        raise FormatError(f"model {entry.name} makes black and white pictures alone, without levels to be off by")
    _check_size(header)
    return load(entry, device)


def net_of(model: Model, header: Header) -> LatentNet:
    """The net of a file's quality; of a placeholder the one that it is coded with."""
    return model.single(header.quality or placeholder.CODED_AS, *([header.hundredths] if header.hundredths else []))


def regenerated(
    model: Model,
    file: File,
    decode: str | None,
    seed: int,
    jobs: int | None,
    progress: Progress | None = None,
    texture: float = 1.0,
) -> Bytes:
    """(H, W, 1 or 3) uint8: what a file's picture is decoded to, with the seed of its pixels where they are drawn."""
    header = file.header
    net = net_of(model, header)
    if header.quality == placeholder.QUALITY:
        return as_kept(placeholder.read(net, file), header)
    fz = features_of(net, file, progress)
    regenerate = decode == "sample" or not header.lossless
    hundredths = round(100 * texture) if regenerate else 100
    if decode == "mean" or not hundredths:
        return as_kept(net.mean_images(fz, header.height, header.width)[0], header)
    if not regenerate:
        net = adaptive.as_file_has_it(net, file)
    made = _bands(net, fz, file, seed if regenerate else None, jobs, progress)
    if hundredths == 100:
        return made
    mean = as_kept(net.mean_images(fz, header.height, header.width)[0], header).astype("int32")
    shown: Bytes = (mean + (hundredths * (made - mean) + 50) // 100).astype("uint8")
    return shown


def as_kept(pixels: Bytes, header: Header) -> Bytes:
    """(..., 3), or (..., 1) where the picture is grey: of a grey one R = B = G."""
    return pixels[..., 1:2] if header.grey and pixels.shape[-1] == 3 else pixels


def check_chunks(file: File, net: LatentNet) -> None:
    """Raises FormatError for chunks that a file's net does not take."""
    from vlcodec.codec.coding.groups import check_groups
    from vlcodec.codec.interface import Adaptive

    if file.changes and not isinstance(net, Adaptive):
        raise FormatError("the file holds changes of weights, which its model does not take")
    check_groups(net, file.groups, file.header.lossless or file.header.quality == placeholder.QUALITY)


def features_of(net: LatentNet, file: File, progress: Progress | None) -> Any:
    """f(z) of a file's latents, in the net's own form."""
    from vlcodec.codec.coding import groups, latents
    from vlcodec.codec.interface import Layered

    header = file.header
    u = latents.dither_of(net, header.seed, 0, 1, header.height, header.width)
    fz = net.features(groups.read_groups(net, file.groups, u, tick(progress, "latents", 0, 1)), u)
    if isinstance(net, Layered) and len(file.groups) > 1:
        return groups.read_lacking(net, file.groups[1], fz, file.changes, tick(progress, "residual", 0, 1))
    return fz


def _bands(net: LatentNet, fz: Any, file: File, seed: int | None, jobs: int | None, progress: Progress | None) -> Bytes:
    """(H, W, 1 or 3) uint8: decoded from the file's bands, or drawn with a seed."""
    import numpy as np

    from vlcodec.codec.coding.pixels import Place, bands, read_band, sample_band

    header = file.header
    colours = 1 if header.grey else 3
    image = np.empty((header.height, header.width, colours), np.uint8)
    places = list(bands(header.height, header.width, colours))
    ticks = Ticks(progress, "pixels", len(places))

    def made(place: Place) -> Bytes:
        done = ticks.of(place.number)
        if seed is None:
            return read_band(net, fz, file.bands[place.number], place, done, header.near)
        return sample_band(net, fz, seed, place, done)

    for place, part in zip(places, side_by_side(made, places, at_once(header, jobs)), strict=True):
        image[place.rows.start : place.rows.stop] = part
    return image


def lossy_part(file: File) -> File:
    """The lossy file that a lossless one begins with."""
    return replace(file, header=file.header.lossy, bands=(), changes=b"", palette=b"", low=b"")


def _check_size(header: Header) -> None:
    check_memory(sum(needed(header.width, header.height)), header.width, header.height)
