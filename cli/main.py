"""The entry point."""

import sys


def main() -> None:
    """Runs the command line and exits; Ctrl-C while it loads is as quiet as later."""
    try:
        from vlcodec.cli.group import run  # late: loading it is most of what a short command does
    except KeyboardInterrupt:
        sys.exit(130)
    run()
