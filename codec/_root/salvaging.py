"""What can be trusted of a damaged lossless file: damage stays in the band that it struck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vlcodec._shared import MAX_PIXELS, Progress, check_pixels, memory
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_file
from vlcodec.codec.files.picture_file import Band
from vlcodec.jobs import Ticks, side_by_side
from vlcodec.pictures import as_kept, at_once, check_chunks, features_of, model_of, net_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlcodec.codec.coding.pixels import Place
    from vlcodec.codec.interface import Bytes

MARK = (255, 0, 255)  # of what is lost, in stripes; of a grey picture white
STRIPE, PERIOD = 8, 32  # pixels


@dataclass(frozen=True)
class Salvaged:
    """image: of the whole size. lost: ranges of rows, from the top down, that show the mean image under stripes."""

    image: Image
    lost: tuple[range, ...]


def salvage(
    data: bytes,
    *,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Salvaged:
    """The bands of a damaged lossless file whose pixels match their checksums; the others are marked.

    The arguments are those of `decompress`. Of a picture of 16 bits the image has the high 8. Raises FormatError where
    the front of the file or its latents are damaged, as no pixel is known without them, and for a file that is not
    lossless; ModelError where it needs other weights.
    """
    from vlcodec.codec import image as images
    from vlcodec.codec.coding.pixels import bands, read_band

    pieces = picture_file.pieces(data)
    header = pieces.lossy.header
    if not pieces.bands:
        raise FormatError("a lossy file has no bands of pixels to salvage: --front takes the latents that have arrived")
    check_pixels(header.width * header.height, max_pixels)
    model = model_of(header, device)
    net = net_of(model, header)
    check_chunks(pieces.lossy, net)
    places = list(bands(header.height, header.width, 1 if header.grey else 3))
    ticks = Ticks(progress, "pixels", len(places))
    with memory():
        fz = features_of(net, pieces.lossy, progress)
        pixels = as_kept(net.mean_images(fz, header.height, header.width)[0], header).copy()

        def read(place: Place) -> Bytes | None:
            band: Band | None = pieces.bands[place.number]
            try:
                return None if band is None else read_band(net, fz, band, place, ticks.of(place.number))
            except FormatError:
                return None

        lost = list[range]()
        for place, part in zip(places, side_by_side(read, places, at_once(header, jobs)), strict=True):
            rows = slice(place.rows.start, place.rows.stop)
            if part is None:
                lost.append(place.rows)
                _mark(pixels[rows])
            else:
                pixels[rows] = part
        return Salvaged(images.to_image(pixels, header.grey), tuple(lost))


def _mark(pixels: Bytes) -> None:
    """Stripes over (rows, W, C) pixels, in their place."""
    import numpy as np

    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    pixels[(rows + columns) % PERIOD < STRIPE] = MARK[: pixels.shape[2]]
