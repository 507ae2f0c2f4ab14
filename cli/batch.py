"""`vlcodec batch`: a whole data set, by processes of this machine or by a Ray cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal

import click

import vlcodec.batch
from vlcodec.cli import options
from vlcodec.cli.progress import progress


@click.command(short_help="Data sets: every picture, a table of rates.")
@click.argument("source")
@click.option("-o", "out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Its folder.")
@click.option("--task", type=click.Choice(["compress", "decompress", "rate"]), default="compress", show_default=True)
@click.option("--files", is_flag=True, help="Write each picture's file too, into folders as SOURCE has them.")
@click.option("--column", default="bytes", show_default=True, help="Of parquet files: where the bytes are.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--address", help="Of a Ray cluster.  [default: one is begun here]")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Workers.  [default: one a core here, or one for a GPU]")
@click.option("--rows", type=click.IntRange(min=1), help="Of a shard, at most.  [default: 1000, or fewer]")
@options.quality
@click.option("--lossless/--lossy", default=False, help="Keep every pixel.  [default: lossy]")
@options.near_lossless
@options.effort
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Of all noise.  [default: 0, or the files' own]")
@options.model
@options.threshold
@click.option("--decode", type=click.Choice(["sample", "mean"]), help="See `vlcodec decompress`.")
@options.device
@options.weights
@options.json
@options.quiet
def batch(
    source: str,
    out: Path,
    task: Literal["compress", "decompress", "rate"],
    files: bool,
    column: str,
    engine: Literal["local", "ray"],
    address: str | None,
    jobs: int | None,
    rows: int | None,
    quality: float | None,
    lossless: bool,
    near: int | None,
    effort: int | None,
    seed: int | None,
    model: str | None,
    threshold: int | None,
    decode: Literal["sample", "mean"] | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Do a task to every picture of SOURCE: a folder, a pattern in quotes, a parquet file or a tar.

    OUT gets a row for each picture, in parquet shards: what became of it, and what it costs. A picture that cannot be
    done is a row with an error. What OUT has already is not done again. Needs pip install 'vlcodec[batch]', or [ray].
    """
    asked: vlcodec.batch.CompressOptions | vlcodec.batch.DecompressOptions
    if task == "decompress":
        if lossless or model or any(value is not None for value in (near, effort, quality, threshold)):
            of_files = "--lossless, --near-lossless, --model, -e, -q or --threshold"
            raise click.UsageError(f"files say themselves what they are: no {of_files}")
        asked = vlcodec.batch.DecompressOptions(column=column, device=device, decode=decode, seed=seed)
    else:
        if decode:
            raise click.UsageError("--decode is for the task decompress")
        if lossless and near is not None:
            raise click.UsageError("--lossless and --near-lossless exclude each other")
        if effort is not None and task == "rate":
            raise click.UsageError("-e is for the task compress")
        asked = vlcodec.batch.CompressOptions(
            column=column,
            device=device,
            model=model or "photo",
            lossless=lossless,
            near_lossless=near or 0,
            effort=effort or 1,
            quality=quality,
            seed=seed or 0,
            threshold=threshold,
        )
    how: dict[str, Any] = {"files": files, "engine": engine, "address": address, "jobs": jobs, "rows": rows}
    with progress(source, quiet or as_json) as show:
        made, whole = vlcodec.batch.run(source, out, task, asked, progress=show, **how)
    if as_json:
        click.echo(json.dumps({"source": source, "output": str(out), "made": made.to_dict(), "whole": whole.to_dict()}))
    elif not quiet:
        click.echo(f"{click.format_filename(out)}: {made.pictures:,} pictures done; in all")
        click.echo(whole.table())
    if made.failed:
        click.echo(f"vlcodec: {made.failed:,} pictures failed: the column error in {out} says why", err=True)
        sys.exit(1)
