"""Quality 0: a picture in at most 40 bytes, for what is shown until it has loaded.

The picture is shrunk until its latents, at the lowest quality, take no more room, and a little further where that shows
more of it. Their chunk begins with a byte, the longer side of what was coded; the decoder enlarges its mean image to
the size that the header tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_file
from vlcodec.codec.files.picture_file import File, Header

if TYPE_CHECKING:
    from vlcodec.codec.interface import Bytes, LatentNet

QUALITY, CODED_AS = 0, 1
BYTES = 40  # of the whole file, unless a long seed takes more
SIDES = range(64, 0, -1)  # the longer side of what is coded
TRIES = 8  # sides that fit and are compared


def write(net: LatentNet, pixels: Bytes, header: Header) -> File:
    """The placeholder of a picture (1, H, W, C): of the largest sides that fit, and are no larger than it, the one
    nearest to it. net: of the lowest quality."""
    import numpy as np

    from vlcodec.codec.coding import latents
    from vlcodec.codec.image import resized

    picture = np.broadcast_to(pixels[0], (*pixels.shape[1:3], 3))
    sides = [side for side in SIDES if side <= max(header.height, header.width)]
    whole = resized(picture, *_shrunk(header, sides[0]))
    fitting = list[tuple[int, File]]()
    for side in sides:
        height, width = _shrunk(header, side)
        u = latents.dither_of(net, header.seed, 0, 1, height, width)
        symbols = latents.choose(net, resized(picture, height, width)[None], u)
        file = File(header, bytes([side]) + latents.write_latents(net, symbols, u))
        if len(picture_file.pack(file)) <= BYTES:
            mean = net.mean_images(net.features(symbols, u), height, width)[0]
            error = resized(mean, *whole.shape[:2]).astype(np.int64) - whole
            fitting.append((int(np.square(error).sum()), file))
        if len(fitting) == TRIES:
            break
    return min(fitting, key=lambda found: found[0])[1] if fitting else file


def read(net: LatentNet, file: File) -> Bytes:
    """(H, W, 3) uint8: the mean image, enlarged. Raises FormatError for a side that no placeholder has."""
    from vlcodec.codec.coding import latents
    from vlcodec.codec.enlarge import resized

    header, side = file.header, file.latents[0] if file.latents else 0
    if side not in SIDES:
        raise FormatError(f"a placeholder's side is 1 to {SIDES[0]}, not {side}")
    height, width = _shrunk(header, side)
    u = latents.dither_of(net, header.seed, 0, 1, height, width)
    fz = net.features(latents.read_latents(net, file.latents[1:], u), u)
    return resized(net.mean_images(fz, height, width)[0], header.height, header.width)


def _shrunk(header: Header, side: int) -> tuple[int, int]:
    """Height and width of a picture whose longer side is `side`."""
    longest = max(header.height, header.width)
    height, width = (max(1, (2 * s * side + longest) // (2 * longest)) for s in (header.height, header.width))
    return height, width
