"""Many pictures <-> one .vlz archive: chained by bits-back where every pixel is kept, latents alone where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vlcodec._shared import MAX_PIXELS, Progress, as_taken, check_pixels, encoder, installed, load, memory, planes, tick
from vlcodec.codec.errors import ArchiveDamage, FormatError, ImageError, ModelError, VlcodecError
from vlcodec.codec.files import archive_file
from vlcodec.codec.files.archive_file import ArchiveFile, ArchiveHeader, Starter
from vlcodec.codec.files.wire import sound
from vlcodec.models import registry, zoo
from vlcodec.models.registry import Entry

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlcodec.codec.coding.archive import Coded, Nets
    from vlcodec.codec.image import Picture
    from vlcodec.codec.interface import Bytes
    from vlcodec.codec.ledger.archive_report import ArchiveReport


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
    with memory():
        nets = _nets(entry, _starter(entry), device)
        return archive_file.pack(_write(nets, entry, pictures, lossless, names, extra, seed, False, progress)[0])


def decompress_archive(
    data: bytes,
    *,
    seed: int | None = None,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Archive:
    """The pictures of an archive; those of a lossy one are drawn from p(x | z).

    max_pixels: of all pictures; an archive that asks for more is refused.

    Raises ArchiveDamage for a damaged lossless archive whose first pictures could be read (they are its `pictures`),
    FormatError for any other bytes that are not a sound archive and for a seed outside [0, 2^64), ModelError where
    other weights are needed.
    """
    from vlcodec.codec.image import to_image

    if len(data) > 4 and not sound(data):
        _salvage(data, device, max_pixels, progress)
    file = archive_file.unpack(data)
    pictures, extra = _read(file, seed, device, max_pixels, progress)
    return Archive([to_image(p, p.shape[-1] == 1) for p in pictures], file.names, extra)


def _salvage(data: bytes, device: str, max_pixels: int, progress: Progress | None) -> None:
    """Raise ArchiveDamage with what can still be read of a lossless archive whose CRC-32 is wrong; else FormatError."""
    try:
        file = archive_file.unpack(data, damaged=True)
        if file.header.lossless:
            pictures, _ = _read(file, None, device, max_pixels, progress)
            raise ArchiveDamage("the archive's checksum does not match, although those of its pictures do", pictures)
    except ArchiveDamage:
        raise
    except VlcodecError:
        pass  # what damage looks like
    archive_file.unpack(data)


def _read(
    file: ArchiveFile, seed: int | None, device: str, max_pixels: int, progress: Progress | None
) -> tuple[Bytes, bytes]:
    """(N, H, W, C) uint8, and the extra bytes."""
    from vlcodec.codec.coding import archive

    header = file.header
    drawn = replace(header, seed=header.seed if seed is None else seed).seed
    check_pixels(header.width * header.height * header.count, max_pixels)
    entry = installed(header.model_id, header.digest)
    takes = zoo.takes(entry)
    if not takes.archives or (header.width, header.height) != (takes.side, takes.side):
        raise FormatError(
            f"model {entry.name} does not make archives of pictures of {header.width} x {header.height}"
        )
    starter = entry if header.starter is None else installed(header.starter.model_id, header.starter.digest)
    if replace(zoo.takes(starter), alone=takes.alone) != takes:
        raise FormatError(f"model {starter.name} does not take the pictures that model {entry.name} does")
    colours = 3 if takes.archives == "colour" else 1
    with memory():
        nets = _nets(entry, starter, device)
        return archive.read(nets, file, drawn, colours, tick(progress, "pictures", 0, 1))


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
    from vlcodec.codec.ledger import archive_report

    pictures, entry = _stacked(images, model, threshold)
    with memory():
        nets = _nets(entry, _starter(entry), device)
        kinds = [_write(nets, entry, pictures, kept, names, extra, seed, True, progress) for kept in (True, False)]
        return archive_report.report(*kinds)


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

    file = archive_file.unpack(data)
    pictures, _ = _stacked(images, registry.by_number(file.header.model_id).name, threshold)
    back, _ = _read(file, None, device, 2**63, progress)
    if len(back) != len(pictures) or (file.header.lossless and not np.array_equal(back, pictures)):
        raise FormatError("verification failed: the archive does not give every picture back")


def info_archive(data: bytes) -> dict[str, Any]:
    """What an archive says of itself, without decoding it."""
    file = archive_file.unpack(data)
    header = file.header
    return {
        "model": registry.by_number(header.model_id).name,
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


def _stacked(images: Sequence[Any] | Any, model: str | None, threshold: int | None) -> tuple[Bytes, Entry]:
    """(N, H, W, C) uint8, and the model.

    Raises ImageError and ModelError for what a model does not take.
    """
    import numpy as np

    from vlcodec.codec.image import Picture, check_array
    from vlcodec.codec.image import load as read

    entry = None if model is None else encoder(model)
    takes = None if entry is None else zoo.takes(entry)
    if takes is not None and not takes.archives:
        raise ModelError(f"model {model} does not take archives; these do: {', '.join(e.name for e in _takers())}")
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
            picture = image if isinstance(image, Picture) else read(image)
            entry = entry or _taker(picture)
            takes = takes or zoo.takes(entry)
            picture = as_taken(picture, entry, takes, threshold)
            if picture.grey != (takes.archives == "grey"):
                kind = "colour pictures, and this one is grey" if picture.grey else "grey pictures, not colour"
                raise ImageError(f"archives of model {entry.name} hold {kind}")
        except (ImageError, ModelError) as error:
            raise type(error)(f"picture {number}: {error}") from None
        pictures.append(planes(picture))
    if not pictures or entry is None:
        raise ImageError("no pictures: an archive holds at least one")
    return np.concatenate(pictures), entry


def _takers() -> list[Entry]:
    """The models whose files hold many pictures."""
    return [entry for entry in registry.known() if not entry.retired and zoo.takes(entry).archives]


def _taker(picture: Picture) -> Entry:
    """The first model whose archives hold pictures of this size."""
    height, width, _ = picture.pixels.shape
    sides = {entry: zoo.takes(entry).side for entry in _takers()}
    for entry, side in sides.items():
        if (height, width) == (side, side):
            return entry
    sizes = " or ".join(f"{side} x {side}" for side in sorted({side for side in sides.values() if side}))
    raise ModelError(f"archives hold pictures of {sizes}, not {width} x {height}")


def _starter(entry: Entry) -> Entry:
    """The model that codes an archive's first pictures: its own, or one of the package that keeps a picture alone.

    Raises ModelError where there is none.
    """
    if entry.starter is not None:
        return registry.by_number(entry.starter)
    takes = zoo.takes(entry)
    found = (other for other in registry.ENTRIES if zoo.takes(other) == replace(takes, alone=True))
    starter = entry if takes.alone else next(found, None)
    if starter is None:
        raise ModelError(f"model {entry.name} needs another one for an archive's first pictures, and none takes them")
    return starter


def _nets(entry: Entry, starter: Entry, device: str) -> Nets:
    from vlcodec.codec.coding.archive import Nets

    model = load(entry, device)
    first = model if starter is entry else load(starter, device)
    quality = first.qualities if zoo.takes(starter).progressive else 1  # of others the likeliest
    return Nets(model.chained(), first.single(quality))


def _write(
    nets: Nets,
    entry: Entry,
    pictures: Bytes,
    lossless: bool,
    names: Sequence[str] | None,
    extra: bytes,
    seed: int,
    metered: bool,
    progress: Progress | None,
) -> tuple[ArchiveFile, Coded]:
    from vlcodec.codec.coding import archive

    count, height, width = pictures.shape[:3]
    numbers = (width, height, count, lossless, count, 0, len(extra), seed)
    header = ArchiveHeader(entry.number, entry.in_files, *numbers, version=entry.version)  # refuses at once
    archive_file.check_names(names or (), count)
    coded = archive.write(nets, pictures, extra, seed, lossless, metered, tick(progress, "pictures", 0, 1))
    header = replace(header, dithered=coded.dithered, ratio=coded.ratio)
    starter = _starter(entry)
    if starter is not entry and coded.dithered == count:  # all pictures are the starter's
        header = replace(header, model_id=starter.number, digest=starter.in_files)
    elif starter is not entry and coded.dithered:
        header = replace(header, starter=Starter(starter.number, starter.in_files))
    checks = archive.checksums(pictures) if lossless else ()
    return ArchiveFile(header, tuple(names or ()), checks, coded.stack), coded
