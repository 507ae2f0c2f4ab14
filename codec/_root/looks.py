"""What there is to look at: where a picture's bits are, and how alike two pictures are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from vlcodec._shared import Progress, encoder, memory
from vlcodec.codec.errors import ImageError
from vlcodec.codec.files.wire import MAGIC
from vlcodec.jobs import Ticks, side_by_side
from vlcodec.pictures import at_once, check_alone, decompress, net_of, prepare, write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from vlcodec.codec.coding.pixels import Place


def bit_map(
    image: str | Path | bytes | BinaryIO | Image | NDArray[Any],
    *,
    model: str = "photo",
    quality: float | None = None,
    seed: int = 0,
    threshold: int | None = None,
    device: str = "auto",
    jobs: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """(H, W) float64: what each pixel of a picture's lossless file takes, given the latents; bits, channels together.

    The arguments, and what is raised, are those of `compress`. The bits are the model's own, -log2 p(x | z), as the
    ledger has them; numbers that fit the model to the picture (side information) belong to no pixel and are left out.
    """
    import numpy as np

    from vlcodec.codec import image as images
    from vlcodec.codec.coding.pixels import bands
    from vlcodec.codec.ledger.bit_map import band_map

    pixels, ready, header = prepare(images.load(image), model, True, quality, seed, threshold, device)
    check_alone(encoder(model), lossless=True)
    net, places = net_of(ready, header), list(bands(*pixels.shape[1:]))
    ticks = Ticks(progress, "bits", len(places))
    with memory():
        made = write(net, pixels, header, jobs, progress)

        def of(place: Place) -> NDArray[np.float64]:
            return band_map(net, made.fz, made.file.bands[place.number], place, ticks.of(place.number))

        return np.concatenate(list(side_by_side(of, places, at_once(header, jobs))))


def heat_map(bits: NDArray[np.float64]) -> Image:
    """A picture of (H, W) bits: black where a pixel costs nothing, white where it costs most."""
    from vlcodec.codec import image as images
    from vlcodec.codec.ledger.bit_map import bright, coloured

    return images.to_image(coloured(bits, bright(bits)), grey=False)


@dataclass(frozen=True)
class Comparison:
    """Two pictures of one size.

    identical: every pixel is the same. differing: share of the pixels that are not. largest: difference of a channel's
    level. psnr_db: over RGB values, infinite for identical pictures. ms_ssim: None below 176 pixels a side.
    """

    width: int
    height: int
    identical: bool
    differing: float
    largest: int
    psnr_db: float
    ms_ssim: float | None

    def to_dict(self) -> dict[str, Any]:
        """All fields, by name; an infinite PSNR, which JSON has not, is None."""
        return asdict(self) | ({"psnr_db": None} if self.identical else {})

    def table(self) -> str:
        """A printable table."""
        rows = [("size", f"{self.width} x {self.height}"), ("identical", "yes" if self.identical else "no")]
        if not self.identical:
            rows += [
                ("differing", f"{100 * self.differing:.2f} % of the pixels, by {self.largest} levels at most"),
                ("PSNR", f"{self.psnr_db:.2f} dB"),
            ]
        if self.ms_ssim is not None:
            rows.append(("MS-SSIM", f"{self.ms_ssim:.5f}"))
        return "\n".join(f"  {name:<10} {value}" for name, value in rows)


def compare(
    first: str | Path | bytes | BinaryIO | Image | NDArray[Any],
    second: str | Path | bytes | BinaryIO | Image | NDArray[Any],
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> Comparison:
    """How alike two pictures are; each may be a .vlz file, which is decoded first (a lossy one by sampling).

    Raises ImageError for pictures of different sizes, and what reading either one raises.
    """
    import numpy as np

    from vlcodec.codec import image as images
    from vlcodec.codec import likeness

    def pixels(source: Any) -> NDArray[np.uint8]:
        if not hasattr(source, "size"):  # neither an image nor an array
            source = images.read_source(source)
            if source.startswith(MAGIC):
                source = decompress(source, device=device, progress=progress)
        return images.load(source).pixels

    a, b = pixels(first), pixels(second)
    if a.shape != b.shape:
        sizes = " and ".join(f"{x.shape[1]} x {x.shape[0]}" for x in (a, b))
        raise ImageError(f"pictures of {sizes}: only those of one size can be compared")
    apart = np.abs(a.astype(np.int16) - b)
    height, width, _ = a.shape
    return Comparison(
        width=width,
        height=height,
        identical=not apart.any(),
        differing=float(apart.any(2).mean()),
        largest=int(apart.max()),
        psnr_db=likeness.psnr(a, b),
        ms_ssim=likeness.ms_ssim(a, b) if min(height, width) >= likeness.LEAST_SIDE else None,
    )
