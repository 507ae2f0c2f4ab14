"""Integer layers in float carriers: the same bits on every machine, batch size, thread count and device.

An activation is an integer held in a float tensor. A layer multiplies integer weights, adds an integer bias and
requantises by a power of two, rounding half to even. Float arithmetic on integers is exact, in any order of summation,
while every partial sum stays below 2^24 (float32) or 2^53 (float64); `Layer.prove` checks that bound for each layer.

One class serves three walks:

    train      conv2d on real weights, or simulated: rounded with straight-through gradients  (see `mode`)
    dense      frozen integers: a matrix product of gathered taps, one a tap (`shifted`) or of bytes (`halves`)
    step       frozen integers: the caller gathers the taps, as the wavefront does

conv2d never runs on frozen layers: some of its backends (Winograd, FFT, NNPACK) transform the data, which is not exact.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypedDict, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.codec.errors import BoundError
from vlcodec.models.layers import shifted
from vlcodec.models.layers.activations import (
    ACTIVATION_MAX,
    STREAM_MAX,
    UNIT,
    requantised,
    round_through,
)
from vlcodec.models.layers.carriers import BYTE, CARRIER_LIMIT, FLOAT, Bytes, Floats, Narrow, Stored, in_bytes
from vlcodec.models.layers.halves import Halves, fill_by_halves, fits, in_halves
from vlcodec.models.layers.mode import IntegerModule, Mode, set_mode

_RANDOM: ContextVar[bool] = ContextVar("_RANDOM", default=True)
TILE_VALUES = 1 << 23  # gathered values held at once by a dense layer (32 MiB of float32)
BIAS_MAX = 0.98 * 2**31
INT8_VALUES = 1 << 20  # likewise in int8: few enough to stay in the cache
INT8_ROWS = 2048  # of one product in int8, at most: as many as were probed


class Range(TypedDict):
    """What a layer's outputs are clamped to."""

    low: float
    high: float


class Linear(TypedDict):
    """How finely a layer computes."""

    bits: int
    precise: bool


class Wide(Linear):
    """Likewise, with the range of its inputs."""

    input_max: int
    carrier: torch.dtype


STREAM: Range = {"low": -STREAM_MAX, "high": STREAM_MAX}  # of a residual branch
LINEAR: Linear = {"bits": 11, "precise": True}  # of a layer on an autoencoder's main path: it carries pictures
WIDE: Wide = {**LINEAR, "input_max": STREAM_MAX, "carrier": torch.float64}  # likewise, where the grid is coarse
SIGNED: Range = {"low": -ACTIVATION_MAX, "high": ACTIVATION_MAX}  # of a layer that `leaky` follows

Taps = tuple[tuple[int, int], ...]  # (row offset, column offset) of each neighbour that a layer sees
OWN: Taps = ((0, 0),)
SQUARE: Taps = tuple((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1))


@contextmanager
def uninitialised() -> Iterator[None]:
    """Layers made inside begin without random weights, which take longer than all else: a file's are to come."""
    token = _RANDOM.set(False)
    try:
        yield
    finally:
        _RANDOM.reset(token)


class Layer(IntegerModule):
    """Integer convolution over `taps`, plus inputs seen at the own position alone (`beside`), then requantisation.

    y = clamp(round(gain * (sum w x + unit * bias)), low, high), all of x and y integers.

    Args:
        taps: neighbours seen; `OWN` makes a 1x1 layer.
        inputs, outputs: channels. beside: further channels, seen at the own position alone.
        gain: power of two per output channel (or one for all); low, high: output range, likewise.
        input_max: largest |input|, for the proof of the bound. bits: of a weight, sign included.
        unit: integer units per 1.0 of the inputs. mask: (outputs, fan_in) of 0 and 1; weights at 0 are 0.
        fine: rounded after training, which leaves rounding and the outputs' range out (but for a range from 0: ReLU).
        precise: kept out of reduced precision in training, as outputs that make tables must be.
        carrier: float type of the frozen layer; float64 where inputs are large and the grid is small.
        narrow: what of it fits 8 bits, of a layer that int8 can carry too.

    Raises BoundError for a gain that is no power of two: multiplying by it would round.
    """

    places: Tensor
    gain: Tensor
    low: Tensor
    high: Tensor
    mask: Tensor | None

    def __init__(
        self,
        taps: Taps,
        inputs: int,
        outputs: int,
        *,
        beside: int = 0,
        gain: float | Sequence[float] = 1.0,
        low: float | Sequence[float] = 0,
        high: float | Sequence[float] = ACTIVATION_MAX,
        input_max: int = ACTIVATION_MAX,
        bits: int = 8,
        carrier: torch.dtype = torch.float32,
        narrow: Narrow | None = None,
        unit: int = UNIT,
        mask: Tensor | None = None,
        fine: bool = False,
        precise: bool = False,
        init: float = 1.0,
    ) -> None:
        super().__init__()
        self.taps, self.inputs, self.outputs, self.beside, self.unit = taps, inputs, outputs, beside, unit
        self.fine, self.precise = fine, precise
        self.input_max, self.weight_max, self.carrier, self.narrow = input_max, 2 ** (bits - 1) - 1, carrier, narrow
        fan_in = len(self.taps) * inputs + beside
        random = torch.randn if _RANDOM.get() else torch.empty
        self.weight = nn.Parameter(random(outputs, fan_in))  # tap-major
        if _RANDOM.get():
            self.weight.data.mul_(init).mul_(math.sqrt(2.0 / fan_in))
        self.bias = nn.Parameter(torch.zeros(outputs))
        for name, value in (("gain", gain), ("low", low), ("high", high)):
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32).expand(outputs).clone(), False)
        if not (torch.frexp(self.gain).mantissa == 0.5).all():
            raise BoundError(f"a gain must be a power of two, not {gain}")
        self.register_buffer("mask", mask, False)
        rows, columns = zip(*self.taps, strict=True)
        self.above, self.below = max(0, -min(rows)), max(0, max(rows))
        self.left, self.right = max(0, -min(columns)), max(0, max(columns))
        self.corners = [(r + self.above, c + self.left) for r, c in self.taps]  # of the taps in a padded picture
        places = [r * (self.left + self.right + 1) + c for r, c in self.corners]
        self.register_buffer("places", torch.tensor(places), False)  # in conv2d's kernel
        self.rectified = bool((self.low == 0).all())
        ranges = set(zip(self.low.tolist(), self.high.tolist(), strict=True))
        self.range = next(iter(ranges)) if len(ranges) == 1 else None
        self._same_gain = float(self.gain[0]) if (self.gain == self.gain[0]).all() else None
        self._frozen: Floats | None = None
        self._narrows = False  # to float32, for values that allow it
        self._bytes: Bytes | None = None
        self.halves: Halves | None = None

    # ---- integers ------------------------------------------------------------------------------------------------

    def used(self) -> Tensor:
        """(outputs, fan_in) real weights, masked."""
        return self.weight if self.mask is None else self.weight * self.mask

    def exponent(self) -> Tensor:
        """(outputs,) e such that round(w 2^e) are the integer weights: the largest e that keeps the weights within
        their bits, the bias within 32, and every possible sum within the exact range of the layer's carrier (with 2 %
        to spare)."""
        w, b = self.used().detach().abs(), self.bias.detach().abs() * self.unit
        room = torch.minimum(
            self.weight_max / w.amax(1).clamp_min(1e-12),
            0.98 * CARRIER_LIMIT[self.carrier] / (w.sum(1) * self.input_max + b).clamp_min(1e-12),
        )
        room = torch.minimum(room, BIAS_MAX / b.clamp_min(1e-12))
        return torch.floor(torch.log2(room)).clamp(-8, 20 if self.fine else 16)

    def integers(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (outputs, fan_in), bias (outputs,), exponent (outputs,), all float64 with integer values.

        Those that were loaded, of a frozen layer; else those that are nearest to the real weights.
        """
        if self._frozen is not None:
            weight, bias, multiplier = (part.double() for part in self._frozen)
            return weight.t(), bias, torch.log2(self.gain.double() / multiplier)
        e = self.exponent().double()
        w = (self.used().detach().double() * torch.exp2(e)[:, None]).round()
        b = (self.bias.detach().double() * self.unit * torch.exp2(e)).round()
        return w, b, e

    def prove(self, weight: Tensor, bias: Tensor, carrier: torch.dtype | None = None) -> None:
        """Raise BoundError where some input could drive a partial sum out of the carrier's exact range."""
        carrier, sums = carrier or self.carrier, weight.abs().sum(1, dtype=torch.float64)
        peak = float((sums * self.input_max + bias.double().abs()).max())
        if peak >= CARRIER_LIMIT[carrier]:
            raise BoundError(f"a sum can reach {peak:.4g}, which {carrier} does not hold exactly")

    def load_integers(self, weight: Tensor, bias: Tensor, exponent: Tensor, carrier: torch.dtype | None = None) -> None:
        """Freeze the layer to integers: weight (outputs, fan_in), bias and exponent (outputs,), of any type.

        carrier: a wider float type than the layer's own, to check one against the other. Raises BoundError as `prove`,
        RuntimeError for other shapes.
        """
        if weight.shape != self.weight.shape or {bias.shape, exponent.shape} != {self.bias.shape}:
            raise RuntimeError(f"weights of {tuple(self.weight.shape)} are needed, not {tuple(weight.shape)}")
        self.prove(weight, bias, carrier)
        kind, device = carrier or self.carrier, self.weight.device
        multiplier = torch.exp2(-exponent.double()) * self.gain.double().cpu()
        parts = (weight.to(kind).t().contiguous(), bias, multiplier)
        self._frozen, self._bytes = Floats(*(part.to(device, kind) for part in parts)), None
        self.halves = None
        self._narrows = carrier is None and kind == torch.float64 and not self.fine
        self.mode = "frozen"

    def carry(self, in_int8: bool) -> None:
        """Let int8 carry what of a frozen layer fits, or floats again. Raises BoundError as `in_bytes`."""
        if self.narrow is not None:
            self._bytes = in_bytes(self.frozen, self.narrow, self.beside) if in_int8 else None
        self.halves = in_halves(self.frozen) if in_int8 and self._halved else None

    @property
    def _halved(self) -> bool:
        """Whether int8 can carry a frozen layer over whole pictures, its inputs in two bytes."""
        whole = self.narrow is None and self.inputs >= shifted.LEAST_INPUTS
        return whole and self.frozen.weight.is_cpu and fits(self.frozen, self.input_max)

    @property
    def _kept(self) -> torch.dtype:
        """The type of its outputs."""
        return torch.float32 if self._bytes is None or not self._bytes.narrow.outputs else torch.int8

    @property
    def stored(self) -> Stored:
        """How the layer takes its inputs, zero outside the picture included."""
        return FLOAT if self._bytes is None else self._bytes.narrow.inputs

    @property
    def frozen(self) -> Floats:
        """What was loaded. Raises RuntimeError in another mode."""
        if self._frozen is None:
            raise RuntimeError("only integers can be walked step by step: load integers first")
        return self._frozen

    @property
    def has_integers(self) -> bool:
        """Whether integers were loaded, and the mode has been frozen since."""
        return self._frozen is not None

    def change(self, mode: Mode) -> None:
        """Take on a mode; loaded integers become the real weights, and are forgotten, once these may move."""
        super().change(mode)
        if mode != "frozen" and self._frozen is not None:
            weight, bias, exponent = self.integers()
            scale = torch.exp2(-exponent)
            with torch.no_grad():
                self.weight.copy_(weight * scale[:, None])
                self.bias.copy_(bias * scale / self.unit)
            self._frozen = self._bytes = self.halves = None

    # ---- walks ---------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor, beside: Tensor | None = None, above: Tensor | None = None) -> Tensor:
        """x (N, H, W, inputs) -> (N, H, W, outputs), zero outside the picture; 1x1 layers take (n, inputs) too.

        beside: like x. above: the rows just above x, where they are not outside (frozen walk alone).
        """
        if self.mode == "frozen":
            return self.step([x], beside) if x.dim() == 2 else self._dense(x, beside, above)
        if self.precise:
            with torch.autocast(x.device.type, enabled=False):
                return self._train(x.float(), beside if beside is None else beside.float())
        return self._train(x, beside)

    def step(self, parts: Sequence[Tensor], beside: Tensor | None = None) -> Tensor:
        """Gathered taps, side by side (n, inputs) each, and what stands beside -> (n, outputs), on frozen integers.

        Inputs may be stored as `stored` says; outputs are, as the next layer takes them.
        """
        return self._rounded(*self._columns(parts, beside))

    def part(self, columns: Tensor, inputs: slice, outputs: slice) -> Tensor:
        """`step` of some outputs, from some inputs (n, len(inputs)); what the other inputs would add is left out."""
        y = self.frozen.part(inputs, outputs).scaled(columns).round_()
        return torch.clamp(y.to(torch.float32), self.low[outputs], self.high[outputs])

    def _columns(self, parts: Sequence[Tensor], beside: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What one product takes: inputs side by side, and those that stay in floats."""
        if self._bytes is not None:
            return self._bytes.columns(parts, beside)
        whole = parts if beside is None else [*parts, beside]
        return whole[0] if len(whole) == 1 else torch.cat(list(whole), -1), None

    def _rounded(self, columns: Tensor, beside: Tensor | None) -> Tensor:
        """Product and requantisation: the one place that knows of carriers."""
        if self._bytes is None:
            return self._requantised(self.frozen.scaled(columns))
        y = self._bytes.scaled(columns, beside)
        return y.round_().clamp_(*BYTE).to(torch.int8) if self._bytes.narrow.outputs else self._requantised(y)

    def _requantised(self, y: Tensor) -> Tensor:
        """Scaled sums, which are overwritten -> outputs in float32."""
        y = y.round_().to(torch.float32)
        return torch.clamp(y, self.low, self.high, out=y) if self.range is None else y.clamp_(*self.range)

    def _dense(self, x: Tensor, beside: Tensor | None, above: Tensor | None) -> Tensor:
        n, height, width = x.shape[:3]
        x, top = self.stored.store(x), self.above
        if above is not None:
            x, top = torch.cat((self.stored.store(above), x), 1), 0
        sides = (0, 0, self.left, self.right, top, self.below)
        padded = F.pad(x, sides, value=-self.stored.shift) if any(sides) else x
        out = torch.empty(n, height, width, self.outputs, dtype=self._kept, device=x.device)
        if self.halves is not None:
            return fill_by_halves(out, padded, beside, self.halves, self.corners, self._requantised)
        if self._bytes is None and beside is None and self.inputs >= shifted.LEAST_INPUTS:
            floats = shifted.narrowed(self.frozen, padded) if self._narrows else self.frozen
            return shifted.fill(out, padded, floats, self.corners, self._requantised)
        values = TILE_VALUES if self._bytes is None else min(TILE_VALUES, INT8_VALUES)
        tile = max(1, values // (n * width * self.weight.shape[1]))
        for r in range(0, height, tile):
            m = min(tile, height - r)
            parts = [padded[:, r + a : r + a + m, b : b + width] for a, b in self.corners]
            columns, rest = self._columns(parts, None if beside is None else beside[:, r : r + m])
            y = self._long(columns.reshape(-1, columns.shape[-1]), rest if rest is None else rest.flatten(0, 2))
            out[:, r : r + m] = y.view(n, m, width, self.outputs)
        return out

    def _long(self, columns: Tensor, beside: Tensor | None) -> Tensor:
        """`_rounded` of any number of rows."""
        if self._bytes is None or len(columns) <= INT8_ROWS:
            return self._rounded(columns, beside)
        blocks = columns.split(INT8_ROWS)
        rest = [None] * len(blocks) if beside is None else beside.split(INT8_ROWS)
        return torch.cat([self._rounded(*both) for both in zip(blocks, rest, strict=True)])

    def _train(self, x: Tensor, beside: Tensor | None) -> Tensor:
        w, b, simulated = self.used(), self.bias * self.unit, self.mode == "simulated"
        if simulated:
            e = self.exponent()
            scale = torch.exp2(e)
            w = w + ((w * scale[:, None]).round() / scale[:, None] - w).detach()
            b = b + ((b * scale).round() / scale - b).detach()
        rounding = simulated and not self.fine
        if not rounding:
            w, b = w * self.gain[:, None], b * self.gain
        seen = len(self.taps) * self.inputs
        if self.taps == OWN:
            y = F.linear(x, w[:, :seen], b)
        else:
            kernel = self._kernel(w[:, :seen])
            padded = F.pad(x, (0, 0, self.left, self.right, self.above, self.below))
            y = F.conv2d(padded.movedim(-1, 1), kernel, b).movedim(1, -1)
        if beside is not None:
            y = y + F.linear(beside, w[:, seen:])
        if self.fine:
            return F.relu(y) if self.rectified else y
        if rounding and self.range is not None and self._same_gain is not None:
            return requantised(y, self._same_gain, *self.range)
        if rounding:
            y = round_through(y * self.gain)
        return torch.clamp(y, self.low, self.high) if self.range is None else F.hardtanh(y, *self.range)

    def _kernel(self, w: Tensor) -> Tensor:
        """(outputs, taps * inputs) -> (outputs, inputs, rows, columns) for conv2d, zero where there is no tap."""
        rows, columns = self.above + self.below + 1, self.left + self.right + 1
        grid = w.new_zeros(self.outputs, rows * columns, self.inputs)
        grid = grid.index_copy(1, self.places, w.view(self.outputs, len(self.taps), self.inputs))
        return grid.view(self.outputs, rows, columns, self.inputs).permute(0, 3, 1, 2)


def layers(module: nn.Module) -> Iterator[tuple[str, Layer]]:
    """Every integer layer of a model, by name, in the order of definition."""
    for name, child in module.named_modules():
        if isinstance(child, Layer):
            yield name, child


Net = TypeVar("Net", bound=nn.Module)


def frozen_copy(net: Net) -> Net:
    """A net in the integers that are nearest to its weights: what its export would compute. Raises BoundError."""
    frozen = copy.deepcopy(net)
    for _, layer in layers(frozen):
        weight, bias, exponent = layer.integers()
        layer.load_integers(weight.cpu(), bias.cpu(), exponent.cpu())
    set_mode(frozen, "frozen")
    return frozen
