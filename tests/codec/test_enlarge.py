"""The integer filter is Pillow's, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlcodec.codec.enlarge import PRECISION, resized, weights

SIDES = st.integers(1, 90)


def by_pillow(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """In two calls, rows first: from Pillow 13 on, one call takes columns first where the height shrinks most."""
    image = Image.fromarray(pixels).resize((width, len(pixels)), Image.Resampling.BICUBIC)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def noise(height: int, width: int, seed: int) -> np.ndarray:
    """Levels of all kinds, or the darkest and the lightest alone, at which the filter overshoots."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return np.where(pixels < 128, 0, 255).astype(np.uint8) if seed % 2 else pixels


@given(SIDES, SIDES, st.integers(1, 400), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_pictures(height: int, width: int, to_height: int, to_width: int, seed: int) -> None:
    pixels = noise(height, width, seed)
    assert np.array_equal(resized(pixels, to_height, to_width), by_pillow(pixels, to_height, to_width))


@given(SIDES, SIDES, st.integers(0, 300), st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_enlarging_is_one_call_of_any_pillow(height: int, width: int, more: int, wider: int, seed: int) -> None:
    pixels = noise(height, width, seed)
    image = Image.fromarray(pixels).resize((width + wider, height + more), Image.Resampling.BICUBIC)
    assert np.array_equal(resized(pixels, height + more, width + wider), np.asarray(image))


@pytest.mark.parametrize("old", [1, 2, 3, 7, 48, 64, 512, 3001])
@pytest.mark.parametrize("new", [1, 2, 5, 64, 333, 768, 4000])
def test_lines(old: int, new: int) -> None:
    pixels = np.random.default_rng(old).integers(0, 256, (1, old, 3), np.uint8)
    assert np.array_equal(resized(pixels, 1, new), by_pillow(pixels, 1, new))
    assert np.array_equal(resized(pixels.swapaxes(0, 1), new, 1), by_pillow(pixels.swapaxes(0, 1).copy(), new, 1))


def by_doubles(old: int, new: int) -> np.ndarray:
    """Pillow's own computation of the weights, in doubles: each place's, (new, old)."""
    stretch = max(old / new, 1.0)
    centre = (np.arange(new) + 0.5) * (old / new)
    low = np.maximum((centre - 2 * stretch + 0.5).astype(int), 0)
    high = np.minimum((centre + 2 * stretch + 0.5).astype(int), old)
    taken = low[:, None] + np.arange((high - low).max())
    x = np.abs((taken - centre[:, None] + 0.5) * (1.0 / stretch))
    near, far = (1.5 * x - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    k = np.where(taken >= high[:, None], 0.0, np.where(x < 1, near, np.where(x < 2, far, 0.0)))
    k = k / k.cumsum(1)[:, -1:] * (1 << PRECISION)  # summed from left to right
    return spread(low, np.where(k < 0, np.ceil(k - 0.5), np.floor(k + 0.5)).astype(np.int64), old)


def spread(first: np.ndarray, weight: np.ndarray, old: int) -> np.ndarray:
    """Weights at their places."""
    out = np.zeros((len(first), old + weight.shape[1]), np.int64)
    np.put_along_axis(out, first[:, None] + np.arange(weight.shape[1]), weight, 1)
    return out[:, :old]


def check_weights(old: int, new: int) -> None:
    assert np.array_equal(spread(*weights(old, new), old), by_doubles(old, new))


@given(SIDES, st.integers(1, 1000))
def test_weights_are_those_of_doubles(old: int, new: int) -> None:
    check_weights(old, new)


@pytest.mark.slow
def test_weights_of_placeholders_of_many_sizes() -> None:
    for old in range(1, 65):
        for new in range(old, 4097, 61):
            check_weights(old, new)
