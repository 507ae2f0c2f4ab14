"""`vlcodec models`: the models at hand."""

import json

import click

from vlcodec import facade
from vlcodec.cli import options


@click.command(short_help="The models at hand.")
@options.weights
@options.json
def models(as_json: bool) -> None:
    """List the models at hand: name, number in a file, size and digest of the weights, rates."""
    rows = facade.models()
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    click.echo(f"{'name':<20}{'number':>12}{'bytes':>12}  {'digest':<8}{'-q':<12}description")
    for row in rows:
        rates = ",".join(map(str, row["qualities"]))
        weights = f"{row['bytes']:>12,}  {row['digest']:<8}"
        click.echo(f"{row['name']:<20}{row['number']:>12}{weights}{rates:<12}{row['description']}")
