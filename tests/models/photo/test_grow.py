"""A larger PixelCNN begins as the smaller one: what it computes is the same, whatever its new channels hold."""

from dataclasses import replace

import pytest
import torch

from vlcodec.models import registry, zoo
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.shapes import shape_of
from vlcodec.models.photo import training
from vlcodec.models.photo.family import UNTIL_37
from vlcodec.models.photo.grow import started
from vlcodec.models.photo.net import GridAgave, GridShape


def losses(net: GridAgave) -> list[float]:
    x = torch.randint(-128, 128, (1, 32, 48, 3), generator=torch.Generator().manual_seed(0)).float() / 2
    torch.manual_seed(0)
    with torch.no_grad():
        return [float(value) for value in net.losses(x.round(), torch.zeros(1), [(1, 1)]).values()]


def test_a_net_that_grew_computes_the_same() -> None:
    start = zoo.real_weights(registry.by_number(8).path)
    shape = shape_of(GridShape, UNTIL_37 | start.config["net"])
    grown = replace(shape, pixel_channels=96, pixel_depth=6, pixel_hidden=64, pixel_bits=8)
    small, large = GridAgave(shape), GridAgave(grown)
    small.load_state_dict(dict(start.weights))
    large.load_state_dict(started(large, start.weights, shape))
    before, after = losses(small), losses(large)
    assert after == pytest.approx(before, rel=1e-3)
    set_mode(large, "simulated")
    assert losses(large)[3] == pytest.approx(before[3], rel=0.01)  # rounded to 8 bits


def test_a_pixelcnn_of_the_recipes_size_begins_another_net() -> None:
    shape = training.SHAPE
    assert not training.begins(shape)
    assert training.begins(replace(shape, latents=64, told=0))
    assert not training.begins(replace(shape, pixel_channels=80, pixel_bits=10))
