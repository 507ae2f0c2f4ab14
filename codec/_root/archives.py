"""Many pictures <-> one .vlz archive: chained by bits-back where every pixel is kept, latents alone where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vlcodec._shared import Progress, device_of, fit, installed, memory, tick
from vlcodec.codec.errors import ArchiveDamage, FormatError, ImageError, ModelError, VlcodecError
from vlcodec.codec.files import archive_file
from vlcodec.codec.files.archive_file import ArchiveFile, ArchiveHeader
from vlcodec.codec.files.wire import sound
from vlcodec.models import zoo

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlcodec.codec.coding.archive import Coded, Models
    from vlcodec.codec.image import Picture
    from vlcodec.codec.interface import Bytes
    from vlcodec.codec.ledger.archive_report import ArchiveReport
    from vlcodec.models.families import Model


@dataclass(frozen=True)
class Archive:
    """What was in an archive: PIL images of mode L or RGB, their names (or none), and the extra bytes."""

    images: list[Image]
    names: tuple[str, ...]
    extra: bytes


def compress_archive(
    images: Sequence[Any] | Any,
    *,
    model: str | None = None,
    lossless: bool = True,
    names: Sequence[str] | None = None,
    extra: bytes = b"",
    seed: int = 0,
    threshold: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> bytes:
    """Pictures of one size as the bytes of one .vlz archive.

    Args:
        images: what `compress` takes, one for each picture, or an array (N, H, W) of uint8 or bool, or (N, H, W, 3) of
            uint8.
        model: None is the first that takes pictures of the first one's size.
        lossless: every pixel, at the length -ELBO; otherwise the latents alone.
        names: of the pictures, all different. extra: bytes that come back with the pictures. They lie at the bottom of
            the stack, where bits-back needs some.
        threshold: a grey level from which on a pixel is white.

    Raises ImageError for an empty list and for pictures that cannot be taken, ModelError for a model that does not
    take them, FormatError for what the format cannot hold.
    """
    pictures, entry = _stacked(images, model, threshold)
    net = zoo.load(entry.name, device_of(device))
    with memory():
        return archive_file.pack(_write(net, entry, pictures, lossless, names, extra, seed, progress)[0])


def decompress_archive(
    data: bytes, *, seed: int | None = None, device: str = "auto", progress: Progress | None = None
) -> Archive:
    """The pictures of an archive; those of a lossy one are drawn from p(x | z).

    Raises ArchiveDamage for a damaged lossless archive whose first pictures could be read (they are its `pictures`),
    FormatError for any other bytes that are not a sound archive and for a seed outside [0, 2^64), ModelError where
    other weights are needed.
    """
    import numpy as np

    from vlcodec.codec.image import to_image

    if len(data) > 4 and not sound(data):
        _salvage(data, device, progress)
    file = archive_file.unpack(data)
    pictures, extra = _read(file, seed, device, progress)
    return Archive([to_image(np.atleast_3d(p), p.ndim == 2) for p in pictures], file.names, extra)


def _salvage(data: bytes, device: str, progress: Progress | None) -> None:
    """Raise ArchiveDamage with what can still be read of a lossless archive whose CRC-32 is wrong; else FormatError."""
    try:
        file = archive_file.unpack(data, damaged=True)
        if file.header.lossless:
            pictures, _ = _read(file, None, device, progress)
            raise ArchiveDamage("the archive's checksum does not match, although those of its pictures do", pictures)
    except ArchiveDamage:
        raise
    except VlcodecError:
        pass  # what damage looks like
    archive_file.unpack(data)


def _read(file: ArchiveFile, seed: int | None, device: str, progress: Progress | None) -> tuple[Bytes, bytes]:
    from vlcodec.codec.coding import archive

    header = file.header
    drawn = replace(header, seed=header.seed if seed is None else seed).seed
    net = installed(header.model_id, header.digest, 1, device)
    with memory():
        return archive.read(
            _models(net, zoo.by_id(header.model_id), header.width, header.height),
            file.stack,
            header.count,
            header.dithered,
            header.ratio,
            header.extra,
            file.checks,
            header.seed,
            drawn,
            tick(progress, "pictures", 0, 1),
        )


def rate_archive(
    images: Sequence[Any] | Any,
    *,
    model: str | None = None,
    names: Sequence[str] | None = None,
    extra: bytes = b"",
    seed: int = 0,
    threshold: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> ArchiveReport:
    """What every part of a lossless and of a lossy archive costs, beside what the likelihood promises."""
    from vlcodec.codec.ledger import archive_report as archive_rate

    pictures, entry = _stacked(images, model, threshold)
    net = zoo.load(entry.name, device_of(device))
    models = _models(net, entry, *pictures.shape[2:0:-1])
    with memory():
        kinds = [_write(net, entry, pictures, lossless, names, extra, seed, progress) for lossless in (True, False)]
        return archive_rate.report(models, pictures, seed, *kinds)


def verify_archive(
    data: bytes,
    images: Sequence[Any] | Any,
    *,
    threshold: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> None:
    """Decompress an archive and hold it against the pictures it was made from. Raises FormatError where they differ."""
    import numpy as np

    header = archive_file.unpack(data).header
    pictures, _ = _stacked(images, zoo.by_id(header.model_id).name, threshold)
    back = [np.asarray(image) for image in decompress_archive(data, device=device, progress=progress).images]
    if len(back) != len(pictures) or (header.lossless and not np.array_equal(np.stack(back), pictures)):
        raise FormatError("verification failed: the archive does not give every picture back")


def info_archive(data: bytes) -> dict[str, Any]:
    """What an archive says of itself, without decoding it."""
    file = archive_file.unpack(data)
    header = file.header
    return {
        "model": zoo.by_id(header.model_id).name,
        "weights": header.digest.hex(),
        "pictures": header.count,
        "width": header.width,
        "height": header.height,
        "lossless": header.lossless,
        "seed": header.seed,
        "extra": header.extra,
        "names": list(file.names),
        "bytes": {**archive_file.sizes(file), "file": len(data)},
    }


def _stacked(images: Sequence[Any] | Any, model: str | None, threshold: int | None) -> tuple[Bytes, zoo.Entry]:
    """(N, H, W) uint8 of 0 and 255, or (N, H, W, 3) uint8 RGB, and the model.

    Raises ImageError and ModelError for what a model does not take.
    """
    import numpy as np

    from vlcodec.codec.image import Picture, check_array, load

    entry = None if model is None else zoo.by_name(model)
    if entry is not None and not entry.takes_archives:
        takers = ", ".join(e.name for e in zoo.ENTRIES if e.takes_archives)
        raise ModelError(f"model {model} does not take archives; these do: {takers}")
    if isinstance(images, str | bytes) or not hasattr(images, "__iter__"):
        raise ImageError("one picture: an archive is made of a list of them, or of an array")
    if not isinstance(images, np.ndarray) and any(isinstance(image, np.ndarray) for image in images):
        raise ImageError("arrays are taken as one of all pictures, (N, H, W) or (N, H, W, 3)")
    if isinstance(images, np.ndarray):
        check_array(images.shape, images.dtype)
        if images.ndim == 3 and (images.dtype == np.bool_ or not images.size or images.max() <= 1):
            images = 255 * images.astype(np.uint8)
        grey = images.ndim == 3
        images = [Picture(np.repeat(p[..., np.newaxis], 3, axis=2) if grey else p, grey) for p in images]
    pictures = []
    for number, image in enumerate(images):
        try:
            picture = image if isinstance(image, Picture) else load(image)
            entry = entry or _taker(picture)
            picture = fit(picture, entry, threshold)
            if entry.family == "small" and picture.grey:
                raise ImageError(f"archives of model {entry.name} hold colour pictures, and this one is grey")
        except (ImageError, ModelError) as error:
            raise type(error)(f"picture {number}: {error}") from None
        pictures.append(picture.pixels[..., 0] if picture.grey else picture.pixels)
    if not pictures or entry is None:
        raise ImageError("no pictures: an archive holds at least one")
    return np.stack(pictures), entry


def _taker(picture: Picture) -> zoo.Entry:
    """The first model whose archives hold pictures of this size."""
    height, width, _ = picture.pixels.shape
    for entry in zoo.ENTRIES:
        if entry.takes_archives and (height, width) == (entry.side, entry.side):
            return entry
    sides = sorted({e.side for e in zoo.ENTRIES if e.side})
    sizes = " or ".join(f"{side} x {side}" for side in sides)
    raise ModelError(f"archives hold pictures of {sizes}, not {width} x {height}")


def _models(net: Model, entry: zoo.Entry, width: int, height: int) -> Models:
    from vlcodec.codec.coding.archive import Models
    from vlcodec.models.photo.codec import PhotoModel

    if isinstance(net, PhotoModel) or (width, height) != (entry.side, entry.side):
        raise FormatError(f"model {entry.name} does not make archives of pictures of {width} x {height}")
    return Models(net.chained, net.dithered)


def _write(
    net: Model,
    entry: zoo.Entry,
    pictures: Bytes,
    lossless: bool,
    names: Sequence[str] | None,
    extra: bytes,
    seed: int,
    progress: Progress | None,
) -> tuple[ArchiveFile, Coded]:
    from vlcodec.codec.coding import archive

    count, height, width = pictures.shape[:3]
    digest = zoo.digest(entry.name)[:2]
    ArchiveHeader(entry.id, digest, width, height, count, lossless, count, 0, len(extra), seed)  # refuses at once
    archive_file.check_names(names or (), count)
    models = _models(net, entry, width, height)
    coded = archive.write(models, pictures, extra, seed, lossless, tick(progress, "pictures", 0, 1))
    numbers = (coded.dithered, coded.ratio, len(extra), seed)
    header = ArchiveHeader(entry.id, digest, width, height, count, lossless, *numbers)
    checks = archive.checksums(pictures) if lossless else ()
    return ArchiveFile(header, tuple(names or ()), checks, coded.stack), coded
