"""How alike two pictures are: PSNR and MS-SSIM."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SCALE_WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales of MS-SSIM
TAPS: Final = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
LUMA: Final = (0.299, 0.587, 0.114)
LEAST_SIDE: Final = len(TAPS) << (len(SCALE_WEIGHTS) - 1)  # pixels, for MS-SSIM


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    """In dB, over all values, 0 to 255, of two arrays of one shape; infinite for equal ones."""
    error = float(np.square(a.astype(np.float64) - b).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def ms_ssim(a: NDArray[Any], b: NDArray[Any]) -> float:
    """MS-SSIM (Wang et al. 2003) on luma (BT.601) of (H, W, 3) RGB; 1 for equal pictures.

    Five scales, an 11-tap gaussian window of sigma 1.5, no padding. Raises ValueError for sides below LEAST_SIDE.
    """
    if min(a.shape[:2]) < LEAST_SIDE:
        raise ValueError(f"MS-SSIM needs sides of at least {LEAST_SIDE} pixels")
    x, y = (picture.astype(np.float64) @ LUMA for picture in (a, b))
    result = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminance, contrast = _ssim(x, y)
        last = scale == len(SCALE_WEIGHTS) - 1
        result *= max(0.0, float((luminance * contrast if last else contrast).mean())) ** weight
        x, y = _halved(x), _halved(y)
    return result


def _ssim(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """SSIM's two factors at every place."""
    mx, my = _blurred(x), _blurred(y)
    vx, vy, cov = _blurred(x * x) - mx * mx, _blurred(y * y) - my * my, _blurred(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (2 * mx * my + c1) / (mx * mx + my * my + c1), (2 * cov + c2) / (vx + vy + c2)


def _blurred(x: Floats) -> Floats:
    """Under the window, where it fits: (H, W) -> (H - 10, W - 10)."""
    for _ in range(2):
        size = len(x) - len(TAPS) + 1
        x = sum(tap * x[i : i + size] for i, tap in enumerate(TAPS / TAPS.sum())).T
    return x


def _halved(x: Floats) -> Floats:
    """Means of 2x2 pixels."""
    x = x[: len(x) // 2 * 2, : x.shape[1] // 2 * 2]
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4
