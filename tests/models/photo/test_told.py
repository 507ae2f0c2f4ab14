"""A PixelCNN that is told of noise, and averages of errors."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

import vlcodec
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.near import restored
from vlcodec.codec.coding.pixels import Place, checksum, push_band, read_band
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import ModelError
from vlcodec.codec.files.picture_file import Band
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.photo.codec import PhotoModel, golden_pictures
from vlcodec.models.photo.net import TOLD, averages, middles
from vlcodec.models.walks.dither import quantise


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
    u = np.zeros(net.shape(1, 12, 18), np.int64)
    fz = net.features(quantise(net.centres(picture), u), u)
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
    u = np.zeros(net.shape(1, 12, 18), np.int64)
    fz = net.features(quantise(net.centres(picture), u), u)
    meter = Meter()
    push_band(net, fz, kept, place, meter, near=1)
    with exact_inference():
        full = net.render(fz, range(12), 18)[None]
        none, noise = torch.zeros(1), -torch.ones(1)
        nats = float(far.net.noisy_pixel_nats(centred(picture), full, none, noise)[0])
    assert nats / math.log(2) == pytest.approx(meter.total / (12 * 18), rel=1e-2)  # the last cell is cut


def test_averages() -> None:
    x = torch.arange(2 * 5 * 4 * 3).float().view(2, 5, 4, 3)
    assert torch.equal(averages(x, 2)[1, 1, 0], x[1, 2:4, :2].mean((0, 1)))
    assert averages(x, 2).shape == (2, 2, 2, 3)


def test_models_without_such_qualities_say_so() -> None:
    with pytest.raises(ModelError, match=r"has qualities 0 to 4, not 2\.5"):
        vlcodec.compress(Image.new("RGB", (4, 4)), quality=2.5, model="photo-37")
