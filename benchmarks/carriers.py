"""How fast each carrier is: the pixel network of photo-8, and one of training's present shape in float32 and in int8.

    python benchmarks/carriers.py

The second net is grown from photo-8's weights, with noise in its new layers, and frozen: as fast as a trained one. A
step is a wavefront of a 768 x 512 picture where all 384 rows take part, a pass the network over the whole picture,
tables and coder left out. Each figure is the best of runs in turn, since other programs take time too.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from common import Row, keep, parser, say, show

from vlcodec.models import registry, zoo
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.probe import carry, int8_serves
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.grow import grow
from vlcodec.models.photo.net import GridAgave
from vlcodec.models.photo.training import SHAPE

HEIGHT, WIDTH = 512, 768
FULL = range(WIDTH, WIDTH + 120)  # wavefronts of W / 2 rows each
NOISE = 0.02  # of new layers' weights
PIXELS = "pixels.net."


class Way(NamedTuple):
    """A net in a carrier, on so many threads."""

    name: str
    net: GridAgave
    in_int8: bool
    threads: int

    def __str__(self) -> str:
        return f"{self.name}, {'int8' if self.in_int8 else 'float32'}, threads {self.threads}"


def released() -> GridAgave:
    """photo-8's net, frozen."""
    model = zoo.frozen(registry.by_number(8).path, torch.device("cpu"))
    assert isinstance(model, PhotoModel)
    return model.net


def grown() -> GridAgave:
    """A frozen net of training's shape, whose pixel network is grown from photo-8's."""
    torch.manual_seed(0)
    old, net = released(), GridAgave(SHAPE)
    set_mode(old, "training")
    weights = {name.removeprefix(PIXELS): w for name, w in old.state_dict().items() if name.startswith(PIXELS)}
    grow(net.pixels.net, weights, old.pixels.net.relu.unit)
    with torch.no_grad():
        for layer in net.pixels.net.out:
            weight = layer.get_parameter("weight")
            weight.add_(NOISE * torch.randn_like(weight))
    return frozen_copy(net)


def drawn(net: GridAgave) -> tuple[PixelBlock, np.ndarray]:
    """A band of random features, and random symbols for it."""
    rng = np.random.default_rng(0)
    fz = torch.from_numpy(rng.integers(-300, 301, (1, HEIGHT, WIDTH, 3 + net.shape.features)).astype(np.float32))
    return PixelBlock(net.pixels, fz, False), rng.integers(0, 256, (HEIGHT, WIDTH, 3, 1))


def step_ms(net: GridAgave) -> float:
    """Milliseconds of a full wavefront's step: the tenth part of steps that is fastest takes no longer."""
    block, symbols = drawn(net)
    flat, times, walk = symbols.reshape(-1), list[float](), block.sequential()
    with exact_inference():
        answer: np.ndarray | None = None
        for number in range(FULL.stop):
            start = time.perf_counter()
            for _ in range(3):
                step = next(walk) if answer is None else walk.send(answer)
                answer = flat[step.index]
            if number in FULL:
                times.append(time.perf_counter() - start)
    return 1e3 * float(np.quantile(times, 0.1))


def pass_s(net: GridAgave) -> float:
    """Seconds of one pass over the whole picture."""
    block, symbols = drawn(net)
    start = time.perf_counter()
    block.see(symbols)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, show."""
    options = parser(__doc__, "carriers")
    options.add_argument("--runs", type=int, default=3, help="of each figure [default: 3]")
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="[default: 1 2]")
    chosen = options.parse_args(arguments)

    nets = {"photo-8": released(), "present shape": grown()}
    present = nets["present shape"]
    torch.set_num_threads(1)
    start = time.perf_counter()
    serves = int8_serves(present.pixels)
    probe_ms = 1e3 * (time.perf_counter() - start)
    rows: dict[Way, Row] = {}
    kinds = [("photo-8", False), ("present shape", False), ("present shape", True)]
    ways = [Way(name, nets[name], in_int8, threads) for threads in chosen.threads for name, in_int8 in kinds]
    for run, way in itertools.product(range(chosen.runs), ways):
        torch.set_num_threads(way.threads)
        carry(way.net, way.in_int8)
        found = {"step_ms": step_ms(way.net), "pass_s": pass_s(way.net)}
        rows[way] = {key: min(value, rows.get(way, found)[key]) for key, value in found.items()}
        say(f"run {run + 1}, {way}: {found['step_ms']:.2f} ms, {found['pass_s']:.2f} s")
    torch.set_num_threads(1)
    keep(chosen.out, {"int8_serves": serves, "probe_ms": probe_ms, "ways": {str(way): rows[way] for way in ways}})
    show(
        ["768 x 512", "ms a step", "s a pass"],
        [[str(way), f"{rows[way]['step_ms']:.2f}", f"{rows[way]['pass_s']:.2f}"] for way in ways],
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
