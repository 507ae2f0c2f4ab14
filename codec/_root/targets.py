"""A lossy file of a size, or of a PSNR, that was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from vlcodec import beside, others
from vlcodec._shared import Progress, effort_steps, encoder, memory
from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.codec.files import picture_file, stored_file
from vlcodec.models import zoo
from vlcodec.pictures import DEFAULT_MODEL, MOST_PIXELS, file_of, prepare, regenerated

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from vlcodec.codec.animation import Animation
    from vlcodec.codec.files.picture_file import File


def compress_to(
    image: str | Path | bytes | BinaryIO | Image | NDArray[Any],
    *,
    size: int | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    model: str | None = None,
    effort: int = 1,
    seed: int = 0,
    threshold: int | None = None,
    strip: bool = False,
    device: str = "auto",
    max_pixels: int = MOST_PIXELS,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """A lossy file of the best quality that `size` or `bpp` allows, or of the least that `psnr` asks for.

    Qualities are tried by halves: some three encodings of a model of four, nine where qualities have decimals.

    Args:
        size: bytes of the file, at most. bpp: its bits per pixel, at most. psnr: of the mean image, in dB, at least.
            One of the three, a finite number. Without a model, what another codec makes without a loss will do as
            well. An animation is kept without a loss, where it is small enough.
        model, effort, seed, threshold, strip, device, max_pixels, jobs: see `vlcodec.compress`; effort is spent on
            each encoding.

    Raises ModelError where no quality of the model is small or good enough, or where more or less than one of the three
    is given, and what `vlcodec.compress` raises.
    """
    from vlcodec.codec import animation
    from vlcodec.codec.image import read_source
    from vlcodec.codec.ledger.report import psnr_db
    from vlcodec.codec.whole import open_whole

    if sum(wish is not None for wish in (size, bpp, psnr)) != 1:
        raise ModelError("a file is made to one of three: a size, bits per pixel or a PSNR")
    wish = next(wish for wish in (size, bpp, psnr) if wish is not None)
    if not math.isfinite(wish):
        raise ModelError(f"a size, bits per pixel or a PSNR must be a finite number, not {wish}")
    source: Any = image
    if isinstance(image, str | Path) or hasattr(source, "read"):
        source = read_source(source)
    if (frames := animation.open_animation(source, max_pixels, strip)) is not None:
        return _frames(frames, size, bpp, model)
    whole, entry = open_whole(source, max_pixels, strip).rounded, encoder(model or DEFAULT_MODEL)
    pixels, net, header = prepare(whole.picture, model or DEFAULT_MODEL, False, None, seed, threshold, device)
    kept = beside.of_picture(whole, header)
    steps = effort_steps(effort, lossless=False)
    step = 1 if zoo.takes(entry).between else 100
    levels = range(100, 100 * zoo.qualities(entry) + 1, step)

    def made(level: int) -> File:
        own = replace(header, quality=level // 100, hundredths=level % 100)
        return replace(file_of(net, pixels, own, jobs, steps=steps), **kept)

    def measured(file: File) -> float:
        if psnr is None:
            return len(picture_file.pack(file))
        return psnr_db(regenerated(net, file, "mean", seed, jobs), pixels[0])

    with memory():
        if psnr is None:
            most = size if size is not None else int((bpp or 0) * header.width * header.height / 8)
            found = _last(levels, made, lambda file: measured(file) <= most, progress)
            said = f"of at most {most:,} bytes"
        else:
            found = _last(levels[::-1], made, lambda file: measured(file) >= psnr, progress)
            said = f"of at least {psnr:g} dB"
        ours = picture_file.pack(found) if found is not None else None
        if model is None and psnr is None and others.may_reach(whole, near := others.quick(whole), most):
            lossless = others.smallest(whole, near)
            if len(lossless) <= most:
                return lossless
        if ours is not None:
            plain = model is not None or psnr is None
            return ours if plain else others.smallest(whole, others.quick(whole, len(ours)), ours)
        nearest = measured(made(levels[0] if psnr is None else levels[-1]))
    reached = f"the smallest has {nearest:,.0f}" if psnr is None else f"the best has {nearest:.2f}"
    raise ModelError(f"model {entry.name} makes no file {said} of this picture: {reached}")


def _frames(frames: Animation, size: int | None, bpp: float | None, model: str | None) -> bytes:
    """An animation's file, which keeps every frame, so that no PSNR is too high. Raises ModelError for a larger one.

    Its bits per pixel are those that the command reports, of the pixels of one frame.
    """
    from vlcodec.codec import animation

    if model is not None:
        raise ImageError(f"model {model} codes single pictures: an animation is kept as a file of frames")
    data = stored_file.pack_stored(animation.smallest(frames))
    width, height = frames.frames[0].size
    most = size if size is not None else len(data) if bpp is None else int(bpp * width * height / 8)
    if len(data) > most:
        raise ModelError(
            f"an animation is kept without a loss, as a file of all its frames: this one has {len(data):,} bytes, "
            f"and at most {most:,} are allowed"
        )
    return data


def _last(
    levels: range, made: Callable[[int], File], good: Callable[[File], bool], progress: Progress | None
) -> File | None:
    """The file of the last level that is good, where all before it are; None if the first one is not."""
    low, high, found = 0, len(levels), None
    tried, most = 0, len(levels).bit_length()
    while low < high:
        middle = (low + high) // 2
        file = made(levels[middle])
        if good(file):
            low, found = middle + 1, file
        else:
            high = middle
        tried += 1
        if progress is not None:
            progress("qualities", tried, max(most, tried))
    return found
