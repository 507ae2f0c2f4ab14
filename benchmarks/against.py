"""The same figures for this checkout and for another revision, side by side (`speed.py --against REVISION`).

Both work in turn, round by round, each in a warm process of its own, so that whatever else the machine does meets both
alike. The other revision is a temporary git worktree, and each side is put on PYTHONPATH by links, so that neither is
installed. What both make is compared too: a faster encoder may make other files.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import Row, keep, say, show, strided, test_set
from worker import ARCHIVES, PICTURES

HERE = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("worker.py")
ARCHIVE = "archive"  # the row of an archive, beside those of pictures


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A temporary checkout of a revision."""
    git = ["git", "-C", str(HERE), "worktree"]
    with TemporaryDirectory() as folder:
        place = Path(folder) / "checkout"
        subprocess.run([*git, "add", "--quiet", "--detach", place, revision], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", place], check=True)


@contextmanager
def on_path(checkout: Path) -> Iterator[Path]:
    """A folder for PYTHONPATH in which `vlcodec` is a checkout's, by links."""
    with TemporaryDirectory() as folder:
        package = Path(folder) / "vlcodec"
        package.mkdir()
        folders = [checkout / name for name in ("codec", "models", "cli")]
        for source in (*(checkout / "codec" / "_root").iterdir(), *folders):
            (package / source.name).symlink_to(source)
        yield Path(folder)


class Side:
    """A warm process of one revision."""

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        environment = dict(os.environ) | {"PYTHONPATH": str(folder)}
        command = [sys.executable, str(WORKER), *arguments]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        found = self._answer()["vlcodec"]
        if not found.startswith(str(folder)):
            raise SystemExit(f"a side must work with {folder}, not with {found}")

    def _answer(self) -> Row:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a side ended with code {self._process.wait()}")
        answer: Row = json.loads(line)
        return answer

    def call(self, name: str, number: int) -> Row:
        """Make a call, and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, number]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def compare(
    revision: str, pictures: Sequence[Path], rounds: int, threads: int, archive: Path | None, digits: int
) -> dict[str, dict[str, Row]]:
    """By picture, and for an archive of so many digits, and by call: what `summary` says of both sides."""
    with ExitStack() as stack:
        npy = Path(stack.enter_context(TemporaryDirectory())) / "digits.npy"
        calls = [(path.name, name, number) for number, path in enumerate(pictures) for name in PICTURES]
        if archive is not None:
            np.save(npy, strided(test_set("vlae-mnist", archive), digits))
            calls += [(ARCHIVE, name, 0) for name in ARCHIVES]
        arguments = [str(threads), str(npy), *map(str, pictures)]
        checkouts = {"before": stack.enter_context(worktree(revision)), "now": HERE}
        sides = {
            name: stack.enter_context(Side(stack.enter_context(on_path(checkout)), arguments))
            for name, checkout in checkouts.items()
        }
        answers: dict[tuple[str, str], dict[str, list[Row]]] = {}
        for _ in range(rounds):
            for subject, name, number in calls:
                for side, process in sides.items():
                    row = answers.setdefault((subject, name), {side: [] for side in sides})
                    row[side].append(process.call(name, number))
                say(f"{subject}  {name}  " + "  ".join(f"{row[side][-1]['seconds']:.3f} s" for side in sides))
    result: dict[str, dict[str, Row]] = {}
    for (subject, name), row in answers.items():
        result.setdefault(subject, {})[name] = summary(row)
    return result


def summary(answers: dict[str, list[Row]]) -> Row:
    """Median seconds of both sides, their ratio, whether both made the same, and each process's peak memory so far."""
    before, now = (statistics.median(answer["seconds"] for answer in answers[side]) for side in ("before", "now"))
    made = {answer["sha256"] for side in answers.values() for answer in side}
    peaks = {f"{side}_peak_mib": rows[-1]["peak_mib"] for side, rows in answers.items()}
    return {"before": before, "now": now, "ratio": now / before, "same": len(made) == 1, **peaks}


def report(revision: str, result: dict[str, dict[str, Row]], rounds: int, out: Path) -> None:
    """Keep and show what was compared."""
    keep(out, {"against": revision, "rounds": rounds, "results": result})
    cells = [
        [
            f"{subject}, {name}",
            *(f"{row[key]:.3f}" for key in ("before", "now", "ratio")),
            *(f"{row[f'{side}_peak_mib']:,.0f}" for side in ("before", "now")),
            "yes" if row["same"] else "no",
        ]
        for subject, rows in result.items()
        for name, row in rows.items()
    ]
    show(["", f"{revision}, s", "now, s", "ratio", "peak MiB before", "peak MiB now", "same result"], cells)
