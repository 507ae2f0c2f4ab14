"""Millions of pictures: classes that engines map over columns, and a run from a source to an output.

    from vlcodec.batch import CompressBatch, CompressOptions, run

    options = CompressOptions(model="photo", lossless=True)
    CompressBatch(options)({"bytes": [png, jpeg]})["vlz"]         # of any engine: Ray, Daft, Spark, or none
    figures, whole = run("photos", Path("out"), "compress", options)  # what `vlcodec batch` does

The names are resolved at their first use.
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
    from vlcodec.batch.driver import run
    from vlcodec.batch.figures import Figures

__all__ = ["CompressBatch", "CompressOptions", "DecompressBatch", "DecompressOptions", "Figures", "RateBatch", "run"]
HOMES = {"run": "driver", "Figures": "figures"}  # of those that are not in columns


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'vlcodec.batch' has no attribute {name!r}")
    return getattr(import_module(f"vlcodec.batch.{HOMES.get(name, 'columns')}"), name)
