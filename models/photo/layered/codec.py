"""Lossy files in two layers: latents, and what their mean image lacks of the picture.

The residual's coefficients (see `residual`) are coded under a causal prior that is told what the decoder knows of each
block. A layer that is missing leaves the mean image of the latents, as in lossless files, and in files that are cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.units import FINE
from vlcodec.codec.interface import Bytes, Ints, Tick
from vlcodec.models.blocks.residual_block import ResidualBlock, layout_of
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX, MEAN_UNIT
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.photo.codec import STRIP_ROWS, Features, PhotoLatents, PhotoModel, golden_pictures, padded
from vlcodec.models.photo.layered.between import between
from vlcodec.models.photo.layered.residual import COEFFICIENTS, SIDE, STEP_UNIT, coefficients, restored, steps_of
from vlcodec.models.photo.layered.restoration import CELL, mended, rows_of, strips_of
from vlcodec.models.photo.layered.texture import WHOLE, texture_of
from vlcodec.models.photo.layered.tuning import Fit, tuned
from vlcodec.models.photo.net import BODY_STRIDE, GridAgave
from vlcodec.models.photo.rounding import BLOCK_PRICE, rounded_blocks
from vlcodec.models.walks.correction import Edges
from vlcodec.models.walks.dither import quantise
from vlcodec.models.walks.golden import both_walks
from vlcodec.models.walks.net_walk import to_numpy

PASSES = 3  # of rounding, where it is searched for
TEXTURED_GUIDE = 1  # levels^2 about a picture that has its texture already
GUIDE_SHARE = 25_600  # a guide's width is a tenth of a step, in levels: half the error that it leaves


@dataclass(frozen=True)
class Layer:
    """base: quality of the latents, 0-based. first, last: the residual's step, in hundredths of those that its prior
    knows, at this quality and just before the next one. texture: sixteenths of it that pixels are drawn with."""

    base: int
    first: int
    last: int
    texture: int = WHOLE

    def at(self, hundredths: int) -> tuple[int, int]:
        """Step and hundredths beyond it, so far on the way to the next quality."""
        return divmod(self.first + (self.last - self.first) * hundredths // 100, 100)


class LayeredLatents(PhotoLatents):
    """See codec.interface.LatentNet, Layered and Textured."""

    def at(self, level: int, beyond: int, texture: int) -> LayeredLatents:
        """With a step of the residual that its prior knows, or so many hundredths beyond it; so much texture."""
        steps = self.net.shape.residual_steps
        self._level, self._beyond_level, self._texture = level, beyond, texture
        self._quantiser = between(steps[level], steps[level + 1], beyond) if beyond else steps[level]
        near = TEXTURED_GUIDE if self.net.shape.texture_blocks else self._quantiser**2 // GUIDE_SHARE
        self.guide = max(1, min(self.guide, near))
        return self

    def lacking(self, pictures: Bytes, fz: Features, passes: int = 1) -> Ints:
        """See codec.interface.Layered. passes: of rounding."""
        x, steps = padded(pictures), steps_of(self._quantiser).numpy()
        centres = np.empty((x.shape[1] // SIDE, x.shape[2] // SIDE, COEFFICIENTS), np.int32)
        for rows in self._strips(x.shape[1]):
            lacking = MEAN_UNIT * x[:, rows.start : rows.stop].to(self.device) - self.mean_of(fz, rows)
            with exact_inference():
                found = coefficients(lacking)[0].cpu().numpy()
            centres[rows.start // SIDE : rows.stop // SIDE] = np.floor(found * FINE / steps + 0.5)
        del x
        return rounded_blocks(self.residual(fz), centres, passes)

    def searched(
        self, pictures: Bytes, symbols: Ints, u: Ints, steps: int, tick: Tick | None = None
    ) -> tuple[Ints, Ints]:
        """See codec.interface.Layered."""
        fz = self.features(symbols, u)
        lacking = self.lacking(pictures, fz, PASSES)
        if not self.net.shape.restoration_blocks:
            return symbols, lacking
        from vlcodec.models.photo.layered.refining import Told, refined

        layout = layout_of(self.net.residual)
        told = Told(self.quality, steps_of(self._quantiser).to(self.device), self.step_told)
        x = padded(pictures).to(self.device)[0]
        latents, blocks = (
            torch.from_numpy(k).to(self.device, torch.float32)
            for k in (self.values(symbols, u) // FINE, layout.steps(lacking))
        )
        latents, blocks = refined(self.net, told, x, latents, blocks, steps, tick)
        return quantise(FINE * to_numpy(latents), u), layout.symbols(to_numpy(blocks))

    def residual(self, fz: Features) -> ResidualBlock:
        """See codec.interface.Layered."""
        with exact_inference():
            maps = self.net.hidden_maps(fz.body)
        size = maps.shape[1], maps.shape[2]
        return ResidualBlock(self.net.residual, size, self._level, self._beyond_level, maps.flatten(0, 2))

    def completed(self, fz: Features, symbols: Ints, changes: bytes = b"") -> Features:
        """See codec.interface.Layered."""
        added = self.residual_of(symbols, range(SIDE * len(symbols)))
        if not self.net.shape.restoration_blocks:
            return replace(fz, added=added)
        net = tuned(self.net.restoration, changes) if changes else self.net.restoration
        with exact_inference():
            found = mended(net, partial(self.mean_of, fz), added, fz.body, self.step_told)
        return replace(fz, added=found, symbols=symbols)

    def seeded(self, fz: Features, seed: int) -> Features:
        """See codec.interface.Textured."""
        return replace(fz, seed=seed)

    def to_draw(self, fz: Features, rows: range, width: int) -> Tensor:
        """See PhotoLatents: with texture, where there is a residual that says what the picture is like."""
        full = self.render(fz, rows, width)
        if not self.net.shape.texture_blocks or fz.symbols is None or fz.added is None:
            return full
        nets = self.net.restoration, self.net.texture
        cells, reach = range(rows.start // CELL, -(-rows.stop // CELL)), nets[0].reach + nets[1].reach
        mean, added = partial(self.mean_of, fz), partial(self.residual_of, fz.symbols)
        with exact_inference():
            for strip in strips_of(cells, reach, mean, added, fz.body, self.step_told):
                more = texture_of(*nets, strip, rows_of(fz.added), fz.seed, self._texture)[0, :, :width]
                first = strip.pixels.start - rows.start
                own = full[first : first + len(more), :, :COLOURS]
                own += more[: len(own)]
                own.clamp_(-FEATURE_MAX, FEATURE_MAX)
        return full

    def changes(self, pictures: Bytes, fz: Features, symbols: Ints) -> bytes:
        """See codec.interface.Layered."""
        if not self.net.shape.restoration_blocks:
            return b""
        x, mean = padded(pictures), partial(self.mean_of, fz)
        added = self.residual_of(symbols, range(x.shape[1]))
        fit = Fit(self.net.restoration)
        with exact_inference():
            every, reach = range(fz.body.shape[1]), self.net.restoration.reach
            for strip in strips_of(every, reach, mean, rows_of(added), fz.body, self.step_told):
                rows = strip.pixels
                known = mean(rows) + added[:, rows.start : rows.stop]
                fit.add(strip, MEAN_UNIT * x[:, rows.start : rows.stop].to(self.device) - known)
            return fit.gains(BLOCK_PRICE * (STEP_UNIT / MEAN_UNIT / self._quantiser) ** 2)

    def residual_of(self, symbols: Ints, rows: range) -> Tensor:
        """(1, len(rows), 16 w, 3) in 1/4 level: what symbols say; rows: of the picture, padded."""
        steps, layout = steps_of(self._quantiser).numpy(), layout_of(self.net.residual)
        first, last = rows.start // SIDE, -(-rows.stop // SIDE)
        with exact_inference():
            size = 1, SIDE * (last - first), SIDE * symbols.shape[1], COLOURS
            found = torch.empty(size, dtype=torch.float32, device=self.device)
            for part in self._strips(size[1]):
                values = layout.steps(symbols[first + part.start // SIDE : first + part.stop // SIDE]) * steps
                found[:, part.start : part.stop] = restored(torch.from_numpy(values[None]).to(self.device))
        return found[:, rows.start - SIDE * first :][:, : len(rows)]

    def mean_of(self, fz: Features, rows: range) -> Tensor:
        """(1, len(rows), 16 w, 3) in 1/4 level, of the latents alone; rows: of the picture, padded."""
        alone = replace(fz, added=None)
        return self.render(alone, rows, BODY_STRIDE * fz.body.shape[2])[None, ..., :COLOURS]

    @staticmethod
    def _strips(height: int) -> Iterator[range]:
        """A few rows of blocks at a time: as many as `render` takes."""
        return (range(r, min(r + STRIP_ROWS, height)) for r in range(0, height, STRIP_ROWS))

    @property
    def step_told(self) -> Tensor:
        """(steps,) what tells the quantiser's step."""
        like = torch.zeros(1, dtype=torch.float32, device=self.device)
        return self.net.residual.own(self._level, self._beyond_level, like)


class LayeredModel(PhotoModel):
    """See codec.interface.Model. layers: of each quality."""

    def __init__(
        self, net: GridAgave, device: torch.device, guide_width: float, edges: Edges, layers: Sequence[Layer]
    ) -> None:
        super().__init__(net, device, guide_width, edges, logistic=True)
        self._layers = layers

    @property
    def qualities(self) -> int:
        """See codec.interface.Model."""
        return len(self._layers)

    def single(self, quality: int, hundredths: int = 0) -> LayeredLatents:
        """See codec.interface.Model."""
        layer, following = self._layers[quality - 1], self._layers[min(quality, self.qualities - 1)]
        texture = layer.texture + (following.texture - layer.texture) * hundredths // 100
        return self.latents(LayeredLatents, layer.base).at(*layer.at(hundredths), texture)

    def golden(self) -> Iterator[Ints]:
        """See codec.interface.Model: the residual's first, then what latents and pixels are made with."""
        picture = golden_pictures()
        u = np.zeros(self.single(1).shape(1, *picture.shape[1:3]), np.int64)
        for quality in (1, self.qualities):
            net = self.single(quality)
            fz = net.features(net.rounded(net.centres(picture), u), u)
            symbols = net.lacking(picture, fz)
            yield from (symbols, np.array([net.guide]))
            yield from both_walks(net.residual(fz), symbols)
            whole, size = net.completed(fz, symbols), (range(picture.shape[1]), picture.shape[2])
            yield to_numpy(net.render(whole, *size))
            if self.net.shape.texture_blocks:
                yield to_numpy(net.to_draw(net.seeded(whole, 1), *size))
        yield from super().golden()
