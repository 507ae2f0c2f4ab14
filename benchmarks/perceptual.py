"""LPIPS (Zhang et al. 2018, v0.1), by an ONNX file of the whole metric: python's onnxruntime runs it.

The file takes two ImageNet-normalised RGB pictures, `ref` and `dist`, of any size. One with the published SqueezeNet
weights is `model/tiny/lpips_sq.onnx` of the public repository lusoris/vmaf; its SHA-256 begins with 1402626680d5b69a.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
Lpips = Callable[[Image.Image, Image.Image], float]


def lpips(path: Path) -> Lpips:
    """(original, decoded) -> distance; 0 for equal pictures, the smaller the more alike they look."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)

    def normalised(image: Image.Image) -> object:
        pixels = (np.asarray(image.convert("RGB"), np.float32) / 255 - MEAN) / SPREAD
        return pixels.astype(np.float32).transpose(2, 0, 1)[None]

    def distance(original: Image.Image, decoded: Image.Image) -> float:
        (found,) = session.run(None, {"ref": normalised(original), "dist": normalised(decoded)})
        return float(np.ravel(found)[0])

    return distance
