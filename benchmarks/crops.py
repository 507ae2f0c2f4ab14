"""Crops of photographs, enlarged, beside other codecs' at no more than the same size: what figures do not show.

    python benchmarks/crops.py KODAK [--effort 9] [--qualities 1 3]

A sheet for each scene goes to docs/crops/NAME.webp: a row for each quality; the original, our regenerated picture and
its mean image, and every other codec's best file that is no larger (where even its smallest is larger, that one: its
bytes are said). Pictures are coded whole, and crops enlarged threefold without smoothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import peers
from common import load, say
from PIL import Image, ImageDraw, ImageFont

import vlcodec

OUT = Path(__file__).parents[1] / "docs" / "crops"
SIDE, SCALE, MARGIN, TEXT = 96, 3, 6, 20  # pixels
SHEET_QUALITY = 85  # of WebP
SHOWN = ("WebP", "AVIF", "JPEG XL")


class Scene(NamedTuple):
    """A crop's name, its picture, and where it begins (x, y)."""

    name: str
    picture: str
    corner: tuple[int, int]


SCENES = (
    Scene("portrait", "kodim15.png", (480, 60)),
    Scene("foliage", "kodim13.png", (120, 120)),
    Scene("sky", "kodim19.png", (300, 60)),
    Scene("text", "kodim03.png", (90, 120)),
    Scene("dark", "kodim17.png", (180, 40)),
)


def versions(picture: Image.Image, quality: int, effort: int) -> Iterator[tuple[str, Image.Image]]:
    """What is shown in a row: words and the whole picture."""
    data = vlcodec.compress(picture, model="photo", quality=quality, effort=effort)
    yield "original", picture
    yield f"vlcodec -q {quality}, {len(data):,} bytes", vlcodec.decompress(data)
    yield "its mean image", vlcodec.decompress(data, decode="mean")
    for name, codec in peers.lossy().items():
        if name in SHOWN:
            best = peers.fit(codec, picture, len(data))
            yield f"{name}, {len(best.data):,} bytes", codec.decode(best.data)


def sheet(scene: Scene, picture: Image.Image, qualities: Sequence[int], effort: int) -> Image.Image:
    """All rows of a scene."""
    rows = [list(versions(picture, quality, effort)) for quality in qualities]
    cell, font = SCALE * SIDE, ImageFont.load_default(13)
    width, height = len(rows[0]) * (cell + MARGIN) - MARGIN, len(rows) * (cell + TEXT)
    made = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(made)
    left, top = scene.corner
    for r, row in enumerate(rows):
        for c, (words, shown) in enumerate(row):
            crop = shown.convert("RGB").crop((left, top, left + SIDE, top + SIDE))
            x, y = c * (cell + MARGIN), r * (cell + TEXT)
            made.paste(crop.resize((cell, cell), Image.Resampling.NEAREST), (x, y + TEXT))
            draw.text((x + 2, y + 2), words, fill="black", font=font)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """A file for each scene."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path, metavar="KODAK")
    options.add_argument("--effort", type=int, default=9, metavar="N", help="[default: 9]")
    options.add_argument("--qualities", type=int, nargs="+", default=[1, 3], metavar="Q", help="[default: 1 3]")
    options.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="[default: docs/crops]")
    chosen = options.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for scene in SCENES:
        made = sheet(scene, load(chosen.folder / scene.picture), chosen.qualities, chosen.effort)
        made.save(chosen.out / f"{scene.name}.webp", quality=SHEET_QUALITY, method=6)
        say(f"{scene.name}: {made.width} x {made.height}")


if __name__ == "__main__":
    main()
