"""Compiled steps compute what the net's own layers, numpy's tables and the torch walk do, to the bit."""

from unittest import mock

import numpy as np
import pytest
import torch
from compiled_loops import carrier
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.interface import Ints
from vlcodec.models.blocks.corrected_block import CorrectedBlock
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.compiled import band as compiled_band
from vlcodec.models.compiled.packed import packed
from vlcodec.models.layers.causal_pixels import COLOURS, FEATURE_MAX, PixelDecoder
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.walks.correction import Correction, count

EDGES = (100, 115)
FEATURES = 2
SIZES = [(9, 14, 3), (1, 1, 3), (6, 1, 3), (1, 7, 1), (33, 20, 3), (17, 16, 1)]


def decoder(seed: int, loud: float) -> PixelDecoder:
    """A frozen net of random weights: quiet ones, or so loud that values are clamped everywhere."""
    torch.manual_seed(seed)
    made = PixelDecoder(FEATURES, 32, [1, 4, 2], 32, 3, bits=8)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(loud).add_(0.1 * loud * torch.randn_like(parameter))
    return frozen_copy(made)


@pytest.fixture(scope="module", params=[(0, 1.0), (1, 6.0)], ids=["quiet", "loud"])
def net(request: pytest.FixtureRequest) -> PixelDecoder:
    """Nets that compiled steps serve here, or the test is of no use."""
    made = decoder(*request.param)
    with carrier(numba=True):
        if not compiled_band.serves(made, 1):
            pytest.skip("the processor has no VNNI, or numba does not know its instruction")
    return made


def band(height: int, width: int, colours: int) -> tuple[Tensor, Ints]:
    """Random f(z), and pixels that are smooth in one half and wild in the other."""
    rng = np.random.default_rng(height + width)
    fz = rng.integers(-FEATURE_MAX, FEATURE_MAX + 1, (1, height, width, COLOURS + FEATURES))
    smooth = 100 + 3 * np.arange(height)[:, None, None, None] + rng.integers(-2, 3, (height, width, colours, 1))
    wild = rng.choice([0, 255, 128, 7], (height, width, colours, 1))
    pixels = np.where(np.arange(width)[None, :, None, None] < width // 2, smooth % 256, wild)
    return torch.from_numpy(fz.astype(np.float32)), pixels


def both(block: PixelBlock, pixels: Ints) -> list[tuple[bytes, Ints, bool, NDArray[np.int16]]]:
    """File, pixels decoded again, whether the stack is empty then, and the plain block's outputs; of both walks."""
    found = []
    for numba in (False, True):
        with carrier(numba):
            stack = Stack()
            CorrectedBlock(block, EDGES).push(pixels, stack)
            data = stack.to_bytes()
            found.append((data, CorrectedBlock(block, EDGES).pop(stack), stack.empty, block.see(pixels).params))
    return found


@pytest.mark.parametrize("size", SIZES)
def test_files_and_outputs_are_those_of_the_other_walk(net: PixelDecoder, size: tuple[int, int, int]) -> None:
    fz, pixels = band(*size)
    (data, back, empty, params), (same, again, at_end, likewise) = both(PixelBlock(net, fz, size[2] == 1), pixels)
    assert np.array_equal(params, likewise)
    assert data == same
    assert np.array_equal(back, pixels)
    assert np.array_equal(again, pixels)
    assert empty
    assert at_end


@pytest.mark.parametrize("size", SIZES)
def test_a_corrected_band_is_the_same(net: PixelDecoder, size: tuple[int, int, int]) -> None:
    fz, pixels = band(*size)
    numbers = np.random.default_rng(0).integers(0, 256, count(size[2], EDGES))
    block = PixelBlock(net, fz, size[2] == 1, correction=Correction(numbers, size[2], EDGES))
    made = []
    for numba in (False, True):
        with carrier(numba):
            stack = Stack()
            block.push(pixels, stack)
            made.append(stack.to_bytes())
            assert np.array_equal(block.pop(stack), pixels)
            assert stack.empty
    assert made[0] == made[1]


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_rows_seen_by_several_threads_are_the_same(net: PixelDecoder, parts: int) -> None:
    """Each part begins above its rows, as far as these look."""
    fz, pixels = band(61, 9, 3)
    block = PixelBlock(net, fz, False)
    with carrier(numba=True), mock.patch.object(compiled_band, "LEAST_ROWS", 1):
        with mock.patch.object(torch, "get_num_threads", return_value=parts):
            seen = block.see(pixels)
        errors, scales = block.errors(seen)
    with carrier(numba=False):
        plain = block.see(pixels)
        expected, widths = block.errors(plain)
    assert np.array_equal(seen.params, plain.params)
    assert np.array_equal(seen.base, plain.base)
    assert np.array_equal(errors.plane, expected.plane)
    assert np.array_equal(scales, widths)


@pytest.mark.parametrize("guide", [3, 42])
@pytest.mark.parametrize("size", SIZES)
def test_drawn_pixels_are_the_same(net: PixelDecoder, size: tuple[int, int, int], guide: int) -> None:
    fz, pixels = band(*size)
    block, made = PixelBlock(net, fz, size[2] == 1, guide), []
    for numba in (False, True):
        with carrier(numba):
            made.append(block.pop(Noise(5, 2, 1, pixels.size)))
    assert np.array_equal(made[0], made[1])
    assert len(np.unique(made[0])) > min(pixels.size, 3) // 2


def test_a_net_that_computes_otherwise_is_left_to_torch(net: PixelDecoder) -> None:
    """What compiled steps give is compared with the net's own layers before it is used."""
    right = packed(net)
    wrong = right._replace(out=right.out._replace(bias=right.out.bias + 3000))
    with carrier(numba=True), mock.patch.object(compiled_band, "packed", return_value=wrong):
        assert not compiled_band._right(net)
    with carrier(numba=True):
        assert compiled_band._right(net)


def test_wider_nets_and_lanes_are_left_to_torch(net: PixelDecoder) -> None:
    wide = frozen_copy(PixelDecoder(FEATURES, 32, [1], 32, 3, bits=10))
    with carrier(numba=True):
        assert not compiled_band.serves(wide, 1)
        assert not compiled_band.serves(net, 2)
    with carrier(numba=False):
        assert not compiled_band.serves(net, 1)
