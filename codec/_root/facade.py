"""All that the commands do, one call each: pictures <-> .vlz bytes, the rate report, what a file says of itself.

Brings codec and models together. Importing it is instant: torch, numpy, Pillow and constriction come with the work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from vlcodec.codec import container
from vlcodec.codec.errors import FormatError, ImageError, ModelError, VlcodecError
from vlcodec.models import zoo

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlcodec.codec.image import Picture
    from vlcodec.codec.rate import RateReport
    from vlcodec.models.photo import Features, PhotoModel

Progress = Callable[[str, int, int], None]  # (what, done, total)
BYTES_PER_PIXEL, BYTES_PER_BAND_PIXEL = 110, 300  # of memory, at most: the whole picture, and the band at work
MAX_BYTES = container.MAX_FILE  # of any file that is read
DEFAULT_QUALITY = {"lossy": 3, "lossless": 1}


def compress(
    image: str | Path | bytes | BinaryIO | Image,
    *,
    model: str = "photo",
    lossless: bool = False,
    quality: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> bytes:
    """A picture as the bytes of a .vlz file; equal input and options give equal bytes on every machine.

    Args:
        image: path, bytes or stream of a PNG, JPEG, WebP, ... or a PIL image; RGB or grey, 8 bits.
        quality: 1 (smallest) to 4; None is 3 for lossy files, and 1 for lossless ones, whose preview it is.
        seed: of the dither and, unless told otherwise when decompressing, of the regenerated pixels.
        device: "auto", "cpu" or "cuda".

    Raises ImageError for a picture that cannot be taken, ModelError for an unknown model, quality or device,
    FormatError for a seed outside [0, 2^64). One call at a time: torch's settings are changed and restored meanwhile.
    """
    from vlcodec.codec import image as images

    picture = images.load(image)
    net, header = _prepare(picture, model, lossless, quality, seed, device)
    with _memory():
        return container.pack(_write(net, picture, header, progress))


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
            gives the mean image. "mean" of a lossless file is its preview.
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
    net = _model_of(header, device)
    with _memory():
        fz = _features(net, file, progress)
        if decode == "mean":
            pixels = net.mean_image(fz, header.height, header.width)
        else:
            regenerate = decode == "sample" or not header.lossless
            pixels = _bands(net, fz, file, drawn if regenerate else None, progress)
        if header.grey:
            pixels[...] = pixels[..., 1:2]
        return images.to_image(pixels, header.grey)


def rate(
    image: str | Path | bytes | BinaryIO | Image,
    *,
    model: str = "photo",
    quality: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> RateReport:
    """What every part of a picture costs, beside the likelihood's promise. quality None is 1, as for lossless files."""
    import numpy as np

    from vlcodec.codec import image as images
    from vlcodec.codec import latents, pixels
    from vlcodec.codec import rate as ledger

    picture = images.load(image)
    net, header = _prepare(picture, model, True, quality, seed, device)
    with _memory():
        file = _write(net, picture, header, progress)
        u = latents.dither(seed, latents.grid_shape(net, header.height, header.width))
        z = latents.read_latents(net, file.latents, u, header.quality)
        kl = ledger.bits(net.prior(u, header.quality), latents.symbols_of(z, u))
        fz, given = net.decode(z, header.quality), 0.0
        for _, first, rows in pixels.bands(header.height):
            part = net.to_symbols(picture.pixels[first : first + rows], header.grey)
            given += ledger.bits(net.pixels(fz, first, rows, header.width, header.grey), part)
        mean = net.mean_image(fz, header.height, header.width)[..., 1 if header.grey else slice(None)]
        error = mean.astype(np.float64) - picture.pixels[..., 1 if header.grey else slice(None)]
    lossless, sizes = container.pack(file), container.sizes(file)
    lossy = container.pack(_lossy_part(file))
    return ledger.RateReport(
        width=header.width,
        height=header.height,
        channels=1 if header.grey else 3,
        quality=header.quality,
        latents_naive=kl + float(np.log2(latents.DITHER_VALUES)) * z.size,
        latents_kl=kl,
        pixels=given,
        elbo=kl + given,
        header_bits=8 * sizes["header"],
        latents_written=8 * sizes["latents"],
        pixels_written=8 * sizes["pixels"],
        lossy_bytes=len(lossy),
        lossless_bytes=len(lossless),
        overhead=8 * len(lossless) - (kl + given),
        psnr_mean_db=float(10 * np.log10(255**2 / max(1e-9, np.square(error).mean()))),
    )


def verify(data: bytes, image: bytes, *, device: str = "auto", progress: Progress | None = None) -> None:
    """Decompress `data` and hold it against the picture it was made from.

    Raises FormatError where a lossless file gives other pixels, or a lossy one a picture of another size or kind.
    """
    import numpy as np

    from vlcodec.codec import image as images

    lossless = container.read_header(data).lossless
    back = images.load(decompress(data, decode=None if lossless else "mean", device=device, progress=progress))
    picture = images.load(image)
    if back.pixels.shape != picture.pixels.shape or back.grey != picture.grey:
        raise FormatError("verification failed: the file gives a picture of another size or kind")
    if lossless and not np.array_equal(back.pixels, picture.pixels):
        raise FormatError("verification failed: the file does not give every pixel back")


def info(data: bytes) -> dict[str, Any]:
    """What a .vlz file says of itself, without decoding it. Raises FormatError for anything else than a sound file."""
    file = container.unpack(data)
    header = file.header
    return {
        "model": zoo.by_id(header.model_id).name,
        "weights": header.digest.hex(),
        "version": container.VERSION,
        "width": header.width,
        "height": header.height,
        "mode": "L" if header.grey else "RGB",
        "lossless": header.lossless,
        "quality": header.quality,
        "seed": header.seed,
        "bands": len(file.bands),
        "bytes": {**container.sizes(file), "file": len(data)},
    }


def models() -> list[dict[str, Any]]:
    """The models in the package."""
    return [
        {
            "name": entry.name,
            "id": entry.id,
            "digest": zoo.digest(entry.name).hex(),
            "bytes": entry.path.stat().st_size,
            "qualities": list(range(1, entry.qualities + 1)),
            "description": entry.description,
        }
        for entry in zoo.ENTRIES
    ]


def selftest(*, model: str = "photo", device: str = "auto") -> list[dict[str, Any]]:
    """Does this machine compute what the files need? One {check, ok, detail} per check; nothing is raised."""
    from vlcodec.codec import image as images
    from vlcodec.models.export import golden_picture

    picture = images.to_image(golden_picture(), False)

    def golden() -> str:
        zoo.load.cache_clear()
        zoo.load(model, _device(device))
        return f"bit-exact on {_device(device)}"

    def lossless() -> str:
        data = compress(picture, model=model, lossless=True, device=device)
        if decompress(data, device=device).tobytes() != picture.tobytes():
            raise FormatError("a lossless file must give every pixel back")
        return f"{len(data)} bytes"

    def lossy() -> str:
        data = compress(picture, model=model, device=device)
        if decompress(data, device=device).tobytes() != decompress(data, device=device).tobytes():
            raise FormatError("a lossy file must regenerate the same picture every time")
        return f"{len(data)} bytes"

    results = []
    checks: list[tuple[str, Callable[[], str]]] = [
        ("golden vector", golden),
        ("lossless round trip", lossless),
        ("regeneration", lossy),
    ]
    for name, check in checks:
        try:
            results.append({"check": name, "ok": True, "detail": check()})
        except Exception as error:  # whatever is wrong with the machine, it is the answer
            results.append({"check": name, "ok": False, "detail": f"{error}"})
    return results


def train(
    model: str,
    data: Sequence[Path],
    out: Path,
    *,
    exclude: Sequence[str] = (),
    steps: int = 100_000,
    minutes: float | None = None,
    init: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    batch: int = 10,
    patch: int = 96,
    rate: float = 1.2e-3,
    part: Literal["all", "autoencoder", "pixels"] = "all",
    progress: Progress | None = None,
) -> Path:
    """Train a model on the pictures in folders; returns the file of exported integer weights, out/MODEL.safetensors.

    Args:
        exclude: names of pictures that are left out, and measured in the log instead.
        out: folder of the checkpoint, the log and the export. init: exported weights to start from.
        steps: of the whole schedule; minutes: stop earlier. resume: go on from the checkpoint in `out`, exactly.
        part: what is trained, see `models.train`.

    Raises ModelError for an unknown model, and where a checkpoint exists and `resume` does not say what to do with it.
    """
    from vlcodec.models.data import find_pictures
    from vlcodec.models.export import export, weights_of
    from vlcodec.models.train import train as run

    zoo.by_name(model)
    if (out / "checkpoint.pt").exists() != resume:
        raise ModelError("resume goes on from a checkpoint, and without it there must be none in the output folder")
    if patch % 16 or batch < 4:
        raise ModelError("a patch's side is a multiple of 16, and a batch has at least 4: one of each quality")
    pictures = find_pictures(data, exclude)
    if not pictures:
        raise ImageError("there is no picture to train on")
    net = run(
        pictures,
        out,
        steps=steps,
        minutes=minutes,
        init=None if init is None else weights_of(init),
        validation=[p for p in find_pictures(data) if p.name in set(exclude)],
        seed=seed,
        device=_device(device),
        batch=batch,
        patch=patch,
        rate=rate,
        part=part,
        progress=progress,
    )
    path = out / f"{model}.safetensors"
    export(net, model, path)
    return path


def _prepare(
    picture: Picture, model: str, lossless: bool, quality: int | None, seed: int, device: str
) -> tuple[PhotoModel, container.Header]:
    entry = zoo.by_name(model)
    if quality is None:
        quality = DEFAULT_QUALITY["lossless" if lossless else "lossy"]
    if not 1 <= quality <= entry.qualities:
        raise ModelError(f"model {model} has qualities 1 to {entry.qualities}, not {quality}")
    height, width, _ = picture.pixels.shape
    digest = zoo.digest(model)[:2]
    header = container.Header(entry.id, digest, width, height, picture.grey, lossless, quality, seed)
    _check_memory(header)
    return zoo.load(model, _device(device)), header


def _model_of(header: container.Header, device: str) -> PhotoModel:
    entry = zoo.by_id(header.model_id)
    installed = zoo.digest(entry.name)[:2]
    if installed != header.digest:
        raise ModelError(
            f"the file was made with other weights of model {entry.name} ({header.digest.hex()}; "
            f"installed are {installed.hex()})"
        )
    if not 1 <= header.quality <= entry.qualities:
        raise FormatError(f"model {entry.name} has qualities 1 to {entry.qualities}, not {header.quality}")
    _check_memory(header)
    return zoo.load(entry.name, _device(device))


def _device(device: str) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise ModelError(f"a device is auto, cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError("no CUDA device is available")
    return device


def _write(net: PhotoModel, picture: Picture, header: container.Header, progress: Progress | None) -> container.File:
    from vlcodec.codec import latents, pixels

    u = latents.dither(header.seed, latents.grid_shape(net, header.height, header.width))
    symbols = latents.quantise(net.encode(picture.pixels, header.quality), u)
    stack = latents.write_latents(net, symbols, u, header.quality, _tick(progress, "latents", 0, 1))
    bands = []
    if header.lossless:
        fz = net.decode(latents.reconstruct(symbols, u), header.quality)
        for number, first, rows in pixels.bands(header.height):
            tick = _tick(progress, "pixels", number, header.bands)
            bands.append(pixels.write_band(net, fz, picture.pixels, first, rows, header.grey, tick))
    return container.File(header, stack, tuple(bands))


def _features(net: PhotoModel, file: container.File, progress: Progress | None) -> Features:
    from vlcodec.codec import latents

    header = file.header
    u = latents.dither(header.seed, latents.grid_shape(net, header.height, header.width))
    z = latents.read_latents(net, file.latents, u, header.quality, _tick(progress, "latents", 0, 1))
    return net.decode(z, header.quality)


def _bands(net: PhotoModel, fz: Features, file: container.File, seed: int | None, progress: Progress | None) -> Any:
    """(H, W, 3) uint8: decoded from the file's bands, or drawn with a seed."""
    import numpy as np

    from vlcodec.codec import pixels

    header = file.header
    image = np.empty((header.height, header.width, 3), np.uint8)
    for number, first, rows in pixels.bands(header.height):
        tick = _tick(progress, "pixels", number, header.bands)
        place = (first, rows, header.width, header.grey, tick)
        image[first : first + rows] = (
            pixels.read_band(net, fz, file.bands[number], *place)
            if seed is None
            else pixels.sample_band(net, fz, seed, number, *place)
        )
    return image


def _lossy_part(file: container.File) -> container.File:
    return container.File(replace(file.header, lossless=False), file.latents)


def _tick(progress: Progress | None, what: str, part: int, parts: int) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(what, part * total + done, parts * total)


def _check_memory(header: container.Header) -> None:
    """Refuse, before any is taken, a picture that needs more memory than the machine has."""
    needed = BYTES_PER_PIXEL * header.width * header.height + BYTES_PER_BAND_PIXEL * header.width * container.BAND_ROWS
    try:
        present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return
    if needed > present:
        raise VlcodecError(
            f"a picture of {header.width} x {header.height} needs about {needed / 2**30:.1f} GiB of memory; "
            f"this machine has {present / 2**30:.1f}"
        )


@contextmanager
def _memory() -> Iterator[None]:
    """Running out of memory is an error with a rule, not a traceback."""
    try:
        yield
    except MemoryError:
        raise VlcodecError("not enough memory for a picture of this size") from None
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise VlcodecError("not enough memory for a picture of this size") from None
