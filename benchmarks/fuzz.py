"""The readers of files under Atheris, whose mutations follow what code they reach.

    pip install atheris
    python benchmarks/fuzz.py [CORPUS] [-max_total_time=600] [other options of libFuzzer]

Each input is read as it is, and once more with every checksum taken for right; anything but FormatError is a crash, and
libFuzzer keeps its input. CORPUS, a folder, begins with sound files of every kind.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

LIMITS = ("-timeout=2", "-rss_limit_mb=1024", "-max_len=4096")  # seconds, MiB, bytes


def main(arguments: list[str]) -> None:
    """Hand over to libFuzzer, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["vlcodec.codec.files"]):
        mutations = importlib.import_module("mutations")

    def target(data: bytes) -> None:
        list(mutations.read_all(data))
        with mutations.trusting():
            list(mutations.read_all(data))

    for folder in [Path(name) for name in arguments if not name.startswith("-")][:1]:
        folder.mkdir(exist_ok=True)
        for number, data in enumerate(mutations.seeds()):
            (folder / f"seed-{number}").write_bytes(data)
    atheris.Setup([sys.argv[0], *LIMITS, *arguments], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
