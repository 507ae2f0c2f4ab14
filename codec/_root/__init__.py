"""vlcodec, a learned image codec.

    import vlcodec

    data = vlcodec.compress("photo.png", lossless=True)  # bytes of a .vlz file
    image = vlcodec.decompress(data)                     # a PIL image, every pixel as it was
    print(vlcodec.rate("photo.png").table())             # what each part costs
    vlcodec.info(data)                                   # what the header says

    data = vlcodec.compress_archive(digits)              # (N, 28, 28) uint8: many pictures, one .vlz file
    vlcodec.decompress_archive(data).images

The names are resolved at their first use: `import vlcodec` alone loads neither torch nor numpy nor Pillow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlcodec.codec.errors import (
        ArchiveDamage,
        BoundError,
        FormatError,
        ImageError,
        ModelError,
        OutputError,
        ProvisionalWarning,
        VlcodecError,
    )
    from vlcodec.codec.ledger.report import RateReport
    from vlcodec.facade import (
        Archive,
        Comparison,
        Salvaged,
        bit_map,
        compare,
        compress,
        compress_archive,
        compress_to,
        decompress,
        decompress_archive,
        decompress_array,
        expected_to_compress,
        expected_to_decompress,
        heat_map,
        info,
        rate,
        rate_archive,
        rate_page,
        salvage,
    )

__version__ = "0.2.0.dev0"
__all__ = [
    "Archive",
    "ArchiveDamage",
    "BoundError",
    "Comparison",
    "FormatError",
    "ImageError",
    "ModelError",
    "OutputError",
    "ProvisionalWarning",
    "RateReport",
    "Salvaged",
    "VlcodecError",
    "bit_map",
    "compare",
    "compress",
    "compress_archive",
    "compress_to",
    "decompress",
    "decompress_archive",
    "decompress_array",
    "expected_to_compress",
    "expected_to_decompress",
    "heat_map",
    "info",
    "rate",
    "rate_archive",
    "rate_page",
    "salvage",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'vlcodec' has no attribute {name!r}")
    if name == "RateReport":
        return getattr(import_module("vlcodec.codec.ledger.report"), name)
    errors = import_module("vlcodec.codec.errors")
    return getattr(errors if hasattr(errors, name) else import_module("vlcodec.facade"), name)
