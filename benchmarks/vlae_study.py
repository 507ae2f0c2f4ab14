"""The VLAE paper's comparisons, small: flow prior, PixelCNN and its window, IAF posteriors, each trained the same.

    python benchmarks/vlae_study.py variants DATA --steps 800
    python benchmarks/vlae_study.py flows DATA --steps 800
    python benchmarks/vlae_study.py unconditional DATA --steps 800

DATA is the folder of the binary sets. `variants` are of statically binarised MNIST; `flows` holds an autoregressive
flow in the prior against the same flow in the posterior (section 3.2), by three seeds; `unconditional` is the PixelCNN
alone, on all four sets. Every run is from scratch for the same number of steps (batches of 100, Adamax, Polyak
averaging), then measured on test pictures taken with a stride: -ELBO, one sample of z each, and importance-sampled; KL
in bits, which is what a lossy code takes. A run that is done is kept in the JSON file, with what it regenerates of some
pictures (`samples/figures.py` draws them), and a study that was stopped goes on from there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from common import RESULTS, Row, keep, parser, say, show, strided

from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.interface import Bytes, Ints
from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.vlae.blocks import BinaryPixelBlock
from vlcodec.models.vlae.data import SOURCES, load_binary
from vlcodec.models.vlae.net import Vlae, VlaeShape
from vlcodec.models.vlae.training import SHAPE, train
from vlcodec.models.weights.integers import freeze_from, integer_tensors

MODEL = "vlae-mnist"
SEEDS = range(3)  # of the flows


@dataclass(frozen=True)
class Run:
    """What is trained, on which set."""

    shape: VlaeShape
    model: str = MODEL
    seed: int = 0


ALONE = replace(SHAPE, posterior="none")
IAF = replace(SHAPE, flow_in="posterior")
STUDIES: dict[str, dict[str, Run]] = {
    "variants": {
        "VLAE": Run(SHAPE),
        "plain gaussian prior": Run(replace(SHAPE, flow_steps=0)),
        "uniform posterior": Run(replace(SHAPE, posterior="uniform")),
        "window of 3 layers": Run(replace(SHAPE, window=3)),
        "factorised decoder": Run(replace(SHAPE, window=0)),
        "downsampled context": Run(replace(SHAPE, dilation=4)),
        "tied weights": Run(replace(SHAPE, tied=True)),
        "unconditional PixelCNN": Run(ALONE),
    },
    "flows": {
        f"{name}, seed {seed}": Run(shape, seed=seed)
        for seed in SEEDS
        for name, shape in (("AF prior", SHAPE), ("IAF posterior", IAF))
    },
    "unconditional": {name: Run(ALONE, name) for name in SOURCES},
}
MEASURED, SAMPLES = 500, 64
FIGURES = ("elbo_nats", "likelihood_nats", "kl_bits", "pixels_nats")
SHOWN = 20  # pictures that are regenerated


def measured(net: Vlae, test: Bytes) -> Row:
    """Nats and bits of test pictures; of a uniform posterior frozen, as its prior is fitted to rounded latents."""
    net.requires_grad_(False)
    torch.manual_seed(0)
    if net.shape.posterior == "uniform":
        freeze_from(net, integer_tensors(net))
        with exact_inference():
            return figures(net, test)
    return figures(net, test)


def figures(net: Vlae, test: Bytes) -> Row:
    """See measured."""
    x = torch.from_numpy(test)[..., None].float()
    parts = [net.losses(x[i : i + 100]) for i in range(0, len(x), 100)]
    kl, pixels = (float(torch.cat([p[k] for p in parts]).mean()) for k in ("kl", "pixels"))
    row: Row = {"elbo_nats": kl + pixels, "kl_bits": kl / math.log(2), "pixels_nats": pixels}
    if net.shape.posterior == "none":
        return row | {"likelihood_nats": pixels}
    nats = torch.cat([net.sampled_nats(x[i : i + 4], SAMPLES) for i in range(0, len(x), 4)]).double()
    return row | {"likelihood_nats": float((math.log(SAMPLES) - torch.logsumexp(-nats, 1)).mean())}


def regenerated(net: Vlae, pictures: Bytes) -> Ints:
    """(N, 28, 28) bits drawn from p(x | z), z from q(z | x); of an unconditional net, from p(x)."""
    freeze_from(net, integer_tensors(net))
    torch.manual_seed(0)
    x = torch.from_numpy(pictures)[..., None].float()
    with exact_inference():
        if net.shape.posterior == "none":
            features = torch.zeros(len(x), 28, 28, 0)
        else:
            z, _ = net.draw(net.encoder(FINE_UNIT * (2 * x - 1)))
            features = net.decoder(z.round())
    block = BinaryPixelBlock(net, features)
    return block.pop(Noise(0, PIXEL_PURPOSE, 0, math.prod(block.shape)))[:, :, 0].transpose(2, 0, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, keep, show."""
    options = parser(__doc__, "vlae_STUDY")
    options.set_defaults(out=None)
    options.add_argument("study", choices=list(STUDIES))
    options.add_argument("data", type=Path)
    options.add_argument("--steps", type=int, default=1500)
    chosen = options.parse_args(arguments)

    out: Path = chosen.out or RESULTS / f"vlae_{chosen.study}.json"
    rows: dict[str, Row] = {}
    if out.exists():
        found = json.loads(out.read_text())
        rows = found["variants"] if found.get("steps") == chosen.steps else {}
    for name, run in STUDIES[chosen.study].items():
        if name in rows:
            continue
        test = load_binary(run.model, chosen.data).test
        some, shown = strided(test, MEASURED), test[len(test) // SHOWN // 2 :: len(test) // SHOWN][:SHOWN]
        with TemporaryDirectory() as folder:
            net = train(run.model, chosen.data, Path(folder), steps=chosen.steps, shape=run.shape, seed=run.seed)
        rows[name] = measured(net, some)
        if run.shape.flow_in == "prior":
            rows[name]["regenerated"] = packed(regenerated(net, shown))
        say(f"{name}: {rows[name]['elbo_nats']:.2f} nats, KL {rows[name]['kl_bits']:.1f} bits")
        about: Row = {"set": run.model, "steps": chosen.steps, "pictures": len(some), "originals": packed(shown)}
        keep(out, about | {"variants": rows}, MODEL)
    show(
        ["", "-ELBO, nats", f"-ln p, {SAMPLES} samples", "KL, bits", "pixels given latents, nats"],
        [[name, *(f"{row[key]:.2f}" for key in FIGURES)] for name, row in [*rows.items(), *over_seeds(rows)]],
    )


def over_seeds(rows: dict[str, Row]) -> list[tuple[str, Row]]:
    """Mean and standard deviation of what was run with several seeds."""
    made = list[tuple[str, Row]]()
    for kind in dict.fromkeys(name.rpartition(", seed ")[0] for name in rows if ", seed " in name):
        part = np.array([[row[k] for k in FIGURES] for name, row in rows.items() if name.startswith(f"{kind}, seed ")])
        for what, values in (("mean", part.mean(0)), ("standard deviation", part.std(0, ddof=min(1, len(part) - 1)))):
            made.append((f"{kind}, {what}", dict(zip(FIGURES, values.tolist(), strict=True))))
    return made


def packed(bits: Ints | Bytes) -> str:
    """(N, 28, 28) bits, in hexadecimal."""
    return np.packbits(bits.astype(np.uint8)).tobytes().hex()


if __name__ == "__main__":
    main()
