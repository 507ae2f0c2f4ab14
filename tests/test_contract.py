"""The contract: what every model in the package must keep, so that the codec may rely on it."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from vlcodec.codec.interface import Bytes, ImageModel, Ints, Steps
from vlcodec.codec.latents import dither, grid_shape, quantise, reconstruct
from vlcodec.codec.stack import Noise, Stack
from vlcodec.codec.walk import decode, encode
from vlcodec.models import zoo

HEIGHT, WIDTH, BAND = 25, 21, 16


@pytest.fixture(scope="module", params=zoo.ENTRIES, ids=lambda entry: entry.name)
def model(request: pytest.FixtureRequest) -> ImageModel:
    return zoo.load(request.param.name, "cpu")


@pytest.fixture
def picture(photograph: Callable[[str, int, int], Image.Image]) -> Bytes:
    return np.array(photograph("astronaut", HEIGHT, WIDTH))


def latent_blocks(model: ImageModel, picture: Bytes) -> Iterator[tuple[Steps, Ints, Ints]]:
    """At the lowest and the highest quality: the grid's block, its symbols and z."""
    for quality in (1, model.qualities):
        u = dither(quality, grid_shape(model, HEIGHT, WIDTH))
        symbols = quantise(model.encode(picture, quality), u)
        yield model.prior(u, quality), symbols, reconstruct(symbols, u)


def pixel_blocks(model: ImageModel, picture: Bytes) -> Iterator[tuple[Steps, Ints]]:
    """Both bands of the picture, in colour and in grey."""
    for quality, (_, _, z) in zip((1, model.qualities), latent_blocks(model, picture), strict=True):
        fz = model.decode(z, quality)
        for grey in (False, True):
            for first, rows in ((0, BAND), (BAND, HEIGHT - BAND)):
                part = picture[first : first + rows]
                yield model.pixels(fz, first, rows, WIDTH, grey), model.to_symbols(part, grey)


def test_shapes_and_ranges(model: ImageModel, picture: Bytes) -> None:
    assert model.posterior == "uniform"
    mu = model.encode(picture, 1)
    assert mu.shape == grid_shape(model, HEIGHT, WIDTH)
    assert np.array_equal(mu, model.encode(picture, 1))
    for u in (-15, 15):
        assert np.abs(reconstruct(quantise(mu, np.full_like(mu, u)), np.full_like(mu, u)) - mu).max() <= 16
    mean = model.mean_image(model.decode(mu, 1), HEIGHT, WIDTH)
    assert (mean.shape, mean.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert len({model.encode(picture, quality).tobytes() for quality in range(1, model.qualities + 1)}) > 1


@pytest.mark.parametrize("grey", [False, True])
def test_pixels_and_symbols(model: ImageModel, picture: Bytes, grey: bool) -> None:
    taken = np.repeat(picture[..., :1], 3, 2) if grey else picture
    symbols = model.to_symbols(taken, grey)
    assert symbols.shape == (HEIGHT, WIDTH, 1 if grey else 3)
    back = model.to_pixels(symbols)
    assert np.array_equal(back, taken)
    assert back.dtype == np.uint8


def test_latents_round_trip(
    model: ImageModel, picture: Bytes, check_round_trip: Callable[[Steps, Ints], bytes]
) -> None:
    for block, symbols, _ in latent_blocks(model, picture):
        check_round_trip(block, symbols)


def test_pixels_round_trip(model: ImageModel, picture: Bytes, check_round_trip: Callable[[Steps, Ints], bytes]) -> None:
    for block, symbols in pixel_blocks(model, picture):
        check_round_trip(block, symbols)


def test_sampling_is_decoding(model: ImageModel, picture: Bytes, watched) -> None:  # type: ignore[no-untyped-def]
    """The same seed draws the same sample, another seed another; coded and decoded, it meets the very same tables."""
    for block, symbols in pixel_blocks(model, picture):
        drawing = watched(Noise(1, 2, 0, symbols.size))
        drawn = decode(block, drawing)
        assert np.array_equal(drawn, decode(block, Noise(1, 2, 0, symbols.size)))
        assert not np.array_equal(drawn, decode(block, Noise(2, 2, 0, symbols.size)))

        stack = Stack()
        encode(block, drawn, stack)
        reading = watched(Stack(stack.to_bytes()))
        assert np.array_equal(decode(block, reading), drawn)
        assert reading.source.empty
        assert reading.steps == drawing.steps
