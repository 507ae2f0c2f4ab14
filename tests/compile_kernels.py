"""Compile every kernel of a band for a GPU that need not be there: python tests/compile_kernels.py CAPABILITY.

Prints what each kernel takes. Triton is told of a driver that knows no more than the GPU's name, and launches compile.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.models.gpu.band import GpuBand
from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.photo.training import SHAPE
from vlcodec.models.walks.correction import Correction, count

EDGES = (100, 115)


class Driver:
    """Of a GPU that is not there."""

    def __init__(self, capability: int) -> None:
        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def main(capability: int) -> None:
    """A sampled and a decoded band of the recipe's shape, whose symbols nobody computes."""
    launch = JITFunction.run

    def compile_alone(kernel: Any, *arguments: Any, warmup: bool, **options: Any) -> None:
        found = launch(kernel, *arguments, warmup=True, **options)
        products = found.asm["ptx"].count("mma.sync")
        print(kernel.__name__, "shared memory:", found.metadata.shared, "int8 products:", products)

    JITFunction.run = compile_alone
    driver.set_active(Driver(capability))
    depth, hidden = [1] * SHAPE.pixel_depth, SHAPE.pixel_hidden
    net = frozen_copy(PixelDecoder(SHAPE.features, SHAPE.pixel_channels, depth, hidden, SHAPE.mixtures, bits=8))
    fz = torch.zeros(1, 1, 1, 3 + SHAPE.features)
    GpuBand(net, fz, 3, 12, None).pop(Noise(0, 2, 0, 3))
    GpuBand(net, fz, 3, None, Correction(np.full(count(3, EDGES), 128), 3, EDGES)).pop(Stack(b"any bytes"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
