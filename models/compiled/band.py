"""A band of pixels walked by compiled steps: what `pixel_block` does, where the net has 8 bits and the processor VNNI.

A step of a decoder is two calls for each channel, one for each digit; what is drawn, or seen at once, takes one for
many steps. The bits are the same; without numba, or on another device, torch and numpy walk.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.coding.units import LOWEST, exponentials, scale_variances, sigmoids, slopes
from vlcodec.codec.interface import Ints, Tick
from vlcodec.models.compiled.packed import OUTPUTS, PAST_BYTES, Packed, features_of, fits, packed
from vlcodec.models.layers.carriers import MIDDLE
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX, PixelDecoder
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.correction import Correction, Errors
from vlcodec.models.walks.latent_steps import MixtureStep
from vlcodec.models.walks.units import TOP as ABOVE
from vlcodec.models.walks.wavefront import TOP, Strips, fronts, steps_of

CHUNK = 64  # steps that are drawn between two ticks
LEAST_ROWS = 128  # of a part of a band that a thread sees
PROBED = 9, 13  # a small band, which reaches every tap
KEPT = "_packed"  # attribute of a decoder: what it was frozen to, and its arrays
SLOTS = 8  # of past pixels: taps look at most six steps back
_LOCK = threading.RLock()


def serves(decoder: PixelDecoder, lanes: int) -> bool:
    """Whether compiled steps walk a band of a decoder here."""
    return lanes == 1 and compiled.runs() and _packed(decoder) is not None


def _packed(decoder: PixelDecoder) -> Packed | None:
    """The net as compiled steps take it, made once; None where they do not fit it, or were found to be wrong."""
    kept = decoder.__dict__.get(KEPT)
    if kept is None or kept[0] is not decoder.net.first.frozen:
        with _LOCK:
            kept = decoder.net.first.frozen, packed(decoder) if _right(decoder) else None
            decoder.__dict__[KEPT] = kept
    net: Packed | None = kept[1]
    return net


def _right(decoder: PixelDecoder) -> bool:
    """Whether compiled steps fit a net and the processor, and compute what the net's own layers do: probed, not
    trusted, as int8 products are."""
    if decoder.net.first.frozen.weight.device.type != "cpu" or not fits(decoder):
        return False
    try:
        from vlcodec.models.compiled import tiles

        if not tiles.available():
            return False
        rng, features = torch.Generator().manual_seed(0), decoder.net.first.beside - COLOURS
        size = (1, *PROBED)
        x = torch.randint(-128, 128, (*size, COLOURS), generator=rng).float()
        fz = torch.randint(-FEATURE_MAX, FEATURE_MAX + 1, (*size, features), generator=rng).float()
        with exact_inference():
            raw, base = decoder(Strips().look, x, F.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1], fz, [])
        band = CompiledBand(packed(decoder), fz, COLOURS, decoder.mixtures)
        told, found, *_ = band.see(x.reshape(-1, COLOURS).numpy().astype(np.int16))
    except (ImportError, RuntimeError, ValueError):  # an instruction set, or a numba, of another kind
        return False
    made = [*(told[:, c, : raw[c].shape[-1]] for c in range(COLOURS)), found]
    wanted = [part.flatten(0, 2).numpy() for part in (*raw, base)]
    return all(map(np.array_equal, made, wanted))


def band_of(
    decoder: PixelDecoder, fz: Tensor, colours: int, guide: int = 0, correction: Correction | None = None
) -> CompiledBand:
    """A walk over a band of a decoder that compiled steps serve. Arguments: see CompiledBand."""
    net = _packed(decoder)
    if net is None:
        raise RuntimeError("compiled steps do not serve this net")
    return CompiledBand(net, fz, colours, decoder.mixtures, guide, correction)


class Seen(NamedTuple):
    """What a band is to a walk that knows its pixels. told, base: see `pixel_block.Pass`; errors, scales: see
    `pixel_block.PixelBlock.errors`."""

    told: NDArray[np.int16]
    base: NDArray[np.int16]
    errors: Errors
    scales: NDArray[np.int16]


class CompiledBand:
    """One walk over a band. fz: (1, rows, W, 3 + features). guide: variance, of a walk that draws."""

    def __init__(
        self, net: Packed, fz: Tensor, colours: int, mixtures: int, guide: int = 0,
        correction: Correction | None = None,
    ) -> None:  # fmt: skip
        from vlcodec.models.compiled import step_kernels

        self._kernels, self.colours, self._fz, self._mixtures = step_kernels, colours, fz, mixtures
        self.net = net
        self.tables = step_kernels.Tables(exponentials(), slopes(), sigmoids(), scale_variances())
        self.state = _state(self.net, fz, colours, guide, correction, mixtures)
        self._nothing = self._values()

    def sequential(self) -> Generator[MixtureStep, Ints, None]:
        """See codec.interface.Steps."""
        before, known = -1, self.state.known
        for at in fronts(self.state.height, self.state.width):
            for c in range(self.colours):
                self._walk(self._nothing, before, at.step, at.step + 1, c, self._kernels.COUNT)
                symbols = yield MixtureStep(_Counted(self, len(at.index)), at.index * self.colours + c)
                np.add(symbols, LOWEST, out=known[: len(symbols), c])
            before = at.step

    def draw(self, words: NDArray[np.uint64], tick: Tick | None) -> Ints:
        """(rows W colours,) words of noise -> symbols: see `tables.DrawnMixture`."""
        values = self._values(words=words, symbols=np.zeros(len(words), np.int64))
        steps = steps_of(self.state.height, self.state.width)
        for start in range(0, steps, CHUNK):
            self._walk(values, start - 1, start, min(start + CHUNK, steps), 0, self._kernels.DRAW)
            if tick is not None:
                tick(self.colours * min(start + CHUNK, steps), self.colours * steps)
        found: Ints = values.symbols
        return found

    def see(self, known: NDArray[np.int16]) -> Seen:
        """All that a walk over (rows W, 3) known values finds, without a correction."""
        height, width = self.state.height, self.state.width
        told = np.zeros((len(known), self.colours, int(self.net.counts.max())), np.int16)
        base, scales = np.empty(known.shape, np.int16), np.empty((len(known), self.colours), np.int16)
        arrays = {"known": known, "told": told, "base": base, "scales": scales}
        errors = self.state.errors

        def see(rows: range) -> None:
            """Some rows, after those that they need to see, by a walk of their own."""
            start = max(0, rows.start - self._reach())
            part = CompiledBand(self.net, self._fz[:, start : rows.stop], self.colours, self._mixtures)
            part.state = part.state._replace(skipped=rows.start - start)
            here = slice(start * width, rows.stop * width)
            values = part._values(**{name: array[here] for name, array in arrays.items()})
            part._walk(values, -1, 0, steps_of(rows.stop - start, width) + 2, 0, self._kernels.SEE)
            errors[ABOVE + rows.start : ABOVE + rows.stop] = part.state.errors[ABOVE + rows.start - start :]

        parts = max(1, min(torch.get_num_threads(), height // LEAST_ROWS))
        edges = [height * i // parts for i in range(parts + 1)]
        with ThreadPoolExecutor(parts) as pool:
            list(pool.map(see, map(range, edges, edges[1:])))
        return Seen(told, base, Errors(height, width, self.colours, errors), scales)

    def _reach(self) -> int:
        """Rows above that a position depends on: of the near layers, the first one, and what it sees of a pixel."""
        first = -int(self.net.first_taps[:, 0].min())
        return -int(self.net.near_taps[..., 0].min(1).sum()) + 2 * first

    def backwards(
        self, told: NDArray[np.int16], base: NDArray[np.int16], known: NDArray[np.int16], errors: Errors | None
    ) -> Iterator[MixtureStep]:
        """The encoder's walk; errors: of all pixels, if the band has a correction."""
        counts = np.empty((self.colours, 2, *self.state.counts.shape), np.float32)
        mixtures = np.empty((self.colours, 3, *self.state.logit.shape), np.int64)
        values = self._values(known=known, told=told, base=base, counts=counts, mixtures=mixtures)
        self.state = self.state if errors is None else self.state._replace(errors=errors.plane)
        for at in fronts(self.state.height, self.state.width, reverse=True):
            self._walk(values, -1, at.step, at.step + 1, 0, self._kernels.TELL)
            for c in reversed(range(self.colours)):
                n = len(at.index)
                logit, centre, scale = mixtures[c, :, :n]
                yield MixtureStep(_Told(logit, centre, scale, counts[c, :, :n]), at.index * self.colours + c)

    def _walk(self, values: Any, before: int, start: int, stop: int, channel: int, why: int) -> None:
        self._kernels.walk(self.net, self.state, self.tables, values, before, start, stop, channel, self.colours, why)

    def _values(self, **given: Any) -> Any:
        """Of the band; what is not given is empty."""
        ranks = {"known": 2, "told": 3, "base": 2, "scales": 2, "words": 1, "symbols": 1, "counts": 4, "mixtures": 4}
        kinds = dict.fromkeys(ranks, "i2") | {"words": "u8", "symbols": "i8", "counts": "f4", "mixtures": "i8"}
        empty = {name: np.zeros([0] * rank, kinds[name]) for name, rank in ranks.items()}
        return self._kernels.Band(**empty | given)


class _Counted(LogisticMixture):
    """A channel's mixtures at a step's n positions, whose counts the kernels make; of use until the next step."""

    def __init__(self, band: CompiledBand, n: int) -> None:
        state = band.state
        super().__init__(state.logit[:n], state.centre[:n], state.scale[:n])
        self._band, self._n = band, n

    def counts(self, digits: Sequence[Ints]) -> Any:
        """See codec.interface.Distribution; in float32, as the coder takes them. The first digit's were made before."""
        band = self._band
        if digits:
            band._kernels.count_second(band.state, band.tables, digits[0])
        return band.state.counts[: self._n]


class _Told(LogisticMixture):
    """Mixtures of known symbols, of use until the next step. told: (2, n, 16) counts of both digits."""

    def __init__(self, logit: Ints, centre: Ints, scale: Ints, told: NDArray[np.float32]) -> None:
        super().__init__(logit, centre, scale)
        self._told = told

    def counts(self, digits: Sequence[Ints]) -> Any:
        """See codec.interface.Distribution; in float32, as the coder takes them."""
        return self._told[len(digits)]


def _state(
    net: Packed, fz: Tensor, colours: int, guide: int, correction: Correction | None, mixtures: int
) -> Any:
    """The empty buffers of a walk."""
    from vlcodec.models.compiled.net_kernels import SIDE, State

    height, width = fz.shape[1:3]
    rows = min(height, (width + 1) // 2)  # of a step, at most
    channels, features = net.own.shape[1], len(net.own) - COLOURS
    reach = -int((2 * net.near_taps[..., 0] + net.near_taps[..., 1]).min())  # steps that a near layer looks back
    slots = 1 << reach.bit_length()
    whole, triple = np.zeros((rows, mixtures), np.int64), np.zeros((rows, COLOURS), np.int64)
    byte, real = np.zeros((rows, channels), np.uint8), np.zeros((rows, channels), np.float32)
    no_weights = np.zeros((COLOURS, 0, 0), np.int64)
    return State(
        height=height,
        width=width,
        skipped=0,
        guide=guide,
        fz=features_of(fz),
        x=np.zeros((SLOTS, TOP + height, COLOURS), np.int32),
        past=np.full((SLOTS, TOP + height, PAST_BYTES), MIDDLE, np.uint8),
        near=np.zeros((len(net.near_taps), slots, TOP + height, channels), np.uint8),
        stream=real,
        activation=byte,
        between=byte.copy(),
        sums=np.zeros((rows, max(channels, net.hidden.bias.size)), np.int32),
        told=np.zeros((rows, OUTPUTS), np.int32),
        own=np.zeros((rows, features + COLOURS), np.float32),
        row=np.zeros(channels, np.float32),
        bases=np.zeros(max(len(net.first_taps), net.near_taps.shape[1]), np.int64),
        base=triple,
        known=triple.copy(),
        seen=triple.copy(),
        params=np.zeros((rows, OUTPUTS), np.int64),
        logit=whole,
        centre=whole.copy(),
        scale=whole.copy(),
        weight=whole.copy(),
        move=np.zeros(rows, np.int64),
        counts=np.zeros((rows, LogisticMixture.radix[0]), np.float32),
        errors=np.zeros((SIDE + height, width + 2 * SIDE, 0 if guide else colours), np.int16),
        missed=triple.copy(),
        correction=no_weights if correction is None else correction.weights(),
        edges=np.array(() if correction is None else correction.edges, np.int64),
        digit=np.zeros(LogisticMixture.radix[0] + 1, np.int64),
    )
