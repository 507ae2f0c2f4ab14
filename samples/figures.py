"""Makes the figures of binary pictures in this folder, after figures 1 and 2 of the VLAE paper (Chen et al. 2017).

python samples/figures.py DATA          (DATA: the folder of the binary sets)

vlae.png: test pictures beside what their lossy archive gives back, and samples from each model. windows.png: what the
decoder's window does to the code, from the nets that benchmarks/vlae_study.py trained and measured.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FOLDER = Path(__file__).parent
STUDY = FOLDER.parent / "benchmarks" / "results" / "vlae_study.json"
SETS = {
    "vlae-mnist": "MNIST, statically binarised",
    "vlae-mnist-dynamic": "MNIST, dynamically binarised",
    "vlae-omniglot": "OMNIGLOT (a derived version)",
    "vlae-caltech101": "Caltech-101 Silhouettes",
}
SIDE, SCALE, GAP = 28, 2, 3
ACROSS, PAIRS = 10, 3  # pictures a line, lines of originals
MARGIN, CAPTION, LABEL = 16, 30, 250
INK, FAINT, PAPER = 28, 112, 255

Pictures = NDArray[np.uint8]  # (N, 28, 28) of 0 and 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    data: Path = parser.parse_args().data
    save(models_figure(data), FOLDER / "vlae.png")
    save(windows_figure(json.loads(STUDY.read_text())), FOLDER / "windows.png")


def models_figure(data: Path) -> Image.Image:
    """For each model: lines of originals, each above its decompressions, and at the right as many samples."""
    blocks = []
    for model, name in SETS.items():
        originals = test_pictures(model, data, ACROSS * PAIRS)
        bits, back = decompressed(model, originals)
        lines = np.stack([originals.reshape(PAIRS, ACROSS, SIDE, SIDE), back.reshape(PAIRS, ACROSS, SIDE, SIDE)], 1)
        left = titled(
            tiles(lines.reshape(-1, SIDE, SIDE)), name, f"originals, each above what {bits:.1f} bits of latents give"
        )
        blocks.append((left, titled(tiles(samples(model, 2 * PAIRS * ACROSS)), "", "samples")))
    across, down = blocks[0][0].size
    figure = Image.new("L", (3 * MARGIN + 2 * across, MARGIN + len(blocks) * (down + MARGIN)), PAPER)
    for row, block in enumerate(blocks):
        for column, image in enumerate(block):
            figure.paste(image, (MARGIN + column * (across + MARGIN), MARGIN + row * (down + MARGIN)))
    return figure


def windows_figure(study: dict) -> Image.Image:
    """A line of originals, and a line of what each variant of the study regenerates from its latents."""
    lines = [("originals", "", unpacked(study["originals"]))]
    for name, row in study["variants"].items():
        figures = f"{row['kl_bits']:.1f} bits, {row['likelihood_nats']:.1f} nats"
        lines.append((name, figures, unpacked(row["regenerated"])))
    strip = tiles(lines[0][2], len(lines[0][2]))
    down = strip.height + GAP
    figure = Image.new("L", (2 * MARGIN + LABEL + strip.width, 2 * MARGIN + len(lines) * down), PAPER)
    draw = ImageDraw.Draw(figure)
    for row, (name, figures, pictures) in enumerate(lines):
        top = MARGIN + row * down
        figure.paste(tiles(pictures, len(pictures)), (MARGIN + LABEL, top))
        draw.text((MARGIN, top + down // 2), name, INK, ImageFont.load_default(17), anchor="ls")
        draw.text((MARGIN, top + down // 2 + 18), figures, FAINT, ImageFont.load_default(15), anchor="ls")
    return figure


def test_pictures(model: str, data: Path, count: int) -> Pictures:
    """With a stride, as the sets are sorted."""
    from vlcodec.models.binary_data import load_binary

    test = load_binary(model, data).test
    stride = len(test) // count
    return 255 * test[stride // 2 :: stride][:count]


def decompressed(model: str, originals: Pictures) -> tuple[float, Pictures]:
    """Bits of latents a picture in their lossy archive, and what it gives back: the PixelCNN's samples given them."""
    import vlcodec

    data = vlcodec.compress_archive(originals, model=model, lossless=False)
    back = vlcodec.decompress_archive(data).images
    bits = 8 * vlcodec.info(data)["bytes"]["stack"] / len(originals)
    return bits, np.stack([np.asarray(image) for image in back])


def samples(model: str, count: int) -> Pictures:
    """Drawn from p(z) and p(x | z) of the net with the gaussian posterior: the decoder fed with random bits."""
    from vlcodec.codec.stack import Noise, Stack
    from vlcodec.codec.walk import decode
    from vlcodec.models import zoo
    from vlcodec.models.binary import BinaryModel

    net = zoo.load(model, torch.device("cpu"))
    assert isinstance(net, BinaryModel)
    size = count * net.latents
    random_bits = Stack(np.random.default_rng(0).bytes(4 * size))
    noise = random_bits.pop(net.chained.noise(count), np.arange(size))
    steps = net.chained.pixels(net.chained.from_noise(noise.reshape(count, -1)))
    return net.chained.to_pictures(decode(steps, Noise(0, 1, 0, count * SIDE * SIDE)))


def tiles(pictures: Pictures, across: int = ACROSS) -> Image.Image:
    """Pictures in lines, black on white."""
    pitch = SIDE * SCALE + GAP
    sheet = np.full((-(-len(pictures) // across) * pitch - GAP, across * pitch - GAP), 205, np.uint8)
    for number, picture in enumerate(255 - pictures):
        top, left = number // across * pitch, number % across * pitch
        sheet[top : top + pitch - GAP, left : left + pitch - GAP] = picture.repeat(SCALE, 0).repeat(SCALE, 1)
    return Image.fromarray(sheet)


def titled(image: Image.Image, name: str, figures: str) -> Image.Image:
    result = Image.new("L", (image.width, image.height + CAPTION), PAPER)
    result.paste(image, (0, CAPTION))
    draw = ImageDraw.Draw(result)
    draw.text((0, CAPTION - 9), name, INK, ImageFont.load_default(17), anchor="ls")
    draw.text((image.width, CAPTION - 9), figures, FAINT, ImageFont.load_default(15), anchor="rs")
    return result


def unpacked(packed: str) -> Pictures:
    """The pictures that the study keeps, as hexadecimal bits."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(packed), np.uint8))
    return 255 * bits.reshape(-1, SIDE, SIDE)


def save(picture: Image.Image, path: Path) -> None:
    picture.quantize(32).save(path, optimize=True)
    print(f"{path.name:28}{path.stat().st_size:10,} bytes", flush=True)


if __name__ == "__main__":
    main()
