"""A picture of a .vlz file as an array, which holds what Pillow's modes do not: 16 bits of colours and alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from vlcodec._shared import MAX_PIXELS, Progress
from vlcodec.codec.errors import ImageError
from vlcodec.pictures import decoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def decompress_array(
    data: bytes,
    *,
    decode: Literal["sample", "mean"] | None = None,
    seed: int | None = None,
    texture: float = 1.0,
    front: bool = False,
    frame: int | None = None,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The picture of a .vlz file: (H, W) of grey, (H, W, C) of grey and alpha (C = 2), of RGB (3), and of RGBA (4).

    uint16 of a lossless file of 16 bits, unless `decode` or `front` ask for less; uint8 of all others. A palette's
    colours are RGB, a bilevel picture is grey of 0 and 255, and alpha is there where something may be transparent.

    The arguments, and what is raised, are those of `decompress`. Raises ImageError for an animation without a frame.
    """
    import numpy as np

    shared: dict[str, Any] = {"device": device, "max_pixels": max_pixels, "jobs": jobs, "progress": progress}
    found = decoded(data, decode=decode, seed=seed, texture=texture, front=front, frame=frame, **shared)
    if found.deep is not None:
        return found.deep[..., 0] if found.deep.shape[2] == 1 else found.deep
    image = found.image
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError("an animation: an array holds one picture of it, which frame chooses")
    clear = image.has_transparency_data
    mode = {"1": "LA" if clear else "L", "L": "LA" if clear else "L", "LA": "LA"}.get(image.mode)
    return np.array(image.convert(mode or ("RGBA" if clear else "RGB")))
