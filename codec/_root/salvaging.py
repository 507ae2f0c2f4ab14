"""What can be trusted of a damaged lossless file: damage stays in the band that it struck."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vlcodec import beside
from vlcodec._shared import MAX_PIXELS, Progress, check_pixels, memory
from vlcodec.adaptive import as_file_has_it
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_file
from vlcodec.codec.files.chunks import ALPHA, LATENTS, LOW_BYTES, PALETTE, TITLES
from vlcodec.codec.files.composite_file import is_composite
from vlcodec.codec.files.metadata import unpack_metadata
from vlcodec.codec.files.picture_file import Band, File, Pieces
from vlcodec.codec.files.stored_file import is_stored
from vlcodec.codec.files.wire import sound
from vlcodec.jobs import Ticks, side_by_side
from vlcodec.pictures import as_kept, check_chunks, features_of, model_of, net_of
from vlcodec.writing import at_once

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlcodec.codec.coding.pixels import Place
    from vlcodec.codec.interface import Bytes

MARK = (255, 0, 255)  # of what is lost, in stripes; of a grey picture white
STRIPE, PERIOD = 8, 32  # pixels


@dataclass(frozen=True)
class Salvaged:
    """image: of the whole size. lost: ranges of rows, from the top down, that show the mean image under stripes.

    missing: what stood beside the colours and is not given back, as alpha. unsure: what is, though the file is damaged
    and no checksum of its own tells that it is right.
    """

    image: Image
    lost: tuple[range, ...]
    missing: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


def salvage(
    data: bytes,
    *,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Salvaged:
    """The bands of a damaged lossless file whose pixels match their checksums; the others are marked.

    Alpha, mode and metadata come with them as far as they can be read. The arguments are those of `decompress`. Of a
    picture of 16 bits the image has the high 8, and the low bytes are missing. Raises FormatError where
    the front of the file or its latents are damaged, as no pixel is known without them, and for a file that is not
    lossless; ModelError where it needs other weights.
    """
    from vlcodec.codec.coding.pixels import bands, read_band

    if is_stored(data) or is_composite(data):
        raise FormatError("what no model codes has no bands to salvage: without --salvage it is all or nothing")
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
        net = as_file_has_it(net, pieces.lossy)
        pixels = as_kept(net.mean_images(fz, header.height, header.width)[0], header).copy()

        def read(place: Place) -> Bytes | None:
            band: Band | None = pieces.bands[place.number]
            try:
                return None if band is None else read_band(net, fz, band, place, ticks.of(place.number), pieces.near)
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
        image, given = _dressed(pixels, pieces, {LOW_BYTES, PALETTE} if lost else {LOW_BYTES})
    left_out = [chunk.type for chunk in pieces.beside if chunk.type not in given]
    missing = {TITLES[kind]: None for kind in (*left_out, *pieces.missing)}
    behind = [] if sound(data) else [kind for kind in given if kind > LATENTS]  # their checksum covers what is before
    unsure = {TITLES[kind]: None for kind in behind}
    return Salvaged(image, tuple(lost), tuple(missing), tuple(unsure))


def _dressed(pixels: Bytes, pieces: Pieces, without: set[int]) -> tuple[Image, list[int]]:
    """The image of (H, W, 1 or 3) pixels with what stands beside them, and the types of that.

    What can be read: all but those `without`, which do not fit other pixels, or metadata alone, or nothing.
    """
    header = replace(pieces.lossy.header, lossless=True)
    bare = File(header, pieces.lossy.latents, (Band(b"", 0),) * header.bands)
    fitting = [chunk for chunk in pieces.beside if chunk.type not in without]
    metadata = [chunk for chunk in fitting if chunk.type not in (ALPHA, PALETTE)]
    for chunks in (fitting, metadata):
        found = {chunk.type: chunk.data for chunk in chunks}
        with suppress(FormatError):
            alpha, palette = found.get(ALPHA, b""), found.get(PALETTE, b"")
            file = replace(bare, metadata=unpack_metadata(chunks), alpha=alpha, palette=palette)
            return beside.dressed(pixels, file, None).image, [chunk.type for chunk in chunks]
    return beside.dressed(pixels, bare, None).image, []


def _mark(pixels: Bytes) -> None:
    """Stripes over (rows, W, C) pixels, in their place."""
    import numpy as np

    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    pixels[(rows + columns) % PERIOD < STRIPE] = MARK[: pixels.shape[2]]
