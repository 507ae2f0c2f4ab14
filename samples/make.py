"""Makes everything in this folder: the pictures, their .vlz files at every rate, and the contact sheet.

python samples/make.py                  (a few minutes; running it again gives the same files)
python samples/make.py --pictures-only
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import scenes
from PIL import Image, ImageDraw, ImageFont

FOLDER = Path(__file__).parent
PICTURES = ("landscape", "still_life", "bricks", "page", "dunes_grey")
QUALITIES = (1, 2, 3, 4)

SHOWN = {"landscape": (128, 56), "still_life": (46, 46), "bricks": (88, 30)}  # and the corner of the part that is shown
TILE = (256, 192)
MARGIN, GAP, GUTTER, CAPTION = 16, 8, 26, 30
INK, FAINT = (28, 28, 32), (112, 112, 120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Render the sample pictures, compress them, compose the contact sheet."
    )
    parser.add_argument("--pictures-only", action="store_true", help="render the pictures and stop")
    options = parser.parse_args()
    for name, picture in pictures():
        save(picture, FOLDER / f"{name}.png")
    if not options.pictures_only:
        for name in PICTURES:
            compress(name)
        save(contact_sheet(), FOLDER / "contact_sheet.jpg")


def pictures() -> Iterator[tuple[str, Image.Image]]:
    landscape = scenes.landscape()
    for name in PICTURES:
        if name == "landscape":
            yield name, landscape
        elif name == "page":
            yield name, scenes.page(landscape)
        else:
            yield name, getattr(scenes, name)()


def compress(name: str) -> None:
    """Writes a picture's .vlz files."""
    import vlcodec

    source = FOLDER / f"{name}.png"
    for quality in QUALITIES:
        tell(vlz(name, f"q{quality}"), vlcodec.compress(source, model="photo", quality=quality))
    tell(vlz(name, "lossless"), vlcodec.compress(source, model="photo", lossless=True))


def contact_sheet() -> Image.Image:
    """For each picture: the original beside what every rate gives back, the mean image above a sample."""
    columns, across = 1 + len(QUALITIES), TILE[0] + GAP
    block = CAPTION + 2 * (TILE[1] + GAP) + GAP
    width = 2 * MARGIN + columns * across - GAP + GUTTER
    sheet = Image.new("RGB", (width, 2 * MARGIN + len(SHOWN) * block - 2 * GAP), "white")
    for row, (name, corner) in enumerate(SHOWN.items()):
        place_row(sheet, name, corner, MARGIN + row * block)
    return sheet


def place_row(sheet: Image.Image, name: str, corner: tuple[int, int], top: int) -> None:
    import vlcodec

    draw = ImageDraw.Draw(sheet)
    part = (*corner, corner[0] + TILE[0], corner[1] + TILE[1])
    first, second = top + CAPTION, top + CAPTION + TILE[1] + GAP
    with Image.open(FOLDER / f"{name}.png") as original:
        caption(draw, MARGIN, first, "original", "24 bits/pixel")
        sheet.paste(original.crop(part), (MARGIN, first))
        sheet.paste(overview(original, part), (MARGIN, second))
        pixels = original.width * original.height
    size = vlz(name, "lossless").stat().st_size
    caption(draw, MARGIN, second + TILE[1] + 5, f"lossless {size:,} bytes", f"{8 * size / pixels:.2f} bits/pixel", 14)
    left = MARGIN + TILE[0] + GAP
    for label, y in (("mean", first), ("sample", second)):
        sheet.paste(sideways(label, TILE[1]), (left, y))
    left += GUTTER
    for quality in QUALITIES:
        data = vlz(name, f"q{quality}").read_bytes()
        caption(draw, left, first, f"-q {quality}   {len(data):,} bytes", f"{8 * len(data) / pixels:.3f} bits/pixel")
        sheet.paste(vlcodec.decompress(data, decode="mean").crop(part), (left, first))
        sheet.paste(vlcodec.decompress(data, decode="sample").crop(part), (left, second))
        left += TILE[0] + GAP


def caption(draw: ImageDraw.ImageDraw, left: int, bottom: int, name: str, figure: str, size: int = 17) -> None:
    """A line that ends above `bottom`: what a tile is at the left, what it costs at the right."""
    draw.text((left, bottom - 9), name, INK, ImageFont.load_default(size), anchor="ls")
    draw.text((left + TILE[0], bottom - 9), figure, FAINT, ImageFont.load_default(min(size, 15)), anchor="rs")


def sideways(label: str, length: int) -> Image.Image:
    strip = Image.new("RGB", (length, GUTTER - GAP), "white")
    draw = ImageDraw.Draw(strip)
    draw.text((length // 2, strip.height // 2), label, INK, ImageFont.load_default(17), anchor="mm")
    return strip.rotate(90, expand=True)


def overview(picture: Image.Image, part: tuple[int, int, int, int]) -> Image.Image:
    """The whole picture, small, with a frame around the part that the tiles show."""
    tile = Image.new("RGB", TILE, "white")
    height = TILE[0] * picture.height // picture.width
    tile.paste(picture.resize((TILE[0], height), Image.Resampling.LANCZOS))
    frame = [side * TILE[0] // picture.width for side in part]
    ImageDraw.Draw(tile).rectangle((frame[0], frame[1], frame[2] - 1, frame[3] - 1), outline="white", width=2)
    return tile


def vlz(name: str, kind: str) -> Path:
    return FOLDER / f"{name}.{kind}.vlz"


def tell(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    print(f"{path.name:28}{path.stat().st_size:10,} bytes", flush=True)


def save(picture: Image.Image, path: Path) -> None:
    if path.suffix == ".png":
        picture.save(path, optimize=True)
    else:
        picture.save(path, quality=93, subsampling=0, optimize=True)
    print(f"{path.name:28}{path.stat().st_size:10,} bytes", flush=True)


if __name__ == "__main__":
    main()
