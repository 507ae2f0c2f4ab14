"""Importance-sampled likelihood of a model on its test set, with standard errors; stops and goes on.

    python benchmarks/likelihood.py vlae-mnist DATA --samples 4096 --device cuda
    python benchmarks/likelihood.py agave-cifar10 DATA --samples 150 --pictures 1000
    python benchmarks/likelihood.py vapnev-cifar10 DATA --samples 16 --pictures 100

DATA is the folder of the binary sets, or of CIFAR-10. Pictures are taken with a stride, as sets are sorted. In nats a
picture, of CIFAR-10 in bits/dim. The net is the exported one, its integer weights in float32; of a VLAE and a VAPNEV
activations are unrounded, of an AGAVE those of the PixelCNN are rounded as in the integer model. What
`benchmarks/archives.py` holds against the files is the integer model's own -ELBO. With --posterior uniform a VLAE is in
integers throughout, as a DVAE++ always is, with z of 0 and 1. A VAPNEV's integers can price a picture alone: beside
the same weights in floating point stand the -ELBO of `vlcodec.rate` and the bits that a stack grows by. A VLAE's pixels
are priced by compiled loops (`binary_pixels`) on a CPU; with --bfloat16 its other products are of that type, in half
the time on processors that multiply it. While it runs, what is done is kept in the JSON file picture by picture, and a
run that was stopped goes on from there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import binary_pixels
import numpy as np
import torch
from common import RESULTS, Row, keep, parser, say, show, strided, test_set
from PIL import Image
from torch import Tensor, nn

import vlcodec
from vlcodec.codec.interface import Bytes
from vlcodec.models import registry, zoo
from vlcodec.models.agave.net import LadderAgave
from vlcodec.models.dvaepp.net import KINDS, Dvaepp
from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.vapnev.net import Vapnev
from vlcodec.models.vlae.codec import VlaeNets
from vlcodec.models.vlae.net import Vlae

Sampler = Callable[[Bytes, int], Tensor]  # a picture and a number of samples -> (samples,) nats
AT_ONCE = {"cpu": 64, "bfloat16": 256, "cuda": 4096}  # samples: larger parts leave a CPU's cache
KEPT_EVERY = 50  # pictures


def nets_of(model: str) -> nn.Module:
    """The exported nets, with real weights."""
    start = zoo.real_weights(registry.by_name(model).path)
    nets = zoo.family(start.family).net(start.config)
    nets.load_state_dict(start.weights)
    return nets


def net_of(nets: VlaeNets, posterior: str) -> Vlae:
    """Of a VLAE: gaussian with real weights; uniform frozen, as its prior is fitted to rounded latents."""
    net = nets.of(posterior)
    return frozen_copy(net) if posterior == "uniform" else net


def sampler_of(model: str, posterior: str, device: str, coarse: bool = False) -> Sampler:
    """What draws from a model's posterior and prices it. coarse: with products of a VLAE in bfloat16."""
    nets = nets_of(model).to(device)
    if isinstance(nets, LadderAgave | Vapnev):
        set_mode(nets, "simulated")
        kind = nets.kinds[nets.kinds.index("gaussian" if posterior == "gaussian" else "uniform")]
        return lambda picture, samples: nets.sampled_nats(centred(picture[None]).to(device), samples, kind)[0]
    if isinstance(nets, Dvaepp):
        dvaepp, which = frozen_copy(nets), KINDS[KINDS.index("gaussian" if posterior == "gaussian" else "uniform")]

        def draw_bits(picture: Bytes, samples: int) -> Tensor:
            x = centred(picture[None]) if picture.ndim == 3 else torch.from_numpy(picture > 0)[None, ..., None].float()
            with exact_inference():
                return dvaepp.sampled_nats(x.to(device), samples, which)[0]

        return draw_bits
    assert isinstance(nets, VlaeNets)
    net = net_of(nets, posterior)

    compiled = device == "cpu" and posterior == "gaussian" and binary_pixels.serves(net.shape)
    weights = binary_pixels.weights_of(net.pixels) if compiled else None

    def draw(picture: Bytes, samples: int) -> Tensor:
        x = torch.from_numpy(picture > 0)[None, ..., None].float()
        with exact_inference() if posterior == "uniform" else torch.autocast(device, torch.bfloat16, enabled=coarse):
            if weights is None:
                return net.sampled_nats(x.to(device), samples)[0]
            told = [part.expand(samples, -1) for part in net.encoder(FINE_UNIT * (2 * x - 1))]
            z, kl = net.draw(told)
            features = net.decoder(z)
        return kl + binary_pixels.pixel_nats(net.pixels, weights, x[0, ..., 0], features)

    return draw


def nats_of(draw: Sampler, picture: Bytes, samples: int, seed: int, at_once: int) -> tuple[float, float]:
    """(-ELBO, importance-sampled -ln p) of one picture."""
    torch.manual_seed(seed)
    with torch.no_grad():
        nats = torch.cat([draw(picture, min(at_once, samples - i)).double() for i in range(0, samples, at_once)])
    return float(nats.mean()), float(math.log(samples) - torch.logsumexp(-nats, 0))


def in_integers(model: str, picture: Bytes) -> tuple[float, float]:
    """-ELBO of the integer model at one draw, and what the picture adds to a stack of noise, in nats."""
    ledger = vlcodec.rate(Image.fromarray(picture), model=model)
    return ledger.elbo * math.log(2), ledger.pixels_written * math.log(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "likelihood_MODEL_POSTERIOR_SAMPLES")
    options.set_defaults(out=None)
    options.add_argument("model")
    options.add_argument("data", type=Path)
    options.add_argument("--samples", type=int, default=128)
    options.add_argument("--pictures", type=int, default=10**9, help="of the test set, with a stride  [default: all]")
    options.add_argument("--posterior", choices=["gaussian", "uniform"], default="gaussian")
    options.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options.add_argument("--bfloat16", action="store_true")
    chosen = options.parse_args(arguments)

    all_of_it = test_set(chosen.model, chosen.data)
    test = strided(all_of_it, chosen.pictures)
    draw = sampler_of(chosen.model, chosen.posterior, chosen.device, chosen.bfloat16)
    at_once = AT_ONCE["bfloat16" if chosen.bfloat16 else chosen.device]
    names = ["-ELBO", "-ln p, importance-sampled"]
    with_integers = registry.by_name(chosen.model).family.endswith(".vapnev") and chosen.posterior == "gaussian"
    if with_integers:
        names += ["-ELBO in integers", "on a stack"]
    unit, scale = ("bits/dim", test[0].size * math.log(2)) if test.ndim == 4 else ("nats", 1.0)
    about: Row = {
        "set": chosen.model,
        "sha256": registry.by_name(chosen.model).sha256,
        "posterior": chosen.posterior,
        "samples": chosen.samples,
        "pictures": len(test),
        "stride": len(all_of_it) // len(test),
        "columns": names,
        **({"products": "bfloat16"} if chosen.bfloat16 else {}),
    }
    name = f"likelihood_{chosen.model}_{chosen.posterior}_{chosen.samples}.json"
    out: Path = chosen.out or RESULTS / name
    done: list[list[float]] = []
    if out.exists():
        before = json.loads(out.read_text())
        if all(before.get(k) == v for k, v in about.items()):
            done = before.get("nats", done)
    for number in range(len(done), len(test)):
        found = nats_of(draw, test[number], chosen.samples, number, at_once)
        done.append([*found, *(in_integers(chosen.model, test[number]) if with_integers else ())])
        if (number + 1) % KEPT_EVERY == 0:
            means = np.mean(done, 0) / scale
            say(f"{number + 1} of {len(test)}: -ELBO {means[0]:.4f}, -ln p {means[1]:.4f} {unit}")
            keep(out, about | {"nats": done}, chosen.model)
    means, errors = np.mean(done, 0), np.std(done, 0) / math.sqrt(len(done))
    summary = {"elbo": means[0], "elbo_error": errors[0], "likelihood": means[1], "likelihood_error": errors[1]}
    if with_integers:
        summary |= {"integer_elbo": means[2], "on_a_stack": means[3]}
    keep(out, about | {"nats_a_picture": summary}, chosen.model)
    columns = [unit, "posterior", "pictures", "samples", *names]
    digits = 2 if unit == "nats" else 4
    cells = [f"{m / scale:.{digits}f} ± {e / scale:.{digits}f}" for m, e in zip(means, errors, strict=True)]
    show(columns, [[chosen.model, chosen.posterior, str(len(test)), str(chosen.samples), *cells]])
    if with_integers:
        print(f"\nIn integers over floating point {means[2] / means[0]:.5f}; on a stack over floating point ", end="")
        print(f"{means[3] / means[0]:.5f}, over integers {means[3] / means[2]:.5f}.")


if __name__ == "__main__":
    main()
