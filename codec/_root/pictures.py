"""One picture <-> the bytes of a .vlz file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from vlcodec import placeholder
from vlcodec._shared import Progress, check_memory, device_of, fit, installed, memory, tick
from vlcodec.codec.errors import FormatError, ModelError, VlcodecError
from vlcodec.codec.files import picture_file as container
from vlcodec.models import zoo

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlcodec.codec.image import Picture
    from vlcodec.codec.interface import ImageModel

BYTES_PER_PIXEL, BYTES_PER_BAND_PIXEL = 110, 300  # of memory, at most: the whole picture, and the band at work
DEFAULT_QUALITY = {"lossy": 3, "lossless": 1}


def compress(
    image: str | Path | bytes | BinaryIO | Image,
    *,
    model: str = "photo",
    lossless: bool = False,
    quality: int | None = None,
    seed: int = 0,
    threshold: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> bytes:
    """A picture as the bytes of a .vlz file; equal input and options give equal bytes on every machine.

    Args:
        image: path, bytes or stream of a PNG, JPEG, WebP, ... or a PIL image; RGB or grey, 8 bits.
        quality: 1 (smallest) to 4; None is 3 for lossy files, and 1 for lossless ones, whose preview it is. 0 makes a
            placeholder of at most 40 bytes (a little more with a long seed).
        seed: of the dither and, unless told otherwise when decompressing, of the regenerated pixels.
        threshold: for models of black and white pictures: a grey level from which on a pixel is white.
        device: "auto", "cpu" or "cuda".

    Raises ImageError for a picture that cannot be taken, ModelError for an unknown model, quality or device,
    FormatError for a seed outside [0, 2^64). One call at a time: torch's settings are changed and restored meanwhile.
    """
    from vlcodec.codec import image as images

    picture = images.load(image)
    picture, net, header = prepare(picture, model, lossless, quality, seed, threshold, device)
    with memory():
        made = placeholder.write(net, picture, header) if header.quality == placeholder.QUALITY else None
        return container.pack(made or write(net, picture, header, progress))


def decompress(
    data: bytes,
    *,
    decode: Literal["sample", "mean"] | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Image:
    """The picture of a .vlz file. Lossless files give every pixel back.

    Args:
        decode: for lossy files, "sample" (the default) draws the pixels from p(x | z) with the file's seed, "mean"
            gives the mean image. "mean" of a lossless file is its preview. A placeholder has the mean image alone.
        seed: draws other pixels than the file's own seed would; the latents stay.

    Raises FormatError for bytes that are not a whole, sound .vlz file and for a seed outside [0, 2^64), ModelError
    where the file needs other weights.
    """
    from vlcodec.codec import image as images

    if decode not in (None, "sample", "mean"):
        raise VlcodecError(f"decode is sample or mean, not {decode!r}")
    file = container.unpack(data)
    header = file.header
    drawn = replace(header, seed=header.seed if seed is None else seed).seed
    net = model_of(header, device)
    with memory():
        if header.quality == placeholder.QUALITY:
            pixels = placeholder.read(net, file)
        elif decode == "mean":
            pixels = net.mean_image(_features(net, file, progress), header.height, header.width)
        else:
            regenerate = decode == "sample" or not header.lossless
            pixels = _bands(net, _features(net, file, progress), file, drawn if regenerate else None, progress)
        if header.grey:
            pixels[...] = pixels[..., 1:2]
        return images.to_image(pixels, header.grey)


def verify(
    data: bytes,
    image: bytes,
    *,
    threshold: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> None:
    """Decompress `data` and hold it against the picture it was made from, with the threshold that it was made with.

    Raises FormatError where a lossless file gives other pixels, or a lossy one a picture of another size or kind.
    """
    import numpy as np

    from vlcodec.codec import image as images

    header = container.read_header(data)
    lossless = header.lossless
    back = images.load(decompress(data, decode=None if lossless else "mean", device=device, progress=progress))
    picture = fit(images.load(image), zoo.by_id(header.model_id), threshold)
    if back.pixels.shape != picture.pixels.shape or back.grey != picture.grey:
        raise FormatError("verification failed: the file gives a picture of another size or kind")
    if lossless and not np.array_equal(back.pixels, picture.pixels):
        raise FormatError("verification failed: the file does not give every pixel back")


def prepare(
    picture: Picture,
    model: str,
    lossless: bool,
    quality: int | None,
    seed: int,
    threshold: int | None,
    device: str,
) -> tuple[Picture, ImageModel, container.Header]:
    """The picture as the model takes it, the model, and the file's header; refuses what does not fit."""
    entry = zoo.by_name(model)
    if quality is None:
        quality = min(DEFAULT_QUALITY["lossless" if lossless else "lossy"], entry.qualities)
    if not entry.lowest <= quality <= entry.qualities:
        raise ModelError(f"model {model} has qualities {entry.lowest} to {entry.qualities}, not {quality}")
    if quality == placeholder.QUALITY and lossless:
        raise ModelError("quality 0 is a placeholder: a lossless file has a quality from 1 on")
    picture = fit(picture, entry, threshold)
    height, width, _ = picture.pixels.shape
    digest = zoo.digest(model)[:2]
    header = container.Header(entry.id, digest, width, height, picture.grey, lossless, quality, seed)
    _check_size(header)
    return picture, zoo.load(model, device_of(device)), header


def model_of(header: container.Header, device: str) -> ImageModel:
    """The model that a file needs. Raises ModelError where it is not here, FormatError where it is for others."""
    entry = zoo.by_id(header.model_id)
    net = installed(header.model_id, header.digest, header.quality, device)
    if header.quality == placeholder.QUALITY and header.lossless:
        raise FormatError("a placeholder (quality 0) must be a lossy file")
    if entry.side is not None and (header.width, header.height) != (entry.side, entry.side):
        raise FormatError(f"model {entry.name} makes pictures of {entry.side} x {entry.side} alone")
    if entry.family == "binary" and not header.grey:
        raise FormatError(f"model {entry.name} makes grey pictures alone")
    _check_size(header)
    return net


def write(net: ImageModel, picture: Picture, header: container.Header, progress: Progress | None) -> container.File:
    """A picture as a file's parts."""
    from vlcodec.codec.coding import dither, latents, pixels

    u = latents.dither_of(net, header.seed, header.height, header.width)
    symbols = net.encode(picture.pixels, header.quality, u)
    stack = latents.write_latents(net, symbols, u, header.quality, tick(progress, "latents", 0, 1))
    bands = []
    if header.lossless:
        fz = net.decode(dither.reconstruct(symbols, u), header.quality)
        for number, first, rows in pixels.bands(header.height):
            done = tick(progress, "pixels", number, header.bands)
            bands.append(pixels.write_band(net, fz, picture.pixels, first, rows, header.grey, done))
    return container.File(header, stack, tuple(bands))


def _features(net: ImageModel, file: container.File, progress: Progress | None) -> Any:
    from vlcodec.codec.coding import latents

    header = file.header
    u = latents.dither_of(net, header.seed, header.height, header.width)
    z = latents.read_latents(net, file.latents, u, header.quality, tick(progress, "latents", 0, 1))
    return net.decode(z, header.quality)


def _bands(net: ImageModel, fz: Any, file: container.File, seed: int | None, progress: Progress | None) -> Any:
    """(H, W, 3) uint8: decoded from the file's bands, or drawn with a seed."""
    import numpy as np

    from vlcodec.codec.coding import pixels

    header = file.header
    image = np.empty((header.height, header.width, 3), np.uint8)
    for number, first, rows in pixels.bands(header.height):
        place = (first, rows, header.width, header.grey, tick(progress, "pixels", number, header.bands))
        image[first : first + rows] = (
            pixels.read_band(net, fz, file.bands[number], *place)
            if seed is None
            else pixels.sample_band(net, fz, seed, number, *place)
        )
    return image


def lossy_part(file: container.File) -> container.File:
    """The lossy file that a lossless one begins with."""
    return container.File(replace(file.header, lossless=False), file.latents)


def _check_size(header: container.Header) -> None:
    needed = BYTES_PER_PIXEL * header.width * header.height + BYTES_PER_BAND_PIXEL * header.width * container.BAND_ROWS
    check_memory(needed, header.width, header.height)
