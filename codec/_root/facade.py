"""All that the commands do, one call each.

Brings codec and models together. Importing it is instant: torch, numpy, Pillow and constriction come with the work.
"""

from __future__ import annotations

from typing import Any

from vlcodec._shared import Progress
from vlcodec.archives import Archive, compress_archive, decompress_archive, info_archive, rate_archive, verify_archive
from vlcodec.codec.files import picture_file as container
from vlcodec.codec.files import wire as fields
from vlcodec.codec.files.wire import is_archive
from vlcodec.measure import rate, selftest
from vlcodec.models import zoo
from vlcodec.pictures import compress, decompress, verify
from vlcodec.training import train

__all__ = [
    "MAX_BYTES",
    "Archive",
    "Progress",
    "compress",
    "compress_archive",
    "decompress",
    "decompress_archive",
    "info",
    "is_archive",
    "models",
    "rate",
    "rate_archive",
    "selftest",
    "train",
    "verify",
    "verify_archive",
]  # fmt: skip
MAX_BYTES = fields.MAX_FILE  # of any file that is read


def info(data: bytes) -> dict[str, Any]:
    """What a .vlz file says of itself, without decoding it. Raises FormatError for anything else than a sound file."""
    if is_archive(data):
        return info_archive(data)
    file = container.unpack(data)
    header = file.header
    return {
        "model": zoo.by_id(header.model_id).name,
        "weights": header.digest.hex(),
        "version": fields.VERSION,
        "width": header.width,
        "height": header.height,
        "mode": "L" if header.grey else "RGB",
        "lossless": header.lossless,
        "quality": header.quality,
        "seed": header.seed,
        "bands": len(file.bands),
        "bytes": {**container.sizes(file), "file": len(data)},
    }


def models() -> list[dict[str, Any]]:
    """The models in the package."""
    return [
        {
            "name": entry.name,
            "id": entry.id,
            "digest": zoo.digest(entry.name).hex(),
            "bytes": entry.path.stat().st_size,
            "qualities": list(range(entry.lowest, entry.qualities + 1)),
            "description": entry.description,
        }
        for entry in zoo.ENTRIES
    ]
