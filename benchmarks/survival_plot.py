"""Agreement over bits, of what benchmarks/survival.py keeps: docs/survival.png (`pip install 'vlcodec[plots]'`).

    python benchmarks/survival_plot.py
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from common import RESULTS, Row

SETS = {
    "digits (vlae-mnist)": ("vlae-mnist",),
    "shapes (vlae-caltech101)": ("vlae-caltech101",),
    "letters (vlae-omniglot)": ("vlae-omniglot",),
    "CIFAR-10 (agave-cifar10)": ("agave-cifar10",),
    "CIFAR-10 (VLAEs, by window)": tuple(f"vlae-cifar10{window}" for window in ("", "-small", "-coarse", "-grey")),
}
KINDS = "mean image", "sample", "principal components", "JPEG", "WebP"
Point = tuple[float, float]  # bits a picture, agreement in %


def series(tables: Sequence[Row]) -> dict[str, list[Point]]:
    """The points of each kind, from few bits to many."""
    found = defaultdict[str, set[Point]](set)
    for row in (row for table in tables for row in table["rows"]):
        kind = next((kind for kind in KINDS if kind in row["name"]), "")
        if kind and not row["name"].startswith("--size"):
            found[kind].add((row["bits"], 100 * row["agreement"]))
    return {kind: sorted(found[kind]) for kind in KINDS}


def main() -> None:
    """Draw what there is."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 3.6), layout="constrained")
    for axes, (name, models) in zip(figure.subplots(1, len(SETS), sharey=True), SETS.items(), strict=True):
        paths = [RESULTS / f"survival_{model}.json" for model in models]
        for kind, points in series([json.loads(path.read_text()) for path in paths if path.exists()]).items():
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=kind)
        axes.set_xscale("log")
        axes.set_title(name)
        axes.set_xlabel("bits a picture")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("agreement, %")
    figure.axes[0].legend()
    figure.savefig(Path(__file__).parents[1] / "docs" / "survival.png", dpi=100)


if __name__ == "__main__":
    main()
