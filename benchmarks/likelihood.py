"""Importance-sampled likelihood of a VLAE model on its test set, in nats, with standard errors; stops and goes on.

    python benchmarks/likelihood.py vlae-mnist DATA --samples 4096 --pictures 500
    python benchmarks/likelihood.py vlae-mnist DATA --samples 128

DATA is the folder of the binary sets. Pictures are taken with a stride, as the sets are sorted. The net is the exported
one with the gaussian posterior, its integer weights in float32, activations unrounded: what `benchmarks/archives.py`
holds against the files is the integer model's own -ELBO. With --posterior uniform it is the other, in integers
throughout. While it runs, what is done is kept in the JSON file picture by picture, and a run that was stopped goes on
from there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, Row, keep, parser, say, show

from vlcodec.models import zoo
from vlcodec.models.binary_data import load_binary
from vlcodec.models.exact import exact_inference
from vlcodec.models.export import freeze_from, integer_tensors, weights_of
from vlcodec.models.vlae import Shape, Vlae

AT_ONCE = 256  # samples
KEPT_EVERY = 50  # pictures


def net_of(model: str, posterior: str) -> Vlae:
    """The exported net: gaussian with real weights; uniform frozen, as its prior is fitted to rounded latents."""
    net = Vlae(Shape(posterior="gaussian" if posterior == "gaussian" else "uniform"))
    weights = weights_of(zoo.by_name(model).path, "binary")
    own = {k.removeprefix(f"{posterior}."): v for k, v in weights.items() if k.startswith(f"{posterior}.")}
    net.load_state_dict(own)
    if posterior == "uniform":
        freeze_from(net, integer_tensors(net))
    return net.requires_grad_(False).eval()


def nats_of(net: Vlae, picture: np.ndarray, samples: int, seed: int) -> tuple[float, float]:
    """(-ELBO, importance-sampled -ln p) of one (28, 28) picture."""
    torch.manual_seed(seed)
    x = torch.from_numpy(picture)[None, ..., None].float()
    with exact_inference() if net.shape.posterior == "uniform" else nullcontext():
        parts = [net.sampled_nats(x, min(AT_ONCE, samples - i))[0].double() for i in range(0, samples, AT_ONCE)]
    nats = torch.cat(parts)
    return float(nats.mean()), float(math.log(samples) - torch.logsumexp(-nats, 0))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "likelihood_MODEL_POSTERIOR_SAMPLES")
    options.set_defaults(out=None)
    options.add_argument("model")
    options.add_argument("data", type=Path)
    options.add_argument("--samples", type=int, default=128)
    options.add_argument("--pictures", type=int, default=10**9, help="of the test set, with a stride  [default: all]")
    options.add_argument("--posterior", choices=["gaussian", "uniform"], default="gaussian")
    chosen = options.parse_args(arguments)

    test = load_binary(chosen.model, chosen.data).test
    stride = max(1, len(test) // chosen.pictures)
    test = test[::stride][: chosen.pictures]
    net = net_of(chosen.model, chosen.posterior)
    about: Row = {
        "set": chosen.model,
        "digest": zoo.digest(chosen.model).hex(),
        "posterior": chosen.posterior,
        "samples": chosen.samples,
        "pictures": len(test),
        "stride": stride,
    }
    name = f"likelihood_{chosen.model}_{chosen.posterior}_{chosen.samples}.json"
    out: Path = chosen.out or RESULTS / name
    done: list[list[float]] = []
    if out.exists():
        found = json.loads(out.read_text())
        if all(found.get(k) == v for k, v in about.items()):
            done = found.get("nats", done)
    for number in range(len(done), len(test)):
        done.append(list(nats_of(net, test[number], chosen.samples, number)))
        if (number + 1) % KEPT_EVERY == 0:
            means = np.mean(done, 0)
            say(f"{number + 1} of {len(test)}: -ELBO {means[0]:.2f}, -ln p {means[1]:.2f}")
            keep(out, about | {"nats": done}, chosen.model)
    means, errors = np.mean(done, 0), np.std(done, 0) / math.sqrt(len(done))
    summary = {"elbo": means[0], "elbo_error": errors[0], "likelihood": means[1], "likelihood_error": errors[1]}
    keep(out, about | {"nats_a_picture": summary}, chosen.model)
    columns = ["nats", "posterior", "pictures", "samples", "-ELBO", "-ln p, importance-sampled"]
    cells = [f"{mean:.2f} ± {error:.2f}" for mean, error in zip(means, errors, strict=True)]
    show(columns, [[chosen.model, chosen.posterior, str(len(test)), str(chosen.samples), *cells]])


if __name__ == "__main__":
    main()
