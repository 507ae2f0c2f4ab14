"""`vlcodec rate`: what each part of a picture's file costs."""

import json

import click

from vlcodec import facade
from vlcodec.cli import files, options
from vlcodec.cli.progress import progress


@click.command(short_help="What each part of a picture's file costs.")
@click.argument("images", nargs=-1, required=True, metavar="IMG...")
@options.quality
@options.seed
@options.model
@options.device
@options.json
def rate(images: tuple[str, ...], quality: int | None, seed: int, model: str, device: str, as_json: bool) -> None:
    """Measure each IMG: what latents, pixels and header cost, and how close the real file is to the bound."""

    def work(source: str) -> None:
        with progress(source, as_json) as show:
            report = facade.rate(
                files.read(source), model=model, quality=quality, seed=seed, device=device, progress=show
            )
        if as_json:
            click.echo(json.dumps({"input": source, **report.to_dict()}))
        else:
            click.echo(f"{click.format_filename(source)}\n{report.table()}")

    files.each(images, work)
