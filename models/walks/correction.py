"""A picture's own correction of the pixels' predictions: least squares, fitted to the picture and sent with it.

The PixelCNN's weights are those of all pictures. One camera's grain, sharpening or interpolated chroma leave errors
that the neighbours' errors foretell, each picture in its own way:

    e = x - m                     m: mean of the pixel's mixture, before it is moved; in 1/8 level, within +-255
    move = sum_k w[class]_k e_k   of all the mixture's centres; k: TAPS x channels, and the pixel's earlier channels

The class of a pixel's channel is how wide its mixture is. The weights w are bytes, the same for a whole band. Fitting
is the encoder's alone, and still the same on every machine: sums of integers that float64 holds exactly, then
elementwise float64 arithmetic in a fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.coding.units import FINE, VARIANCE_SHIFT, scale_variances
from vlcodec.codec.interface import Ints
from vlcodec.models.layers.causal_pixels import COLOURS
from vlcodec.models.layers.masked import FIRST
from vlcodec.models.walks.units import (
    ERROR_MAX,
    ERROR_SHIFT,
    ERROR_UNIT,
    MOVE_SHIFT,
    SIDE,
    TOP,
    WEIGHT_MIDDLE,
    WEIGHT_UNIT,
)

TAPS = FIRST
STRIP = 1 << 16  # positions at a time
FITTED = 1 << 21  # positions that weights are fitted to, at most: so many terms sum exactly
OUTLIER = 2  # standard deviations at which an error counts no more
PRECISION = 1638  # of a variance of 1 level^2
LEAST_VARIANCE = 1 << (VARIANCE_SHIFT - 3)
RIDGE = 1e-3  # of the mean of the squares
LEAST_RETURN = 2  # bits saved, by the fit's own estimate, per bit sent
Floats = NDArray[np.float64]
Edges = tuple[int, ...]  # scale indices at which a new class of pixels begins
Shorts = NDArray[np.int16]


def widths(colours: int) -> list[int]:
    """How many weights a class has in each channel."""
    return [len(TAPS) * colours + c for c in range(colours)]


def count(colours: int, edges: Edges) -> int:
    """How many bytes a correction has."""
    return (len(edges) + 1) * sum(widths(colours))


def likeliest_scale(logit: Ints, scale: Ints) -> Ints:
    """(n,) scale index of each mixture's likeliest component, of (n, K)."""
    found: Ints = scale[np.arange(len(scale)), logit.argmax(1)]
    return found


def classes_of(scale: Ints, edges: Edges) -> Ints:
    """(n,) classes of scale indices, from `likeliest_scale`."""
    found: Ints = (scale[:, None] >= np.array(edges, np.int64)).sum(1)
    return found


class Errors:
    """The errors of a band's known pixels, and what of them foretells the next. index: places in the band.

    plane: (TOP + rows, SIDE + width + SIDE, colours), empty where it is not given.
    """

    def __init__(self, rows: int, width: int, colours: int, plane: Shorts | None = None) -> None:
        self.width, self.colours = width, colours
        self._stride = width + 2 * SIDE
        self.plane = np.zeros((rows + TOP, self._stride, colours), np.int16) if plane is None else plane
        self._values = self.plane.reshape(-1, colours)
        self._taps = np.array([r * self._stride + c for r, c in TAPS])

    def _places(self, index: Ints) -> Ints:
        rows, columns = np.divmod(index, self.width)
        places: Ints = (rows + TOP) * self._stride + SIDE + columns
        return places

    def put(self, index: Ints, errors: Ints) -> None:
        """(n, colours), from `error`."""
        self._values[self._places(index)] = errors

    def at(self, index: Ints) -> Ints:
        """(n, colours) of the places themselves."""
        return self._values[self._places(index)].astype(np.int64)

    def around(self, index: Ints) -> Shorts:
        """(n, TAPS x colours) of their neighbours."""
        places = self._places(index)[:, None] + self._taps
        return self._values[places].reshape(len(index), -1)


def error(value: Ints, mean: Ints) -> Ints:
    """e of values in levels from means in 1/32 level."""
    if compiled.runs():
        from vlcodec.models.walks import kernels

        return kernels.errors(value, mean)
    found: Ints = (FINE * value - mean + (1 << ERROR_SHIFT - 1)) >> ERROR_SHIFT
    np.maximum(found, -ERROR_MAX, out=found)
    return np.minimum(found, ERROR_MAX, out=found)


class Correction:
    """The weights of a band: `tables`, (classes, widths) of each channel, in 1/256.

    numbers: (count,) in [0, 255]: by channel, class and weight.
    """

    def __init__(self, numbers: Ints, colours: int, edges: Edges) -> None:
        classes = len(edges) + 1
        ends = np.cumsum([classes * n for n in widths(colours)])
        parts = np.split(numbers - WEIGHT_MIDDLE, ends[:-1])
        self.edges, self.tables = edges, [part.reshape(classes, -1) for part in parts]
        near = len(TAPS) * colours
        self._around = np.concatenate([table[:, :near] for table in self.tables]).T.astype(np.float32)
        self._own = [table[:, near:] for table in self.tables]
        self._shape = (-1, colours, classes)

    def weights(self) -> Ints:
        """(3, classes, weights) by channel and class, in 1/256; what a channel has fewer of is 0."""
        found = np.zeros((COLOURS, *self.tables[-1].shape), np.int64)
        for channel, table in enumerate(self.tables):
            found[channel, :, : table.shape[1]] = table
        return found

    def around(self, errors: Shorts) -> Ints:
        """(n, colours, classes): what the neighbours' errors, from `Errors.around`, add to each channel's move."""
        sums = errors.astype(np.float32) @ self._around  # exact: below 2^24
        return sums.astype(np.int64).reshape(self._shape)

    def move(self, channel: int, around: Ints, own: Ints, logit: Ints, scale: Ints) -> Ints:
        """(n,) in 1/32 level, of mixtures (n, K).

        around: of the position. own: (n, colours), of which the channels before count.
        """
        if compiled.runs():
            from vlcodec.models.walks import kernels

            edges = np.array(self.edges, np.int64)
            return kernels.moves(channel, around, own, logit, scale, edges, self._own[channel])
        which = classes_of(likeliest_scale(logit, scale), self.edges)
        total = around[np.arange(len(which)), channel, which]
        for k in range(channel):
            total = total + own[:, k] * self._own[channel][which, k]
        moved: Ints = (total + (1 << MOVE_SHIFT - 1)) >> MOVE_SHIFT
        return moved


class Mover:
    """One walk's use of a correction: the errors that it meets move the mixtures to come. Without one nothing moves.

    errors: those of all pixels for the encoder's walk, none yet for the decoder's.
    """

    def __init__(self, correction: Correction | None = None, errors: Errors | None = None) -> None:
        self._correction, self._errors = correction, errors
        self._around = self._own = np.zeros((0, 0), np.int64)
        self._move: Ints | int = 0
        self._mixture: LogisticMixture | None = None

    def enter(self, index: Ints) -> None:
        """Go to the positions of a step."""
        if self._correction is not None and self._errors is not None:
            self._around = self._correction.around(self._errors.around(index))
            self._own = self._errors.at(index)

    def mixture(self, channel: int, logit: Ints, centre: Ints, scale: Ints) -> LogisticMixture:
        """The mixture of a channel at the step's positions, (n, K) each."""
        if self._correction is not None:
            self._move = self._correction.move(channel, self._around, self._own, logit, scale)
            centre = centre + self._move[:, None]
        self._mixture = LogisticMixture(logit, centre, scale)
        return self._mixture

    def observe(self, channel: int, value: Ints) -> None:
        """The values (n,) that a channel's mixture, the latest, turned out to have."""
        if self._correction is not None and self._mixture is not None:
            self._own[:, channel] = error(value, self._mixture.mean() - self._move)

    def leave(self, index: Ints) -> None:
        """The step's errors are known from now on."""
        if self._errors is not None:
            self._errors.put(index, self._own)


@cache
def _precisions() -> tuple[Ints, Ints]:
    """Of each scale index: the weight of a squared error, and the error at which it is cut off."""
    variances = scale_variances() + LEAST_VARIANCE
    unit = ERROR_UNIT**2 * OUTLIER**2
    limits = [min(ERROR_MAX, math.isqrt(unit * int(v) >> VARIANCE_SHIFT)) for v in variances]
    return np.maximum((PRECISION << VARIANCE_SHIFT) // variances, 1), np.maximum(np.array(limits, np.int64), 1)


def solve(matrix: Floats, right: Floats) -> Floats:
    """x of a symmetric positive definite matrix x = right, by elimination: the same bits on every machine."""
    a, b = matrix.copy(), right.copy()
    n = len(b)
    for i in range(n - 1):
        factor = a[i + 1 :, i] / a[i, i]
        a[i + 1 :] -= factor[:, None] * a[i]
        b[i + 1 :] -= factor * b[i]
    for i in reversed(range(n)):
        b[i] /= a[i, i]
        b[:i] -= a[:i, i] * b[i]
    return b


def strips(positions: int) -> Iterator[Ints]:
    """Places of a band, strip by strip."""
    for start in range(0, positions, STRIP):
        yield np.arange(start, min(start + STRIP, positions), dtype=np.int64)


def add_squares(
    squares: Floats, products: Floats, errors: Errors, scales: Shorts, index: Ints, channel: int, edges: Edges
) -> None:
    """Add to the least squares of a channel what neighbours' errors at the places index foretell, by class.

    squares: (classes, n, n), products: (classes, n). Sums of integers that float64 holds exactly, in any order.
    """
    precisions, limits = _precisions()
    if compiled.runs():
        from vlcodec.models.walks import kernels

        taps, start, stop = np.array(TAPS, np.int64), int(index[0]), int(index[-1]) + 1
        told = (taps, np.array(edges, np.int64), precisions, limits)
        kernels.add_squares(
            squares, products, np.empty(squares.shape[1]), errors.plane, scales, start, stop, channel, *told
        )
        return
    own, scale = errors.at(index), scales[index, channel].astype(np.int64)
    known = np.concatenate((errors.around(index), own[:, :channel]), 1).astype(np.float64)
    target = np.clip(own[:, channel], -limits[scale], limits[scale]).astype(np.float64)
    which, precision = classes_of(scale, edges), precisions[scale].astype(np.float64)
    for k in range(len(squares)):
        rows = known[which == k]
        weighted = rows * precision[which == k, None]
        squares[k] += rows.T @ weighted
        products[k] += weighted.T @ target[which == k]


def fit_correction(errors: Errors, scales: Shorts, edges: Edges) -> Ints:
    """The bytes of the best correction of a band, (count,) in [0, 255], or none where it would not pay for itself.

    scales: (positions, colours) of `likeliest_scale`, small integers.
    """
    colours, positions = errors.colours, len(scales)
    every = -(-positions // FITTED)
    sizes, classes = widths(colours), len(edges) + 1
    squares = [np.zeros((classes, n, n)) for n in sizes]
    products = [np.zeros((classes, n)) for n in sizes]
    for index in list(strips(positions))[::every]:
        for c in range(colours):
            add_squares(squares[c], products[c], errors, scales, index, c, edges)
    numbers, gain = list[Ints](), 0.0
    for c, size in enumerate(sizes):
        for k in range(classes):
            ridge = RIDGE * float(np.trace(squares[c][k])) / size + 1.0
            found = solve(squares[c][k] + ridge * np.eye(size), products[c][k])
            weights = np.clip(np.rint(found * WEIGHT_UNIT), -WEIGHT_MIDDLE, WEIGHT_MIDDLE - 1)
            real = weights / WEIGHT_UNIT
            gain += math.fsum(2 * real * products[c][k])  # of the sum of squares; rounded once, in any order
            gain -= math.fsum((real[:, None] * squares[c][k] * real).ravel())
            numbers.append(weights.astype(np.int64) + WEIGHT_MIDDLE)
    saved_bits = every * gain / (PRECISION * ERROR_UNIT**2 * 2 * math.log(2))
    pays = saved_bits > LEAST_RETURN * 8 * count(colours, edges)
    return np.concatenate(numbers) if pays else np.zeros(0, np.int64)
