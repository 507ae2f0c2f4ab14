"""The options that several commands share."""

import click

from vlcodec import facade

path = click.Path(allow_dash=True)  # which shells complete; whether it can be read shows when it is
model = click.option("--model", metavar="NAME", help="See `vlcodec models`.  [default: photo; of archives what fits]")
threshold = click.option(
    "--threshold",
    type=click.IntRange(0, 255),
    help="Grey from which on a pixel is white, if the model is of black and white.",
)
device = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
quality = click.option(
    "-q",
    "--quality",
    type=click.FloatRange(min=0),
    help="1 smallest to 9 best, with decimals; 0: 40 bytes. Of dvaepp 1 to 5 groups.",
)
effort = click.option("-e", "--effort", type=click.IntRange(1, 9), help="Time spent on a file.  [default: 1]")
near_lossless = click.option(
    "--near-lossless", "near", type=click.IntRange(1, 63), help="Every level within so many of the original."
)
seed = click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Of all noise.")
json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of text.")
quiet = click.option("--quiet", is_flag=True, help="No report and no progress bar; errors are still shown.")
max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=facade.MAX_PIXELS,
    show_default=True,
    help="A file that asks for more is refused.",
)


dry_run = click.option("--dry-run", is_flag=True, help="Say what each is expected to take, and do nothing.")


def _search_in(context: click.Context, option: click.Parameter, folders: tuple[str, ...]) -> None:
    for folder in folders:
        facade.search_weights_in(folder)


weights = click.option(
    "--weights",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    expose_value=False,
    callback=_search_in,
    help="A folder of weights, looked into before those of VLCODEC_WEIGHTS.",
)
jobs = click.option(
    "-j", "--jobs", type=click.IntRange(min=1), help="Pictures, or bands of one, at a time.  [default: all cores]"
)
recursive = click.option("-r", "--recursive", is_flag=True, help="Look into folders; OUT gets a tree like theirs.")
skip_existing = click.option("--skip-existing", is_flag=True, help="Leave out what is there already.")
strip = click.option("--strip", is_flag=True, help="Leave out EXIF, ICC profile, XMP, texts and resolution.")
force = click.option("--force", is_flag=True, help="Overwrite what exists.")
