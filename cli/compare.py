"""`vlcodec compare`: how alike two pictures are."""

import json
import sys

import click

from vlcodec import facade
from vlcodec.cli import files, options
from vlcodec.cli.progress import progress
from vlcodec.codec.errors import VlcodecError


@click.command(short_help="How alike two pictures are.")
@click.argument("first", type=options.path, metavar="A")
@click.argument("second", type=options.path, metavar="B")
@options.device
@options.weights
@options.json
def compare(first: str, second: str, device: str, as_json: bool) -> None:
    """Compare the pictures A and B, of which either may be a .vlz file: identical or not, PSNR, MS-SSIM, bytes.

    It is about pixels: RGB, or RGBA where either has alpha. Modes and metadata are not compared.
    The exit code is 0 for identical pictures and 1 for others, as that of cmp.
    """
    read, wholes = [files.read(first), files.read(second)], []
    for name, data in zip((first, second), read, strict=True):
        with progress(name, as_json) as show:
            try:
                wholes.append(facade.picture_of(data, device=device, progress=show))
            except VlcodecError as error:
                raise VlcodecError(f"{click.format_filename(name)}: {error}") from error
    found = facade.compare(*wholes)
    if as_json:
        click.echo(json.dumps({"a": first, "b": second, "bytes": list(map(len, read)), **found.to_dict()}))
    else:
        for name, data in zip((first, second), read, strict=True):
            bpp = 8 * len(data) / (found.width * found.height)
            click.echo(f"{click.format_filename(name)}  {len(data):,} bytes, {bpp:.3f} bits/pixel")
        click.echo(found.table())
    if not found.identical:
        sys.exit(1)
