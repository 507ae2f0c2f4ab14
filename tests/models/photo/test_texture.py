"""Texture of pictures that are drawn: its network, its noise, and files that have it."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from layered_parts import LAYERS, layered_net
from PIL import Image

import vlcodec
from vlcodec.models import registry, zoo
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.photo.codec import Features, golden_pictures
from vlcodec.models.photo.layered import restoration
from vlcodec.models.photo.layered.codec import TEXTURED_GUIDE, Layer, LayeredLatents, LayeredModel
from vlcodec.models.photo.layered.texture import MOST, NOISE, noise_of
from vlcodec.models.photo.net import GridAgave


@pytest.fixture(scope="module")
def net(agave: Callable[[int], GridAgave]) -> GridAgave:
    return layered_net(agave)


@pytest.fixture(scope="module")
def latents(net: GridAgave) -> LayeredLatents:
    model = LayeredModel(frozen_copy(net), torch.device("cpu"), 0.5, (100, 115), [Layer(*layer) for layer in LAYERS])
    found = model.single(2)
    assert isinstance(found, LayeredLatents)
    return found


@pytest.fixture(scope="module")
def fz(latents: LayeredLatents) -> Features:
    """Of a picture of 72 x 36."""
    picture = np.tile(golden_pictures(), (1, 6, 2, 1))
    u = np.zeros(latents.shape(1, *picture.shape[1:3]), np.int64)
    whole = latents.features(latents.rounded(latents.centres(picture), u), u)
    return latents.completed(whole, latents.lacking(picture, whole))


@pytest.fixture
def name(net: GridAgave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Weights of one's own, on the search path."""
    config = {"net": asdict(net.shape), "guide_width": 0.5, "correction": (70, 90, 110), "layers": LAYERS}
    monkeypatch.setenv(registry.VARIABLE, str(tmp_path))
    return zoo.save(net, config, "photo", registry.PHOTO, tmp_path).stem


def test_noise_is_a_function_of_seed_and_place() -> None:
    whole = noise_of(5, range(0, 9), 6)
    assert whole.shape == (1, 9, 6, NOISE)
    assert torch.equal(noise_of(5, range(4, 7), 6), whole[:, 4:7])
    assert not torch.equal(noise_of(6, range(0, 9), 6), whole)
    many = noise_of(2**64 - 1, range(0, 40), 200).double()
    assert (float(many.min()), float(many.max())) == (-512, 511)
    assert abs(float(many.mean()) + 0.5) < 3
    assert float(many.std()) == pytest.approx(1024 / np.sqrt(12), rel=0.01)
    assert abs(np.corrcoef(many.reshape(-1, NOISE).T) - np.eye(NOISE)).max() < 0.05


def test_bands_and_strips_draw_as_one(latents: LayeredLatents, fz: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = partial(latents.to_draw, latents.seeded(fz, 3), width=36)
    whole = draw(range(72))
    assert whole.shape[:2] == (72, 36)
    assert not torch.equal(whole, latents.render(fz, range(72), 36))
    assert not torch.equal(whole, latents.to_draw(latents.seeded(fz, 4), range(72), 36))
    for rows in (1, 5, 64):
        monkeypatch.setattr(restoration, "ROWS", rows)
        assert torch.equal(torch.cat([draw(range(0, 32)), draw(range(32, 70)), draw(range(68, 72))[2:]]), whole)


def test_a_quality_has_its_share_of_texture(net: GridAgave, fz: Features) -> None:
    """In between there is as much of it; none is a wild pixel, whatever the network makes."""
    layers = [Layer(0, 0, 0, 24), Layer(0, 0, 0, 0), Layer(0, 0, 0, 1 << 10)]
    model = LayeredModel(frozen_copy(net), torch.device("cpu"), 0.5, (100, 115), layers)
    nets = [model.single(*which) for which in ((1, 0), (1, 50), (2, 0), (3, 0))]
    assert [latents._texture for latents in nets] == [24, 12, 0, 1 << 10]
    mean = nets[0].render(fz, range(72), 36)
    lowest, half, none, far = (latents.to_draw(latents.seeded(fz, 3), range(72), 36) - mean for latents in nets)
    assert not none.any()
    assert (lowest - 2 * half)[mean.abs() < 512 - MOST].abs().max() <= 2  # clear of the ends
    assert lowest.any()
    assert far.abs().max() <= MOST < 4 * 60


def test_without_a_residual_pixels_are_drawn_near_to_the_mean_image(latents: LayeredLatents, fz: Features) -> None:
    """Of the latents alone, of which the network has seen nothing."""
    alone = Features(fz.body)
    assert torch.equal(latents.to_draw(latents.seeded(alone, 3), range(72), 36), latents.render(alone, range(72), 36))
    assert latents.guide == TEXTURED_GUIDE


@pytest.mark.parametrize("grey", [False, True])
def test_files_draw_it_by_their_seed(name: str, grey: bool) -> None:
    """The mean image does not depend on it; samples of another seed are other pictures."""
    picture = Image.fromarray(np.tile(golden_pictures()[0], (4, 3, 1)))
    picture = picture.convert("L") if grey else picture
    data = vlcodec.compress(picture, model=name, quality=2)
    one, again, other = (vlcodec.decompress(data, seed=seed) for seed in (1, 1, 2))
    mean = vlcodec.decompress(data, decode="mean")
    assert one.tobytes() == again.tobytes() != other.tobytes()
    apart = np.abs(np.asarray(one, float) - np.asarray(mean)).mean()
    assert apart > TEXTURED_GUIDE
    assert vlcodec.decompress(data, texture=0.0).tobytes() == mean.tobytes()
