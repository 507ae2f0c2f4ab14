"""Layers of small nets, whose activations are so fine that rounding can wait until after training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vlcodec.codec.errors import BoundError
from vlcodec.models.layers.activations import FINE_MAX, FINE_UNIT
from vlcodec.models.layers.carriers import CARRIER_LIMIT
from vlcodec.models.layers.exact import Layer, Taps


def fine_layer(
    taps: Taps,
    inputs: int,
    outputs: int,
    *,
    beside: int = 0,
    gain: float | Sequence[float] = 1.0,
    low: float | Sequence[float] = -FINE_MAX,
    high: float | Sequence[float] = FINE_MAX,
    input_max: int = FINE_MAX,
    bits: int = 8,
    unit: int = FINE_UNIT,
    mask: Tensor | None = None,
    precise: bool = False,
    init: float = 1.0,
) -> Layer:
    """A layer in float64 carriers, for small nets: activations so fine that rounding can wait until after training."""
    return Layer(
        taps, inputs, outputs, beside=beside, gain=gain, low=low, high=high, input_max=input_max, bits=bits, unit=unit,
        mask=mask, fine=True, precise=precise, init=init, carrier=torch.float64,
    )  # fmt: skip


def prove_stream(terms: int) -> None:
    """Raise BoundError where a residual stream, the sum of so many fine layers' outputs, is not exact in float32."""
    if terms * FINE_MAX >= CARRIER_LIMIT[torch.float32]:
        raise BoundError(f"a residual stream of {terms} terms can leave the range that float32 holds exactly")
