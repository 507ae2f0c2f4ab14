"""What there is to look at: where a picture's bits are, and how alike two pictures are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from vlcodec._shared import Progress, check_alone, encoder, memory
from vlcodec.codec.errors import ImageError
from vlcodec.codec.files.wire import MAGIC
from vlcodec.jobs import Ticks, side_by_side
from vlcodec.pictures import decoded, net_of, prepare
from vlcodec.writing import at_once, write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from vlcodec.codec.coding.pixels import Place
    from vlcodec.codec.whole import Whole


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

    identical: every pixel is the same, whatever their modes. differing: share of the pixels that are not. largest:
    difference of a channel's level, of 65,535 where either picture has 16 bits. psnr_db: over values of `mode`,
    infinite for identical pictures. ms_ssim: of the colours, None below 176 pixels a side. mode: RGB, or RGBA where
    either picture has alpha: what was compared.
    """

    width: int
    height: int
    identical: bool
    differing: float
    largest: int
    psnr_db: float
    ms_ssim: float | None
    mode: str

    def to_dict(self) -> dict[str, Any]:
        """All fields, by name; an infinite PSNR, which JSON has not, is None."""
        return asdict(self) | ({"psnr_db": None} if self.identical else {})

    def table(self) -> str:
        """A printable table."""
        identical = "yes" if self.identical else "no"
        rows = [("size", f"{self.width} x {self.height}"), ("identical", f"{identical}, as {self.mode}")]
        if not self.identical:
            rows += [
                ("differing", f"{100 * self.differing:.2f} % of the pixels, by {self.largest} levels at most"),
                ("PSNR", f"{self.psnr_db:.2f} dB"),
            ]
        if self.ms_ssim is not None:
            rows.append(("MS-SSIM", f"{self.ms_ssim:.5f}"))
        return "\n".join(f"  {name:<10} {value}" for name, value in rows)


def picture_of(
    source: str | Path | bytes | BinaryIO | Image | NDArray[Any],
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> Whole:
    """A picture, or that of a .vlz file, which is decoded (a lossy one by sampling); with alpha, and 16 bits.

    Raises what reading it raises.
    """
    from vlcodec.codec import image as images
    from vlcodec.codec.whole import open_whole

    if hasattr(source, "size"):  # an image or an array
        return open_whole(source)
    data = images.read_source(source)
    if not data.startswith(MAGIC):
        return open_whole(data)
    found = decoded(data, device=device, progress=progress)
    return replace(open_whole(found.image), low=found.low)


def compare(
    first: str | Path | bytes | BinaryIO | Image | NDArray[Any] | Whole,
    second: str | Path | bytes | BinaryIO | Image | NDArray[Any] | Whole,
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> Comparison:
    """How alike two pictures are; each may be a .vlz file, which is decoded first (a lossy one by sampling).

    Alpha is a fourth channel where either has any; a picture without is opaque. Of several frames none are compared.
    Raises ImageError for pictures of different sizes, and what reading either one raises.
    """
    import numpy as np

    from vlcodec.codec import likeness
    from vlcodec.codec.whole import Whole

    wholes = [
        source if isinstance(source, Whole) else picture_of(source, device=device, progress=progress)
        for source in (first, second)
    ]
    if wholes[0].image.size != wholes[1].image.size:
        sizes = " and ".join("{} x {}".format(*whole.image.size) for whole in wholes)
        raise ImageError(f"pictures of {sizes}: only those of one size can be compared")
    mode = "RGB" if all(whole.alpha is None for whole in wholes) else "RGBA"
    deep = any(whole.low is not None for whole in wholes)
    a, b = (_levels(whole, len(mode), deep) for whole in wholes)
    apart = np.abs(a - b)
    x, y = (levels / 257 if deep else levels for levels in (a, b))
    height, width, _ = a.shape
    return Comparison(
        width=width,
        height=height,
        identical=not apart.any(),
        differing=float(apart.any(2).mean()),
        largest=int(apart.max()),
        psnr_db=likeness.psnr(x, y),
        ms_ssim=likeness.ms_ssim(x[..., :3], y[..., :3]) if min(height, width) >= likeness.LEAST_SIDE else None,
        mode=mode,
    )


def _levels(whole: Whole, channels: int, deep: bool) -> NDArray[np.int32]:
    """(H, W, 3 or 4) int32: red, green, blue, alpha; of 16 bits where either picture has them."""
    import numpy as np

    levels: NDArray[Any]
    alpha: NDArray[Any] | None
    if whole.deep is None:
        levels, alpha = whole.picture.pixels, whole.alpha
        opaque, scale = 255, 257 if deep else 1
    else:
        found = whole.deep  # (H, W, 1 to 4)
        levels = np.broadcast_to(found[..., : 1 if found.shape[2] < 3 else 3], (*found.shape[:2], 3))
        alpha = None if found.shape[2] % 2 else found[..., -1:]
        opaque, scale = 65535, 1
    if channels == 4:
        last = np.full_like(levels[..., :1], opaque) if alpha is None else alpha
        levels = np.concatenate([levels, last], axis=2)
    return levels.astype(np.int32) * scale
