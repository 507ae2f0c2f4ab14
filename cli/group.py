"""The group of commands, and what runs it.

Exit codes: 0 all done, 1 a file failed (the others are done), 2 wrong usage, 130 interrupted.
Nothing imported here may load torch, numpy, Pillow or constriction: `--help` and `info` answer at once.
"""

import gc
import os
import sys
import warnings

import click

import vlcodec
from vlcodec.cli.batch import batch
from vlcodec.cli.compare import compare
from vlcodec.cli.compress import compress
from vlcodec.cli.decompress import decompress
from vlcodec.cli.info import info
from vlcodec.cli.models import models
from vlcodec.cli.rate import rate
from vlcodec.cli.selftest import selftest
from vlcodec.cli.train import train
from vlcodec.codec.errors import VlcodecError


@click.group(short_help="A learned image codec.", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(vlcodec.__version__, prog_name="vlcodec")
def commands() -> None:
    """A learned image codec: lossy, lossless, and a ledger of what each bit buys.

    \b
    vlcodec compress photo.png         writes photo.vlz
    vlcodec decompress photo.vlz       writes photo.vlz.png
    """


for command in (compress, decompress, rate, compare, batch, info, models, selftest, train):
    commands.add_command(command)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"vlcodec: warning: {message}", err=True)


def run() -> None:
    """Runs the command line and exits."""
    code = 1
    warnings.showwarning = _warn
    gc.set_threshold(100_000)  # what torch's import makes stays: looking at it again and again takes 0.2 s
    try:
        # Not standalone: click would answer Ctrl-C with exit code 1.
        code = commands.main(prog_name="vlcodec", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130
    except (VlcodecError, OSError) as error:
        click.echo(f"vlcodec: {error}", err=True)
    try:
        sys.stdout.flush()
    except OSError:  # a full disk was reported above, a closed pipe needs no word: Python must not report it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or 1
    sys.exit(code)
