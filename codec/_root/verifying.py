"""A file held against the picture that it was made from."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from vlcodec import beside
from vlcodec._shared import Progress, as_taken
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import composite_file, picture_file, stored_file
from vlcodec.models import registry, zoo
from vlcodec.pictures import decoded


def verify(
    data: bytes,
    image: bytes,
    *,
    threshold: int | None = None,
    strip: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> None:
    """Decompress `data` and hold it against the picture it was made from, with the threshold that it was made with.

    Raises FormatError where a lossless file gives other pixels or metadata, or a lossy one a picture of another size or
    kind. A picture of 16 bits may have been rounded to 8, unless a lossless file of a model says otherwise.
    """
    import numpy as np

    from vlcodec.codec import animation
    from vlcodec.codec.whole import open_whole, same, same_low

    coded = not (stored_file.is_stored(data) or composite_file.is_composite(data))
    header = picture_file.read_header(data) if coded else None
    how: Literal["mean"] | None = "mean" if header is not None and not header.lossless else None
    if (frames := animation.open_animation(image, strip=strip)) is not None:
        kept = animation.open_animation(stored_file.unpack_stored(data).data)
        if kept is None or not animation.same_frames(kept, frames):
            raise FormatError("verification failed: the file does not give all frames back")
        if kept.metadata != frames.metadata:
            raise FormatError("verification failed: the file does not give all metadata back")
        return
    found = decoded(data, decode=how, device=device, max_pixels=2**63, progress=progress)
    back, whole = replace(open_whole(found.image), low=found.low), open_whole(image, strip=strip)
    if back.low is None and (header is None or not header.exact or not beside.kept(header)):
        whole = whole.rounded
    if header is None:
        if not same(back, whole):
            raise FormatError("verification failed: the file does not give the picture back")
        return
    entry = registry.by_number(header.model_id)
    colours, picture = back.picture, as_taken(whole.picture, entry, zoo.takes(entry), threshold)
    alphas = [np.asarray(alpha) for alpha in (back.alpha, whole.alpha)]
    alike = colours.pixels.shape == picture.pixels.shape and colours.grey == picture.grey
    if not alike or (beside.kept(header) and not np.array_equal(alphas[0], alphas[1])):
        raise FormatError("verification failed: the file gives a picture of another size or kind")
    off = np.abs(colours.pixels.astype(np.int16) - picture.pixels).max()
    if header.lossless and not (off <= header.near and same_low(back, whole)):
        within = f" within {header.near} levels" if header.near else ""
        raise FormatError(f"verification failed: the file does not give every pixel back{within}")
    if beside.kept(header) and back.metadata != whole.metadata:
        raise FormatError("verification failed: the file does not give all metadata back")
