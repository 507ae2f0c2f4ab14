"""How soon the command answers when there is nothing to compute.

    python benchmarks/start.py FILE.vlz

Medians of ten runs, each a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from common import keep, parser, seconds, show


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "start")
    options.add_argument("file", type=Path, metavar="FILE.vlz")
    chosen = options.parse_args(arguments)

    def answer(*command: str) -> None:
        subprocess.run([sys.executable, "-m", "vlcodec", *command], check=True, capture_output=True)

    times = {
        "vlcodec --help": seconds(lambda: answer("--help"), runs=10),
        "vlcodec info FILE": seconds(lambda: answer("info", str(chosen.file)), runs=10),
    }
    keep(chosen.out, {"seconds": times})
    show(["", "seconds"], [[name, f"{time:.3f}"] for name, time in times.items()])


if __name__ == "__main__":
    main()
