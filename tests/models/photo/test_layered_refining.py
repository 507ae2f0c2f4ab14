"""Latents and residual that a lossy file's encoder has searched for together."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from layered_parts import LAYERS, layered_net

from vlcodec.codec.interface import Bytes, Ints
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.photo.codec import padded
from vlcodec.models.photo.layered import refining
from vlcodec.models.photo.layered.codec import PASSES, Layer, LayeredLatents, LayeredModel
from vlcodec.models.photo.layered.refining import SMOOTH, Told
from vlcodec.models.photo.layered.residual import SIDE, restored, smooth_restored, steps_of
from vlcodec.models.photo.net import GridAgave, averages

HEIGHT, WIDTH, STEPS = 45, 78, 20


@pytest.fixture(scope="module")
def model(agave: Callable[[int], GridAgave]) -> LayeredModel:
    layers = [Layer(*layer) for layer in LAYERS]
    return LayeredModel(frozen_copy(layered_net(agave)), torch.device("cpu"), 0.5, (70, 90, 110), layers)


@pytest.fixture(scope="module")
def picture() -> Bytes:
    """(1, H, W, 3): a gradient, an edge, texture."""
    r, c, k = np.indices((HEIGHT, WIDTH, COLOURS))
    waves = 20 * np.sin(r / 3) * np.cos(c / 5) * (c > WIDTH // 2)
    levels: Bytes = np.clip(40 + r + 40 * (r + 2 * c > 100) + 15 * k + waves, 0, 255).astype(np.uint8)
    return levels[None]


def before(net: LayeredLatents, picture: Bytes) -> tuple[Ints, Ints, Ints]:
    """u, latents and residual of one pass."""
    u = np.zeros(net.shape(1, HEIGHT, WIDTH), np.int64)
    latents = net.posterior(picture, u).symbols
    return u, latents, net.lacking(picture, net.features(latents, u), PASSES)


def worth(net: LayeredLatents, picture: Bytes, latents: Ints, lacking: Ints) -> float:
    """The objective, of integers, in nats; the less the better."""
    u = np.zeros(latents.shape, np.int64)
    fz, rows = net.features(latents, u), range(padded(picture).shape[1])
    whole = net.completed(fz, lacking)
    assert whole.added is not None
    error = MEAN_UNIT * padded(picture) - net.mean_of(fz, rows) - whole.added
    squared = error.square().sum() + SMOOTH * SIDE**2 * averages(error, SIDE).square().sum()
    told = Told(net.quality, steps_of(net._quantiser), net.step_told)
    bits = net.prior(u).bits(latents) + net.residual(fz).bits(lacking)
    return bits * math.log(2) + told.nats_per_error * float(squared)


@pytest.mark.parametrize("quality", [(1, 0), (2, 40), (3, 0)])
def test_what_is_found_is_worth_more(model: LayeredModel, picture: Bytes, quality: tuple[int, int]) -> None:
    net = model.single(*quality)
    u, latents, lacking = before(net, picture)
    told = list[tuple[int, int]]()
    found = net.searched(picture, latents, u, STEPS, lambda *at: told.append(at))
    assert worth(net, picture, *found) < 0.997 * worth(net, picture, latents, lacking)
    assert told[-1] == (STEPS, STEPS)
    again = net.searched(picture, latents, u, STEPS)
    assert all(map(np.array_equal, found, again))


def test_windows_cover_the_picture(
    model: LayeredModel, picture: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = model.single(2)
    u, latents, lacking = before(net, picture)
    whole = net.searched(picture, latents, u, STEPS)
    monkeypatch.setattr(refining, "WINDOW", 2)
    parts = net.searched(picture, latents, u, STEPS)
    start, one, several = (worth(net, picture, *found) for found in ((latents, lacking), whole, parts))
    assert several - one < 0.3 * (start - one)


def test_the_residual_for_gradients_is_that_of_files() -> None:
    values = torch.from_numpy(np.random.default_rng(0).integers(-800, 801, (1, 2, 3, 192)))
    assert (smooth_restored(values.float()) - restored(values)).abs().max() < 0.6
