"""The contract: what every model in the package must keep, so that the codec may rely on it."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from vlcodec.codec.coding.dither import reconstruct
from vlcodec.codec.coding.latents import dither_of, grid_shape
from vlcodec.codec.coding.stack import Noise, Stack
from vlcodec.codec.coding.walk import decode, encode
from vlcodec.codec.interface import Adaptive, Bytes, ImageModel, Ints, Steps
from vlcodec.models import zoo

HEIGHT, WIDTH, BAND = 25, 21, 16


@pytest.fixture(scope="module", params=zoo.ENTRIES, ids=lambda entry: entry.name)
def entry(request: pytest.FixtureRequest) -> zoo.Entry:
    found: zoo.Entry = request.param
    return found


@pytest.fixture(scope="module")
def model(entry: zoo.Entry) -> ImageModel:
    return zoo.load(entry.name, "cpu")


@pytest.fixture
def picture(photograph: Callable[[str, int, int], Image.Image], entry: zoo.Entry) -> Bytes:
    """Of a size, and of values, that the model takes."""
    if entry.side is None:
        return np.array(photograph("astronaut", HEIGHT, WIDTH))
    if entry.family == "small":
        return np.array(photograph("astronaut", entry.side, entry.side))
    light = np.array(photograph("camera", 4 * entry.side, 4 * entry.side))[::4, ::4]
    return np.repeat(np.where(light > 128, 255, 0).astype(np.uint8)[..., None], 3, 2)


@pytest.fixture
def bands(entry: zoo.Entry) -> list[tuple[int, int]]:
    """(first row, rows): two of them, or a picture of one size whole."""
    return [(0, BAND), (BAND, HEIGHT - BAND)] if entry.side is None else [(0, entry.side)]


@pytest.fixture
def kinds(entry: zoo.Entry) -> tuple[bool, ...]:
    """Colour and grey, or grey alone."""
    return (True,) if entry.family == "binary" else (False, True)


def latent_blocks(model: ImageModel, picture: Bytes) -> Iterator[tuple[Steps, Ints, Ints]]:
    """At the lowest and the highest quality: the grid's block, its symbols and z."""
    for quality in (1, model.qualities):
        u = dither_of(model, quality, *picture.shape[:2])
        symbols = model.encode(picture, quality, u)
        yield model.prior(u, quality), symbols, reconstruct(symbols, u)


def pixel_blocks(
    model: ImageModel, picture: Bytes, bands: list[tuple[int, int]], kinds: tuple[bool, ...]
) -> Iterator[tuple[Steps, Ints]]:
    """All bands of the picture, in colour and in grey."""
    for quality, (_, _, z) in zip((1, model.qualities), latent_blocks(model, picture), strict=True):
        fz = model.decode(z, quality)
        for grey in kinds:
            for first, rows in bands:
                part = picture[first : first + rows]
                yield model.pixels(fz, first, rows, picture.shape[1], grey), model.to_symbols(part, grey)


def test_shapes_and_ranges(model: ImageModel, picture: Bytes) -> None:
    height, width = picture.shape[:2]
    u = dither_of(model, 0, height, width)
    assert u.any() == (model.posterior == "uniform")
    symbols = model.encode(picture, 1, u)
    assert symbols.shape == u.shape == grid_shape(model, height, width)
    assert 0 <= symbols.min() <= symbols.max() <= 255
    assert np.array_equal(symbols, model.encode(picture, 1, u))
    mean = model.mean_image(model.decode(reconstruct(symbols, u), 1), height, width)
    assert (mean.shape, mean.dtype) == ((height, width, 3), np.uint8)
    codes = {model.encode(picture, quality, u).tobytes() for quality in range(1, model.qualities + 1)}
    assert len(codes) > 1 or model.qualities == 1


def test_pixels_and_symbols(model: ImageModel, picture: Bytes, kinds: tuple[bool, ...]) -> None:
    for grey in kinds:
        taken = np.repeat(picture[..., :1], 3, 2) if grey else picture
        symbols = model.to_symbols(taken, grey)
        assert symbols.shape == (*picture.shape[:2], 1 if grey else 3, 1)
        back = model.to_pixels(symbols)
        assert np.array_equal(back, taken)
        assert back.dtype == np.uint8


def test_latents_round_trip(
    model: ImageModel, picture: Bytes, check_round_trip: Callable[[Steps, Ints], bytes]
) -> None:
    for block, symbols, _ in latent_blocks(model, picture):
        check_round_trip(block, symbols)


def test_pixels_round_trip(
    model: ImageModel,
    picture: Bytes,
    bands: list[tuple[int, int]],
    kinds: tuple[bool, ...],
    check_round_trip: Callable[[Steps, Ints], bytes],
) -> None:
    for block, symbols in pixel_blocks(model, picture, bands, kinds):
        check_round_trip(block, symbols)
        if isinstance(block, Adaptive):
            block.use(np.random.default_rng(0).integers(0, 256, block.numbers))
            check_round_trip(block, symbols)


def test_sampling_is_decoding(  # type: ignore[no-untyped-def]
    model: ImageModel, picture: Bytes, bands: list[tuple[int, int]], kinds: tuple[bool, ...], watched
) -> None:
    """The same seed draws the same sample, another seed another; coded and decoded, it meets the very same tables."""
    for block, symbols in pixel_blocks(model, picture, bands, kinds):
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
