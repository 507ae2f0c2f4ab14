"""A larger PixelCNN begins as the smaller one: what it computes is the same, whatever its new channels hold."""

from dataclasses import replace

import pytest
import torch

from vlcodec.models import registry, zoo
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.shapes import shape_of
from vlcodec.models.photo import training
from vlcodec.models.photo.family import UNTIL_9
from vlcodec.models.photo.grow import started
from vlcodec.models.photo.net import GridAgave, GridShape


def losses(net: GridAgave) -> list[float]:
    x = torch.randint(-128, 128, (1, 32, 48, 3), generator=torch.Generator().manual_seed(0)).float() / 2
    torch.manual_seed(0)
    with torch.no_grad():
        return [float(value) for value in net.losses(x.round(), torch.zeros(1), [(1, 1)]).values()]


def test_a_net_that_grew_computes_the_same() -> None:
    start = zoo.real_weights(registry.by_number(8).path)
    shape = shape_of(GridShape, UNTIL_9 | start.config["net"])
    small, large = GridAgave(shape), GridAgave(training.SHAPE)
    small.load_state_dict(dict(start.weights))
    large.load_state_dict(started(large, start.weights, shape))
    before, after = losses(small), losses(large)
    assert after == pytest.approx(before, rel=1e-3)
    set_mode(large, "simulated")
    assert losses(large)[2] == pytest.approx(before[2], rel=0.01)  # rounded to 8 bits


def test_only_another_pixelcnn_grows() -> None:
    shape = training.SHAPE
    assert not training.grows(shape)
    assert training.grows(replace(shape, pixel_channels=80, pixel_bits=10))
    assert not training.grows(replace(shape, pixel_channels=80, latents=64))
