"""Makes the figures of models of one size in this folder.

python samples/figures.py vlae DATA          (DATA: the folder of the binary sets)
python samples/figures.py agave DATA         (DATA: the folder of CIFAR-10)
python samples/figures.py vapnev DATA        (likewise)
python samples/figures.py studies DATA       (what benchmarks/agave_study.py keeps)
python samples/figures.py windows DATA       (the VLAEs of colour pictures; DATA: the folder of CIFAR-10)

After figures 1 and 2 of the VLAE paper (Chen et al. 2017) vlae.png: test pictures beside what their lossy archive gives
back, and samples from each model. windows.png: what the decoder's window does to the code, from the nets that
benchmarks/vlae_study.py trained and measured. After figures 1c and 3 of the AGAVE paper agave.png: mean images beside
PixelCNN samples, of test pictures and of latents drawn from the prior; after figures 3, 5 and 6 agave_studies.png: the
same for each lambda, number of colour levels and resolution that benchmarks/agave_study.py trained. After figure 3 of
the VAPNEV paper vapnev.png: test pictures, what their posterior's latents give back, and samples, with mean images of
both. vlae_cifar10.png: what each window's latents keep of test pictures, and what is drawn anew.
"""

from __future__ import annotations

import argparse
import json
import math
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vlcodec.codec.interface import Ints, LatentNet

FOLDER = Path(__file__).parent
RESULTS = FOLDER.parent / "benchmarks" / "results"
STUDY = RESULTS / "vlae_variants.json"
STUDIES = {  # of AGAVE, and what their lines say
    "kl_weight": "lambda {}",
    "levels": "{} colour levels",
    "resolution": "auxiliary picture of {}",
    "mean": "of {}, all of f(z)",
}
SETS = {
    "vlae-mnist": "MNIST, statically binarised",
    "vlae-mnist-dynamic": "MNIST, dynamically binarised",
    "vlae-omniglot": "OMNIGLOT (a derived version)",
    "vlae-caltech101": "Caltech-101 Silhouettes",
}
COLOUR_WINDOWS = ("vlae-cifar10", "vlae-cifar10-small", "vlae-cifar10-grey", "vlae-cifar10-coarse")
SHOWN = 16  # pictures a line of these
SIDE, SCALE, GAP = 28, 2, 3
LATENTS_PURPOSE = 3  # noise of its own, beside that of dither and pixels
ACROSS, PAIRS = 10, 3  # pictures a line, lines of originals
MARGIN, CAPTION, LABEL = 16, 30, 250
INK, FAINT, PAPER = 28, 112, 255

Pictures = NDArray[np.uint8]  # (N, 28, 28) of 0 and 255, or (N, 32, 32, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["vlae", "agave", "vapnev", "studies", "windows"])
    parser.add_argument("data", type=Path)
    chosen = parser.parse_args()
    if chosen.model == "agave":
        save(agave_figure(chosen.data), FOLDER / "agave.png")
    elif chosen.model == "windows":
        save(colour_windows_figure(chosen.data), FOLDER / "vlae_cifar10.png")
    elif chosen.model == "studies":
        save(studies_figure(), FOLDER / "agave_studies.png")
    elif chosen.model == "vapnev":
        save(vapnev_figure(chosen.data), FOLDER / "vapnev.png")
    else:
        save(models_figure(chosen.data).quantize(32), FOLDER / "vlae.png")
        save(windows_figure(json.loads(STUDY.read_text())).quantize(32), FOLDER / "windows.png")


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


def windows_figure(study: dict[str, Any]) -> Image.Image:
    """A line of originals, and a line of what each variant of the study regenerates from its latents."""
    lines = [("originals", "", unpacked(study["originals"]))]
    for name, row in study["variants"].items():
        figures = f"{row['kl_bits']:.1f} bits, {row['likelihood_nats']:.1f} nats"
        lines.append((name, figures, unpacked(row["regenerated"])))
    return in_lines(lines)


def colour_windows_figure(data: Path) -> Image.Image:
    """A line of test pictures, and a line of what each VLAE regenerates from a lossy file's latents."""
    from vlcodec.codec.coding.latents import choose, dither_of
    from vlcodec.models import registry, zoo
    from vlcodec.models.agave.data import load_cifar10

    test = load_cifar10(data).test
    originals = test[:: len(test) // SHOWN][:SHOWN]
    lines = [("originals", "", originals)]
    for name in COLOUR_WINDOWS:
        net = zoo.load(registry.by_name(name), "cpu").single(1)
        u = dither_of(net, 0, 0, *originals.shape[:3])
        symbols = choose(net, originals, u)
        bits = net.prior(u).bits(symbols) / len(originals)
        lines.append((name, f"{bits:.0f} bits", drawn_pictures(net, net.features(symbols, u), 32, 3)))
    return in_lines(lines)


def studies_figure() -> Image.Image:
    """A line of originals, and lines of mean images and samples of what each study of AGAVE trained."""
    lines = list[tuple[str, str, Pictures]]()
    for study, said in STUDIES.items():
        path = RESULTS / f"agave_{study}.json"
        found = json.loads(path.read_text()) if path.exists() else {"variants": {}}
        for name, row in found["variants"].items():
            if "pictures" not in row:
                continue
            originals = in_colour(found["originals"])
            if not lines:
                lines.append(("originals", "", np.concatenate((originals, originals))))
            figures = f"KL {row['kl']:.3f}, sum {row['bpd']:.3f} bits/dim"
            lines.append((said.format(name), figures, in_colour(row["pictures"])))
    return in_lines(lines)


def in_lines(lines: list[tuple[str, str, Pictures]]) -> Image.Image:
    """Lines of pictures, each with a name and figures at its left."""
    strip = tiles(lines[0][2], len(lines[0][2]))
    down = strip.height + GAP
    figure = Image.new(strip.mode, (2 * MARGIN + LABEL + strip.width, 2 * MARGIN + len(lines) * down), "white")
    draw = ImageDraw.Draw(figure)
    for row, (name, figures, pictures) in enumerate(lines):
        top = MARGIN + row * down
        figure.paste(tiles(pictures, len(pictures)), (MARGIN + LABEL, top))
        draw.text((MARGIN, top + down // 2), name, f"rgb({INK}, {INK}, {INK})", ImageFont.load_default(17), anchor="ls")
        faint = f"rgb({FAINT}, {FAINT}, {FAINT})"
        draw.text((MARGIN, top + down // 2 + 18), figures, faint, ImageFont.load_default(15), anchor="ls")
    return figure


def agave_figure(data: Path) -> Image.Image:
    """Test pictures, and latents of the prior: mean images, each above what the PixelCNN draws given them."""
    from vlcodec.models.agave.data import load_cifar10

    test = load_cifar10(data).test
    originals = test[:: len(test) // (ACROSS * PAIRS)][: ACROSS * PAIRS]
    bits, *back = regenerated(originals)
    said = f"below, mean and sample from {bits:.0f} bits of latents"
    left = titled(tiles(interleaved(originals, *back)), "CIFAR-10 test pictures", said)
    right = titled(tiles(interleaved(*imagined(4 * ACROSS))), "latents from the prior", "mean and sample")
    figure = Image.new("RGB", (3 * MARGIN + 2 * left.width, 2 * MARGIN + left.height), (PAPER,) * 3)
    figure.paste(left, (MARGIN, MARGIN))
    figure.paste(right, (2 * MARGIN + left.width, MARGIN))
    return figure


def vapnev_figure(data: Path) -> Image.Image:
    """Test pictures, then a sample and the mean image of z drawn from their posterior; samples and mean images of z
    from the prior. All of the net with the gaussian posterior, as in the paper."""
    from vlcodec.codec.coding.latents import primed
    from vlcodec.models.agave.data import load_cifar10

    test = load_cifar10(data).test
    originals = test[:: len(test) // (ACROSS * PAIRS)][: ACROSS * PAIRS]
    net, symbols, u = drawn_latents("vapnev-cifar10", len(originals), 32)
    of_pictures = net.posterior(originals, u).pop(primed(len(originals), 0))
    sides = []
    for z, kinds in ((of_pictures, [originals]), (symbols, [])):
        fz = net.features(z, u)
        made = [drawn_pictures(net, fz, 32, 3), net.mean_images(fz, 32, 32)]
        sides.append(tiles(interleaved(*kinds, *made)))
    left = titled(sides[0], "CIFAR-10 test pictures", "below, sample and mean image of z from q(z | x)")
    right = titled(sides[1], "z from the prior", "sample and mean image")
    figure = Image.new("RGB", (3 * MARGIN + left.width + right.width, 2 * MARGIN + left.height), (PAPER,) * 3)
    figure.paste(left, (MARGIN, MARGIN))
    figure.paste(right, (2 * MARGIN + left.width, MARGIN))
    return figure


def regenerated(originals: Pictures) -> tuple[float, Pictures, Pictures]:
    """Bits of latents a picture, and what lossy files give: mean images, and samples."""
    import vlcodec

    files = [vlcodec.compress(Image.fromarray(p), model="agave-cifar10") for p in originals]
    ways: tuple[Literal["mean", "sample"], ...] = ("mean", "sample")
    kinds = [[np.asarray(vlcodec.decompress(f, decode=way)) for f in files] for way in ways]
    bits = 8 * float(np.mean([vlcodec.info(file)["bytes"]["latents"] for file in files]))
    return bits, np.stack(kinds[0]), np.stack(kinds[1])


def imagined(count: int) -> tuple[Pictures, Pictures]:
    """Mean images and samples of z from the gaussian p(z)."""
    net, symbols, u = drawn_latents("agave-cifar10", count, 32)
    fz = net.features(symbols, u)
    return net.mean_images(fz, 32, 32), drawn_pictures(net, fz, 32, 3)


def interleaved(*kinds: Pictures) -> Pictures:
    """Lines of each kind in turn."""
    lines = [kind.reshape(-1, ACROSS, *kind.shape[1:]) for kind in kinds]
    return np.stack(lines, 1).reshape(-1, *kinds[0].shape[1:])


def test_pictures(model: str, data: Path, count: int) -> Pictures:
    """With a stride, as the sets are sorted."""
    from vlcodec.models.vlae.data import load_binary

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
    """Drawn from p(z) and p(x | z) of the net with the gaussian posterior: the decoder fed with noise."""
    net, symbols, u = drawn_latents(model, count, SIDE)
    return drawn_pictures(net, net.features(symbols, u), SIDE, 1)[..., 0]


def drawn_latents(model: str, count: int, side: int) -> tuple[LatentNet, Ints, Ints]:
    """The net with the gaussian posterior, latents of so many pictures drawn from its prior, and their dither."""
    from vlcodec.codec.coding.latents import dither_of
    from vlcodec.codec.coding.noise import Noise
    from vlcodec.models import registry, zoo

    net = zoo.load(registry.by_name(model), "cpu").chained()
    assert net is not None
    u = dither_of(net, 0, 0, count, side, side)
    return net, net.prior(u).pop(Noise(0, LATENTS_PURPOSE, 0, u.size)), u


def drawn_pictures(net: LatentNet, fz: Any, side: int, colours: int) -> Pictures:
    """(N, side, side, colours) of p(x | z)."""
    from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise

    block = net.pixels(fz, range(side), side, colours)
    return net.to_pictures(block.pop(Noise(0, PIXEL_PURPOSE, 0, math.prod(block.shape))))


def tiles(pictures: Pictures, across: int = ACROSS) -> Image.Image:
    """Pictures in lines; binary ones black on white."""
    _, side, _, *colours = pictures.shape
    pitch = side * SCALE + GAP
    sheet = np.full((-(-len(pictures) // across) * pitch - GAP, across * pitch - GAP, *colours), 205, np.uint8)
    for number, picture in enumerate(pictures if colours else 255 - pictures):
        top, left = number // across * pitch, number % across * pitch
        sheet[top : top + pitch - GAP, left : left + pitch - GAP] = picture.repeat(SCALE, 0).repeat(SCALE, 1)
    return Image.fromarray(sheet)


def titled(image: Image.Image, name: str, figures: str) -> Image.Image:
    result = Image.new(image.mode, (image.width, image.height + CAPTION), "white")
    result.paste(image, (0, CAPTION))
    draw = ImageDraw.Draw(result)
    draw.text((0, CAPTION - 9), name, f"rgb({INK}, {INK}, {INK})", ImageFont.load_default(17), anchor="ls")
    faint = f"rgb({FAINT}, {FAINT}, {FAINT})"
    draw.text((image.width, CAPTION - 9), figures, faint, ImageFont.load_default(15), anchor="rs")
    return result


def unpacked(packed: str) -> Pictures:
    """The pictures that the study keeps, as hexadecimal bits."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(packed), np.uint8))
    return 255 * bits.reshape(-1, SIDE, SIDE)


def in_colour(packed: str) -> Pictures:
    """Likewise, of colour: one PNG, in base64, of pictures one below the other."""
    pixels = np.asarray(Image.open(BytesIO(b64decode(packed))))
    return pixels.reshape(-1, pixels.shape[1], *pixels.shape[1:])


def save(picture: Image.Image, path: Path) -> None:
    picture.save(path, optimize=True)
    print(f"{path.name:28}{path.stat().st_size:10,} bytes", flush=True)


if __name__ == "__main__":
    main()
