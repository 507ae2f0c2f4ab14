"""Millions of pictures: classes that engines map over batches of columns, and a run from a source to an output.

    from vlcodec.batch import CompressBatch, CompressOptions

    CompressBatch(CompressOptions(model="photo", lossless=True))({"bytes": [png, jpeg]})["vlz"]

`vlcodec batch` is the same on the command line. The names are resolved at their first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlcodec.batch.columns import (
        CompressBatch,
        CompressOptions,
        DecompressBatch,
        DecompressOptions,
        RateBatch,
    )

__all__ = ["CompressBatch", "CompressOptions", "DecompressBatch", "DecompressOptions", "RateBatch"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'vlcodec.batch' has no attribute {name!r}")
    return getattr(import_module("vlcodec.batch.columns"), name)
