"""All that the commands do, one call each.

Brings codec and models together. Importing it is instant: torch, numpy, Pillow and constriction come with the work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlcodec._shared import MAX_PIXELS, Progress
from vlcodec.archives import Archive, compress_archive, decompress_archive, info_archive, rate_archive, verify_archive
from vlcodec.arrays import decompress_array
from vlcodec.codec.coding.compiled import tell as tell_of_compiling
from vlcodec.codec.files import composite_file, picture_file, wire
from vlcodec.codec.files.chunks import TITLES
from vlcodec.codec.files.file_names import check_file_names
from vlcodec.codec.files.metadata import Metadata
from vlcodec.codec.files.palette import Bilevel, unpack_palette
from vlcodec.codec.files.stored_file import describe, is_stored, unpack_stored
from vlcodec.codec.files.wire import MAGIC, is_archive
from vlcodec.estimates import Estimate, Room, expected_to_compress, expected_to_decompress, of_header, takes
from vlcodec.jobs import jobs_of, side_by_side
from vlcodec.looks import Comparison, bit_map, compare, heat_map, picture_of
from vlcodec.measure import rate, selftest
from vlcodec.models import registry, zoo
from vlcodec.page import rate_page
from vlcodec.pictures import MOST_PIXELS, compress, decoded, decompress
from vlcodec.salvaging import Salvaged, salvage
from vlcodec.targets import compress_to
from vlcodec.training import train
from vlcodec.verifying import verify

__all__ = [
    "FRONT_BYTES",
    "MAGIC",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MOST_PIXELS",
    "PICTURES",
    "Archive",
    "Comparison",
    "Estimate",
    "Progress",
    "Room",
    "Salvaged",
    "bit_map",
    "check_file_names",
    "compare",
    "compress",
    "compress_archive",
    "compress_to",
    "decoded",
    "decompress",
    "decompress_archive",
    "decompress_array",
    "expected_to_compress",
    "expected_to_decompress",
    "heat_map",
    "info",
    "is_archive",
    "jobs_of",
    "models",
    "picture_of",
    "preview_size",
    "rate",
    "rate_archive",
    "rate_page",
    "salvage",
    "search_weights_in",
    "selftest",
    "side_by_side",
    "takes",
    "tell_of_compiling",
    "train",
    "verify",
    "verify_archive",
]  # fmt: skip
MAX_BYTES = wire.MAX_FILE  # of any file that is read
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm")  # in folders
FRONT_BYTES = 2**15  # of a file: more than any header and table have


def info(data: bytes) -> dict[str, Any]:
    """What a .vlz file says of itself, without decoding it; of a picture also what that is expected to take.

    "expected" has the "seconds", about, with a process's start, and the bytes of "memory", at most.
    Raises FormatError for anything else than a sound file, ModelError for a number that is not known here.
    """
    if is_archive(data):
        return info_archive(data)
    if is_stored(data):
        stored = unpack_stored(data)
        sizes = {"header": len(data) - len(stored.data), "stored": len(stored.data), "file": len(data)}
        return {"stored": stored.format, "version": 2, "lossless": True, **describe(stored), "bytes": sizes}
    if composite_file.is_composite(data):
        return _composite(data)
    file = picture_file.unpack(data)
    header = file.header
    entry, expected = registry.by_number(header.model_id), of_header(header)
    mode = "1" if file.palette and isinstance(unpack_palette(file.palette), Bilevel) else "L" if header.grey else "RGB"
    return {
        "model": entry.name,
        "number": entry.number,
        "weights": header.digest.hex(),
        "version": header.version,
        "width": header.width,
        "height": header.height,
        "mode": mode + "A" * bool(file.alpha),
        **({"bits": 16} if file.low else {}),
        "lossless": header.exact,
        **({"near_lossless": header.near} if header.near else {}),
        "quality": header.level if header.hundredths else header.quality,
        "seed": header.seed,
        "bands": len(file.bands),
        **_metadata(file.metadata),
        "expected": {"seconds": round(expected.seconds, 1), "memory": expected.memory},
        **({"preview": size} if (size := preview_size(data)) is not None else {}),
        "bytes": {**picture_file.sizes(file), "file": len(data)},
    }


def _composite(data: bytes) -> dict[str, Any]:
    """What a composite says of itself."""
    composite = composite_file.unpack_composite(data)
    about: dict[str, Any] = {"version": 2, "lossless": True} | composite_file.describe(data)
    return about | _metadata(composite.metadata) | {"bytes": {**composite_file.sizes(composite), "file": len(data)}}


def _metadata(metadata: Metadata) -> dict[str, list[str]]:
    """The kinds of metadata that a file has."""
    kinds = dict.fromkeys(TITLES[kind] for kind, _ in metadata)
    return {"metadata": list(kinds)} if kinds else {}


def preview_size(front: bytes) -> int | None:
    """Bytes of a file that its preview (`decompress` with front) needs, from its first FRONT_BYTES; None is all of it.

    Raises FormatError for anything else than the front of a .vlz file.
    """
    if is_archive(front) or is_stored(front) or composite_file.is_composite(front):
        return None
    return picture_file.preview_size(front)


def models() -> list[dict[str, Any]]:
    """The models at hand: those of the package, then those of the search path."""
    rows = []
    for entry in registry.known():
        lowest = 0 if zoo.takes(entry).placeholders else 1
        rows.append(
            {
                "name": entry.name,
                "number": entry.number,
                "digest": entry.in_files.hex(),
                "sha256": entry.sha256,
                "bytes": entry.path.stat().st_size,
                "qualities": list(range(lowest, zoo.qualities(entry) + 1)),
                "description": entry.description,
            }
        )
    return rows


def search_weights_in(folder: str | Path) -> None:
    """Look for weights in a folder first, before those of the variable VLCODEC_WEIGHTS."""
    registry.search_in(Path(folder))
