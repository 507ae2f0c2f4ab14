"""`vlcodec compare`: how alike two pictures are."""

import json
import sys

import click

from vlcodec import facade
from vlcodec.cli import files, options
from vlcodec.cli.progress import progress


@click.command(short_help="How alike two pictures are.")
@click.argument("first", type=options.path, metavar="A")
@click.argument("second", type=options.path, metavar="B")
@options.device
@options.weights
@options.json
def compare(first: str, second: str, device: str, as_json: bool) -> None:
    """Compare the pictures A and B, of which either may be a .vlz file: identical or not, PSNR, MS-SSIM, bytes.

    The exit code is 0 for identical pictures and 1 for others, as that of cmp.
    """
    a, b = files.read(first), files.read(second)
    with progress(second, as_json) as show:
        found = facade.compare(a, b, device=device, progress=show)
    sizes = {first: len(a), second: len(b)}
    if as_json:
        click.echo(json.dumps({"a": first, "b": second, "bytes": [len(a), len(b)], **found.to_dict()}))
    else:
        for name, size in sizes.items():
            bpp = 8 * size / (found.width * found.height)
            click.echo(f"{click.format_filename(name)}  {size:,} bytes, {bpp:.3f} bits/pixel")
        click.echo(found.table())
    if not found.identical:
        sys.exit(1)
