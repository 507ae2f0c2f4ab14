"""Everyday pictures, lossless: the file as it is, and the smallest that others and vlcodec make of it.

    python benchmarks/everyday.py DATA --skimage

DATA is the folder of data sets: emoji_noto, icons_tango_32, screens (screenshots, which everybody has to make),
documents_*, photos_lomiri, and kodak, whose pictures are halved in linear light to 16 bits, and compared with PNG
alone. With --skimage, the pictures that scikit-image brings along come too.

PNG is Pillow's optimised one, WebP lossless of method 6 and exact, JPEG XL cjxl's of distance 0 and effort 9, where it
is installed; all with the same metadata. PNG and vlcodec keep mode and palette; WebP and JPEG XL keep what is seen.
Texts and resolution, which a WebP does not hold, are added to it as they take room in a .vlz file, where it is asked
whether that is larger. Every vlcodec file is decoded, written as PNG, read again, and compared, metadata included.
Pictures that are done already, by their names, are not done again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import SUFFIXES, Row, keep, parser, say, show

import vlcodec
from vlcodec import facade
from vlcodec.codec.errors import VlcodecError
from vlcodec.codec.files.chunks import RESOLUTION, TEXT
from vlcodec.codec.files.metadata import pack_metadata
from vlcodec.codec.interface import Bytes
from vlcodec.codec.sixteen import Levels
from vlcodec.codec.sixteen_files import png
from vlcodec.codec.whole import WEBP_SIDE, Whole, as_file, encoded, open_whole, same

ALLOWED = 16  # bytes over the smallest of the file (a PNG or WebP), PNG and WebP
SETS = (
    "emoji_noto", "icons_tango_32", "screens", "documents_leptonica", "documents_tesseract", "photos_lomiri",
)  # fmt: skip
HALVED = "kodak"
SAID_EVERY = 20  # pictures


def sources(data: Path, skimage: bool, most: int | None) -> Iterator[tuple[str, str, bytes]]:
    """Set, name and bytes of every picture; of each set so many, from all over it."""
    for name in SETS:
        paths = sorted(path for path in (data / name).rglob("*") if path.suffix.lower() in SUFFIXES)
        step = 1 if most is None else max(1, len(paths) // most)
        for path in paths[::step][:most]:
            yield name, path.relative_to(data / name).as_posix(), path.read_bytes()
    for path in sorted((data / HALVED).glob("*.png"))[:most]:
        yield f"{HALVED}, 16 bits", path.name, png(halved(np.asarray(open_whole(path).image.convert("RGB"))))
    if skimage:
        from skimage import data as pictures

        folder = Path(pictures.__file__).parent
        for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:most]:
            yield "scikit-image", path.name, path.read_bytes()


def halved(pixels: Bytes) -> Levels:
    """(H, W, 3) uint8 -> (H // 2, W // 2, 3) uint16: means of four in linear light, by sRGB's curve."""
    height, width = (side // 2 for side in pixels.shape[:2])
    x = pixels[: 2 * height, : 2 * width] / 255
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    light = light.reshape(height, 2, width, 2, 3).mean((1, 3))
    x = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    levels: Levels = np.rint(65535 * x).astype(np.uint16)
    return levels


def jpeg_xl(whole: Whole) -> int | None:
    """Bytes of cjxl's lossless file of effort 9; None where it is not installed or refuses the picture."""
    if shutil.which("cjxl") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a.png", Path(folder) / "a.jxl"
        source.write_bytes(encoded(whole.image, "PNG", whole.metadata))
        done = subprocess.run(["cjxl", str(source), str(target), "-d", "0", "-e", "9", "--quiet"], capture_output=True)
        return target.stat().st_size if done.returncode == 0 else None


def measured(data: bytes) -> Row:
    """The sizes of a picture's files, and whether vlcodec's gives it back. Raises VlcodecError for one not taken."""
    whole = open_whole(data)
    if whole.deep is not None:
        return measured_deep(data, whole)
    optimised = len(encoded(whole.image, "PNG", whole.metadata, optimize=True))
    small = max(whole.image.size) <= WEBP_SIDE
    webp = len(encoded(whole.image, "WebP", whole.metadata, method=6, quality=100)) if small else None
    file = vlcodec.compress(data, lossless=True)
    image = vlcodec.decompress(file)
    back, written = open_whole(image), open_whole(as_file(image, "PNG"))
    missing = [chunk for chunk in pack_metadata(whole.metadata) if chunk.type in (TEXT, RESOLUTION)]  # of a WebP
    others = [optimised] + ([len(data)] if whole.stored is not None else [])
    others += [webp + sum(2 + len(chunk.data) for chunk in missing)] if webp is not None else []
    about = facade.info(file)
    return {
        "mode": whole.image.mode,
        "width": whole.image.width,
        "height": whole.image.height,
        "original": len(data),
        "png": optimised,
        "webp": webp,
        "jpeg_xl": jpeg_xl(whole),
        "vlcodec": len(file),
        "as": about.get("stored", about.get("model")),
        "over": len(file) - min(others),
        "identical": same(back, whole) and _alike(written, whole),
    }


def measured_deep(data: bytes, whole: Whole) -> Row:
    """The same of a picture of 16 bits, beside PNG alone."""
    levels = whole.deep
    if levels is None:
        raise VlcodecError("a picture of 8 bits")
    file, ours = vlcodec.compress(data, lossless=True), len(png(levels, whole.metadata))
    others = [ours] + ([len(data)] if whole.stored is not None else [])
    about, found = facade.info(file), vlcodec.decompress_array(file)
    return {
        "mode": whole.image.mode,
        "bits": 16,
        "width": whole.image.width,
        "height": whole.image.height,
        "original": len(data),
        "png": ours,
        "webp": None,
        "jpeg_xl": None,
        "vlcodec": len(file),
        "as": about.get("stored", about.get("model")),
        "over": len(file) - min(others),
        "identical": np.array_equal(found, levels.reshape(found.shape)),
    }


def _alike(written: Whole, whole: Whole) -> bool:
    """Whether a PNG has the picture and its metadata; it has dots per inch as whole dots per metre."""
    a, b = (tuple(part for part in picture.metadata if part[0] != RESOLUTION) for picture in (written, whole))
    pixels = written.image.mode == whole.image.mode and written.image.tobytes() == whole.image.tobytes()
    return pixels and a == b and written.palette == whole.palette


def summary(rows: dict[str, Any]) -> Iterator[list[str]]:
    """A line a set."""
    for name in dict.fromkeys(row["set"] for row in rows.values()):
        own = [row for row in rows.values() if row["set"] == name and "error" not in row]
        refused = sum(row["set"] == name and "error" in row for row in rows.values())

        def total(key: str, own: list[Row] = own) -> str:
            sizes = [row[key] for row in own]
            return "-" if None in sizes or not sizes else f"{sum(sizes):,}"

        same_as, over = sum(row["identical"] for row in own), sum(row["over"] > ALLOWED for row in own)
        sizes = [total(key) for key in ("original", "png", "webp", "jpeg_xl", "vlcodec")]
        yield [name, str(len(own)), *sizes, f"{same_as} of {len(own)}", str(over), str(refused)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__ or "", "everyday")
    options.add_argument("data", type=Path)
    options.add_argument("--skimage", action="store_true")
    options.add_argument("--most", type=int, help="Pictures of each set.")
    chosen = options.parse_args(arguments)

    rows: dict[str, Row] = json.loads(chosen.out.read_text())["pictures"] if chosen.out.exists() else {}
    for number, (name, picture, data) in enumerate(sources(chosen.data, chosen.skimage, chosen.most), start=1):
        key = f"{name}/{picture}"
        if key in rows:
            continue
        try:
            rows[key] = {"set": name} | measured(data)
        except VlcodecError as error:
            rows[key] = {"set": name, "error": str(error)}
        keep(chosen.out, {"pictures": rows})
        if number % SAID_EVERY == 0:
            say(f"{number}: {key}")
    head = ["pictures", "number", "original", "PNG", "WebP", "JPEG XL", "vlcodec", "identical"]
    show([*head, f"over by more than {ALLOWED} bytes", "refused"], summary(rows))


if __name__ == "__main__":
    main()
