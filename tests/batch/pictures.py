"""Pictures for the tests of batches."""

import io

import numpy as np
from PIL import Image

SMALL = "agave-cifar10"  # takes many side by side


def picture(number: int, side: int = 32, grey: bool = False) -> bytes:
    """A PNG of some texture, one of its own for each number."""
    r, c, k = np.indices((side, side, 3), dtype=np.int64)
    levels = (5 * r + (3 + number % 7) * c + 40 * k + (r * 57 + c * 131 + number * 17) % 23 + 11 * number) % 256
    image, out = Image.fromarray(levels.astype(np.uint8)), io.BytesIO()
    (image.convert("L") if grey else image).save(out, "PNG")
    return out.getvalue()
