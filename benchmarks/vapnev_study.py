"""Does it help couplings to see z? VAPNEV's flow with and without the shortcut of eq. 16, small.

    python benchmarks/vapnev_study.py DATA --steps 1500

DATA is the folder of cifar10.npz. Three nets are trained from scratch for as many steps with the gaussian posterior
alone: couplings that see z (eq. 16); a flow that is blind to z (the variant of section 3.1), with the same layers but
for those from z; and a blind flow whose blocks are widened until it has as many weights. All see z in y's mean and
width. The nets are small, so that two cores train them. Measured on the first pictures held out of training, one sample
of z and of cells each, in integers. A variant that is done is kept in the JSON file, and a run that was stopped goes on
from there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from common import Row, keep, parser, say, show

from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.vapnev.data import load
from vlcodec.models.vapnev.net import Vapnev, VapnevShape
from vlcodec.models.vapnev.training import SHAPE, train
from vlcodec.models.vapnev.training import measure as figures_of

MODEL = "vapnev-cifar10"
SMALL = replace(SHAPE, latents=64, features=64, width=8, flow_widths=(16, 24))
BLIND = replace(SMALL, conditional=False)
VARIANTS = {
    "couplings see z": SMALL,
    "blind": BLIND,
    "blind, as many weights": replace(BLIND, flow_widths=(20, 30)),
}
FIGURES = {"bpd": "-ELBO", "kl": "KL", "determinants": "log-determinants"}


def weights_of(shape: VapnevShape) -> int:
    """How many a net with the gaussian posterior has."""
    return sum(p.numel() for p in Vapnev(shape, ("gaussian",)).parameters())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, keep, show."""
    options = parser(__doc__, "vapnev_study")
    options.add_argument("data", type=Path)
    options.add_argument("--steps", type=int, default=1500)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--pictures", type=int, default=500, help="held out ones that are measured")
    chosen = options.parse_args(arguments)

    about: Row = {"steps": chosen.steps, "batch": chosen.batch, "pictures": chosen.pictures}
    found = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    rows: dict[str, Row] = found["variants"] if found and all(found.get(k) == v for k, v in about.items()) else {}
    for name, shape in VARIANTS.items():
        if name in rows:
            continue
        start = time.monotonic()
        with TemporaryDirectory() as folder:
            net = train(
                chosen.data, Path(folder), steps=chosen.steps, batch=chosen.batch, shape=shape, kinds=("gaussian",)
            )
        figures = figures_of(frozen_copy(net), load(chosen.data)[1][: chosen.pictures], "gaussian", torch.device("cpu"))
        rows[name] = figures | {"weights": weights_of(shape), "minutes": (time.monotonic() - start) / 60}
        say(f"{name}: {rows[name]}")
        keep(chosen.out, about | {"variants": rows}, MODEL)
    show(
        ["the flow", "weights", *(f"{name}, bits/dim" for name in FIGURES.values()), "minutes"],
        [
            [name, f"{row['weights']:,}", *(f"{row[key]:.4f}" for key in FIGURES), f"{row['minutes']:.1f}"]
            for name, row in rows.items()
        ],
    )


if __name__ == "__main__":
    main()
