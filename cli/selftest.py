"""`vlcodec selftest`: does this machine give the bits that every other machine gives?"""

import json
import sys

import click

from vlcodec import facade
from vlcodec.cli import options


@click.command(short_help="Does this machine give the right bits?")
@click.option("--model", default="photo", show_default=True, metavar="NAME", help="See `vlcodec models`.")
@options.device
@options.weights
@options.json
def selftest(model: str, device: str, as_json: bool) -> None:
    """Run the model on its golden vector, bit for bit; exit 1 if a check fails."""
    checks = facade.selftest(model=model, device=device)
    for check in checks:
        verdict = "ok    " if check["ok"] else "FAILED"
        click.echo(json.dumps(check) if as_json else f"{verdict}  {check['check']}: {check['detail']}")
    if not all(check["ok"] for check in checks):
        sys.exit(1)
