"""A band of pixels walked by compiled steps: what `pixel_block` does, where the net has 8 bits and the processor VNNI.

A step is five calls for each channel at most (mixtures, two digits' counts, what turned out) and two around them,
instead of hundreds. The bits are the same; without numba, or on another device, torch and numpy walk.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.tables import DrawnMixture, LogisticMixture
from vlcodec.codec.coding.units import CDF_BITS, FLOOR_SHIFT, exponentials, scale_variances, sigmoids, slopes
from vlcodec.codec.interface import Ints, Step
from vlcodec.models.layers.carriers import MIDDLE
from vlcodec.models.layers.causal_pixels import COLOURS, PixelDecoder
from vlcodec.models.walks.correction import Correction
from vlcodec.models.walks.packed import OUTPUTS, PAST_BYTES, Packed, features_of, fits, packed
from vlcodec.models.walks.wavefront import TOP, fronts

SLOTS = 8  # of past pixels: taps look at most six steps back


def serves(decoder: PixelDecoder, lanes: int) -> bool:
    """Whether compiled steps walk a band of a decoder here."""
    if lanes != 1 or decoder.net.first.weight.device.type != "cpu" or not compiled.runs() or not fits(decoder):
        return False
    from vlcodec.models.walks import tiles

    return tiles.available()


class CompiledBand:
    """One walk over a band. fz: (1, rows, W, 3 + features). guide: variance, of a walk that draws."""

    def __init__(
        self, decoder: PixelDecoder, fz: Tensor, colours: int, guide: int | None, correction: Correction | None
    ) -> None:
        from vlcodec.models.walks import step_kernels

        self._kernels, self.colours = step_kernels, colours
        self.net = packed(decoder)
        self.tables = step_kernels.Tables(exponentials(), slopes(), sigmoids(), scale_variances())
        self._drawn = guide is not None
        numbers, edges = (correction.weights(), correction.edges) if correction is not None else (None, ())
        self.state = _state(step_kernels, self.net, fz, colours, guide or 0, numbers, edges, decoder.mixtures)

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        for at in fronts(self.state.height, self.state.width):
            self._kernels.trunk(self.net, self.state, at.step)
            for c in range(self.colours):
                kind = _Drawn if self._drawn else _Counted
                symbols = yield Step(kind(self, c, at.step, len(at.index)), at.index * self.colours + c)
                if not self._drawn:
                    self._kernels.observe(self.net, self.state, c, symbols)
            self._kernels.leave(self.net, self.state, at.step, self.colours)

    def see(self, known: Ints) -> tuple[list[NDArray[np.int16]], NDArray[np.int16]]:
        """(rows W, 3) values -> the parameters of each channel, and the base: see `pixel_block.Pass`."""
        positions = len(known)
        params = [np.empty((positions, n if c < self.colours else 0), np.int16) for c, n in enumerate(self.net.counts)]
        base = np.empty((positions, COLOURS), np.int16)
        self._kernels.see(self.net, self.state, known.astype(np.int16), *params, base, self.colours)
        return params[: self.colours], base


class _Counted(LogisticMixture):
    """A channel's mixtures at a step's positions, whose counts the kernels make."""

    def __init__(self, band: CompiledBand, channel: int, step: int, n: int) -> None:
        self._band, self._n = band, n
        band._kernels.mixtures(band.net, band.state, band.tables, channel, step, n)

    def counts(self, digits: Sequence[Ints]) -> Any:
        """See codec.interface.Distribution; in float32, as the coder takes them."""
        band, width = self._band, self.radix[0] if not digits else 1
        first = digits[0] * self.radix[1] if digits else np.zeros(self._n, np.int64)
        band._kernels.count_digits(band.state, band.tables, first, width, FLOOR_SHIFT)
        return band.state.counts[: self._n]

    @property
    def parameters(self) -> tuple[Ints, Ints, Ints]:
        state, n = self._band.state, self._n
        return state.logit[:n].copy(), state.centre[:n].copy(), state.scale[:n].copy()


class _Drawn(DrawnMixture):
    """A channel's guided mixtures at a step's positions, which the kernels draw from."""

    def __init__(self, band: CompiledBand, channel: int, step: int, n: int) -> None:
        self._band, self._channel, self._step = band, channel, step

    def inverse(self, words: NDArray[np.uint64]) -> Ints:
        """See `tables.DrawnMixture`."""
        band, drawn = self._band, (words >> np.uint64(64 - CDF_BITS)).astype(np.int64)
        return band._kernels.draw(band.net, band.state, band.tables, self._channel, self._step, drawn)


def _state(
    kernels: Any, net: Packed, fz: Tensor, colours: int, guide: int, correction: Ints | None, edges: Sequence[int],
    mixtures: int,
) -> Any:  # fmt: skip
    """The empty buffers of a walk."""
    height, width = fz.shape[1:3]
    rows = min(height, (width + 1) // 2)  # of a step, at most
    channels, features = net.own.shape[1], len(net.own) - COLOURS
    reach = -int((2 * net.near_taps[..., 0] + net.near_taps[..., 1]).min())  # steps that a near layer looks back
    outputs = max(channels, net.hidden.bias.size)
    whole = np.zeros((rows, mixtures), np.int64)
    return kernels.State(
        height=height,
        width=width,
        guide=guide,
        fz=features_of(fz),
        x=np.zeros((SLOTS, TOP + height, COLOURS), np.int32),
        past=np.full((SLOTS, TOP + height, PAST_BYTES), MIDDLE, np.uint8),
        near=np.zeros((len(net.near_taps), 1 << reach.bit_length(), TOP + height, channels), np.uint8),
        stream=np.zeros((rows, channels), np.float32),
        activation=np.zeros((rows, channels), np.uint8),
        between=np.zeros((rows, channels), np.uint8),
        sums=np.zeros((rows, outputs), np.int32),
        told=np.zeros((rows, OUTPUTS), np.int32),
        own=np.zeros((rows, features + COLOURS), np.float32),
        row=np.zeros(channels, np.float32),
        bases=np.zeros(max(len(net.first_taps), net.near_taps.shape[1]), np.int64),
        base=np.zeros((rows, COLOURS), np.int64),
        known=np.zeros((rows, COLOURS), np.int64),
        seen=np.zeros((rows, COLOURS - 1), np.int64),
        params=np.zeros((rows, OUTPUTS), np.int64),
        logit=whole,
        centre=whole.copy(),
        scale=whole.copy(),
        weight=whole.copy(),
        move=np.zeros(rows, np.int64),
        counts=np.zeros((rows, kernels.DIGIT), np.float32),
        errors=np.zeros((kernels.SIDE + height, width + 2 * kernels.SIDE, colours), np.int16),
        missed=np.zeros((rows, COLOURS), np.int64),
        correction=np.zeros((COLOURS, 0, 0), np.int64) if correction is None else correction,
        edges=np.array(edges, np.int64),
    )
