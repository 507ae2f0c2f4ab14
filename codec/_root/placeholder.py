"""Quality 0: a picture in at most 40 bytes, for what is shown until it has loaded.

The picture is shrunk until its latents, at the lowest quality, take no more room, and a little further where that shows
more of it. Their chunk begins with a byte, the longer side of what was coded; the decoder enlarges its mean image to
the size that the header tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_file as container

if TYPE_CHECKING:
    from vlcodec.codec.image import Picture
    from vlcodec.codec.interface import Bytes, ImageModel

QUALITY, CODED_AS = 0, 1
BYTES = 40  # of the whole file, unless a long seed takes more
SIDES = range(64, 0, -1)  # the longer side of what is coded
TRIES = 8  # sides that fit and are compared


def write(net: ImageModel, picture: Picture, header: container.Header) -> container.File:
    """The placeholder of a picture: of the largest sides that fit, and are no larger than it, the one nearest to it."""
    import numpy as np

    from vlcodec.codec.coding import dither, latents
    from vlcodec.codec.image import resized

    sides = [side for side in SIDES if side <= max(header.height, header.width)]
    whole = resized(picture.pixels, *_shrunk(header, sides[0]))
    fitting = list[tuple[int, container.File]]()
    for side in sides:
        height, width = _shrunk(header, side)
        u = latents.dither_of(net, header.seed, height, width)
        symbols = net.encode(resized(picture.pixels, height, width), CODED_AS, u)
        file = container.File(header, bytes([side]) + latents.write_latents(net, symbols, u, CODED_AS))
        if len(container.pack(file)) <= BYTES:
            mean = net.mean_image(net.decode(dither.reconstruct(symbols, u), CODED_AS), height, width)
            error = resized(mean, *whole.shape[:2]).astype(np.int64) - whole
            fitting.append((int(np.square(error).sum()), file))
        if len(fitting) == TRIES:
            break
    return min(fitting, key=lambda found: found[0])[1] if fitting else file


def read(net: ImageModel, file: container.File) -> Bytes:
    """(H, W, 3) uint8: the mean image, enlarged. Raises FormatError for a side that no placeholder has."""
    from vlcodec.codec.coding import latents
    from vlcodec.codec.image import resized

    header, side = file.header, file.latents[0] if file.latents else 0
    if side not in SIDES:
        raise FormatError(f"a placeholder's side is 1 to {SIDES[0]}, not {side}")
    height, width = _shrunk(header, side)
    u = latents.dither_of(net, header.seed, height, width)
    fz = net.decode(latents.read_latents(net, file.latents[1:], u, CODED_AS), CODED_AS)
    return resized(net.mean_image(fz, height, width), header.height, header.width)


def _shrunk(header: container.Header, side: int) -> tuple[int, int]:
    """Height and width of a picture whose longer side is `side`."""
    longest = max(header.height, header.width)
    height, width = (max(1, (2 * s * side + longest) // (2 * longest)) for s in (header.height, header.width))
    return height, width
