"""Files whose model has learned their picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vlcodec._shared import Progress, tick
from vlcodec.codec.files.picture_file import Band, File
from vlcodec.writing import as_restored

if TYPE_CHECKING:
    from vlcodec.codec.interface import Bytes, LatentNet

Banded = Callable[["LatentNet"], tuple[Band, ...]]


def improved(
    net: LatentNet, pixels: Bytes, fz: Any, plain: File, banded: Banded, steps: int, progress: Progress | None
) -> File:
    """A picture's file with what its net learns of it in so many steps, or the plain one where that is smaller.

    pixels, fz: of the picture (1, H, W, C). banded: makes the bands of the file, with a net.
    """
    from vlcodec.codec.coding.near import restored
    from vlcodec.codec.interface import Adaptive

    near = plain.header.near
    seen = as_restored(net, near)
    if not (isinstance(net, Adaptive) and isinstance(seen, Adaptive)):
        return plain
    changes = seen.learned(restored(pixels, near), fz, steps, tick(progress, "learning", 0, 1))
    found = replace(plain, bands=banded(net.changed(changes)), changes=changes)
    sizes = [len(file.changes) + sum(len(band.stack) for band in file.bands) for file in (found, plain)]
    return found if sizes[0] < sizes[1] else plain


def as_file_has_it(net: LatentNet, file: File) -> LatentNet:
    """The net that a file's bands were coded with. Raises FormatError for changes that it does not take."""
    from vlcodec.codec.interface import Adaptive

    return net.changed(file.changes) if isinstance(net, Adaptive) and file.changes else net
