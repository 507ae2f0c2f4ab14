"""Draws samples/dvaepp.png: what a DVAE++ makes of its global bits, and of a file group by group.

    python samples/dvaepp.py SETS

SETS is the folder of the binary sets. Above, rows of digits and of silhouettes: every five successive ones have the
same bits, drawn from the prior, and differ in what is drawn after them (figure 4 of the paper). Below, test digits,
each above what its file gives at one group, two, ... and all of them.
"""

from __future__ import annotations

import argparse
from math import prod
from pathlib import Path

import numpy as np
from PIL import Image

from vlcodec.codec.coding.latents import choose, dither_of
from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.interface import Bytes, Ints
from vlcodec.models import registry, zoo
from vlcodec.models.dvaepp.codec import DvaeppModel
from vlcodec.models.vlae.data import load_binary

OUT = Path(__file__).with_name("dvaepp.png")
LATENT_PURPOSE = 3
CODES, EACH, A_ROW = 12, 5, 4
DIGITS = 20


def model_of(name: str) -> DvaeppModel:
    """A model of the package."""
    found = zoo.load(registry.by_name(name), "cpu")
    assert isinstance(found, DvaeppModel)
    return found


def drawn(model: DvaeppModel) -> Bytes:
    """(CODES EACH, 28, 28): so many codes, and so many samples of each."""
    net = model.chained()
    n, bits, half = CODES * EACH, net.bits, net.net.rbm.bits
    codes = net.prior(np.zeros((CODES, net.latents), np.int64)).pop(Noise(5, LATENT_PURPOSE, 0, CODES * net.latents))
    z = codes[:, :bits].repeat(EACH, 0)
    noise = Noise(6, LATENT_PURPOSE, 0, n * net.latents)
    walk = net.prior(np.zeros((n, net.latents), np.int64)).rest(z[:, :half])
    levels = walk.levels()
    part, centre, scale = next(levels)
    values: Ints = z[:, half:]
    try:
        while True:
            part, centre, scale = levels.send(values)
            places = np.arange(n)[:, None] * net.latents + np.arange(part.start, part.stop)
            symbols = noise.pop(walk.distribution(part, centre, scale), places.reshape(-1)).reshape(n, -1)
            values = walk.values(part, symbols)
    except StopIteration as end:
        block = net.pixels(end.value, range(28), 28, 1)
    return net.to_pictures(block.pop(Noise(7, PIXEL_PURPOSE, 0, prod(block.shape))))[..., 0]


def by_groups(model: DvaeppModel, digits: Bytes) -> list[Bytes]:
    """(N, 28, 28) at each number of groups."""
    found = list[Bytes]()
    for quality in range(1, model.qualities + 1):
        net = model.single(quality)
        u = dither_of(net, 0, 0, len(digits), 28, 28)
        block = net.pixels(net.features(choose(net, digits[..., None], u), u), range(28), 28, 1)
        found.append(net.to_pictures(block.pop(Noise(0, PIXEL_PURPOSE, 0, prod(block.shape))))[..., 0])
    return found


def tiled(rows: Bytes) -> Bytes:
    """(R, N, 28, 28) -> one picture, with a grey line around each."""
    framed = np.pad(rows, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=96)
    r, n, h, w = framed.shape
    return framed.transpose(0, 2, 1, 3).reshape(r * h, n * w)


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    chosen = parser.parse_args()
    digits = model_of("dvaepp-mnist")
    test = 255 * load_binary("vlae-mnist", chosen.sets).test
    shown = test[len(test) // DIGITS // 2 :: len(test) // DIGITS][:DIGITS]
    parts = [drawn(model).reshape(-1, A_ROW * EACH, 28, 28) for model in (digits, model_of("dvaepp-caltech101"))]
    parts.append(np.stack([shown, *by_groups(digits, shown)]))
    gap = np.full((8, A_ROW * EACH * 30), 255, np.uint8)
    rows = [part for some in parts for part in (tiled(some), gap)][:-1]
    Image.fromarray(np.concatenate(rows)).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
