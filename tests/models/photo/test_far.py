"""Latents that reach far, qualities between those that were trained, and a PixelCNN that is told of noise."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import vlcodec
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.near import restored
from vlcodec.codec.coding.pixels import Place, checksum, push_band, read_band
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.units import FINE
from vlcodec.codec.errors import ModelError
from vlcodec.codec.files.picture_file import Band
from vlcodec.codec.interface import Block, Ints
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.photo.between import STEP_UNIT, between
from vlcodec.models.photo.codec import PhotoModel, golden_pictures
from vlcodec.models.photo.net import TOLD, averages, middles
from vlcodec.models.walks.dither import BEYOND, FAR, quantise_far, steps_far

RoundTrip = Callable[[Block, Ints], bytes]


def latents(seed: int, shape: tuple[int, ...]) -> Ints:
    """Centres in 1/32 step, most of them small and some further than a symbol goes."""
    rng = np.random.default_rng(seed)
    small, large = rng.normal(0, 60, shape), rng.integers(-FAR - 50, FAR + 51, shape) * FINE
    return np.where(rng.random(shape) < 0.3, large, small).astype(np.int64)


@given(st.integers(-2 * FAR * FINE, 2 * FAR * FINE))
def test_two_planes_say_every_step(mu: int) -> None:
    near, beyond = quantise_far(np.array([mu]))
    assert 0 <= near <= 255
    assert 0 <= beyond < BEYOND
    k = int(steps_far(near, beyond)[0])
    assert k == min(max((mu + FINE // 2) // FINE, -FAR), FAR)
    assert (beyond == 0) or near in (0, 255)


@pytest.mark.parametrize("quality", [(1, 0), (2, 50), (4, 0)])
@pytest.mark.parametrize("size", [(1, 1), (3, 4)])
def test_far_latents_come_back(
    far: PhotoModel, check_round_trip: RoundTrip, quality: tuple[int, int], size: tuple[int, int]
) -> None:
    net = far.single(*quality)
    shape = net.shape(1, *(16 * side for side in size))
    symbols = quantise_far(latents(3, shape[1:]))
    assert shape == symbols.shape
    check_round_trip(net.prior(np.zeros(shape, np.int64)), symbols)


def test_a_far_latent_is_seen_by_those_after_it_alone(far: PhotoModel) -> None:
    net = far.single(1)
    shape = net.shape(1, 48, 64)
    mu = latents(5, shape[1:])
    other = mu.copy()
    other[1, 2, 0] += 400 * FINE  # position (1, 2) belongs to step 4
    steps = [
        [(step.index, step.distribution) for step in net.prior(np.zeros(shape, np.int64)).parallel(quantise_far(m))]
        for m in (mu, other)
    ]
    seen = [{i: d for index, d in found for i in index.tolist() if hasattr(d, "centre")} for found in steps]
    moved = [i for i in seen[0] if not np.array_equal(seen[0][i].centre, seen[1][i].centre)]
    assert moved
    rows, columns = np.divmod(np.array(moved) // shape[3], shape[2])
    assert (columns + 2 * rows).min() >= 4


def test_steps_between_qualities() -> None:
    steps = [between(1.0, 0.6, h, STEP_UNIT) for h in range(101)]
    assert steps[0] == STEP_UNIT
    assert steps[100] == round(0.6 * STEP_UNIT)
    assert (np.diff(steps) < 0).all()
    assert between(169.0, 100.0, 50, 1) == round(math.sqrt(169 * 100))


def test_a_quality_between_two_lies_between_them(far: PhotoModel) -> None:
    picture = golden_pictures()
    below, half, above = (np.abs(far.single(*q).centres(picture)).sum() for q in ((2, 0), (2, 50), (2, 99)))
    assert below < half < above
    assert far.single(2).guide > far.single(2, 50).guide > far.single(3).guide


def test_what_a_pixelcnn_is_told_is_in_its_biases(far: PhotoModel) -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(-128, 128, (1, 6, 7, 3))).float()
    up = torch.cat((torch.zeros(1, 1, 7, 3), x), 1)[:, :-1]
    fz = torch.from_numpy(rng.integers(-512, 513, (1, 6, 7, 5))).float()
    near = {-32: far.pixels.coded(1), -64: far.pixels.coded(2), -TOLD: far.pixels.coded(63)}
    for value, decoder in ({0: far.pixels.coded(), TOLD: far.pixels.drawn} | near).items():
        whole = torch.cat((fz, torch.full((1, 6, 7, 1), float(value))), -1)
        with exact_inference():
            wanted, _ = far.net.pixels(look_whole, x, up, whole, [])
            found, _ = decoder(look_whole, x, up, fz, [])
        assert all(map(torch.equal, found, wanted))
    assert not torch.equal(far.pixels.coded().net.first.frozen.bias, far.pixels.drawn.net.first.frozen.bias)


@pytest.mark.parametrize("near", [1, 2, 63])
def test_restored_pixels_come_back_from_the_net_that_knows_of_them(far: PhotoModel, near: int) -> None:
    picture = restored(golden_pictures(), near)
    net, place = far.single(1), Place(0, range(12), 18, 3)
    fz = net.features(quantise_far(net.centres(picture)), np.zeros(net.shape(1, 12, 18), np.int64))
    stack, other = Stack(), Stack()
    push_band(net, fz, picture, place, stack, near=near)
    push_band(net.within(3 - near % 3), fz, picture, place, other)
    data = stack.to_bytes()
    assert data != other.to_bytes()
    back = read_band(net, fz, Band(data, checksum(picture[0])), place, near=near)  # whose stack ends empty
    assert np.array_equal(back, picture[0])


def test_training_restores_as_files_do_and_prices_what_they_take(far: PhotoModel) -> None:
    levels = np.arange(256, dtype=np.uint8)
    x = torch.from_numpy(levels).float() - 128
    for near in (1, 2, 12):
        assert np.array_equal(middles(x, torch.tensor(2.0 * near + 1)) + 128, restored(levels, near))
    picture = golden_pictures()
    net, place, kept = far.single(1), Place(0, range(12), 18, 3), restored(picture, 1)
    fz = net.features(quantise_far(net.centres(picture)), np.zeros(net.shape(1, 12, 18), np.int64))
    meter = Meter()
    push_band(net, fz, kept, place, meter, near=1)
    with exact_inference():
        full = net.render(fz, range(12), 18)[None]
        none, noise = torch.zeros(1), -torch.ones(1)
        nats = float(far.net.noisy_pixel_nats(centred(picture), full, none, noise)[0])
    assert nats / math.log(2) == pytest.approx(meter.total / (12 * 18), rel=2e-3)


def test_averages() -> None:
    x = torch.arange(2 * 5 * 4 * 3).float().view(2, 5, 4, 3)
    assert torch.equal(averages(x, 2)[1, 1, 0], x[1, 2:4, :2].mean((0, 1)))
    assert averages(x, 2).shape == (2, 2, 2, 3)


def test_models_without_such_qualities_say_so() -> None:
    with pytest.raises(ModelError, match=r"has qualities 0 to 4, not 2\.5"):
        vlcodec.compress(Image.new("RGB", (4, 4)), quality=2.5)
