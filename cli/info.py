"""`vlcodec info`: what a .vlz file says of itself."""

import json

import click

from vlcodec import facade
from vlcodec.cli import archives, files, options


@click.command(short_help="What a .vlz file says of itself.")
@click.argument("sources", nargs=-1, required=True, type=options.path, metavar="F.vlz...")
@options.weights
@options.json
def info(sources: tuple[str, ...], as_json: bool) -> None:
    """Read the header of each F.vlz; no model is loaded and nothing is decoded."""

    def work(source: str) -> None:
        header = facade.info(files.read_vlz(source))
        if as_json:
            click.echo(json.dumps({"input": source, **header}))
            return
        click.echo(click.format_filename(source))
        if "pictures" in header:
            archives.show_info(header)
            return
        parts, expected = header.pop("bytes"), header.pop("expected", None)
        for name, value in header.items():
            click.echo(f"  {name:<12} {value}")
        if expected:
            click.echo(f"  {'expected':<12} {facade.takes(**expected)} to decompress")
        for name, count in parts.items():
            click.echo(f"  {name + ' bytes':<12} {count:,}")

    files.each(sources, work)
