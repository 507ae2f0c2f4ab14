"""Bands of pixels that a GPU samples or decodes alone, by Triton kernels: `pixel_block`'s integers, nothing on the CPU.

A step of sampling is one kernel, a step of decoding some. What is drawn, or popped off the stack, stays on the device:
nothing waits for the CPU between a sampled band's first step and its last, and a decoded one only where `exhausted` is
asked. On CUDA a step's launches become a graph, which is replayed for each. Triton's interpreter runs the same kernels
on the CPU, for tests. Graphs, and the kernels' speed, have never been tried: no GPU was at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import WORD_BYTES, Stack
from vlcodec.codec.interface import Ints, Source, Tick
from vlcodec.models.gpu.tensors import band_of, fits, moves_of, packed, spots_of, tables
from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.walks.correction import Correction
from vlcodec.models.walks.wavefront import steps_of

CAPABILITY = (8, 0)  # of the oldest GPUs that kernels were compiled for
LOOKED = 64  # steps between two looks at whether a stack is exhausted
STATE_BYTES = 2 * WORD_BYTES
LAUNCH = {"num_warps": 4, "enable_fp_fusion": False}
ONE_WARP = {**LAUNCH, "num_warps": 1}


@dataclass(frozen=True)
class GpuBand:
    """The symbols of a band of pixels given f(z), as `pixel_block.PixelBlock` has them, which only come off a source.

    fz: (lanes, rows, width, features). guide: variance of guided sampling, or None.
    """

    decoder: PixelDecoder
    fz: Tensor
    colours: int
    guide: int | None
    correction: Correction | None

    def serves(self, source: Source) -> bool:
        """Whether the band is on a GPU, with a network that kernels serve, and is drawn with a guide or decoded."""
        if not self.fz.is_cuda or torch.version.cuda is None or find_spec("triton") is None:
            return False
        if torch.cuda.get_device_capability(self.fz.device) < CAPABILITY:
            return False
        drawn = isinstance(source, Noise) and self.guide is not None and self.correction is None
        decoded = isinstance(source, Stack) and self.guide is None
        return (drawn or decoded) and fits(self.decoder)

    def pop(self, source: Source, tick: Tick | None = None) -> Ints:
        """See codec.interface.Block; of noise or of a stack."""
        with torch.cuda.device_of(self.fz):
            if isinstance(source, Noise):
                return self._drawn(source, tick)
            assert isinstance(source, Stack)
            return self._decoded(source, tick)

    def _drawn(self, noise: Noise, tick: Tick | None) -> Ints:
        from vlcodec.models.gpu import steps as kernels

        sizes, net = packed(self.decoder, self.colours, self.fz.shape[3], 0)
        found, band, symbols = tables(self.fz.device), band_of(self.fz, sizes), self._symbols()
        words = torch.from_numpy(noise.words().view(np.int64)).to(self.fz.device)
        (rows, width), grid = self.fz.shape[1:3], self._grid(sizes.block)

        def step() -> None:
            kernels.draw[grid](net, found, band, words, symbols, rows, width, self.guide, sizes=sizes, **LAUNCH)

        self._walk(step, band.clock, tick, lambda: False)
        return symbols.cpu().numpy().astype(np.int64)

    def _decoded(self, stack: Stack, tick: Tick | None) -> Ints:
        from vlcodec.models.gpu import steps as kernels

        device, (lanes, rows, width, features) = self.fz.device, self.fz.shape
        classes = 0 if self.correction is None else len(self.correction.edges) + 1
        sizes, net = packed(self.decoder, self.colours, features, classes)
        found, band, symbols = tables(device), band_of(self.fz, sizes), self._symbols()
        spots, moves = spots_of(rows, lanes, sizes, device), moves_of(self.correction, self.colours, device)
        coder, queue = (part.to(device) for part in coder_of(stack.to_bytes()))
        grid, size = self._grid(sizes.block), (rows, width)

        def pop(c: int, second: bool) -> None:
            kernels.pop[(1,)](
                band, spots, coder, queue, symbols, *size, lanes, c=c, second=second, sizes=sizes, **ONE_WARP
            )

        def step() -> None:
            kernels.see[grid](net, band, spots, *size, sizes=sizes, **LAUNCH)
            for c in range(self.colours):
                kernels.open_channel[grid](net, found, band, spots, moves, symbols, *size, c=c, sizes=sizes, **LAUNCH)
                pop(c, second=False)
                kernels.split[grid](found, band, spots, *size, sizes=sizes, **LAUNCH)
                pop(c, second=True)
            kernels.close[grid](net, band, spots, symbols, *size, sizes=sizes, **LAUNCH)

        self._walk(step, band.clock, tick, lambda: not coder.any())
        stack.refill(bytes_of(coder.cpu(), queue.cpu()))
        return symbols.cpu().numpy().astype(np.int64)

    def _symbols(self) -> Tensor:
        lanes, rows, width, _ = self.fz.shape
        return torch.zeros((rows, width, self.colours, lanes), dtype=torch.uint8, device=self.fz.device)

    def _grid(self, block: int) -> tuple[int, int]:
        """Programs of the longest step."""
        lanes, rows, width, _ = self.fz.shape
        return -(-min(rows, -(-width // 2)) // block), lanes

    def _walk(self, step: Callable[[], None], clock: Tensor, tick: Tick | None, exhausted: Callable[[], bool]) -> None:
        """All steps, or as many as there is something to pop for: from there on all symbols are 0.

        The first step is launched as it is, which compiles the kernels.
        """

        def launch() -> None:
            step()
            clock.add_(1)

        steps, again = steps_of(*self.fz.shape[1:3]), launch
        for done in range(steps):
            if done % LOOKED == 0 and exhausted():
                return
            again()
            if done == 0 and clock.is_cuda:
                again = _graph_of(launch).replay
            if tick is not None:
                tick((done + 1) * self.colours, steps * self.colours)


def _graph_of(launch: Callable[[], None]) -> torch.cuda.CUDAGraph:
    """What is launched, recorded and not run."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        launch()
    return graph


def coder_of(data: bytes) -> tuple[Tensor, Tensor]:
    """A stack's bytes -> the coder (2,), the state's 64 bits and how many words are below it; these words, or 0."""
    data += bytes(-len(data) % WORD_BYTES)
    below, state = data[:-STATE_BYTES], data[-STATE_BYTES:].ljust(STATE_BYTES, b"\0")
    words = np.frombuffer(below or bytes(WORD_BYTES), "<u4").astype(np.int64)
    coder = [int.from_bytes(state, "little", signed=True), len(below) // WORD_BYTES]
    return torch.tensor(coder), torch.from_numpy(words)


def bytes_of(coder: Tensor, queue: Tensor) -> bytes:
    """The inverse of `coder_of`."""
    state, left = coder.tolist()
    below = queue[:left].numpy().astype("<u4").tobytes()
    return (below + state.to_bytes(STATE_BYTES, "little", signed=True)).rstrip(b"\0")
