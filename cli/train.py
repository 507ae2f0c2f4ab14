"""`vlcodec train`: weights from pictures."""

from pathlib import Path

import click

from vlcodec.cli import options
from vlcodec.cli.progress import progress

FOLDER = click.Path(exists=True, path_type=Path)
WEIGHTS = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="Weights from pictures.")
@click.argument("model")
@click.argument("data", nargs=-1, required=True, type=FOLDER, metavar="DATA...")
@click.option("-o", "out", required=True, type=click.Path(path_type=Path), help="Folder for what is made.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after this time.")
@click.option("--steps", type=click.IntRange(min=1), default=100_000, show_default=True)
@click.option("--init", type=WEIGHTS, help="Start from exported weights.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in OUT, exactly.")
@options.seed
@options.device
@click.option("--batch", type=click.IntRange(min=1), default=12, show_default=True, help="Patches a step.")
@click.option("--patch", type=click.IntRange(min=16), default=64, show_default=True, help="Side of a patch, in pixels.")
@options.quiet
def train(
    model: str,
    data: tuple[Path, ...],
    out: Path,
    minutes: float | None,
    steps: int,
    init: Path | None,
    resume: bool,
    seed: int,
    device: str,
    batch: int,
    patch: int,
    quiet: bool,
) -> None:
    """Train MODEL on the pictures in the folders DATA."""
    from vlcodec.models import train as training  # late: loads torch

    with progress(model, quiet) as show:
        training.train(
            model,
            list(data),
            out,
            minutes=minutes,
            steps=steps,
            init=init,
            resume=resume,
            seed=seed,
            device=device,
            batch=batch,
            patch=patch,
            progress=show,
        )
