"""Where the time goes for one picture: encoder, its one network pass, decoder, regeneration.

    python benchmarks/speed.py PICTURE
    python benchmarks/speed.py PICTURE --threads 2 --device cuda
    python benchmarks/speed.py PICTURE... --against REVISION --archive DATA

The CPU is always measured, with two threads; CUDA too where it is at hand or asked for, and then its files and pictures
must equal the CPU's. Medians of three runs after one to warm up; loading the weights and checking their golden vector
happens once a process and is not counted.

"one pass" is the pixels' share of the encoder without the coder: f(z) at full resolution, the network for every pixel,
and the tables of every symbol. Naive sampling is an estimate: one network pass for each pixel.

With --against, whole calls of this checkout and of another revision are measured side by side instead (`against`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import against
import numpy as np
import torch
from common import RESULTS, Row, keep, load, parser, say, seconds, show
from PIL import Image

import vlcodec
from vlcodec.codec import image as images
from vlcodec.codec.coding.latents import dither_of, read_latents
from vlcodec.codec.coding.pixels import bands
from vlcodec.codec.coding.stack import split_digits
from vlcodec.codec.coding.walk import Walk
from vlcodec.codec.files.picture_file import unpack
from vlcodec.codec.interface import Distribution, Ints
from vlcodec.models import registry, zoo
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.photo.codec import PhotoModel


class Known:
    """A source that knows the answers: the decoder's walk with neither tables nor coder."""

    exhausted = False

    def __init__(self, symbols: Ints) -> None:
        self._flat = symbols.reshape(-1)

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """The symbols at their places."""
        return self._flat[index]


def first_step(walk: Walk, symbols: Ints) -> None:
    """The network for all symbols: it is done when the encoder's walk gives its first step."""
    next(iter(walk.parallel(symbols)))


def all_tables(walk: Walk, symbols: Ints) -> None:
    """The encoder's work without the coder: network, and the table of every digit of every symbol."""
    flat = symbols.reshape(-1)
    for step in walk.parallel(symbols):
        digits = split_digits(flat[step.index], step.distribution.radix)
        for place in range(len(digits)):
            step.distribution.counts(digits[:place])


def measure(model: PhotoModel, picture: Image.Image, device: str) -> tuple[Row, tuple[Any, ...]]:
    """Seconds of each part on one device, and what it made: files and pictures."""
    pixels = images.load(picture).pixels[None, ..., : len(picture.getbands())]
    height, width, colours = pixels.shape[1:]
    lossless = vlcodec.compress(picture, lossless=True, device=device)
    lossy = vlcodec.compress(picture, device=device)
    file = unpack(lossless)
    net = model.single(file.header.quality)
    u = dither_of(net, 0, 0, 1, height, width)
    symbols = read_latents(net, file.latents, u)
    fz = net.features(symbols, u)
    parts_of = [
        (net.to_symbols(pixels[:, place.rows.start : place.rows.stop]), place.rows)
        for place in bands(height, width, colours)
    ]

    def body() -> None:
        net.features(symbols, u)
        if device == "cuda":
            torch.cuda.synchronize()

    def over_bands(work: Callable[[Walk, Ints], Any]) -> None:
        """Without the band's correction, whose fit is no part of a pass."""
        for known, rows in parts_of:
            work(PixelBlock(model.pixels.coded(), net.render(fz, rows, width)[None], colours == 1), known)

    parts: dict[str, Callable[[], Any]] = {
        "compress --lossless": lambda: vlcodec.compress(picture, lossless=True, device=device),
        "one pass, network alone": lambda: over_bands(first_step),
        "one pass, network and tables": lambda: over_bands(all_tables),
        "decompress, lossless": lambda: vlcodec.decompress(lossless, device=device),
        "of it, latents": lambda: read_latents(net, file.latents, u),
        "of it, f(z) at a quarter of the resolution": body,
        "of it, f(z) in full and network, wavefront by wavefront": lambda: over_bands(
            lambda walk, known: walk.pop(Known(known))
        ),
        "compress": lambda: vlcodec.compress(picture, device=device),
        "decompress --decode sample": lambda: vlcodec.decompress(lossy, device=device),
        "decompress --decode mean": lambda: vlcodec.decompress(lossy, decode="mean", device=device),
    }
    times: Row = {}
    for name, work in parts.items():
        times[name] = seconds(work)
        say(f"{device}  {name}  {times[name]:.3f} s")
    times["decompress, lossless / one pass, network and tables (a ratio)"] = (
        times["decompress, lossless"] / times["one pass, network and tables"]
    )
    times["naive sampling, estimated"] = times["one pass, network alone"] * height * width
    sample, mean = (np.asarray(vlcodec.decompress(lossy, decode=d, device=device)) for d in ("sample", "mean"))
    return times, (lossless, lossy, sample.tobytes(), mean.tobytes())


def photo_on(device: str) -> PhotoModel:
    """The package's model."""
    model = zoo.load(registry.by_name("photo"), device)
    assert isinstance(model, PhotoModel)
    return model


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, show; 1 where two devices disagree."""
    options = parser(__doc__, "speed")
    options.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE", help="several with --against alone")
    options.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="[default: auto]")
    options.add_argument("--threads", type=int, default=2, help="[default: 2]")
    options.add_argument("--against", metavar="REVISION", help="compare; JSON goes to results/against.json")
    options.add_argument("--rounds", type=int, default=5, help="of a comparison [default: 5]")
    options.add_argument("--archive", type=Path, metavar="DATA", help="compare an archive of MNIST's digits too")
    options.add_argument("--digits", type=int, default=500, help="of that archive [default: 500]")
    chosen = options.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    if chosen.against is not None:
        out = RESULTS / "against.json" if chosen.out == options.get_default("out") else chosen.out
        of = (chosen.against, chosen.pictures, chosen.rounds, chosen.threads, chosen.archive, chosen.digits)
        against.report(chosen.against, against.compare(*of), chosen.rounds, out)
        return 0
    if len(chosen.pictures) > 1:
        options.error("several pictures are for --against")

    [path] = chosen.pictures
    picture = load(path)
    with_cuda = chosen.device == "cuda" or (chosen.device == "auto" and torch.cuda.is_available())
    devices = ["cpu", "cuda"] if with_cuda else ["cpu"]
    measured = {device: measure(photo_on(device), picture, device) for device in devices}
    same = all(made == measured["cpu"][1] for _, made in measured.values())

    times = {device: parts for device, (parts, _) in measured.items()}
    about = {"picture": path.name, "width": picture.width, "height": picture.height, "mode": picture.mode}
    keep(chosen.out, {**about, "devices_agree": same if with_cuda else None, "seconds": times})
    show(
        [f"{picture.width} x {picture.height}, {chosen.threads} threads", *(f"{device}, s" for device in devices)],
        [[name, *(f"{times[device][name]:,.2f}" for device in devices)] for name in times["cpu"]],
    )
    if with_cuda:
        print(f"\nFiles and pictures of the two devices are {'bit-identical' if same else 'DIFFERENT'}.")
    return int(not same)


if __name__ == "__main__":
    raise SystemExit(main())
