"""The VLAE paper's ablations, small: what the flow prior, the PixelCNN and its window do, each trained the same.

    python benchmarks/vlae_study.py DATA --steps 1500

DATA is the folder of the binary sets; statically binarised MNIST. Every variant is trained from scratch for the same
number of steps (batches of 100, Adamax, Polyak averaging), then measured on test pictures taken with a stride: -ELBO,
one sample of z each, and importance-sampled; KL in bits, which is what a lossy code takes. A variant that is done is
kept in the JSON file, with what it regenerates of some pictures (`samples/figures.py` draws them), and a run that was
stopped goes on from there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from common import Row, keep, parser, say, show

from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.interface import Bytes, Ints
from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.vlae.blocks import BinaryPixelBlock
from vlcodec.models.vlae.data import load_binary
from vlcodec.models.vlae.net import Vlae
from vlcodec.models.vlae.training import SHAPE, train
from vlcodec.models.weights.integers import freeze_from, integer_tensors

MODEL = "vlae-mnist"
VARIANTS = {
    "VLAE": SHAPE,
    "plain gaussian prior": replace(SHAPE, flow_steps=0),
    "uniform posterior": replace(SHAPE, posterior="uniform"),
    "window of 3 layers": replace(SHAPE, window=3),
    "factorised decoder": replace(SHAPE, window=0),
    "downsampled context": replace(SHAPE, dilation=4),
    "unconditional PixelCNN": replace(SHAPE, posterior="none"),
}
MEASURED, SAMPLES = 500, 64
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
    options = parser(__doc__, "vlae_study")
    options.add_argument("data", type=Path)
    options.add_argument("--steps", type=int, default=1500)
    chosen = options.parse_args(arguments)

    test = load_binary(MODEL, chosen.data).test
    some = test[:: len(test) // MEASURED][:MEASURED]
    shown = test[len(test) // SHOWN // 2 :: len(test) // SHOWN][:SHOWN]
    rows: dict[str, Row] = {}
    if chosen.out.exists():
        found = json.loads(chosen.out.read_text())
        rows = found["variants"] if found.get("steps") == chosen.steps else {}
    for name, shape in VARIANTS.items():
        if name in rows:
            continue
        with TemporaryDirectory() as folder:
            net = train(MODEL, chosen.data, Path(folder), steps=chosen.steps, shape=shape)
        rows[name] = measured(net, some) | {"regenerated": packed(regenerated(net, shown))}
        say(f"{name}: {rows[name]['elbo_nats']:.2f} nats, KL {rows[name]['kl_bits']:.1f} bits")
        about: Row = {"set": MODEL, "steps": chosen.steps, "pictures": len(some), "originals": packed(shown)}
        keep(chosen.out, about | {"variants": rows}, MODEL)
    show(
        ["", "-ELBO, nats", f"-ln p, {SAMPLES} samples", "KL, bits", "pixels given latents, nats"],
        [
            [name, *(f"{row[key]:.2f}" for key in ("elbo_nats", "likelihood_nats", "kl_bits", "pixels_nats"))]
            for name, row in rows.items()
        ],
    )


def packed(bits: Ints | Bytes) -> str:
    """(N, 28, 28) bits, in hexadecimal."""
    return np.packbits(bits.astype(np.uint8)).tobytes().hex()


if __name__ == "__main__":
    main()
