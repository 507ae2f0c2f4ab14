"""Does it survive? How often a classifier sees in a regenerated picture what it sees in the original, against bits.

    python benchmarks/survival.py vlae-mnist SETS mnist.pt --pictures 10000 --size 24
    python benchmarks/survival.py agave-cifar10 CIFAR cifar10.pt --pictures 500

The classifier is one of benchmarks/classifiers.py. Of each quality of a model: the mean image and a sample of the
latents that a lossy file holds, at the bits these take, and the mean and the most bytes of a file of one picture.
With --size, too, of each picture the best quality whose file takes no more bytes, as `vlcodec compress --size` has it.
Beside them JPEG and WebP at their smallest, and principal components of the training pictures, rounded to steps so wide
that their entropy is the bits of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from classifiers import Classifier, classes_of, load
from common import Row, keep, parser, say, show, strided, test_set
from peers import lossy
from PIL import Image

import vlcodec
from vlcodec.codec.coding.latents import choose, dither_of
from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.interface import Bytes
from vlcodec.codec.likeness import Floats
from vlcodec.models import registry, zoo
from vlcodec.models.agave.data import load_cifar10
from vlcodec.models.vlae.data import load_binary

FITTED = 10_000  # training pictures that the principal components are of
COMPONENTS = 256  # at most
HALVINGS = 30  # of the interval that a step is looked for in
SINGLES = 500  # files of one picture
OTHERS = ("JPEG", "WebP")


class Regenerated(NamedTuple):
    """bits: a picture. pictures: (N, side, side, C)."""

    name: str
    bits: float
    pictures: Bytes


def from_latents(model: str, quality: int, pictures: Bytes) -> list[Regenerated]:
    """Mean images and samples of a model's lossy files of a quality; pictures: (N, side, side, C)."""
    net = zoo.load(registry.by_name(model), "cpu").single(quality)
    n, side, _, colours = pictures.shape
    u = dither_of(net, 0, 0, n, side, side)
    symbols = choose(net, pictures, u)
    bits = net.prior(u).bits(symbols) / n
    fz = net.features(symbols, u)
    block = net.pixels(fz, range(side), side, colours, guided=True)
    drawn = net.to_pictures(block.pop(Noise(0, PIXEL_PURPOSE, 0, prod(block.shape))))
    named = f"-q {quality}, "
    means = net.mean_images(fz, side, side)
    return [Regenerated(named + "mean image", bits, means), Regenerated(named + "sample", bits, drawn)]


def within(model: str, pictures: Bytes, most: int) -> Regenerated:
    """Mean images of files of at most so many bytes, each of the best quality that fits; bits: of the whole files.

    Raises ValueError for a picture that no quality fits.
    """
    qualities = range(zoo.qualities(registry.by_name(model)), 0, -1)
    means, sizes, chosen = list[Bytes](), list[int](), list[int]()
    for i, picture in enumerate(pictures):
        image = Image.fromarray(picture.squeeze())
        files = ((q, vlcodec.compress(image, model=model, quality=q)) for q in qualities)
        quality, data = next(((q, data) for q, data in files if len(data) <= most), (0, b""))
        if not quality:
            raise ValueError(f"picture {i} has no file of at most {most} bytes")
        means.append(np.asarray(vlcodec.decompress(data, decode="mean")).reshape(picture.shape))
        sizes.append(len(data))
        chosen.append(quality)
    told = ", ".join(f"-q {q} {100 * chosen.count(q) / len(chosen):.1f} %" for q in qualities if q in chosen)
    return Regenerated(f"--size {most}, mean image ({told})", 8 * float(np.mean(sizes)), np.stack(means))


def from_components(known: Bytes, pictures: Bytes, bits: float) -> Regenerated:
    """Coefficients of principal components, rounded to steps of one width, at no more than so many bits a picture.

    The bits are each component's entropy over the pictures, which no real code could know: a lower bound.
    """
    x, y = (part.reshape(len(part), -1).astype(np.float64) for part in (known, pictures))
    mean = x.mean(0)
    _, _, axes = np.linalg.svd(x - mean, full_matrices=False)
    axes = axes[:COMPONENTS]
    coefficients = (y - mean) @ axes.T
    low, high = 1.0, float(np.abs(coefficients).max()) * 2
    for _ in range(HALVINGS):
        step = (low * high) ** 0.5
        low, high = (low, step) if entropy(np.round(coefficients / step)) <= bits else (step, high)
    rounded = np.round(coefficients / high)
    back = np.clip(np.round(high * rounded @ axes + mean), 0, 255).astype(np.uint8)
    return Regenerated(f"principal components, {bits:.0f} bits", entropy(rounded), back.reshape(pictures.shape))


def entropy(symbols: Floats) -> float:
    """Bits a row of (N, K) symbols, each column by its own frequencies."""
    counts = [np.unique(column, return_counts=True)[1] / len(symbols) for column in symbols.T]
    return float(sum(-(p * np.log2(p)).sum() for p in counts))


def from_others(pictures: Bytes) -> list[Regenerated]:
    """JPEG and WebP at their smallest."""
    found = []
    for name in OTHERS:
        codec = lossy()[name]
        mode = "RGB" if pictures.shape[3] == 3 or name == "WebP" else "L"
        files = [codec.encode(Image.fromarray(p.squeeze()).convert(mode), codec.settings[0]) for p in pictures]
        back = [np.asarray(codec.decode(f).convert("L" if pictures.shape[3] == 1 else "RGB")) for f in files]
        bits = 8 * float(np.mean([len(f) for f in files]))
        found.append(Regenerated(f"{name}, smallest", bits, np.stack(back).reshape(pictures.shape)))
    return found


def agreement(net: Classifier, originals: Bytes, regenerated: Bytes) -> float:
    """The share of pictures whose class is the original's, as the classifier sees both."""
    return float((classes_of(net, originals) == classes_of(net, regenerated)).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "survival_MODEL")
    options.set_defaults(out=None)
    options.add_argument("model")
    options.add_argument("data", type=Path)
    options.add_argument("classifier", type=Path)
    options.add_argument("--pictures", type=int, default=1000)
    options.add_argument("--size", type=int, help="bytes of a file, at most")
    chosen = options.parse_args(arguments)

    classifier, test = load(chosen.classifier), strided(test_set(chosen.model, chosen.data), chosen.pictures)
    entry = registry.by_name(chosen.model)
    bilevel = zoo.takes(entry).bilevel
    known = 255 * load_binary(entry.name, chosen.data).train if bilevel else load_cifar10(chosen.data).train
    pictures = test.reshape(*test.shape[:3], -1)
    codes, files = list[Regenerated](), list[Row]()
    for quality in range(1, zoo.qualities(entry) + 1):
        latents = from_latents(chosen.model, quality, pictures)
        say(f"-q {quality}: {latents[0].bits:.1f} bits of latents")
        codes += [*latents, from_components(strided(known, FITTED), pictures, latents[0].bits)]
        some = (Image.fromarray(p) for p in strided(test, SINGLES))
        sizes = [len(vlcodec.compress(picture, model=chosen.model, quality=quality)) for picture in some]
        files.append({"quality": quality, "mean": float(np.mean(sizes)), "most": max(sizes)})
    if chosen.size is not None:
        codes.append(within(chosen.model, pictures, chosen.size))
    rows: list[Row] = [
        {"name": name, "bits": bits, "agreement": agreement(classifier, pictures, back)}
        for name, bits, back in (*codes, *from_others(pictures))
    ]
    found: Row = {"pictures": len(test), "rows": rows, "files": files}
    keep(chosen.out or Path(__file__).with_name("results") / f"survival_{chosen.model}.json", found, chosen.model)
    header = [f"{chosen.model}, {len(test)} pictures", "bits a picture", "agreement, %"]
    show(header, [[row["name"], f"{row['bits']:.1f}", f"{100 * row['agreement']:.1f}"] for row in rows])
    print()
    names = ["bytes of a lossy file of one picture", "mean", "most"]
    show(names, [[f"-q {row['quality']}", f"{row['mean']:.1f}", str(row["most"])] for row in files])


if __name__ == "__main__":
    main()
