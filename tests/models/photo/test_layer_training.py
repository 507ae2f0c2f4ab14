"""Training of a residual's prior, and of the network that mends pictures, each by itself."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from layered_parts import LAYERS, RESIDUAL, RESTORATION, TEXTURE, layered_net, perceptual_file
from PIL import Image

from vlcodec.codec.errors import ModelError
from vlcodec.models import registry
from vlcodec.models.family import Config, Init, Training
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.resnet import depth_to_space
from vlcodec.models.photo import family
from vlcodec.models.photo.layered import residual_training, restoration_training, texture_training
from vlcodec.models.photo.layered.codec import Layer, LayeredModel
from vlcodec.models.photo.layered.perceptual import read_perceptual
from vlcodec.models.photo.layered.restoration_training import seen_by, share_left
from vlcodec.models.photo.layered.texture import WHOLE
from vlcodec.models.photo.layered.texture_training import LOWEST
from vlcodec.models.photo.net import GridAgave
from vlcodec.models.training import loop

BEYOND = "restoration.", "texture."


@pytest.fixture(scope="module")
def net(agave: Callable[[int], GridAgave]) -> GridAgave:
    return layered_net(agave)


@pytest.fixture
def config(net: GridAgave) -> Config:
    return {"net": asdict(net.shape), "guide_width": 0.5, "correction": (70, 90, 110), "layers": LAYERS}


@pytest.fixture
def about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a training is told, but its part and what it begins with."""
    rng = np.random.default_rng(0)
    for i in range(2):
        Image.fromarray(rng.integers(0, 256, (48, 56, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(residual_training, "SHAPE", RESIDUAL)
    monkeypatch.setattr(residual_training, "LAYERS", LAYERS)
    monkeypatch.setattr(restoration_training, "SHAPE", RESTORATION)
    monkeypatch.setattr(texture_training, "SHAPE", TEXTURE)
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    return {
        "name": "photo", "data": (tmp_path,), "out": tmp_path / "out", "exclude": (), "steps": 6, "minutes": None,
        "seed": 0, "device": "cpu", "batch": 3, "patch": 32, "rate": 1e-3, "progress": None,
    }  # fmt: skip


def test_the_residual_is_trained_by_itself(net: GridAgave, config: Config, about: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="part residual is trained from exported weights: they are missing"):
        family.FAMILY.train(Training(init=None, part="residual", **about))
    plain = {k: v for k, v in net.state_dict().items() if not k.startswith(("residual.", *BEYOND))}
    none = asdict(replace(net.shape, residual_steps=(), restoration_blocks=0, texture_blocks=0))
    init = Init("photo", registry.PHOTO, {k: v for k, v in config.items() if k != "layers"} | {"net": none}, plain)
    made, told = family.FAMILY.train(Training(init=init, part="residual", **about))
    assert told["layers"] == LAYERS
    assert all(torch.equal(made.state_dict()[k], v) for k, v in plain.items() if not k.startswith("pixels.net.first"))
    assert "residual.net.first.weight" in made.state_dict()


def test_the_restoration_is_trained_by_itself(net: GridAgave, config: Config, about: dict[str, Any]) -> None:
    plain = {k: v for k, v in net.state_dict().items() if not k.startswith(BEYOND)}
    none = {**config, "net": asdict(replace(net.shape, restoration_blocks=0, texture_blocks=0))}
    without = {k: v for k, v in none.items() if k != "layers"}
    with pytest.raises(ModelError, match="part restoration is trained from weights with a residual"):
        family.FAMILY.train(Training(init=Init("photo", registry.PHOTO, without, plain), part="restoration", **about))
    init = Init("photo", registry.PHOTO, none, plain)
    made, told = family.FAMILY.train(Training(init=init, part="restoration", **about))
    assert told["net"]["restoration_blocks"] == RESTORATION["restoration_blocks"]
    assert all(torch.equal(made.state_dict()[k], v) for k, v in plain.items() if not k.startswith("pixels.net.first"))
    assert made.state_dict()["restoration.leave.weight"].any()


def test_texture_is_trained_by_itself(net: GridAgave, config: Config, about: dict[str, Any], tmp_path: Path) -> None:
    plain = {k: v for k, v in net.state_dict().items() if not k.startswith("texture.")}
    none = {**config, "net": asdict(replace(net.shape, texture_blocks=0))}
    init, features = Init("photo", registry.PHOTO, none, plain), perceptual_file(tmp_path / "lpips.onnx")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)).save(tmp_path / "large.png")
    about |= {"part": "texture", "data": (tmp_path, features), "patch": 64}
    without = {**config, "net": asdict(replace(net.shape, restoration_blocks=0, texture_blocks=0))}
    with pytest.raises(ModelError, match="part texture is trained from weights with a network that mends"):
        family.FAMILY.train(Training(init=Init("photo", registry.PHOTO, without, plain), **about))
    with pytest.raises(ModelError, match="part texture takes one ONNX file of LPIPS beside the pictures, not 0"):
        family.FAMILY.train(Training(init=init, **{**about, "data": (tmp_path,)}))
    with pytest.raises(ModelError, match="part texture takes patches of at least 64 x 64, not 32"):
        family.FAMILY.train(Training(init=init, **{**about, "patch": 32}))
    made, told = family.FAMILY.train(Training(init=init, **about))
    assert told["net"]["texture_blocks"] == TEXTURE["texture_blocks"]
    assert [layer[:3] for layer in told["layers"]] == LAYERS
    assert [layer[3] for layer in told["layers"]] == [LOWEST, WHOLE, WHOLE]
    assert all(torch.equal(made.state_dict()[k], v) for k, v in plain.items() if not k.startswith("pixels.net.first"))
    assert made.state_dict()["texture.leave.weight"].any()


def test_a_perceptual_distance_tells_pictures_apart(tmp_path: Path) -> None:
    net = read_perceptual(perceptual_file(tmp_path / "lpips.onnx"))
    pictures = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).float()
    pictures[1] = pictures[0]
    pictures[1, :, :32] += 20
    found = net.features(pictures)
    same, other = ([part[i : i + 1] for part in found] for i in (0, 1))
    assert float(net.distance(same, same)) == 0
    assert 0 < float(net.distance(same, other)) == pytest.approx(float(net.distance(other, same)))
    (tmp_path / "none.onnx").write_bytes(b"none")
    for path in (tmp_path / "none.onnx", tmp_path / "missing.onnx"):
        with pytest.raises(ModelError, match=f"{path.name} is no ONNX file of LPIPS with SqueezeNet"):
            read_perceptual(path)


def test_statistics_tell_texture_from_none() -> None:
    """Noise of the right energy at other places is nearer than none."""
    rng = torch.Generator().manual_seed(0)
    noise = 10 * torch.randn(3, 1, 64, 64, 3, generator=rng)
    smooth = 100 * torch.linspace(-1, 1, 64)[:, None, None].expand(1, 64, 64, 3)
    one, other = smooth + noise[0], smooth + noise[1]
    assert float(texture_training.unlike(one, one)) == 0
    assert float(texture_training.unlike(other, one)) < 0.35 < float(texture_training.unlike(smooth, one))
    assert float(texture_training.share_of(noise[0], 2 * noise[0], 0.0)) == pytest.approx(0.25)


def test_what_is_seen_is_what_files_have(net: GridAgave) -> None:
    """At a quality between two; the picture that files show is what is seen, mended."""
    frozen = frozen_copy(net)
    model = LayeredModel(frozen, torch.device("cpu"), 0.5, (100, 115), [Layer(*layer) for layer in LAYERS])
    picture = np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    seen = seen_by(model, picture, 2.25)
    latents = model.single(2, 25)
    u = np.zeros(latents.shape(1, 32, 48), np.int64)
    fz = latents.features(latents.rounded(latents.centres(picture[None]), u), u)
    whole = latents.completed(fz, latents.lacking(picture[None], fz))
    with torch.inference_mode():
        more = frozen.restoration(*(part[None].float() for part in seen[1:]))
        found = depth_to_space(seen.mean[None] + seen.added[None] + more, 4)[0].clamp(-512, 511)
    assert torch.equal(found, latents.render(whole, range(32), 48)[..., :3].clamp(-512, 511))


def test_the_share_of_the_errors_that_is_left() -> None:
    before = torch.full((2, 4, 4, 48), 8.0)
    pixels, smooth = share_left(before, before / 2)
    assert float(pixels) == float(smooth) == pytest.approx(0.25)
    signs = (-1.0) ** torch.arange(48)
    pixels, smooth = share_left(before, before * signs)
    assert float(pixels) == pytest.approx(1)
    assert float(smooth) < 0.3
    assert float(share_left(torch.zeros(1, 2, 2, 48), torch.ones(1, 2, 2, 48))[0]) == pytest.approx(0.25)
