"""The AGAVE paper's studies, small: lambda, the auxiliary picture's colour levels and resolution, the PixelCNN's size.

    python benchmarks/agave_study.py kl_weight DATA --init models/weights/agave-cifar10-6.safetensors --steps 500
    python benchmarks/agave_study.py levels DATA --init ...
    python benchmarks/agave_study.py resolution DATA --init ...
    python benchmarks/agave_study.py size DATA --steps 500

DATA is the folder of cifar10.npz. Every variant is trained for the same number of steps with the gaussian posterior
alone, all from the same exported weights, or from scratch without --init; then measured on the 1,000 pictures held out
of training, one sample of z each. A variant that is done is kept in the JSON file, and a run that was stopped goes on
from there. Plots go to docs/ where matplotlib is installed (`pip install 'vlcodec[plots]'`); --plot draws them from the
JSON file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from common import RESULTS, Row, keep, parser, say, show

from vlcodec.models import zoo
from vlcodec.models.agave.data import load_cifar10
from vlcodec.models.agave.net import LadderShape
from vlcodec.models.agave.training import LONG, SHAPE, train
from vlcodec.models.agave.training import measure as figures_of

MODEL = "agave-cifar10"
DOCS = Path(__file__).parents[1] / "docs"
LOCAL = SHAPE
STUDIES: dict[str, dict[str, LadderShape]] = {
    "kl_weight": {f"{weight}": replace(LOCAL, kl_weight=float(weight)) for weight in (1, 2, 4, 8, 12)},
    "levels": {f"{levels}": replace(LOCAL, aux_levels=levels) for levels in (256, 64, 32, 16, 8)},
    "resolution": {f"{32 // stride} x {32 // stride}": replace(LOCAL, aux_stride=stride) for stride in (1, 2, 4)},
    "size": {"local": LOCAL, "long reach, gated": LONG},
}
AXES = {
    "kl_weight": "lambda",
    "levels": "colour levels b of the auxiliary picture",
    "resolution": "auxiliary picture",
    "size": "PixelCNN",
}
FIGURES = {
    "kl": "KL",
    "auxiliary": "VAE reconstruction",
    "pixels": "PixelCNN reconstruction",
    "bpd": "KL + PixelCNN",
    "psnr": "mean image, dB",
}


def plot(study: str, rows: dict[str, Row], path: Path) -> None:
    """Figures 4 and 5b of the paper: the terms over what is varied."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    places = list(range(len(rows)))
    for axes, terms in zip(figure.subplots(1, 2), (("kl", "auxiliary"), ("pixels", "bpd")), strict=True):
        for term in terms:
            axes.plot(places, [row[term] for row in rows.values()], marker="o", label=FIGURES[term])
        axes.set_xticks(places, list(rows))
        axes.set_xlabel(AXES[study])
        axes.set_ylabel("bits/dim")
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, keep, show, draw."""
    options = parser(__doc__, "agave_STUDY")
    options.set_defaults(out=None)
    options.add_argument("study", choices=list(STUDIES))
    options.add_argument("data", type=Path, nargs="?")
    options.add_argument("--steps", type=int, default=500, help="of 32 pictures each")
    options.add_argument("--init", type=Path, help="exported weights to start from")
    options.add_argument("--plot", action="store_true", help="only draw what the JSON file holds")
    chosen = options.parse_args(arguments)

    out: Path = chosen.out or RESULTS / f"agave_{chosen.study}.json"
    found = json.loads(out.read_text()) if out.exists() else {}
    if not chosen.plot:
        found = measure(chosen.study, chosen.data, chosen.steps, chosen.init, found, out)
    rows = found["variants"]
    show(
        [AXES[chosen.study], *(f"{name}{'' if key == 'psnr' else ', bits/dim'}" for key, name in FIGURES.items())],
        [[name, *(f"{row[key]:.{2 if key == 'psnr' else 4}f}" for key in FIGURES)] for name, row in rows.items()],
    )
    try:
        plot(chosen.study, rows, (DOCS if chosen.out is None else out.parent) / f"{out.stem}.png")
    except ImportError:
        say("note: no matplotlib, so nothing is drawn")


def measure(study: str, data: Path, steps: int, init: Path | None, found: Row, out: Path) -> Row:
    """Train and measure the variants that the JSON file lacks."""
    about: Row = {"study": study, "steps": steps, "batch": 32, "from": init.name if init else "scratch"}
    rows: dict[str, Row] = found["variants"] if found and all(found.get(k) == v for k, v in about.items()) else {}
    weights, held_out = dict(zoo.real_weights(init).weights) if init else None, load_cifar10(data).valid
    for name, shape in STUDIES[study].items():
        if name in rows:
            continue
        start = time.monotonic()
        with TemporaryDirectory() as folder:
            joint = init is not None
            net = train(data, Path(folder), steps=steps, shape=shape, kinds=("gaussian",), related=weights, joint=joint)
        minutes = (time.monotonic() - start) / 60
        rows[name] = figures_of(net, held_out, "gaussian", torch.device("cpu")) | {"minutes": minutes}
        say(f"{name}: {rows[name]}")
        keep(out, about | {"variants": rows}, MODEL)
    return {"variants": rows}


if __name__ == "__main__":
    main()
