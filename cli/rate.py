"""`vlcodec rate`: what each part of a picture's file costs."""

import csv
import json
import sys
from typing import Any

import click

from vlcodec import facade
from vlcodec.cli import archives, files, options
from vlcodec.cli.progress import progress


@click.command(short_help="What each part of a picture's file costs.")
@click.argument("images", nargs=-1, required=True, type=options.path, metavar="IMG...")
@options.quality
@options.near_lossless
@options.seed
@options.model
@options.threshold
@click.option("--samples", type=click.IntRange(min=0), default=0, help="Of the importance-sampled likelihood.")
@click.option(
    "--html",
    type=options.path,
    metavar="OUT.html",
    help="A page: each quality beside the original and other codecs, a map of bits, the ledger.",
)
@click.option("--heatmap", type=options.path, metavar="OUT.png", help="Where the lossless file's bits are: a picture.")
@click.option("--csv", "as_csv", is_flag=True, help="One row a picture, under one of names.")
@options.device
@options.weights
@options.json
@options.force
def rate(
    images: tuple[str, ...],
    quality: float | None,
    near: int | None,
    seed: int,
    model: str | None,
    threshold: int | None,
    samples: int,
    html: str | None,
    heatmap: str | None,
    as_csv: bool,
    device: str,
    as_json: bool,
    force: bool,
) -> None:
    """Measure each IMG: what latents, pixels and header cost, and how close the real file is to the bound.

    A file that holds several pictures is measured as an archive. --html and --heatmap are of one picture.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two forms of one thing")
    if near is not None and (html is not None or heatmap is not None):
        raise click.UsageError("--html and --heatmap show lossless files: not with --near-lossless")
    outputs = {option: name for option, name in (("--html", html), ("--heatmap", heatmap)) if name is not None}
    if outputs and len(images) > 1:
        raise click.UsageError("--html and --heatmap are of one picture: IMG must be one")
    if heatmap is not None and heatmap != files.STREAM and not heatmap.lower().endswith(".png"):
        raise click.UsageError(f"--heatmap {heatmap}: the map is a PNG, and its name must end in .png")
    files.check_apart(images, outputs.items())
    rows = csv.writer(sys.stdout, lineterminator="\n")
    begun = False

    def work(source: str) -> None:
        nonlocal begun
        shared: dict[str, Any] = {"seed": seed, "threshold": threshold, "device": device}
        for target in outputs.values():
            files.check(target, force)
        with progress(source, as_json) as show:
            report: Any
            data = files.read(source)
            if archives.wanted((source,), None, data):
                if quality is not None or near is not None or samples or outputs or as_csv:
                    of_one = "-q, --near-lossless, --samples, --html, --heatmap and --csv"
                    raise click.UsageError(f"{of_one} are for single pictures")
                pictures, names = archives.read((source,), data)
                report = facade.rate_archive(pictures, model=model, names=names, progress=show, **shared)
            else:
                shared |= {"model": model or "photo", "quality": quality}
                report = facade.rate(data, near_lossless=near or 0, samples=samples, progress=show, **shared)
                if html is not None:
                    title = click.format_filename(source, shorten=True)
                    page = facade.rate_page(data, name=title, report=report, progress=show, **shared)
                    files.write(html, page.encode(), force)
                if heatmap is not None:
                    files.write(heatmap, _map(facade.bit_map(data, progress=show, **shared)), force)
        if as_json:
            click.echo(json.dumps({"input": source, **report.to_dict()}))
        elif as_csv:
            figures = {name: value for name, value in report.to_dict().items() if not isinstance(value, tuple | dict)}
            rows.writerows([] if begun else [["input", *figures]])
            rows.writerow([click.format_filename(source), *figures.values()])
            begun = True
        elif files.STREAM not in outputs.values():
            click.echo(f"{click.format_filename(source)}\n{report.table()}")

    files.each(images, work)


def _map(bits: Any) -> bytes:
    """The PNG of a map of bits."""
    from vlcodec.codec.image import png_bytes  # late: loads Pillow and numpy

    return png_bytes(facade.heat_map(bits))
