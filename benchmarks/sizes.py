"""Bits against time: pixel networks of several widths and depths, all trained from number 8's in equal steps.

    python benchmarks/sizes.py FOLDER PICTURE... --train DATA... [--steps 700] [--device cuda]
    python benchmarks/sizes.py FOLDER PICTURE...

FOLDER keeps their weights, which --train makes: number 8's autoencoder, and its pixel network grown to each size, with
activations of 8 bits. Then each PICTURE is compressed without loss and decoded by each; of the first one all are timed,
in turn. kMAC are products of the pixel network a pixel.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean

import torch
from common import Row, keep, load, parser, say, show
from PIL import Image

import vlcodec
from vlcodec.models import registry, zoo
from vlcodec.models.layers.exact import layers
from vlcodec.models.layers.shapes import shape_of
from vlcodec.models.photo import training
from vlcodec.models.photo.data import find_pictures
from vlcodec.models.photo.family import UNTIL_37
from vlcodec.models.photo.grow import started
from vlcodec.models.photo.net import GridAgave, GridShape
from vlcodec.models.photo.pixel_training import train_pixels

SIZES = ((80, 5, 48), (96, 6, 64), (112, 8, 64), (128, 6, 64))  # channels, layers, hidden units of a head
FIRST = 66_000  # number of the first size's weights, in the making
ROUNDS = 3


def number_of(size: tuple[int, int, int]) -> int:
    """Of the weights of a size."""
    return FIRST + SIZES.index(size)


def train(folder: Path, data: Sequence[Path], steps: int, device: str) -> None:
    """Export the weights of every size to a folder."""
    start = zoo.real_weights(registry.by_number(8).path)
    before = shape_of(GridShape, UNTIL_37 | start.config["net"])
    for channels, depth, hidden in SIZES:
        shape = replace(before, pixel_channels=channels, pixel_depth=depth, pixel_hidden=hidden, pixel_bits=8)
        say(f"{channels} channels, {depth} layers")
        net = train_pixels(
            find_pictures(data),
            folder / f"{channels}_{depth}_{hidden}",
            shape=shape,
            weights=started(GridAgave(shape), start.weights, before),
            steps=steps,
            batch=16,
            device=device,
        )
        export(net, folder)


def export(net: GridAgave, folder: Path) -> None:
    """The weights of a net of one of the sizes."""
    shape = net.shape
    number = number_of((shape.pixel_channels, shape.pixel_depth, shape.pixel_hidden))
    zoo.save(net.cpu(), training.CONFIG | {"net": asdict(shape)}, "photo", registry.PHOTO, folder, number)


def products(size: tuple[int, int, int]) -> float:
    """Thousands of products a pixel."""
    model = zoo.load(registry.by_number(number_of(size)), "cpu")
    net = model.net.pixels.net  # type: ignore[attr-defined]
    return sum(layer.get_parameter("weight").numel() for _, layer in layers(net)) / 1000


def measure(paths: Sequence[Path]) -> list[Row]:
    """For each size: bits/dim, means over pictures, and seconds of the first one's lossless calls."""
    rows = list[Row]()
    for size in SIZES:
        name, rates = f"photo-{number_of(size)}", []
        for path in paths:
            picture = load(path)
            data = vlcodec.compress(picture, lossless=True, model=name)
            rates.append(8 * len(data) / (picture.width * picture.height * len(picture.getbands())))
        say(f"{size}  {fmean(rates):.4f} bits/dim")
        rows.append({"size": size, "kmac": products(size), "bits_per_dim": fmean(rates)})
    for _ in range(ROUNDS):
        for row in rows:
            for call, spent in timed(load(paths[0]), f"photo-{number_of(row['size'])}").items():
                row.setdefault(call, []).append(spent)
    return [row | {call: statistics.median(row[call]) for call in ("encode", "decode")} for row in rows]


def timed(picture: Image.Image, name: str) -> dict[str, float]:
    """Seconds of compressing and of decompressing."""
    start = time.perf_counter()
    data = vlcodec.compress(picture, lossless=True, model=name)
    middle = time.perf_counter()
    if vlcodec.decompress(data).tobytes() != picture.tobytes():
        raise SystemExit("a lossless file does not give the picture back")
    return {"encode": middle - start, "decode": time.perf_counter() - middle}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train where it is asked for, measure, keep, show."""
    options = parser(__doc__, "sizes")
    options.add_argument("folder", type=Path, metavar="FOLDER")
    options.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    options.add_argument("--train", type=Path, nargs="+", metavar="DATA", help="folders of pictures to learn from")
    options.add_argument("--steps", type=int, default=700, help="[default: 700]")
    options.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of the training [default: cpu]")
    chosen = options.parse_args(arguments)
    if chosen.train:
        train(chosen.folder, chosen.train, chosen.steps, chosen.device)
    registry.search_in(chosen.folder)
    torch.set_num_threads(2)
    rows = measure(chosen.pictures)
    keep(chosen.out, {"pictures": [path.name for path in chosen.pictures], "sizes": rows})
    show(
        ["channels x layers, hidden", "kMAC/pixel", "bits/dim", "encode, s", "decode, s"],
        [
            [
                "{} x {}, {}".format(*row["size"]),
                f"{row['kmac']:.0f}",
                *(f"{row[key]:.{n}f}" for key, n in (("bits_per_dim", 4), ("encode", 2), ("decode", 2))),
            ]
            for row in rows
        ],
    )


if __name__ == "__main__":
    main()
