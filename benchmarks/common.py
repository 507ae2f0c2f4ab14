"""What the benchmarks share: pictures, the machine, the way results are kept, and measures of quality."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import vlcodec
from vlcodec.codec import image as images
from vlcodec.codec import likeness
from vlcodec.codec.interface import Bytes
from vlcodec.models import registry, zoo
from vlcodec.models.agave.data import load_cifar10
from vlcodec.models.dvaepp.data import SETS as BINARY_SETS
from vlcodec.models.vlae.data import load_binary

Row = dict[str, Any]

RESULTS = Path(__file__).with_name("results")
SUFFIXES = {".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".ppm"}


# ---- pictures and results ------------------------------------------------------------------------------------------


def parser(doc: str, name: str) -> argparse.ArgumentParser:
    """A command line whose help is the script's docstring, with an option for where the JSON goes."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    out = RESULTS / f"{name}.json"
    made.add_argument("--out", type=Path, default=out, metavar="JSON", help=f"[default: results/{name}.json]")
    return made


def pictures(folders: Iterable[Path], only: Path | None = None) -> list[Path]:
    """The pictures in some folders, sorted by name; with `only`, those that a file lists, one name a line."""
    found = sorted(path for folder in folders for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if only is not None:
        wanted = set(only.read_text().split())
        found = [path for path in found if path.name in wanted]
        if missing := wanted - {path.name for path in found}:
            raise SystemExit(f"{only} lists pictures that are in none of the folders: {', '.join(sorted(missing))}")
    if not found:
        raise SystemExit(f"no picture in {', '.join(map(str, folders))}")
    return found


def qualities_of(model: str) -> range:
    """Of a model's lossy files."""
    return range(1, zoo.qualities(registry.by_name(model)) + 1)


def test_set(model: str, data: Path) -> Bytes:
    """The test pictures of a model of one size: (N, H, W) uint8 of 0 and 255, or (N, H, W, 3) RGB."""
    entry = registry.by_name(model)
    if not zoo.takes(entry).bilevel:
        return load_cifar10(data).test
    return 255 * load_binary(BINARY_SETS.get(entry.name, entry.name), data).test


def strided(pictures: Bytes, count: int) -> Bytes:
    """So many of them at the most, from all over the set, as some sets are sorted."""
    return pictures[:: max(1, len(pictures) // count)][:count]


def load(path: Path) -> Image.Image:
    """A picture as vlcodec sees it: upright, RGB or L, and nothing but pixels."""
    picture = images.load(path)
    return images.to_image(picture.pixels, picture.grey)


def hardware() -> Row:
    """What the figures depend on beside the code."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def keep(out: Path, results: Row, model: str = "photo") -> None:
    """Write the results, with machine and model, as JSON. Floats keep six decimals."""
    entry = registry.by_name(model)
    weights = {"name": entry.name, "number": entry.number, "sha256": entry.sha256}
    about = {"hardware": hardware(), "model": weights}
    text = json.dumps({"vlcodec": vlcodec.__version__} | about | results)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(json.loads(text, parse_float=lambda digits: round(float(digits), 6)), indent=1) + "\n")


def show(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a markdown table, first column to the left, the others to the right."""
    for cells in (header, ["---", *["---:"] * (len(header) - 1)], *rows):
        print(f"| {' | '.join(cells)} |")


def say(line: str) -> None:
    """A sign of life, on stderr."""
    print(line, file=sys.stderr, flush=True)


def seconds(work: Callable[[], Any], runs: int = 3) -> float:
    """Median duration of some runs after one to warm up."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


# ---- quality -------------------------------------------------------------------------------------------------------


def psnr(a: Image.Image, b: Image.Image) -> float:
    """In dB, over all RGB values of a picture; infinite for equal pictures."""
    return likeness.psnr(*_rgb(a, b))


def ms_ssim(a: Image.Image, b: Image.Image) -> float:
    """See vlcodec.codec.likeness."""
    return likeness.ms_ssim(*_rgb(a, b))


TO_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])  # BT.601


def smooth_errors(a: Image.Image, b: Image.Image) -> tuple[float, float]:
    """Errors of luma and of chroma averaged over 8x8 pixels, rms, in levels: how far smooth areas are off."""
    x, y = (pixels.astype(float) for pixels in _rgb(a, b))
    error = (x - y) @ TO_YCBCR.T
    height, width = (side // 8 for side in error.shape[:2])
    means = error[: 8 * height, : 8 * width].reshape(height, 8, width, 8, 3).mean((1, 3))
    luma, chroma = np.square(means[..., 0]).mean(), np.square(means[..., 1:]).mean()
    return float(np.sqrt(luma)), float(np.sqrt(chroma))


def _rgb(*pictures: Image.Image) -> tuple[Bytes, ...]:
    """(H, W, 3) uint8 of each."""
    return tuple(np.asarray(picture.convert("RGB")) for picture in pictures)
