"""`vlcodec train`: weights from pictures."""

from pathlib import Path
from typing import TextIO

import click

from vlcodec import facade
from vlcodec.cli import options
from vlcodec.cli.progress import progress

FOLDER = click.Path(exists=True, path_type=Path)
WEIGHTS = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="Weights from pictures.")
@click.argument("model")
@click.argument("data", nargs=-1, required=True, type=FOLDER, metavar="DATA...")
@click.option("-o", "out", required=True, type=click.Path(path_type=Path), help="Folder for what is made.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after this time.")
@click.option("--steps", type=click.IntRange(min=4), help="[default: as many as --minutes allow, or 100,000]")
@click.option("--init", type=WEIGHTS, help="Start from exported weights.")
@click.option("--number", type=click.IntRange(0, 2**32 - 1), help="Of the weights: 65536 to 131071 in the making.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in OUT, exactly.")
@options.seed
@options.device
@click.option("--batch", type=click.IntRange(min=1), help="Pictures a step.  [default: 10 to 128, by model]")
@click.option("--patch", type=click.IntRange(min=16), default=96, show_default=True, help="Side of a patch, in pixels.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Peak learning rate.")
@click.option(
    "--part",
    help="Of photo: autoencoder, pixels, factors, residual, restoration, texture; vlae: gaussian, uniform, -2, -3; "
    "agave: pixels; dvaepp: uniform.",
)
@click.option("--exclude", type=click.File(), help="A list of names, one a line, to leave out of training and measure.")
@options.quiet
def train(
    model: str,
    data: tuple[Path, ...],
    out: Path,
    minutes: float | None,
    steps: int | None,
    init: Path | None,
    number: int | None,
    resume: bool,
    seed: int,
    device: str,
    batch: int | None,
    patch: int,
    rate: float | None,
    part: str | None,
    exclude: TextIO | None,
    quiet: bool,
) -> None:
    """Train MODEL on the pictures in the folders DATA; but for photo, on its set in the one folder of sets. Its part
    texture takes an ONNX file of LPIPS beside them."""
    with progress(model, quiet) as show:
        path = facade.train(
            model,
            data,
            out,
            exclude=[line.strip() for line in exclude if line.strip()] if exclude else (),
            steps=steps,
            minutes=minutes,
            init=init,
            number=number,
            resume=resume,
            seed=seed,
            device=device,
            batch=batch,
            patch=patch,
            rate=rate,
            part=part,
            progress=show,
        )
    if not quiet and path.is_file():  # of several processes one has made it
        click.echo(f"{click.format_filename(path)}  {path.stat().st_size:,} bytes")
