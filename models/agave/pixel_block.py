"""The pixels of many pictures side by side, over lanes: a thread for each share of them."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

import numpy as np
from torch import Tensor

from vlcodec.codec.interface import Ints
from vlcodec.models.blocks.pixel_block import PixelBlock, Shorts
from vlcodec.models.lanes.layers import in_shares, shares, to_lanes
from vlcodec.models.lanes.pixels import PixelLanes, PixelWalk
from vlcodec.models.layers.causal_pixels import COLOURS, PixelDecoder
from vlcodec.models.walks.correction import Mover
from vlcodec.models.walks.dither import CENTRE
from vlcodec.models.walks.latent_steps import MixtureStep
from vlcodec.models.walks.wavefront import fronts


class LanePixelBlock(PixelBlock):
    """See `blocks.pixel_block.PixelBlock`; of whole pictures, without corrections."""

    def __init__(self, decoder: PixelDecoder, fz: Tensor, grey: bool, guide: int | None, net: PixelLanes) -> None:
        super().__init__(decoder, fz, grey, guide)
        self._net = net

    def sequential(self) -> Generator[MixtureStep, Ints, None]:
        """See codec.interface.Steps."""
        rows, width, _, lanes = self.shape
        parts, mover = shares(lanes), Mover()
        walks = [self._walk(part) for part in parts]
        with ThreadPoolExecutor(len(parts)) as pool:

            def everywhere(work: str, *arguments: Iterable[Any]) -> Ints:
                """What the walks find, (n lanes, channels); work: a method, arguments: of each walk."""
                methods = [getattr(walk, work) for walk in walks]
                parts = pool.map(lambda method, *given: method(*given), methods, *arguments)
                found = np.concatenate(list(parts), 2).transpose(0, 2, 1)
                return found.reshape(-1, found.shape[2]).astype(np.int64)

            for at in fronts(rows, width):
                mean, index = self._mean[at.index].reshape(-1, COLOURS), repeat(at.index)
                values = np.zeros((len(at.index), COLOURS, lanes), np.int32)
                base = everywhere("enter", index)
                for c in range(self.colours):
                    params = everywhere("head", repeat(c), index, [values[:, :c, part] for part in parts])
                    known = values.transpose(0, 2, 1).reshape(-1, COLOURS).astype(np.int64)
                    symbols = yield self.step(c, params, base, mean, known, at.index, mover)
                    values[:, c] = (symbols - CENTRE).reshape(-1, lanes)
                if self.colours == 1:
                    values[:, 1:] = values[:, :1]
                parted = [values[:, :, part] for part in parts]
                list(pool.map(lambda walk, *given: walk.leave(*given), walks, index, parted))

    def _outputs(self, known: Shorts) -> tuple[Shorts, Shorts]:
        """See `PixelBlock`."""
        rows, width, _, lanes = self.shape
        values = np.ascontiguousarray(known.reshape(lanes, -1, COLOURS).transpose(1, 2, 0), np.int32)
        params = np.zeros((rows * width, lanes, self.colours, self._net.sizes[-1]), np.int16)
        base = np.empty((rows * width, lanes, COLOURS), np.int16)

        def see(part: slice) -> None:
            walk = self._walk(part)
            for at in fronts(rows, width):
                x = values[at.index, :, part]
                base[at.index, part] = walk.enter(at.index).transpose(0, 2, 1)
                for c in range(self.colours):
                    told = walk.head(c, at.index, x[:, :c]).transpose(0, 2, 1)
                    params[at.index, part, c, : told.shape[2]] = told
                walk.leave(at.index, x)

        in_shares(see, lanes)
        return params, base

    def _walk(self, part: slice) -> PixelWalk:
        fz = self.fz[part]
        return self._net.walk(to_lanes(fz), fz.shape[-1] - COLOURS, *self.shape[:2])
