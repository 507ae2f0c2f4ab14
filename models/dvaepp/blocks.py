"""Latents and pixels of a frozen DVAE++ as blocks, many pictures side by side.

A picture's latents are, in order: the bits z1 and z2, then the groups, each by row, column and channel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.tables import Bernoulli, Categorical, FlooredGaussian, LogisticMixture
from vlcodec.codec.coding.walk import OneStep
from vlcodec.codec.interface import Coder, Distribution, Ints, Source, Step, Tick
from vlcodec.models.dvaepp.lattice import CELL, COLOURS, SCALES, SHARE_UNIT, cells_of
from vlcodec.models.dvaepp.net import Dvaepp, Group
from vlcodec.models.dvaepp.rbm import TABLE_BITS, Rbm
from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.made import OneByOne
from vlcodec.models.layers.mixture import FINE
from vlcodec.models.layers.posterior import CELLS, Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.dither import CENTRE, reconstruct
from vlcodec.models.walks.net_walk import NetWalk, to_numpy

FLOOR_SHIFT = 22  # of the groups' tables: of a thousand latents none should be drawn from the uniform floor
Seen = tuple[Tensor, Tensor]  # the encoder's features and what the whole picture says


class Memo(threading.local):
    """The streams of each thread's last descent: prior, posterior and pixels go down the same way."""

    def __init__(self) -> None:
        self._steps: list[tuple[bytes, Tensor]] = []

    def at(self, step: int, values: Ints, stream: Callable[[], Tensor]) -> Tensor:
        """The stream after a step that was answered by these values, as the steps before it were by theirs."""
        key = values.tobytes()
        if len(self._steps) <= step or self._steps[step][0] != key:
            with exact_inference():
                self._steps[step:] = [(key, stream())]
        return self._steps[step][1]


class LatentWalk(NetWalk):
    """Latents (n, latents) of n pictures: of the posterior where `seen` is given, else of the prior given z1.

    first: (n, bits) z1, of the prior; its places are not walked. dither: (n, latents) in 1/32 step, of the uniform
    kind's prior. groups: that are walked, all unless told otherwise; the others are where the prior has its centres.
    """

    def __init__(
        self, net: Dvaepp, kind: Kind, n: int, memo: Memo, *, seen: Seen | None = None, first: Ints | None = None,
        dither: Ints | None = None, groups: int | None = None,
    ) -> None:  # fmt: skip
        self._net, self._kind, self._seen, self._first, self._dither = net, kind, seen, first, dither
        self._memo = memo
        self._bits, shape = net.shape.bits, net.shape
        self._groups = shape.groups if groups is None else groups
        self._local = shape.grid**2 * shape.locals
        self.shape = (n, self._bits + self._groups * self._local)
        self.count = self._groups + (shape.layers if seen is not None else 1)

    def levels(self) -> Generator[tuple[slice, Ints, Ints], Ints, Tensor]:
        """Each part's place among a picture's latents, with its log-odds (n, count) twice, or its centres and scales,
        is answered by its values (n, count): bits, or z in cells or 1/32 step. Returns what pixels are told by."""
        net, n, side = self._net, self.shape[0], self._net.shape.grid
        known = [] if self._first is None else [self._first]
        done = sum(part.shape[1] for part in known)
        while done < self._bits:
            bits = [self._real(part) for part in known]
            with exact_inference():
                if self._seen is not None:
                    logit = net.posterior.logits(len(bits), self._seen[1], bits)
                else:
                    logit = net.rbm.other(FINE_UNIT * bits[0])
            odds = to_numpy(logit)
            known.append((yield slice(done, done + odds.shape[1]), odds, odds))
            done += odds.shape[1]
        z = np.concatenate(known, 1)
        h = self._memo.at(0, z, partial(net.top, self._real(z)))
        for j in range(net.shape.groups):
            group = net.group(j)
            ends = group.ends_of(self._kind)
            with exact_inference():
                told = net.elu(h)
                prior = ends.prior(told)
                both = prior if self._seen is None else ends.posterior(group.merged(told, self._seen[0]), prior)
            centre, scale = (to_numpy(t).reshape(n, -1) for t in both)
            z = (yield slice(done, done + self._local), centre, scale) if j < self._groups else centre
            h = self._memo.at(j + 1, z, partial(self._after, group, h, self._real(z.reshape(n, side, side, -1))))
            done += self._local
        return h

    def _real(self, values: Ints) -> Tensor:
        return torch.from_numpy(values).to(self._net.start.weight.device, torch.float32)

    def _after(self, group: Group, h: Tensor, z: Tensor) -> Tensor:
        stream: Tensor = group.blocks(h + group.ends_of(self._kind).enter(z))
        return stream

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        n, total = self.shape
        walk = self.levels()
        part, centre, scale = next(walk)
        while True:
            places = np.arange(n)[:, None] * total + np.arange(part.start, part.stop)
            symbols = (yield Step(self.distribution(part, centre, scale), places.reshape(-1))).reshape(n, -1)
            if part.stop == total:
                walk.close()
                return
            part, centre, scale = walk.send(self.values(part, symbols))

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps: all groups are few steps, walked forwards and handed out backwards."""
        flat, walk, steps = symbols.reshape(-1), self.sequential(), list[Step]()
        try:
            steps.append(next(walk))
            while True:
                steps.append(walk.send(flat[steps[-1].index]))
        except StopIteration:
            return iter(steps[::-1])

    def distribution(self, part: slice, centre: Ints, scale: Ints) -> Distribution:
        """Of a part's symbols, of what `levels` gives of it."""
        if part.stop <= self._bits:
            return Bernoulli(centre.reshape(-1))
        if self._kind == "gaussian":
            return FlooredGaussian(centre.reshape(-1), scale.reshape(-1), FLOOR_SHIFT)
        assert self._dither is not None
        column = (centre - self._dither[:, part]).reshape(-1, 1)
        return LogisticMixture(np.zeros_like(column), column, scale.reshape(-1, 1))

    def values(self, part: slice, symbols: Ints) -> Ints:
        """Bits, or z of a group's symbols: in cells, or in 1/32 step."""
        if part.stop <= self._bits:
            return symbols
        if self._kind == "gaussian":
            return symbols - CELLS // 2
        assert self._dither is not None
        return reconstruct(symbols, self._dither[:, part])


class First(Protocol):
    """How z1 is coded: a block of (n, bits)."""

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """See codec.interface.Block."""

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block."""

    def bits(self, symbols: Ints) -> float:
        """See codec.interface.Block."""


class Word:
    """z1 as one symbol of a table, its first bit the most significant."""

    def __init__(self, rbm: Rbm, n: int) -> None:
        with exact_inference():
            logit = to_numpy(rbm.table(torch.zeros(1, 1, device=rbm.own.weight.device)))
        self._size = rbm.bits
        self._step = OneStep(Categorical(np.repeat(logit, n, 0)), (n,))

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """See codec.interface.Block."""
        self._step.push(self._words(symbols), stack)

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block."""
        places = np.arange(self._size - 1, -1, -1)
        bits: Ints = self._step.pop(source)[:, None] >> places & 1
        return bits

    def bits(self, symbols: Ints) -> float:
        """See codec.interface.Block."""
        return self._step.bits(self._words(symbols))

    def _words(self, symbols: Ints) -> Ints:
        words: Ints = (symbols << np.arange(self._size - 1, -1, -1)).sum(1)
        return words


class BitByBit(NetWalk):
    """z1 (n, bits), each bit given the ones before it."""

    def __init__(self, rbm: Rbm, n: int) -> None:
        self._made, self.shape, self.count = rbm.made, (n, rbm.bits), rbm.bits
        self._device = rbm.own.weight.device

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        n = self.shape[0]
        walk = OneByOne(self._made, n, self._device)
        for i in range(self.count):
            bits = yield self._step(i, to_numpy(walk.shift(i)))
            walk.put(i, torch.from_numpy(FINE_UNIT * bits).to(self._device, torch.float32))

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps."""
        with exact_inference():
            logit = to_numpy(self._made(torch.from_numpy(FINE_UNIT * symbols).to(self._device, torch.float32)))
        for i in reversed(range(self.count)):
            yield self._step(i, logit[:, i])

    def _step(self, i: int, logit: Ints) -> Step:
        return Step(Bernoulli(logit), np.arange(len(logit), dtype=np.int64) * self.count + i)


class LatentPrior:
    """p(z, h): z1 in its own way, then all that follows from it. Symbols (n, latents); see codec.interface.Block."""

    def __init__(
        self, net: Dvaepp, kind: Kind, n: int, memo: Memo, dither: Ints | None = None, groups: int | None = None
    ) -> None:
        self._net, self._kind, self._dither, self._n, self._groups = net, kind, dither, n, groups
        self._memo, self._size = memo, net.rbm.bits
        self.shape = LatentWalk(net, kind, n, memo, groups=groups).shape

    def push(self, symbols: Ints, stack: Coder, tick: Tick | None = None) -> None:
        """See codec.interface.Block."""
        first = symbols[:, : self._size]
        self.rest(first).push(symbols, stack, tick)
        self.first().push(first, stack)

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block."""
        first = self.first().pop(source)
        symbols = self.rest(first).pop(source, tick)
        symbols[:, : self._size] = first
        return symbols

    def bits(self, symbols: Ints) -> float:
        """See codec.interface.Block."""
        first = symbols[:, : self._size]
        return self.first().bits(first) + self.rest(first).bits(symbols)

    def first(self) -> First:
        """Of z1."""
        if self._net.rbm.bits <= TABLE_BITS:
            return Word(self._net.rbm, self._n)
        return BitByBit(self._net.rbm, self._n)

    def rest(self, first: Ints) -> LatentWalk:
        """Of z2 and the groups."""
        return LatentWalk(
            self._net, self._kind, self._n, self._memo, first=first, dither=self._dither, groups=self._groups
        )


class LatticeBlock(NetWalk):
    """Pixels (side, side, colours, n), from coarse to fine. stream: (n, grid, grid, width).

    colours: 1 of colour pictures that are grey, whose G is coded alone.
    """

    def __init__(self, net: Dvaepp, stream: Tensor, colours: int) -> None:
        self._net, self._stream, self._colours = net, stream, colours
        side = net.shape.side
        self.shape = (side, side, colours, len(stream))
        self.count = len(SCALES) * colours
        places = np.arange(side * side).reshape(side, side)
        octaves = (places[::2, ::2], places)
        self._places = [_cells(octave) for octave in octaves]

    def sequential(self) -> Generator[Step, Ints, None]:
        """See codec.interface.Steps."""
        decoder, n, side = self._net.decoder, self.shape[3], self._net.shape.side
        h, device = self._stream, self._stream.device
        x = np.zeros((side * side, self._net.shape.colours, n), np.int64)  # as the net takes them
        for k, scale in enumerate(SCALES):
            known = torch.from_numpy(x.transpose(2, 0, 1).reshape(n, side, side, -1)).to(device, torch.float32)
            with exact_inference():
                h, raw, base = decoder.step(k, h, cells_of(known)[scale.octave])
            pixels = self._places[scale.octave][:, list(scale.new)]  # (cells, new)
            if not decoder.mixtures:
                logit = to_numpy(raw).reshape(n, *pixels.shape).transpose(1, 2, 0)
                bits = yield Step(Bernoulli(logit.reshape(-1)), self._index(pixels, 0))
                x[pixels, 0] = FINE_UNIT * (2 * bits - 1).reshape(*pixels.shape, n)
                continue
            walk = _colour_steps(to_numpy(raw), None if base is None else to_numpy(base), pixels.shape, self._colours)
            mixture = next(walk)
            for c in range(self._colours):
                symbols = yield Step(mixture, self._index(pixels, c))
                values = (symbols - CENTRE).reshape(*pixels.shape, n)
                x[pixels, c] = values
                if c + 1 < self._colours:
                    mixture = walk.send(values)
            if self._colours == 1:
                x[pixels, 1:] = x[pixels, :1]

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        """See codec.interface.Steps: the scales are few steps, walked forwards and handed out backwards."""
        flat, walk, steps = symbols.reshape(-1), self.sequential(), list[Step]()
        try:
            steps.append(next(walk))
            while True:
                steps.append(walk.send(flat[steps[-1].index]))
        except StopIteration:
            return iter(steps[::-1])

    def _index(self, pixels: Ints, colour: int) -> Ints:
        n = self.shape[3]
        index: Ints = ((pixels * self._colours + colour)[..., None] * n + np.arange(n)).reshape(-1)
        return index


def _cells(octave: Ints) -> Ints:
    """Places of a grid's pixels -> (cells, 4)."""
    h, w = octave.shape
    return octave.reshape(h // 2, 2, w // 2, 2).transpose(0, 2, 1, 3).reshape(-1, CELL)


def _colour_steps(
    raw: Ints, base: Ints | None, pixels: tuple[int, int], colours: int
) -> Generator[LogisticMixture, Ints, None]:
    """The mixtures of G, R, B, each answered by its values (cells, new, n) in [-128, 127]; see `lattice.colour_nats`.

    raw: (n, grid, grid, new x per pixel), base: (n, grid, grid, new x 3) in 1/32 level.
    """
    n, (cells, new) = len(raw), pixels
    told = raw.reshape(n, cells, new, -1).transpose(1, 2, 0, 3)  # (cells, new, n, per pixel)
    at = np.zeros((cells, new, n, COLOURS), np.int64)
    if base is not None:
        at = base.reshape(n, cells, new, COLOURS).transpose(1, 2, 0, 3)
    k = (told.shape[3] - COLOURS) // (3 * COLOURS)
    first, errors = 0, list[Ints]()
    for c in range(colours):
        logit, offset, scale, share = np.split(told[..., first : first + 3 * k + c], [k, 2 * k, 3 * k], -1)
        first += 3 * k + c
        centre = at[..., c : c + 1] + offset
        if c:
            moved = (share * np.stack(errors, -1)).sum(-1, keepdims=True)
            centre = centre + _rounded(moved)
        values = yield LogisticMixture(logit.reshape(-1, k), centre.reshape(-1, k), scale.reshape(-1, k))
        errors.append(FINE * values - at[..., c])


def _rounded(moved: Ints) -> Ints:
    """Over SHARE_UNIT, to the nearest integer, halves to the even one."""
    whole, rest = np.divmod(moved, SHARE_UNIT)
    up = (2 * rest > SHARE_UNIT) | ((2 * rest == SHARE_UNIT) & (whole % 2 == 1))
    found: Ints = whole + up
    return found
