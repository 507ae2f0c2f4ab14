"""The DVAE++ paper's comparisons on static MNIST, small: smoothings (table 1), machines (2) and variants (3).

    python benchmarks/dvaepp_study.py DATA --steps 3000
    python benchmarks/dvaepp_study.py DATA --steps 100000 --tables 2

DATA is the folder of the binary sets. Every row of tables 1 and 2 is trained from scratch for so many steps of 100
pictures, of table 3 (smaller nets than the package's) for a tenth of them, and measured on test pictures taken with a
stride, at infinite beta: importance-sampled -ln p, ln Z of a machine by annealed importance sampling. A row that is
done is kept in the JSON file, and a run that was stopped goes on from there. The plot has all rows, with the paper's
own figures beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from common import Row, keep, parser, say, show
from torch import Tensor

from vlcodec.codec.interface import Bytes
from vlcodec.models.dvaepp import training
from vlcodec.models.dvaepp.data import Pictures, load_pictures
from vlcodec.models.dvaepp.flat import FlatNet, FlatShape, FlatTask
from vlcodec.models.dvaepp.variants import VariantNet, VariantTask, smaller
from vlcodec.models.training.loop import run
from vlcodec.models.vlae.data import load_binary

MODEL = "dvaepp-mnist"
BATCH, RATE = 100, 1e-3
MEASURED, SAMPLES, AT_ONCE = 500, 100, 10
FEWER, FEWER_SAMPLES = 100, 25  # of table 3
FLAT = FlatShape(bits=200, layers=1, nonlinear=False, smoothing="exponential", bound="joint", beta=(6.0, 16.0))
CONCRETE_BETA = (1.5, 3.0)  # inverse temperatures of the Concrete distribution


def both(name: str, shape: FlatShape, layers: Literal[0, 1, 2] = 0) -> dict[str, FlatShape]:
    """Linear and nonlinear rows."""
    deep = f", {layers} layers" if layers else ""
    return {
        f"{name}{deep}, {kind}": replace(shape, nonlinear=kind == "nonlinear", layers=layers or 1)
        for kind in ("linear", "nonlinear")
    }


MARGINAL, MACHINE = replace(FLAT, bound="marginal"), replace(FLAT, bound="rbm")
FLAT_ROWS: dict[int, dict[str, FlatShape]] = {
    1: both("joint, exponentials", FLAT)
    | both("marginal, exponentials", MARGINAL)
    | both("joint, logistics", replace(FLAT, smoothing="logistic"))
    | both("joint, spike and exponential", replace(FLAT, smoothing="spike"))
    | both("Concrete", replace(FLAT, smoothing="concrete", beta=CONCRETE_BETA)),
    2: both("machine", MACHINE, 1)
    | both("joint", FLAT, 1)
    | both("marginal", MARGINAL, 1)
    | both("machine", MACHINE, 2)
    | both("joint", FLAT, 2)
    | both("marginal", MARGINAL, 2),
}
VARIANTS = {  # coupled, gaussian
    "machine, gaussian locals": (True, True),
    "Bernoulli prior, gaussian locals": (False, True),
    "machine, Bernoulli locals": (True, False),
    "Bernoulli prior, Bernoulli locals": (False, False),
}
PAPER = {  # -ln p in nats
    "joint, exponentials, linear": 107.98,
    "joint, exponentials, nonlinear": 99.16,
    "marginal, exponentials, linear": 108.57,
    "marginal, exponentials, nonlinear": 99.10,
    "Concrete, linear": 107.00,
    "Concrete, nonlinear": 99.54,
    "machine, 1 layers, linear": 91.21,
    "machine, 1 layers, nonlinear": 85.41,
    "machine, 2 layers, linear": 94.15,
    "machine, 2 layers, nonlinear": 84.27,
    "joint, 1 layers, linear": 106.70,
    "joint, 1 layers, nonlinear": 95.04,
    "joint, 2 layers, linear": 98.16,
    "joint, 2 layers, nonlinear": 87.96,
    "marginal, 1 layers, linear": 106.80,
    "marginal, 1 layers, nonlinear": 95.06,
    "marginal, 2 layers, linear": 98.56,
    "marginal, 2 layers, nonlinear": 88.23,
    "machine, gaussian locals": 79.17,
    "machine, Bernoulli locals": 79.72,
    "Bernoulli prior, Bernoulli locals": 79.90,
}
Sampler = Callable[[Tensor], Tensor]  # (N, 28, 28, 1) bits -> (N, samples) nats


def likelihood(draw: Sampler, test: Bytes) -> float:
    """Mean importance-sampled -ln p, in nats."""
    torch.manual_seed(0)
    total = 0.0
    with torch.no_grad():
        for i in range(0, len(test), AT_ONCE):
            nats = draw(torch.from_numpy(test[i : i + AT_ONCE])[..., None].float()).double()
            total += float((math.log(nats.shape[1]) - torch.logsumexp(-nats, 1)).sum())
    return total / len(test)


def flat_row(shape: FlatShape, data: Pictures, steps: int, test: Bytes) -> Row:
    """Train and measure one of the feed-forward models."""
    torch.manual_seed(0)
    net = FlatNet(shape, data.train.float().mean(0).reshape(-1))
    trained(FlatTask(net, data, BATCH), steps)
    log_z = net.rbm.log_z() if shape.bound == "rbm" else 0.0
    return {"nats": likelihood(lambda x: net.sampled_nats(x.reshape(len(x), -1), SAMPLES, log_z), test)}


def variant_row(coupled: bool, gaussian: bool, data: Pictures, steps: int, test: Bytes) -> Row:
    """Train and measure one of the convolutional variants."""
    torch.manual_seed(0)
    net = VariantNet(smaller(training.BINARY), coupled, gaussian)
    trained(VariantTask(net, data, BATCH, torch.device("cpu")), steps // 10)
    some = test[:: len(test) // FEWER][:FEWER]
    return {"nats": likelihood(lambda x: net.sampled_nats(x, FEWER_SAMPLES, "gaussian"), some)}


def trained(task: FlatTask | VariantTask, steps: int) -> None:
    """Train for so many steps."""
    with TemporaryDirectory() as folder:
        run(task, Path(folder), steps=steps, minutes=None, seed=0, device=torch.device("cpu"), rate=RATE)


def plot(rows: dict[str, Row], out: Path) -> None:
    """All rows as bars, with the paper's figures as lines."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.28 * len(rows) + 1))
    names = list(rows)[::-1]
    axes.barh(names, [rows[name]["nats"] for name in names], color="#7a9cc6", label="here")
    known = [name for name in names if name in PAPER]
    axes.scatter([PAPER[name] for name in known], known, color="black", marker="|", s=120, label="paper")
    axes.set_xlim(75, 128)
    axes.set_xlabel("-ln p, nats")
    axes.legend()
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, keep, show."""
    options = parser(__doc__, "dvaepp_study")
    options.add_argument("data", type=Path)
    options.add_argument("--steps", type=int, default=3000)
    options.add_argument("--tables", type=int, nargs="+", choices=[1, 2, 3], default=[1, 2, 3])
    options.add_argument("--plot", type=Path, help="a picture of all rows")
    chosen = options.parse_args(arguments)

    data, all_of_it = load_pictures(MODEL, chosen.data), load_binary("vlae-mnist", chosen.data).test
    test = all_of_it[:: len(all_of_it) // MEASURED][:MEASURED]
    rows: dict[str, Row] = {}
    if chosen.out.exists():
        found = json.loads(chosen.out.read_text())
        rows = found["rows"] if found.get("steps") == chosen.steps else {}
    wanted: dict[str, Callable[[], Row]] = {}
    for table in chosen.tables:
        for name, shape in FLAT_ROWS.get(table, {}).items():
            wanted[name] = partial(flat_row, shape, data, chosen.steps, test)
        for name, kind in (VARIANTS if table == 3 else {}).items():
            wanted[name] = partial(variant_row, *kind, data, chosen.steps, test)
    for name, work in wanted.items():
        if name not in rows:
            rows[name] = work()
            say(f"{name}: {rows[name]['nats']:.2f} nats")
            about: Row = {"set": "static MNIST", "steps": chosen.steps, "pictures": len(test), "samples": SAMPLES}
            keep(chosen.out, about | {"rows": rows}, MODEL)
    show(
        ["", "-ln p, nats", "paper"],
        [[name, f"{row['nats']:.2f}", f"{PAPER[name]:.2f}" if name in PAPER else ""] for name, row in rows.items()],
    )
    if chosen.plot is not None:
        plot(rows, chosen.plot)


if __name__ == "__main__":
    main()
