"""Training pictures: found in folders, widened by rescaling, gamma, noise and subsampling, and cut into patches."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
Pixels = NDArray[np.uint8]


def find_pictures(places: Iterable[Path], exclude: Iterable[str] = ()) -> list[Path]:
    """The picture files in the given folders (and below) and files, sorted, less those whose name is excluded."""
    unwanted, found = set(exclude), []
    for place in places:
        files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
        found += [p for p in files if p.suffix.lower() in SUFFIXES and p.name not in unwanted]
    return found


def read_rgb(path: Path) -> Pixels:
    """(H, W, 3) uint8."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def widen(pixels: Pixels, rng: np.random.Generator, smallest: int) -> Pixels:
    """One random variant of a picture: other scale, filter, gamma, chroma resolution, noise, JPEG, grey."""
    image = Image.fromarray(pixels)
    width, height = image.size
    if rng.random() < 0.8:
        scale = max(float(np.exp(rng.uniform(np.log(0.5), np.log(2.0)))), (smallest + 1) / min(width, height))
        if scale > 1:  # enlarge a part, so that the pool does not grow
            w, h = int(width / scale), int(height / scale)
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            image = image.crop((left, top, left + w, top + h))
        size = (max(smallest, round(image.width * scale)), max(smallest, round(image.height * scale)))
        image = image.resize(size, FILTERS[rng.integers(len(FILTERS))])
    if rng.random() < 0.3:
        exponent = float(np.exp(rng.uniform(-0.4, 0.4)))
        curve = (255 * (np.arange(256) / 255) ** exponent).round().astype(np.uint8)
        image = image.point(list(curve) * 3)
    if rng.random() < 0.35:
        image = halve_chroma(image, rng)
    if rng.random() < 0.25:
        noise = rng.standard_normal((image.height, image.width, 3), dtype=np.float32) * rng.uniform(0.3, 2.5)
        image = Image.fromarray((np.asarray(image) + noise).round().clip(0, 255).astype(np.uint8))
    if rng.random() < 0.12:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(70, 98)), subsampling=int(rng.integers(3)))
        image = Image.open(buffer).convert("RGB")
    if rng.random() < 0.06:
        image = image.convert("L").convert("RGB")
    return np.array(image)


def halve_chroma(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture after its chroma has been through half the resolution, as most cameras' pictures have."""
    y, *chroma = image.convert("YCbCr").split()
    down, up = FILTERS[rng.integers(len(FILTERS))], FILTERS[rng.integers(1, len(FILTERS))]
    half = (max(1, image.width // 2), max(1, image.height // 2))
    chroma = [c.resize(half, down).resize(image.size, up) for c in chroma]
    return Image.merge("YCbCr", (y, *chroma)).convert("RGB")


def make_pool(pictures: Sequence[Pixels], variants: int, seed: Sequence[int], smallest: int) -> list[Pixels]:
    """Every picture as it is and in `variants` random variants; the same for the same seed."""

    def variant(job: tuple[int, int]) -> Pixels:
        picture, v = job
        if v == 0:
            return pictures[picture]
        return widen(pictures[picture], np.random.default_rng([*seed, picture, v]), smallest)

    jobs = [(i, v) for i in range(len(pictures)) for v in range(variants + 1)]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        return [p for p in workers.map(variant, jobs) if min(p.shape[:2]) >= smallest]


def draw_patches(pool: Sequence[Tensor], count: int, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random patches, flipped and transposed at random, each pixel of the pool about equally often.

    pool: (H, W, 3) uint8 tensors. Returns x (count, size, size, 3) float in [-128, 127] in the order G, R, B, and
    grey (count,) float: 1 where R = G = B.
    """
    areas = torch.tensor([p.shape[0] * p.shape[1] for p in pool], dtype=torch.float64)
    patches = []
    for i in torch.multinomial(areas, count, replacement=True, generator=rng).tolist():
        height, width, _ = pool[i].shape
        draw = torch.rand(4, generator=rng).tolist()
        top, left = int(draw[0] * (height - size + 1)), int(draw[1] * (width - size + 1))
        patch = pool[i][top : top + size, left : left + size]
        patch = patch.flip(1) if draw[2] < 0.5 else patch
        patches.append(patch.transpose(0, 1) if draw[3] < 0.5 else patch)
    x = torch.stack(patches)[..., [1, 0, 2]].float() - 128
    return x, is_grey(x).float()


def is_grey(x: Tensor) -> Tensor:
    """(N, H, W, 3) -> (N,) whether R = G = B everywhere."""
    return ((x[..., 0] == x[..., 1]) & (x[..., 0] == x[..., 2])).all(-1).all(-1)
