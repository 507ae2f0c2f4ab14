"""What the scenes are rendered with: noise, rays over a surface, shadows, materials, and a camera's tone curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Array = NDArray[Any]
OVERSAMPLING = 3


def cast(
    surface: Callable[[Array, Array], Array],
    width: int, height: int, horizon: float, focal: float, eye: float, near: float, far: float, steps: int,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Every pixel's view (u, v) and its depth on a height field; the depth `far` is sky. `focal` is in picture widths.

    From below the water (a negative eye) only what rises out of it is seen: the reflection.
    """
    width, height = width * OVERSAMPLING, height * OVERSAMPLING
    u = (np.arange(width) + 0.5 - width / 2) / (focal * width)
    v = (horizon * height - np.arange(height) - 0.5) / (focal * width)
    depths = np.geomspace(near, far, steps)
    depth = np.full((height, width), far, np.float64)
    for first in range(0, width, 96):
        x, z = np.meshgrid(u[first : first + 96], depths)
        level = surface(x * z, z)
        slope = np.where(level > 0, (level - eye) / z, -9) if eye < 0 else (level - eye) / z
        reached = np.maximum.accumulate(slope, axis=0)
        for column in range(reached.shape[1]):
            up = reached[:, column]
            hit = np.searchsorted(up, v)
            before, after = np.clip(hit - 1, 0, steps - 1), np.clip(hit, 0, steps - 1)
            part = np.clip((v - up[before]) / np.maximum(up[after] - up[before], 1e-9), 0, 1)
            there = depths[before] + part * (depths[after] - depths[before])
            depth[:, first + column] = np.where(hit < steps, there, far)
    return *np.meshgrid(u, v), depth


def normals(surface: Callable[[Array, Array], Array], x: Array, z: Array, reach: Array) -> Array:
    across = (surface(x + reach, z) - surface(x - reach, z)) / (2 * reach)
    along = (surface(x, z + reach) - surface(x, z - reach)) / (2 * reach)
    return np.asarray(np.stack([-across, np.ones_like(x), -along]) / np.sqrt(across**2 + along**2 + 1))


def shadow(surface: Callable[[Array, Array], Array], x: Array, z: Array, sun: Array, reaches: Sequence[float]) -> Array:
    """How much of the sun is seen from points on a height field, with penumbra."""
    level, light = surface(x, z), np.ones_like(x)
    for reach in reaches:
        above = level + reach * sun[1] - surface(x + reach * sun[0], z + reach * sun[2])
        light = np.minimum(light, smoothstep(-0.10, 0.06, above / reach))
    return light


def wood(x: Array, z: Array) -> Array:
    """The colour of planks that run along x."""
    board = np.floor(z / 0.62)
    shift = 40 * chance(board, board, 201)
    bent = z + 0.10 * fbm(x * 0.55 + shift, z * 1.4, 4, seed=202)
    rings = 0.5 + 0.5 * np.sin(75 * bent + 9 * fbm(x * 0.5 + shift, z * 5, 4, seed=203))
    pores = fbm(x * 5 + shift, z * 130, 4, seed=204)
    colour = mix((0.20, 0.095, 0.042), (0.36, 0.19, 0.088), 0.45 * rings + 0.55 * pores)
    colour = colour * (0.72 + 0.5 * chance(board, board, 205) * 0.8 + 0.25 * (pores - 0.5))[..., None]
    return mix(colour, (0.022, 0.012, 0.008), plank_gap(x, z))


def plank_gap(x: Array, z: Array) -> Array:
    beside = np.abs(z / 0.62 - np.rint(z / 0.62)) * 0.62
    return smoothstep(0.011, 0.004, beside)


def foliage(width: int, height: int) -> Array:
    """The shadow of a branch: 1 in the sun, 0 behind leaves; blurred more where the leaves are farther away."""
    total = np.ones((height, width))
    for layer, (count, blur) in enumerate(((90, 2.2), (80, 5.0))):
        mask = Image.new("L", (width, height), 255)
        draw = ImageDraw.Draw(mask)
        numbers = np.arange(count)
        for number, a, b, c, d in zip(
            numbers, *(chance(numbers, numbers * 0 + layer, 501 + k) for k in range(4)), strict=True
        ):
            along = a**0.8
            x = width * (-0.05 + 0.62 * along + 0.10 * (b - 0.5))
            y = height * (1.05 - 0.55 * layer - (0.75 - 0.25 * layer) * along**1.4 + 0.34 * (c - 0.5))
            length, turn = width * (0.022 + 0.018 * d), 0.6 + 1.6 * (b - 0.5) + 2.2 * (number % 2)
            t = np.linspace(0, 2 * np.pi, 24)
            p, q = length * np.cos(t), 0.42 * length * np.sin(t) * (1 - 0.45 * np.cos(t))
            draw.polygon(
                [
                    (x + i, y + j)
                    for i, j in zip(
                        p * np.cos(turn) - q * np.sin(turn), p * np.sin(turn) + q * np.cos(turn), strict=True
                    )
                ],
                0,
            )
        soft = mask.filter(ImageFilter.GaussianBlur(blur * OVERSAMPLING / 3 * 1.2))
        total *= np.asarray(soft, np.float64) / 255
    return total


def enamel(word: str, width: int, height: int, centre: tuple[float, float], radius: float) -> tuple[Array, Array]:
    """A house number's plate: where it is, and its colours."""
    x, y, r = centre[0] * width, centre[1] * width - 0.10 * width, radius * width
    mask = Image.new("L", (width, height))
    face = Image.new("RGB", (width, height), (22, 44, 110))
    box = (x - r, y - 0.72 * r, x + r, y + 0.72 * r)
    ImageDraw.Draw(mask).rounded_rectangle(box, 0.14 * r, 255)
    draw = ImageDraw.Draw(face)
    inner = tuple(side + sign * 0.09 * r for side, sign in zip(box, (1, 1, -1, -1), strict=True))
    draw.rounded_rectangle(inner, 0.10 * r, outline=(236, 234, 224), width=round(0.045 * r))
    draw.text((x, y), word, (236, 234, 224), ImageFont.load_default(1.08 * r), anchor="mm")
    soft = mask.filter(ImageFilter.GaussianBlur(1.2))
    linear = (np.asarray(face, np.float64) / 255) ** 2.2 * 0.8
    a, b = np.meshgrid(np.arange(width) / width, np.arange(height) / width)
    rust = smoothstep(0.62, 0.74, fbm(a * 26, b * 26, 6, seed=520)) * 0.85
    return np.asarray(soft, np.float64) / 255, mix(linear, (0.17, 0.065, 0.025), rust)


# Noise, colour, film.


def chance(i: Array, j: Array, seed: int) -> Array:
    """A fixed number in [0, 1) for every pair of integers."""
    h = i.astype(np.int64).astype(np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed * 0x85EBCA6B & 0xFFFFFFFF)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D) + j.astype(np.int64).astype(np.uint32) * np.uint32(
        0xC2B2AE3D
    )
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0x297A2D39)
    return (h ^ (h >> np.uint32(16))) / 2.0**32


def fbm(x: Array, y: Array, octaves: int, seed: int, ridged: bool = False) -> Array:
    """Fractal noise in [0, 1]: value noise summed over octaves, each turned against the last."""
    total, weight, amplitude = np.zeros(np.broadcast_shapes(x.shape, y.shape)), 0.0, 1.0
    for octave in range(octaves):
        i, j = np.floor(x), np.floor(y)
        u, v = x - i, y - j
        u, v = u * u * u * (u * (6 * u - 15) + 10), v * v * v * (v * (6 * v - 15) + 10)
        low = chance(i, j, seed + octave) * (1 - u) + chance(i + 1, j, seed + octave) * u
        high = chance(i, j + 1, seed + octave) * (1 - u) + chance(i + 1, j + 1, seed + octave) * u
        value = low + (high - low) * v
        total += amplitude * (1 - np.abs(2 * value - 1) if ridged else value)
        weight += amplitude
        x, y = 1.64 * x + 1.15 * y + 17.3, 1.64 * y - 1.15 * x + 9.1
        amplitude *= 0.5
    return total / weight


def spikes(x: Array, z: Array, cell: float, seed: int) -> tuple[Array, Array]:
    """Cones of different heights strewn over the plane, one per cell: (height in [0, 1], the cone's own number)."""
    i, j = np.floor(x / cell), np.floor(z / cell)
    own = chance(i, j, seed)
    a = x / cell - i - 0.35 - 0.3 * chance(i, j, seed + 1)
    b = z / cell - j - 0.35 - 0.3 * own
    return np.maximum(0, 1 - np.hypot(a, b) / 0.36) * (0.45 + 0.55 * chance(i, j, seed + 2)), own


def smoothstep(start: float | Array, stop: float | Array, x: Array) -> Array:
    t = np.clip((x - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Array | Sequence[float], b: Array | Sequence[float], part: Array) -> Array:
    """From colour a to colour b."""
    return np.asarray(np.asarray(a) + (np.asarray(b) - np.asarray(a)) * part[..., None])


def unit(vector: Array | Sequence[float]) -> Array:
    return np.asarray(vector, np.float64) / np.linalg.norm(vector)


def dot(vectors: Array, direction: Array) -> Array:
    product: Array = np.tensordot(direction, vectors, axes=1)
    return product


def develop(colour: Array, exposure: float, seed: int) -> Image.Image:
    """Linear light to an 8-bit picture: the lens's blur and vignette, a film's shoulder, its grain."""
    height, width = (side // OVERSAMPLING for side in colour.shape[:2])
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    small = np.minimum(colour, 4).reshape(height, OVERSAMPLING, width, OVERSAMPLING, 3).mean(axis=(1, 3))
    small *= exposure * (1 - 0.10 * (x**2 + y**2))[..., None]
    shown = small * (2.51 * small + 0.03) / (small * (2.43 * small + 0.59) + 0.14)
    random = np.random.Generator(np.random.PCG64(seed))
    grain = random.normal(0, 0.9, (height, width, 1)) + random.normal(0, 0.45, (height, width, 3))
    levels = 255 * np.clip(shown, 0, 1) ** (1 / 2.2) + grain
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
