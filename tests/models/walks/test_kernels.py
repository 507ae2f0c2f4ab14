"""Compiled loops over a step's pixels return numpy's integers."""

from functools import partial

import numpy as np
import pytest
from compiled_loops import both

from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.layers.causal_pixels import COLOURS
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.walks.correction import Correction, classes_of, count, error, likeliest_scale

N = 300


@pytest.mark.parametrize("channel", range(COLOURS))
def test_centres_are_the_same(tiny: PhotoModel, channel: int) -> None:
    rng, decoder = np.random.default_rng(channel), tiny.net.pixels
    params = rng.integers(-(2**15), 2**15, (N, 3 * decoder.mixtures + channel + 1))
    base, mean = rng.integers(-(2**13), 2**13, (2, N, COLOURS))
    known = rng.integers(-128, 128, (N, COLOURS))
    block = PixelBlock.__new__(PixelBlock)  # of which the sum knows no more than this
    block.decoder = decoder
    for numpys, numbas in zip(*both(lambda: block._mixture(channel, params, base, mean, known)), strict=True):
        assert np.array_equal(numpys, numbas)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("edges", [(), (100,), (100, 115)])
def test_moves_are_the_same(colours: int, edges: tuple[int, ...]) -> None:
    rng = np.random.default_rng(colours)
    correction = Correction(rng.integers(0, 256, count(colours, edges)), colours, edges)
    around = rng.integers(-(2**24), 2**24, (N, colours, len(edges) + 1))
    own = rng.integers(-255, 256, (N, colours))
    logit, scale = rng.integers(-3, 4, (N, 4)), rng.integers(90, 125, (N, 4))  # of equals, the first is the likeliest
    assert not edges or len(np.unique(classes_of(likeliest_scale(logit, scale), edges))) == len(edges) + 1
    for channel in range(colours):
        numpys, numbas = both(partial(correction.move, channel, around, own, logit, scale))
        assert np.array_equal(numpys, numbas)


def test_errors_are_the_same() -> None:
    rng = np.random.default_rng(0)
    value, mean = rng.integers(-128, 128, N), rng.integers(-(2**15), 2**15, N)
    numpys, numbas = both(lambda: error(value, mean))
    assert np.array_equal(numpys, numbas)
