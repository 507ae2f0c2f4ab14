"""The AGAVE paper's studies, small: lambda, the auxiliary picture's colour levels and resolution, the PixelCNN's size.

    python benchmarks/agave_study.py kl_weight DATA --init models/weights/agave-cifar10-6.safetensors --steps 500
    python benchmarks/agave_study.py levels DATA --init ...
    python benchmarks/agave_study.py resolution DATA --init ... --seeds 3
    python benchmarks/agave_study.py mean DATA --init ... --seeds 3
    python benchmarks/agave_study.py size DATA --steps 500

DATA is the folder of cifar10.npz. Every variant is trained for the same number of steps with the gaussian posterior
alone, all from the same exported weights, or from scratch without --init; then measured on the 1,000 pictures held out
of training, one sample of z each. `mean` is `resolution` with f(z) the mean image alone, without features beside it.
A run that is done is kept in the JSON file, with some mean images and samples (`samples/figures.py` draws them), and a
study that was stopped goes on from there. Plots go to docs/ where matplotlib is installed (`pip install
'vlcodec[plots]'`); --plot draws them from the JSON file.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from itertools import product
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from common import RESULTS, Row, keep, parser, say, show, strided
from PIL import Image
from torch import Tensor

from vlcodec.codec.coding.latents import dither_of, primed
from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.interface import Bytes
from vlcodec.models import zoo
from vlcodec.models.agave.codec import Chained
from vlcodec.models.agave.data import load_cifar10
from vlcodec.models.agave.net import LadderAgave, LadderShape
from vlcodec.models.agave.training import LONG, SHAPE, train
from vlcodec.models.agave.training import measure as figures_of
from vlcodec.models.layers.causal_pixels import COLOURS
from vlcodec.models.weights.integers import freeze_from, integer_tensors

MODEL = "agave-cifar10"
DOCS = Path(__file__).parents[1] / "docs"
LOCAL = SHAPE
SHOWN = 8  # pictures
STUDIES: dict[str, dict[str, LadderShape]] = {
    "kl_weight": {f"{weight}": replace(LOCAL, kl_weight=float(weight)) for weight in (1, 2, 4, 8, 12)},
    "levels": {f"{levels}": replace(LOCAL, aux_levels=levels) for levels in (256, 64, 32, 16, 8)},
    "resolution": {f"{32 // stride} x {32 // stride}": replace(LOCAL, aux_stride=stride) for stride in (1, 2, 4)},
    "mean": {f"{32 // n} x {32 // n}": replace(LOCAL, aux_stride=n, features=0) for n in (1, 2, 4)},
    "size": {"local": LOCAL, "long reach, gated": LONG},
}
AXES = {
    "kl_weight": "lambda",
    "levels": "colour levels b of the auxiliary picture",
    "resolution": "auxiliary picture",
    "mean": "auxiliary picture, which is all of f(z)",
    "size": "PixelCNN",
}
SEED = ", seed "
FIGURES = {
    "kl": "KL",
    "auxiliary": "VAE reconstruction",
    "pixels": "PixelCNN reconstruction",
    "bpd": "KL + PixelCNN",
    "psnr": "mean image, dB",
}


def plot(study: str, rows: dict[str, Row], path: Path) -> None:
    """Figures 4 and 5b of the paper: the terms over what is varied, with the deviation over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    places = list(range(len(rows)))
    for axes, terms in zip(figure.subplots(1, 2), (("kl", "auxiliary"), ("pixels", "bpd")), strict=True):
        for term in terms:
            values, deviations = zip(*(row[term] for row in rows.values()), strict=True)
            axes.errorbar(places, values, deviations, marker="o", capsize=3, label=FIGURES[term])
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
    options.add_argument("--seeds", type=int, default=1, help="runs of each variant")
    options.add_argument("--plot", action="store_true", help="only draw what the JSON file holds")
    chosen = options.parse_args(arguments)

    out: Path = chosen.out or RESULTS / f"agave_{chosen.study}.json"
    found = json.loads(out.read_text()) if out.exists() else {}
    if not chosen.plot:
        found = measure(chosen.study, chosen.data, chosen.steps, chosen.init, chosen.seeds, found, out)
    rows = over_seeds(found["variants"])
    show(
        [AXES[chosen.study], *(f"{name}{'' if key == 'psnr' else ', bits/dim'}" for key, name in FIGURES.items())],
        [[name, *(told(row[key], 2 if key == "psnr" else 4) for key in FIGURES)] for name, row in rows.items()],
    )
    try:
        plot(chosen.study, rows, (DOCS if chosen.out is None else out.parent) / f"{out.stem}.png")
    except ImportError:
        say("note: no matplotlib, so nothing is drawn")


def over_seeds(rows: dict[str, Row]) -> dict[str, Row]:
    """For each variant and figure the mean over its seeds, and the standard deviation."""
    found: dict[str, Row] = {}
    for name in dict.fromkeys(key.partition(SEED)[0] for key in rows):
        runs = [row for key, row in rows.items() if key.partition(SEED)[0] == name]
        values = {key: np.array([row[key] for row in runs]) for key in FIGURES}
        found[name] = {key: (float(v.mean()), float(v.std(ddof=1)) if len(v) > 1 else 0.0) for key, v in values.items()}
    return found


def told(value: tuple[float, float], digits: int) -> str:
    """A mean, and its deviation where there is one."""
    mean, deviation = value
    return f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if deviation else "")


def measure(study: str, data: Path, steps: int, init: Path | None, seeds: int, found: Row, out: Path) -> Row:
    """Train and measure what the JSON file lacks."""
    about: Row = {"study": study, "steps": steps, "batch": 32, "from": init.name if init else "scratch"}
    rows: dict[str, Row] = found["variants"] if found and all(found.get(k) == v for k, v in about.items()) else {}
    weights, held_out = dict(zoo.real_weights(init).weights) if init else None, load_cifar10(data).valid
    shown = strided(held_out, SHOWN)
    for seed, (variant, shape) in product(range(seeds), STUDIES[study].items()):
        name = variant + (f"{SEED}{seed}" if seed else "")
        if name in rows:
            continue
        start = time.monotonic()
        related = weights if weights is None or shape.features else without_features(weights, LOCAL.features)
        with TemporaryDirectory() as folder:
            net = train(
                data,
                Path(folder),
                steps=steps,
                shape=shape,
                kinds=("gaussian",),
                related=related,
                joint=init is not None,
                seed=seed,
            )
        minutes = (time.monotonic() - start) / 60
        rows[name] = figures_of(net, held_out, "gaussian", torch.device("cpu")) | {"minutes": minutes}
        say(f"{name}: {rows[name]}")
        if not seed:
            rows[name]["pictures"] = packed(regenerated(net, shown))
        keep(out, about | {"originals": packed(shown), "variants": rows}, MODEL)
    return {"variants": rows}


def without_features(weights: dict[str, Tensor], features: int) -> dict[str, Tensor]:
    """Weights of a net whose f(z) is the mean image: the features, and what looks at them, cut out."""
    kept, told_of = dict(weights), COLOURS + features
    for name in ("leave.weight", "leave.bias"):  # of each of four pixels: mean image, features
        kept[name] = weights[name].unflatten(0, (4, told_of))[:, :COLOURS].flatten(0, 1)
    stream = weights["pixels.stream.0.weight"]
    kept["pixels.stream.0.weight"] = stream.unflatten(1, (-1, told_of))[..., :COLOURS].flatten(1)
    first = weights["pixels.net.first.weight"]  # taps of what is past; mean image, features, distance to the mean
    end = first.shape[1] - COLOURS
    kept["pixels.net.first.weight"] = torch.cat((first[:, : end - features], first[:, end:]), 1)
    return kept


def regenerated(net: LadderAgave, pictures: Bytes) -> Bytes:
    """(2 N, 32, 32, 3): mean images, then samples, of z ~ q(z | x), by the integer model."""
    freeze_from(net.requires_grad_(False), integer_tensors(net))
    chained = Chained(net, torch.device("cpu"))
    u = dither_of(chained, 0, 0, *pictures.shape[:3])
    fz = chained.features(chained.posterior(pictures, u).pop(primed(len(pictures), 0)), u)
    block = chained.pixels(fz, range(32), 32, 3)
    drawn = chained.to_pictures(block.pop(Noise(0, PIXEL_PURPOSE, 0, prod(block.shape))))
    return np.concatenate((chained.mean_images(fz, 32, 32), drawn))


def packed(pictures: Bytes) -> str:
    """(N, 32, 32, 3) as one PNG, one below the other, in base64."""
    stream = BytesIO()
    Image.fromarray(pictures.reshape(-1, *pictures.shape[2:])).save(stream, "PNG", optimize=True)
    return b64encode(stream.getvalue()).decode()


if __name__ == "__main__":
    main()
