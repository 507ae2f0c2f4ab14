"""The wavefront: every position once, after all that it sees, and the same bits as one pass over the whole."""

from collections.abc import Callable

import numpy as np
import pytest

from vlcodec.codec.coding.latents import dither
from vlcodec.codec.interface import Block, Ints
from vlcodec.models.blocks import pixel_block
from vlcodec.models.blocks.latent_block import LatentBlock
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.layers import exact, shifted
from vlcodec.models.layers.masked import FIRST, NEAR
from vlcodec.models.photo.codec import Features, PhotoLatents, PhotoModel
from vlcodec.models.walks.dither import CENTRE
from vlcodec.models.walks.wavefront import fronts, steps_of

SIZES = [(1, 1), (1, 7), (7, 1), (3, 5), (17, 31), (9, 2), (2, 9)]
RoundTrip = Callable[[Block, Ints], bytes]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_position_once_and_after_what_it_sees(height: int, width: int) -> None:
    when = np.full((height, width), -1)
    for number, at in enumerate(fronts(height, width)):
        rows, columns = np.divmod(at.index, width)
        assert rows.tolist() == list(range(at.first, at.last))
        assert np.array_equal(columns + 2 * rows, np.full(len(rows), at.step))
        assert (when[rows, columns] == -1).all()
        when[rows, columns] = number
    assert when.min() == 0
    assert when.max() < steps_of(height, width) == width + 2 * (height - 1)
    for dr, dc in {*FIRST, *NEAR} - {(0, 0)}:
        later, earlier = (
            when[-dr:, max(0, -dc) : width - max(0, dc)],
            when[: height + dr, max(0, dc) : width + min(0, dc)],
        )
        assert (earlier < later).all()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_backwards(height: int, width: int) -> None:
    forward = [(at.step, at.index.tolist()) for at in fronts(height, width)]
    assert [(at.step, at.index.tolist()) for at in fronts(height, width, reverse=True)] == forward[::-1]


def features_of(net: PhotoLatents, z: Ints) -> Features:
    """f(z) of latents in 1/32 step."""
    return net.features(CENTRE + z // 32, z % 32)


def block_of(model: PhotoModel, height: int, width: int, grey: bool) -> tuple[PixelBlock, Ints]:
    rng, net = np.random.default_rng(height * width), model.single(2)
    fz = features_of(net, rng.integers(-400, 400, net.shape(1, height, width)))
    symbols = rng.integers(0, 256, (height, width, 1 if grey else 3))
    return PixelBlock(model.net.pixels, net.render(fz, range(height), width)[None], grey), symbols[..., None]


@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_pixels_one_by_one_and_all_at_once(
    tiny: PhotoModel, check_round_trip: RoundTrip, height: int, width: int, grey: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, whatever the strips of the pass over the whole and the tiles within."""
    block, symbols = block_of(tiny, height, width, grey)
    whole = check_round_trip(block, symbols)
    for strip, tile in ((1, 1 << 23), (3 * width, 1), (2 * width, 700)):
        monkeypatch.setattr(pixel_block, "STRIP_PIXELS", strip)
        monkeypatch.setattr(exact, "TILE_VALUES", tile)
        monkeypatch.setattr(shifted, "LEAST_INPUTS", tile)
        assert check_round_trip(block, symbols) == whole


@pytest.mark.parametrize("quality", [0, 3])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_latents_one_by_one_and_all_at_once(
    tiny: PhotoModel,
    check_round_trip: RoundTrip,
    height: int,
    width: int,
    quality: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape = (height, width, 4)
    block = LatentBlock(tiny.net.prior, dither(1, shape), quality, tiny.device)
    symbols = np.random.default_rng(1).integers(0, 256, shape)
    whole = check_round_trip(block, symbols)
    monkeypatch.setattr(exact, "TILE_VALUES", 1)
    monkeypatch.setattr(shifted, "LEAST_INPUTS", 1)
    assert check_round_trip(block, symbols) == whole


def test_strips_do_not_fall_together_with_anything(
    tiny: PhotoModel, check_round_trip: RoundTrip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables of a band do not depend on where its strips begin, and the picture outside counts as zero, not as bias."""
    block, symbols = block_of(tiny, 13, 6, False)
    lengths = set()
    for rows in range(1, 14):
        monkeypatch.setattr(pixel_block, "STRIP_PIXELS", 6 * rows)
        lengths.add(check_round_trip(block, symbols))
    assert len(lengths) == 1


@pytest.mark.parametrize(("first", "rows"), [(0, 5), (4, 9), (12, 20), (28, 4)])
def test_features_of_a_part(tiny: PhotoModel, first: int, rows: int) -> None:
    """f(z) of some rows is a part of f(z) of all; the mean image is its rounding."""
    net = tiny.single(2)
    fz = features_of(net, np.random.default_rng(2).integers(-400, 400, (2, 2, 4)))
    whole = net.render(fz, range(32), 19)
    assert whole.shape == (32, 19, 5)
    assert np.array_equal(net.render(fz, range(first, first + rows), 19), whole[first : first + rows])
    levels = np.floor(whole[..., [1, 0, 2]].numpy() / 4 + 0.5) + 128
    assert np.array_equal(net.mean_images(fz, 32, 19)[0], levels.clip(0, 255))


def test_long_mean_images_have_no_seams(tiny: PhotoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from vlcodec.models.photo import codec as module

    net = tiny.single(2)
    fz = features_of(net, np.random.default_rng(3).integers(-400, 400, (6, 1, 4)))
    whole = net.mean_images(fz, 90, 11)
    for strip in (4, 20, 128):
        monkeypatch.setattr(module, "STRIP_ROWS", strip)
        assert np.array_equal(net.mean_images(fz, 90, 11), whole)
