"""Whether int8 carries a net here: where its products are right, also at the extremes, and faster than float32's.

Kernels before VNNI saturate sums of pairs, and some were silently wrong; on other machines int8 is right and slow. So
each shape of a net is tried with inputs and weights that a golden vector need not reach.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import starmap
from typing import TypeVar

import torch
from torch import Tensor, nn

from vlcodec.codec.errors import BoundError
from vlcodec.models.layers import halves
from vlcodec.models.layers.carriers import BYTE, padded, sums_of
from vlcodec.models.layers.exact import INT8_ROWS, Layer, layers
from vlcodec.models.layers.mode import IntegerModule, set_mode
from vlcodec.models.layers.settings import stepwise

DRAWN = 512  # rows of inputs, which repeat
ROWS = (1, 2, 15, 16, 17, 64, 200, DRAWN, INT8_ROWS, halves.ROWS)
LARGEST = 127  # |weight|
TIMED_ROWS, RUNS = 128, 5
Net = TypeVar("Net", bound=nn.Module)


def carry(net: nn.Module, in_int8: bool) -> None:
    """Let int8 carry what fits it of a frozen net, or floats. Raises BoundError, and leaves floats, where it cannot."""
    parts = [part for part in net.modules() if isinstance(part, IntegerModule)]
    try:
        for part in parts:
            part.carry(in_int8)
    except BoundError:
        for part in parts:
            part.carry(False)
        raise


def simulated_copy(net: Net) -> Net:
    """A frozen net in real weights that stand still, with rounding simulated: what gradients of inputs pass through."""
    simulated = copy.deepcopy(net)
    simulated.requires_grad_(False)
    carry(simulated, False)
    set_mode(simulated, "training")  # integers become real weights
    set_mode(simulated, "simulated")
    return simulated


def narrow_layers(net: nn.Module) -> list[Layer]:
    """One layer of each shape that int8 could carry in every walk."""
    found = {(layer.weight.shape, layer.narrow): layer for _, layer in layers(net) if layer.narrow is not None}
    return list(found.values())


def int8_serves(net: nn.Module) -> bool:
    """Whether int8 is right for every shape of a frozen net, and faster for all together; leaves it to floats."""
    shapes = narrow_layers(net)
    try:
        with stepwise():
            carry(net, True)
            serves = bool(shapes) and all(starmap(_right, _products(net))) and _faster(shapes)
            carry(net, False)
    except (BoundError, RuntimeError):  # weights that do not fit; a library without these products
        carry(net, False)
        return False
    return serves


def _products(net: nn.Module) -> set[tuple[int, int, torch.device]]:
    """Inputs and outputs of each product in int8 of a net that int8 carries, and where it is made."""
    found = set()
    for _, layer in layers(net):
        if layer.narrow is not None:
            inputs = layer.weight.shape[1] - (0 if layer.narrow.beside else layer.beside)
            found.add((inputs, layer.outputs, layer.weight.device))
        elif layer.halves is not None:
            inputs, outputs = layer.halves.weight.shape
            found.add((inputs, outputs, layer.weight.device))
    return found


def _right(inputs: int, outputs: int, device: torch.device) -> bool:
    """Whether sums in int8 are those in float64, for extreme and random weights and inputs of a shape."""
    rng = torch.Generator().manual_seed(0)
    weight = torch.randint(-LARGEST, LARGEST + 1, (inputs, outputs), generator=rng)
    weight[:, 0::3] = LARGEST
    weight[:, 1::3] = torch.where(weight[:, 1::3] < 0, -LARGEST, LARGEST)
    x = _inputs(weight, rng)
    expected = (x.double() @ weight.double()).to(torch.int32)
    columns, kept = x.to(device, torch.int8), padded(weight.to(device, torch.int8))
    for rows in ROWS:
        times = -(-rows // DRAWN)
        found = sums_of(columns.repeat(times, 1)[:rows], kept, outputs)
        if not torch.equal(found.cpu(), expected.repeat(times, 1)[:rows]):
            return False
    return True


def _inputs(weight: Tensor, rng: torch.Generator) -> Tensor:
    """(DRAWN, inputs) that int8 holds: row by row lowest, highest, an output's largest, its smallest, random."""
    low, high = BYTE
    x = torch.randint(low, high + 1, (DRAWN, len(weight)), generator=rng)
    up = weight.t()[torch.arange(DRAWN) % weight.shape[1]] > 0
    x[0::5], x[1::5] = low, high
    x[2::5], x[3::5] = torch.where(up, high, low)[2::5], torch.where(up, low, high)[3::5]
    return x


def _faster(shapes: Sequence[Layer]) -> bool:
    """Whether a step of a layer of each shape takes less time in int8 than in float32."""
    times = [_best([_step(layer, in_int8) for layer in shapes]) for in_int8 in (False, True)]
    return times[1] < times[0]


def _step(layer: Layer, in_int8: bool) -> Callable[[], Tensor]:
    """A layer's step at so many positions, as one carrier has it."""
    layer.carry(in_int8)
    shape = (TIMED_ROWS, layer.weight.shape[1] - layer.beside)
    columns = torch.zeros(shape, dtype=layer.stored.dtype, device=layer.weight.device)
    beside = torch.zeros(TIMED_ROWS, layer.beside, device=layer.weight.device) if layer.beside else None
    return partial(layer.step, [columns], beside)


def _best(steps: Sequence[Callable[[], Tensor]]) -> float:
    """Seconds that all steps take, at best."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        results = [step() for step in steps]
        results[-1].cpu()  # waits for a device
        times.append(time.perf_counter() - start)
    return min(times)
