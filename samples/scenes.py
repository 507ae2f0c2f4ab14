"""The sample pictures, computed: each function renders one scene in linear light and develops it like a photograph."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from render import (
    OVERSAMPLING,
    Array,
    cast,
    chance,
    develop,
    dot,
    enamel,
    fbm,
    foliage,
    mix,
    normals,
    plank_gap,
    shadow,
    smoothstep,
    spikes,
    unit,
    wood,
)


def landscape() -> Image.Image:
    """A mountain lake on a summer afternoon: snow and rock, forest, reflections on rippled water, a meadow."""
    width, height, horizon, focal, eye, far = 384, 256, 0.53, 0.86, 7.0, 16000
    sun = unit((-0.70, 0.40, -0.42))

    def ground(x: Array, z: Array) -> Array:
        ridge = smoothstep(1400, 7000, z + 0.5 * np.abs(x - 200))
        peaks = fbm(x / 4200 + 7.7, z / 4200, 10, seed=3, ridged=True) ** 1.6
        hills = fbm(x / 700, z / 700, 6, seed=5) - 0.30
        shore = 28 + 6 * fbm(x / 9, z / 30, 2, seed=9) - 0.55 * x
        bank = (smoothstep(shore + 8, shore - 34, z) - 0.16) * 2.6 + 0.3 * fbm(x / 3, z / 3, 4, seed=8) - 0.1
        land = (
            -5
            + (hills * 230 + 26) * smoothstep(300, 1000, z - 0.5 * x + 420 * fbm(x / 260, z / 260, 4, seed=6) - 200)
            + 3000 * ridge * peaks
        )
        return np.where(z < 120, bank, land)

    def forest(x: Array, z: Array, base: Array) -> tuple[Array, Array]:
        line = smoothstep(0, -120, base - 620 - 260 * fbm(x / 300, z / 300, 4, seed=21))
        wooded = (
            line * smoothstep(0.7, 3.5, base) * smoothstep(0.36, 0.46, fbm(x / 160, z / 160, 4, seed=22)) * (z > 120)
        )
        one, two = spikes(x, z, 11.0, seed=31), spikes(x + 5.3, z + 4.1, 13.0, seed=33)
        return 26 * wooded * np.maximum(one[0], two[0]), np.where(one[0] > two[0], one[1], two[1])

    def grass(x: Array, z: Array, base: Array) -> tuple[Array, Array]:
        one, two = spikes(x + 0.4 * z, z - 0.3 * x, 0.06, seed=41), spikes(x - 0.4 * z, z + 0.3 * x, 0.10, seed=43)
        tall = 0.16 + 0.5 * fbm(x / 2.1, z / 2.1, 3, seed=45) ** 2
        meadow = (z < 120) & (base > 0.12)
        blades = np.where(meadow, tall * np.maximum(one[0], 1.3 * two[0]), 0)
        return blades, np.where(one[0] > 1.3 * two[0], one[1], two[1])

    def surface(x: Array, z: Array) -> Array:
        base = ground(x, z)
        return np.asarray(np.maximum(base + forest(x, z, base)[0] + grass(x, z, base)[0], 0))

    def sky(u: Array, v: Array) -> Array:
        up = np.maximum(v, 0.012)
        colour = mix((0.62, 0.72, 0.82), (0.10, 0.25, 0.58), smoothstep(-0.05, 0.55, v))
        cover = fbm(u / up * 0.55 + 3.1, 1 / up * 0.8, 8, seed=51) + 0.12 * fbm(u * 9, v * 30, 5, seed=52)
        white = smoothstep(0.47, 0.72, cover) * smoothstep(0.04, 0.25, v)
        return mix(colour, mix((0.95, 0.95, 0.95), (0.66, 0.70, 0.77), smoothstep(0.64, 0.92, cover)), 0.9 * white)

    def view(level: float) -> tuple[Array, Array, Array, Array, Array]:
        u, v, depth = cast(
            surface, width, height, horizon, focal, level, near=8 if level > 0 else 120, far=far, steps=2600
        )
        x, z = u * depth, depth
        base = ground(x, z)
        trees, tree = forest(x, z, base)
        rise = (v * z + level - base) * (z > 120)
        blades, blade = grass(x, z, base)
        normal = normals(surface, x, z, depth / (focal * width))
        light = shadow(surface, x, z, sun, [2, 5, 12, 28, 60, 120, 240, 500, 900, 1500, 2400])
        steep = 1 - normals(ground, x, z, 6 + depth / 300)[1]
        grain = fbm(x / 14, z / 14, 5, seed=61)
        rock = mix((0.075, 0.07, 0.068), (0.20, 0.18, 0.16), fbm(x / 90, base / 40, 6, seed=62))
        pasture = mix((0.10, 0.14, 0.035), (0.20, 0.21, 0.07), grain)
        snow = smoothstep(800, 1500, base + 800 * (grain - 0.5)) * smoothstep(0.46, 0.28, steep)
        albedo = mix(pasture, rock, smoothstep(0.16, 0.30, steep + 0.1 * grain + base / 9000))
        albedo = mix(albedo, (0.86, 0.88, 0.92), snow)
        needles = mix(
            (0.014, 0.030, 0.012), (0.070, 0.095, 0.030), 0.5 * tree + 1.4 * (fbm(x * 0.7, rise, 4, seed=65) - 0.35)
        )
        albedo = mix(albedo, needles, smoothstep(0.2, 1.0, np.maximum(trees, rise)))
        stem = mix((0.09, 0.15, 0.025), (0.28, 0.29, 0.09), blade * 0.7 + 0.3 * fbm(x / 3, z / 3, 3, seed=64))
        tip = blades / (0.001 + 0.2 + blades)
        petal = np.where((blade < 0.5)[..., None], (0.88, 0.86, 0.80), (0.85, 0.60, 0.06))
        stem = mix(stem * (0.35 + 1.3 * tip[..., None]), petal, ((np.modf(blade * 37)[0] > 0.93) & (tip > 0.42)) * 1.0)
        sand = mix((0.25, 0.21, 0.16), (0.42, 0.37, 0.29), fbm(x * 6, z * 6, 5, seed=63))
        albedo = mix(albedo, mix(sand, stem, smoothstep(0.10, 0.16, base)), (z < 120) * 1.0)
        lit = np.maximum(0, dot(normal, sun)) * light
        colour = albedo * (lit[..., None] * (2.5, 2.25, 1.85) + (0.5 + 0.5 * normal[1])[..., None] * (0.30, 0.38, 0.50))
        colour = mix(colour, (0.42, 0.54, 0.72), 1 - np.exp(-depth / 24000))
        return u, v, depth, base, np.where((depth < far)[..., None], colour, sky(u, v))

    u, v, depth, base, colour = view(eye)
    x, z = u * depth, depth
    water = (base < 0) & (depth < far)
    ripple = 0.05 * (fbm(x / 0.9, z / 0.35, 3, seed=71) - 0.5) + 0.05 * (fbm(x / 7, z / 2, 3, seed=72) - 0.5)
    ripple *= 0.3 + smoothstep(0.40, 0.62, fbm(x / 50 + 4, z / 90, 3, seed=73))
    mirror = view(-eye)[-1]
    rows, columns = np.indices(u.shape)
    size = focal * u.shape[1]
    rows = np.rint(2 * horizon * u.shape[0] - rows + ripple * size * 0.55).astype(int)
    fresnel = 0.06 + 0.90 * (1 - np.clip(-v + ripple, 0, 1)) ** 6
    seen = mirror[np.clip(rows, 0, len(mirror) - 1), np.clip(columns + ripple * 90, 0, u.shape[1] - 1).astype(int)]
    colour = np.where(water[..., None], mix((0.020, 0.055, 0.060), seen, fresnel), colour)
    return develop(colour, exposure=0.95, seed=101)


def dunes_grey() -> Image.Image:
    """Sand dunes in low light, on black-and-white film: sharp crests, wind ripples, a dark sky."""
    width, height, horizon, focal, far = 256, 384, 0.36, 1.25, 1500
    sun = unit((0.88, 0.21, 0.50))

    def surface(x: Array, z: Array) -> Array:
        total = np.zeros_like(x)
        for wave, tall, turn, seed in ((150, 24, 0.45, 1), (61, 7, -0.25, 2)):
            bend = wave * (1.6 * fbm(x / wave / 1.9, z / wave / 1.9, 3, seed=seed) - 0.8)
            phase = np.modf(np.abs((x * np.cos(turn) + z * np.sin(turn) + bend) / wave + 900.33))[0]
            total += (
                tall
                * np.minimum((phase / 0.66) ** 1.5, ((1 - phase) / 0.34) ** 1.15)
                * (0.5 + fbm(x / wave / 2, z / wave / 2, 2, seed=seed + 6))
            )
        bend = 3.0 * fbm(x / 6, z / 6, 2, seed=4)
        ripples = 0.035 * np.sin(7 * (0.9 * x + 0.35 * z + bend)) * np.exp(-z / 150)
        return total + 0.8 * fbm(x / 12, z / 12, 3, seed=5) + ripples

    u, v, depth = cast(surface, width, height, horizon, focal, 26.0, near=6, far=far, steps=2600)
    x, z = u * depth, depth
    light = shadow(surface, x, z, sun, [0.6, 1.5, 3, 6, 10, 16, 24, 36, 52, 75, 105, 150])
    lit = np.maximum(0, dot(normals(surface, x, z, depth / (focal * width)), sun)) * light
    sand = (0.50 + 0.10 * (fbm(x * 9, z * 9, 4, seed=11) - 0.5)) * (0.09 + 1.35 * lit)
    sand = sand + (0.46 - sand) * (1 - np.exp(-depth / 1500))
    clouds = fbm(u * 2.2 + 5, v * 9 - 1.5 * u, 8, seed=12)
    sky = 0.40 - 0.36 * smoothstep(0, 0.42, v) + 0.62 * smoothstep(0.46, 0.85, clouds) * smoothstep(0.0, 0.25, v)
    grey = np.where(depth < far, sand, sky)
    return develop(np.repeat(grey[..., None], 3, axis=2), exposure=0.95, seed=102).convert("L")


def still_life() -> Image.Image:
    """Fruit, a glazed vase and a steel ball on a wooden table, lit by a window: distance fields, ray-marched."""
    width, height = 384 * OVERSAMPLING, 256 * OVERSAMPLING
    table, wall, _vase, orange, _apple, lemon, _ball = range(7)
    window = unit((-0.62, 0.62, -0.48))

    def distances(p: Array) -> Array:
        x, y, z = p
        turn = np.hypot(x + 0.80, z - 0.75)
        profile = 0.31 + 0.25 * np.sin(np.clip(y, 0, 1.6) * 2.8 - 0.35) + 0.22 * smoothstep(1.28, 1.55, y)
        belly = np.maximum(0.62 * (turn - profile), y - 1.50)
        hollow = 0.62 * (profile - 0.06 - turn)
        ax, ay, az = x - 1.18, y - 0.46, z - 0.35
        dent = 0.17 * np.exp(-(ax**2 + az**2) / 0.030) * (ay > 0) + 0.035 * ay
        lx, ly, lz = 0.85 * (x - 0.72) + 0.53 * (z + 0.62), y - 0.30, 0.85 * (z + 0.62) - 0.53 * (x - 0.72)
        long = np.sqrt((lx / 1.38) ** 2 + ly**2 + lz**2) - 0.30
        tip = np.sqrt((np.abs(lx) - 0.40) ** 2 * 0.8 + ly**2 + lz**2) - 0.085
        blend = np.clip(0.5 + 0.5 * (tip - long) / 0.11, 0, 1)
        return np.stack(
            [
                y + 0.0025 * plank_gap(x, z),
                2.6 - z,
                np.maximum(belly, np.where(y > 0.9, hollow, -1)),
                np.sqrt((x - 0.20) ** 2 + (y - 0.45) ** 2 + (z - 0.15) ** 2) - 0.45,
                0.85 * (np.sqrt(ax**2 + (ay * 1.06) ** 2 + az**2) - 0.47 + dent),
                0.9 * (tip * (1 - blend) + long * blend - 0.11 * blend * (1 - blend)),
                np.sqrt((x + 0.42) ** 2 + (y - 0.25) ** 2 + (z + 0.48) ** 2) - 0.25,
            ]
        )

    def march(origin: Array, ray: Array, start: float, stop: float, steps: int) -> tuple[Array, Array]:
        t, penumbra = np.full(ray.shape[1:], start), np.ones(ray.shape[1:])
        for _ in range(steps):
            d = distances(origin + t * ray).min(axis=0)
            penumbra = np.minimum(penumbra, 0.5 + 0.5 * np.clip(d / (0.13 * t), -1, 1))
            t = np.minimum(t + d, stop)
        return t, smoothstep(0.05, 1.0, penumbra)

    def bump(p: Array, scale: float, seed: int) -> Array:
        return np.stack(
            [
                fbm(p[i] * scale + 9, p[j] * scale + p[3 - i - j] * scale, 2, seed + i) - 0.5
                for i, j in ((0, 1), (1, 2), (2, 0))
            ]
        )

    def shade(p: Array, ray: Array) -> tuple[Array, Array, Array]:
        what = distances(p).argmin(axis=0)
        steps = np.eye(3)[:, :, None] * 0.0015
        normal = np.stack([distances(p + s).min(axis=0) - distances(p - s).min(axis=0) for s in steps])
        x, y, z = p
        normal += np.where(what == orange, 0.0011, 0) * bump(p, 40, 300)
        normal += np.where(what == lemon, 0.0009, 0) * bump(p, 30, 310)
        normal += np.where(what == wall, 0.0008, 0) * bump(p, 5, 320)
        normal += np.where(what == table, 0.00016, 0) * bump(p * np.array([0.4, 1, 3])[:, None], 9, 330)
        normal /= np.sqrt((normal**2).sum(axis=0))
        rings = smoothstep(0.02, 0.0, np.abs(np.abs(y - 0.72) - 0.13)) + smoothstep(0.012, 0, np.abs(y - 1.24))
        glaze = mix((0.025, 0.085, 0.17), (0.06, 0.20, 0.27), fbm(x * 6, y * 2 + z * 4, 5, 340))
        zest = mix((0.70, 0.19, 0.008), (0.78, 0.26, 0.012), fbm(x * 5, y * 5 + z, 3, 350))
        streaks = fbm(np.arctan2(z - 0.35, x - 1.18) * 9, y * 1.5, 5, 360)
        blush = smoothstep(0.20, 0.62, 0.55 * streaks + 0.4 * fbm(x * 2 + 3, z * 2 + y, 3, 361) + 0.25 * (0.6 - y))
        skin = mix((0.56, 0.40, 0.07), (0.38, 0.022, 0.02), blush)
        skin = mix(skin, (0.70, 0.60, 0.32), 0.6 * smoothstep(0.74, 0.80, fbm(x * 30, y * 30 + z * 30, 2, 362)))
        skin = mix(skin, (0.25, 0.22, 0.05), smoothstep(0.14, 0.03, np.hypot(x - 1.18, z - 0.35)) * (y > 0.6))
        plaster = mix((0.34, 0.35, 0.33), (0.44, 0.43, 0.39), fbm(x * 1.2, y * 1.2, 6, 370))
        albedo = np.choose(
            what[:, None],
            [wood(x, z), plaster, mix(glaze, (0.62, 0.58, 0.48), rings), zest, skin,
             mix((0.74, 0.52, 0.03), (0.70, 0.56, 0.06), fbm(x * 4, y * 4 + z, 3, 380)), np.full((what.size, 3), 0.02)],
        )  # fmt: skip
        light = march(p + 0.006 * normal, np.broadcast_to(window[:, None], p.shape), 0.012, 4.5, 40)[1]
        crevice = np.ones_like(x)
        for reach in (0.03, 0.09, 0.2, 0.42):
            crevice -= np.maximum(0, reach - distances(p + reach * normal).min(axis=0)) / reach * 0.24
        facing = dot(normal, window)
        soft = np.where((what == table) | (what == wall), np.maximum(0, facing), np.maximum(0, 0.85 * facing + 0.15))
        pool = np.exp(-((x + 0.2) ** 2) / 14) * np.where(what == wall, np.exp(-((y - 1.2 + 0.5 * x) ** 2) / 3), 1)
        sky = (0.30 + 0.12 * normal[1] - 0.14 * normal[0])[:, None] * (0.34, 0.38, 0.46)
        warm = np.maximum(0, -normal[1] + 0.25)[:, None] * (0.16, 0.09, 0.045)
        colour = albedo * (
            (soft * light * pool)[:, None] * (2.5, 2.3, 2.0) + np.maximum(0, crevice)[:, None] * (sky + warm)
        )
        half = window[:, None] - ray
        half /= np.sqrt((half**2).sum(axis=0))
        gloss = np.choose(what, [0.06, 0.0, 0.9, 0.14, 0.45, 0.14, 2.0])
        sharp = np.choose(what, [18.0, 4.0, 260.0, 26.0, 120.0, 30.0, 500.0])
        shine = gloss * np.maximum(0, (normal * half).sum(axis=0)) ** sharp * light * (facing > 0)
        mirror = np.choose(what, [0.035, 0.0, 0.05, 0.012, 0.035, 0.012, 0.62])
        fresnel = mirror + (mirror > 0) * (1 - mirror) * 0.55 * (1 + np.minimum(0, (normal * ray).sum(axis=0))) ** 5
        return colour + 2.2 * shine[:, None] * (1, 0.97, 0.92), normal, fresnel * np.clip(crevice + 0.2, 0, 1)

    def surroundings(ray: Array) -> Array:
        """What a reflection sees behind the camera: a dim room and the window with its bars."""
        across = (ray[0] + 0.62, ray[1] - 0.55)
        pane = (np.abs(across[0]) < 0.26) & (np.abs(across[1]) < 0.26) & (ray[2] < 0)
        bars = (np.abs(across[0]) > 0.02) & (np.abs(across[1]) > 0.02)
        return mix(
            mix((0.035, 0.032, 0.03), (0.16, 0.17, 0.18), smoothstep(-0.2, 1, ray[1])),
            (3.4, 3.5, 3.6),
            pane * bars * 1.0,
        )

    eye = np.array([0.30, 1.55, -4.4])
    forward = unit(np.array([0.17, 0.56, 0.3]) - eye)
    right = unit(np.cross((0, 1, 0), forward))
    u = (np.arange(width) + 0.5 - width / 2) / width
    v = (height / 2 - np.arange(height) - 0.5) / width
    basis = np.stack([right, np.cross(forward, right), 1.30 * forward])
    colour = np.empty((height, width, 3))
    for top in range(0, height, 64):
        a, b = np.meshgrid(u, v[top : top + 64])
        ray = np.einsum("ij,in->jn", basis, np.stack([a.ravel(), b.ravel(), np.ones(a.size)]))
        ray /= np.sqrt((ray**2).sum(axis=0))
        t = march(eye[:, None], ray, 1.0, 14.0, 90)[0]
        p = eye[:, None] + t * ray
        seen, normal, fresnel = shade(p, ray)
        shiny = np.flatnonzero(fresnel > 0.004)
        bounce = (ray - 2 * (ray * normal).sum(axis=0) * normal)[:, shiny]
        start = p[:, shiny] + 0.01 * normal[:, shiny]
        t = march(start, bounce, 0.01, 9.0, 50)[0]
        end = start + t * bounce
        mirrored = np.where((t < 8.9)[:, None], shade(end, bounce)[0], surroundings(bounce))
        seen[shiny] += fresnel[shiny, None] * mirrored
        colour[top : top + 64] = seen.reshape(*a.shape, 3)
    return develop(colour, exposure=0.80, seed=103)


def bricks() -> Image.Image:
    """An old brick wall in raking light, the shadow of leaves on it, and an enamel house number."""
    width, height = 384 * OVERSAMPLING, 256 * OVERSAMPLING
    a, b = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / width)
    u = 6.0 * a / (1.28 - 0.28 * a)
    v = 6.0 * (b - 0.33) / (1.28 - 0.28 * a) + 3
    u, v = u + 0.05 * (fbm(u * 2, v * 2, 3, seed=1) - 0.5), v + 0.035 * (fbm(u * 2 + 5, v * 2, 3, seed=2) - 0.5)
    row = np.floor(v / 0.36)
    column = np.floor(u + 0.5 * (row % 2) + 0.06 * chance(row, row, 3))
    x = u + 0.5 * (row % 2) + 0.06 * chance(row, row, 3) - column
    y = v / 0.36 - row
    one, two, three = (chance(column, row, seed) for seed in (4, 5, 6))
    rough = fbm(u * 14, v * 14, 5, seed=7)
    edge = np.minimum(np.minimum(x, 1 - x), 0.36 * np.minimum(y, 1 - y)) - 0.030 + 0.034 * (rough - 0.5)
    body = smoothstep(-0.006, 0.016, edge)
    pits = smoothstep(0.66, 0.80, fbm(u * 26, v * 26, 3, seed=8))
    relief = body * (0.050 + 0.014 * (one - 0.5) + 0.022 * (x - 0.5) * (two - 0.5)) + 0.010 * rough
    relief += 0.010 * fbm(u * 50, v * 50, 3, seed=9) * (1 - 0.4 * body) - 0.010 * pits * body
    clay = mix(mix((0.40, 0.135, 0.075), (0.24, 0.085, 0.060), one), (0.50, 0.24, 0.12), 0.7 * smoothstep(0.6, 1, two))
    clay = mix(
        clay, (0.10, 0.065, 0.060), 0.75 * (three > 0.86) + 0.35 * smoothstep(0.55, 0.8, fbm(u * 3, v * 7, 5, seed=10))
    )
    clay = clay * (0.65 + 0.7 * fbm(u * 30, v * 30, 4, seed=11))[..., None]
    lime = smoothstep(0.50, 0.80, fbm(u * 1.3 + 3, v * 1.1, 6, seed=12)) * (0.30 + 0.5 * rough)
    mortar = mix((0.30, 0.27, 0.23), (0.46, 0.43, 0.37), fbm(u * 20, v * 20, 4, seed=13))
    albedo = mix(mortar, mix(clay, (0.55, 0.51, 0.46), lime), body)
    moss = smoothstep(0.50, 0.62, fbm(u * 2, v * 2.4, 6, seed=14) + 0.09 * (v - 3.6)) * (1 - 0.6 * body)
    albedo = mix(albedo, (0.085, 0.11, 0.03), 0.8 * moss)

    plate, sign = enamel("27", width, height, centre=(0.665, 0.40), radius=0.098)
    relief = relief * (1 - plate) + 0.12 * plate
    down, across = np.gradient(relief, 6 / width)
    normal = np.stack([-across, -down, np.ones_like(across)]) / np.sqrt(across**2 + down**2 + 1)
    sun = unit((-0.66, -0.52, 0.54))
    light = np.ones_like(u)
    for reach in range(1, 24):
        shift = (round(-reach * sun[1] * 1.4), round(-reach * sun[0] * 1.4))
        caster = np.roll(relief, shift, axis=(0, 1))
        light = np.minimum(light, smoothstep(0.010, -0.004, caster - relief - reach * 1.4 * 6 / width * sun[2]))
    leaf = foliage(width, height)
    lit = np.maximum(0, dot(normal, sun)) * light * (0.06 + 0.94 * leaf)
    ambient = (0.75 + 0.25 * body) * (0.7 + 0.3 * normal[2])
    colour = mix(albedo, sign, plate) * (lit[..., None] * (3.3, 2.95, 2.35) + ambient[..., None] * (0.34, 0.40, 0.50))
    half = unit(sun + np.array([0.1, 0.1, 1.0]))
    colour += (plate * leaf * np.maximum(0, dot(normal, half)) ** 30 * 0.25)[..., None]
    return develop(colour, exposure=0.62, seed=104)


def page(picture: Image.Image) -> Image.Image:
    """A printed page lying on a desk: type in several sizes, a picture, a ramp of greys and patches of colour."""
    scale, width, height = OVERSAMPLING, 384 * OVERSAMPLING, 256 * OVERSAMPLING
    sheet = Image.new("RGB", (340 * scale, 222 * scale), (246, 242, 232))
    draw = ImageDraw.Draw(sheet)

    def text(x: float, y: float, line: str, size: float, ink: tuple[int, int, int] = (32, 30, 34)) -> None:
        draw.text((x * scale, y * scale), line, ink, ImageFont.load_default(size * scale), stroke_width=1)

    text(22, 16, "What a Picture Weighs", 20)
    draw.rectangle((22 * scale, 43 * scale, 318 * scale, 44 * scale), (160, 42, 36))
    text(22, 47, "NOTES ON LIGHT, GRAIN AND ENTROPY", 7.5, (160, 42, 36))
    prose = (
        "A photograph is mostly texture:", "grass, stone, skin and cloth. Few", "of its bits say what is shown; the",
        "many others say where each blade", "of grass happened to stand. A code", "may keep the first and draw the",
        "second anew, so long as it is told", "which of them a reader will miss.",
    )  # fmt: skip
    for number, line in enumerate(prose):
        text(22, 64 + 12.4 * number, line, 9.2)
    small = picture.resize((140 * scale, 94 * scale), Image.Resampling.LANCZOS)
    sheet.paste(small, (178 * scale, 66 * scale))
    text(178, 162, "Fig. 1. Lake, afternoon. 1/250 s at f/8", 7, (90, 86, 84))
    for step in range(12):
        grey = 20 + 19 * step
        draw.rectangle(((22 + 12 * step) * scale, 172 * scale, (34 + 12 * step) * scale - 1, 186 * scale), (grey,) * 3)
    inks = ((190, 40, 44), (226, 138, 30), (240, 208, 60), (58, 130, 66), (40, 96, 168), (92, 60, 130), (30, 30, 34))
    for step, ink in enumerate(inks):
        draw.ellipse(((178 + 20 * step) * scale, 173 * scale, (191 + 20 * step) * scale, 186 * scale), ink)
    text(22, 191, "-log2 p(x)", 21, (40, 96, 168))
    text(150, 192, "0.25   0.5   1   2   4   8   bits per pixel", 9)
    text(150, 205, "ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 & ? !", 6.5, (90, 86, 84))

    def laid(part: Image.Image, left: int, top: int) -> Image.Image:
        desk = Image.new(part.mode, (width, height))
        desk.paste(part.rotate(4.0, Image.Resampling.BICUBIC, expand=True), (left * scale, top * scale))
        return desk

    mask = Image.new("L", sheet.size, 255)
    paper, cover, fall = laid(sheet, 15, 4), laid(mask, 15, 4), laid(mask, 19, 8)
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / width)
    gloom = np.asarray(fall.filter(ImageFilter.GaussianBlur(3 * scale)), np.float64) / 255
    fibre = 0.94 + 0.12 * fbm(x * 130, y * 130, 4, seed=401) * fbm(x * 300, y * 60, 2, seed=402)
    curl = 1 + 0.10 * np.sin(5.2 * (x + 0.35 * y) + 0.5)
    lamp = 0.30 + 1.0 * np.exp(-((x - 0.22) ** 2 + (y - 0.10) ** 2) / 0.42)
    desk = wood(x * 4.2 + 11, y * 4.2 - 0.9) * (1.25 - 0.85 * gloom)[..., None]
    linear = (np.asarray(paper, np.float64) / 255) ** 2.2 * 0.80
    colour = mix(desk, linear * (fibre * curl)[..., None], np.asarray(cover, np.float64) / 255)
    return develop(colour * lamp[..., None] * (1.06, 1.0, 0.90), exposure=1.15, seed=105)


# Surfaces and casts of light that several scenes share.
