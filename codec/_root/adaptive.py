"""Files whose model has learned their picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlcodec._shared import Progress, tick
from vlcodec.codec.files.picture_file import File

if TYPE_CHECKING:
    from vlcodec.codec.interface import Bytes, LatentNet
    from vlcodec.pictures import Written


def improved(
    net: LatentNet, pixels: Bytes, made: Written, steps: int, jobs: int | None, progress: Progress | None
) -> File:
    """A picture's file with what its net learns of it in so many steps, or the file as it is where that is smaller."""
    from vlcodec.codec.coding.near import restored
    from vlcodec.codec.interface import Adaptive
    from vlcodec.pictures import banded

    header = made.file.header
    if not isinstance(net, Adaptive):
        return made.file
    kept = restored(pixels, header.near) if header.near else pixels
    changes = net.learned(kept, made.fz, steps, tick(progress, "learning", 0, 1))
    bands, _ = banded(net.changed(changes), made.fz, pixels, header, jobs, progress, metered=False)
    found = replace(made.file, bands=bands, changes=changes)
    sizes = [len(file.changes) + sum(len(band.stack) for band in file.bands) for file in (found, made.file)]
    return found if sizes[0] < sizes[1] else made.file


def as_file_has_it(net: LatentNet, file: File) -> LatentNet:
    """The net that a lossless file's bands were coded with. Raises FormatError for changes that it does not take."""
    from vlcodec.codec.interface import Adaptive

    return net.changed(file.changes) if isinstance(net, Adaptive) and file.changes else net
