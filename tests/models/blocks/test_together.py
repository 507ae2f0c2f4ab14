"""Bands that are walked together: what each source is asked, and what each block gives, are those of it alone."""

import numpy as np
import pytest

from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.interface import Source
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.blocks.together import pop_together
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.walks.correction import Correction, Edges, count
from vlcodec.models.walks.golden import Known

EDGES: Edges = (100, 115)


@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (9, 2)])
def test_together_as_alone(tiny: PhotoModel, height: int, width: int, grey: bool) -> None:
    rng, net = np.random.default_rng(height * width), tiny.single(2)
    shape = net.shape(1, height, width)
    fz = net.render(net.features(rng.integers(110, 146, shape), np.zeros(shape, np.int64)), range(height), width)
    plain = PixelBlock(tiny.net.pixels, fz[None], grey)
    pixels = rng.integers(0, 256, plain.shape)
    numbers = rng.integers(100, 150, count(plain.colours, EDGES))
    corrected = plain.corrected(Correction(numbers, plain.colours, EDGES))
    guided = PixelBlock(plain.decoder, plain.fz, grey, 40)
    blocks = [corrected, guided, plain, guided]

    def sources() -> list[Source]:
        return [Known(pixels), Known(255 - pixels), Noise(5, 2, 0, pixels.size), Noise(6, 2, 0, pixels.size)]

    asked, alone = sources(), sources()
    found = pop_together(blocks, asked)
    for block, source, symbols in zip(blocks, alone, found, strict=True):
        assert np.array_equal(block.pop(source), symbols)
    for one, other in zip(asked[:2], alone[:2], strict=True):
        assert isinstance(one, Known)
        assert isinstance(other, Known)
        assert len(one.seen) == len(other.seen) > 0
        assert all(np.array_equal(a, b) for a, b in zip(one.seen, other.seen, strict=True))
    assert len({symbols.tobytes() for symbols in found}) == len(blocks) or height * width == 1
