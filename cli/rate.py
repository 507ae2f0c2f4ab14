"""`vlcodec rate`: what each part of a picture's file costs."""

import json
from typing import Any

import click

from vlcodec import facade
from vlcodec.cli import archives, files, options
from vlcodec.cli.progress import progress


@click.command(short_help="What each part of a picture's file costs.")
@click.argument("images", nargs=-1, required=True, type=options.path, metavar="IMG...")
@options.quality
@options.seed
@options.model
@options.threshold
@click.option("--samples", type=click.IntRange(min=0), default=0, help="Of the importance-sampled likelihood.")
@options.device
@options.weights
@options.json
def rate(
    images: tuple[str, ...],
    quality: float | None,
    seed: int,
    model: str | None,
    threshold: int | None,
    samples: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure each IMG: what latents, pixels and header cost, and how close the real file is to the bound.

    A file that holds several pictures is measured as an archive.
    """

    def work(source: str) -> None:
        shared: dict[str, Any] = {"seed": seed, "threshold": threshold, "device": device}
        with progress(source, as_json) as show:
            report: Any
            data = files.read(source)
            if archives.wanted((source,), None, data):
                if quality is not None or samples:
                    raise click.UsageError("-q and --samples are for single pictures")
                pictures, names = archives.read((source,), data)
                report = facade.rate_archive(pictures, model=model, names=names, progress=show, **shared)
            else:
                shared |= {"quality": quality, "samples": samples}
                report = facade.rate(data, model=model or "photo", progress=show, **shared)
        if as_json:
            click.echo(json.dumps({"input": source, **report.to_dict()}))
        else:
            click.echo(f"{click.format_filename(source)}\n{report.table()}")

    files.each(images, work)
