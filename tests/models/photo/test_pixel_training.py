"""Training of the pixel network alone: what it sees, what it is told, and what stays as it is."""

import copy
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.models import registry
from vlcodec.models.family import Init, Training
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.table import tables
from vlcodec.models.photo import factors, family
from vlcodec.models.photo import pixel_training as module
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.factor_training import train_factors
from vlcodec.models.photo.factors import large_layers
from vlcodec.models.photo.net import GridAgave
from vlcodec.models.photo.pixel_training import PixelTask, seen_by, train_pixels
from vlcodec.models.training import loop

STEPS, PATCH = 5, 24


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two small pictures, one of them grey."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (40, 56, 3), np.uint8)
    for name, pixels in (("a.png", colours), ("b.png", np.repeat(colours[..., :1], 3, 2))):
        Image.fromarray(pixels).save(tmp_path / name)
    return [tmp_path / "a.png", tmp_path / "b.png"]


@pytest.fixture
def options(far: PhotoModel, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of a run that renews its pool and writes its log within a few steps."""
    monkeypatch.setattr(module, "POOL_STEPS", 2)
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    return {"shape": far.net.shape, "weights": real(far.net), "steps": STEPS, "batch": 8, "patch": PATCH}


def real(net: GridAgave) -> dict[str, torch.Tensor]:
    """The real weights of a frozen net."""
    other = frozen_copy(net)
    other.requires_grad_(False)
    set_mode(other, "training")
    return {name: value.clone() for name, value in other.state_dict().items()}


def test_the_pixel_network_alone_moves(pictures: list[Path], tmp_path: Path, options: dict[str, Any]) -> None:
    net = train_pixels(pictures, tmp_path / "out", validation=pictures[:1], **options)
    for name, value in net.state_dict().items():
        assert torch.equal(value, options["weights"][name]) != name.startswith("pixels."), name
    rows = list(csv.reader((tmp_path / "out" / "log.csv").read_text().splitlines()))
    assert rows[0] == ["step", "seconds", "loss", "lossless", "near", "drawn"]
    terms = np.array([row[2:] for row in rows[1 : STEPS + 1]], float)
    assert (terms > 0).all()
    assert np.allclose(terms[:, 0], (5 * terms[:, 1] + 2 * terms[:, 2] + terms[:, 3]) / 8, rtol=1e-2)


def test_a_resumed_run_is_the_same_run(pictures: list[Path], tmp_path: Path, options: dict[str, Any]) -> None:
    straight = train_pixels(pictures, tmp_path / "straight", **options)
    train_pixels(pictures, tmp_path / "halves", **(options | {"minutes": 1e-9}))
    resumed = train_pixels(pictures, tmp_path / "halves", **options)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_what_is_seen_is_what_files_have(pictures: list[Path], far: PhotoModel) -> None:
    """f(z) of a picture's own latents, cut with its levels."""
    task = PixelTask(copy.deepcopy(far.net), pictures, (), seed=0, device=torch.device("cpu"), batch=8, patch=PATCH)
    pixels = np.asarray(Image.open(pictures[0]))
    seen = seen_by(far, pixels, 1)
    net = far.single(2)
    u = np.zeros(net.shape(1, 40, 56), np.int64)
    latents = net.rounded(net.centres(pixels[None]), u)
    fz = net.render(net.features(latents, u), range(40), 56)
    assert torch.equal(seen.fz.float(), fz)
    assert torch.equal(seen.levels.float() - 128, centred(pixels[None])[0])
    x, cut, grey, noise = task.arguments(0, 10, torch.Generator().manual_seed(0))
    assert (x.shape, cut.shape) == ((8, PATCH, PATCH, 3), (8, PATCH, PATCH, fz.shape[-1]))
    assert 0 < grey.sum() < 8
    assert (noise[:2] <= -1).all()
    assert 0 < noise[2] <= 1
    assert not noise[3:].any()

    def terms(some: slice) -> dict[str, float]:
        with torch.no_grad():
            found = task.objective(x[some], cut[some], grey[some], noise[some])
        return {name: float(value) for name, value in found.items()}

    whole, share = terms(slice(None)), terms(slice(1, None, 2))  # of a second process
    parts = 2 * whole["near"] + whole["drawn"] + 5 * whole["lossless"]
    assert whole["loss"] == pytest.approx(parts / 8, rel=1e-5)
    assert share["near"] == pytest.approx(terms(slice(1, 2))["near"], rel=1e-2)
    assert share["drawn"] == 0


def test_what_training_begins_with(
    pictures: list[Path], tmp_path: Path, agave: Callable[[int], GridAgave], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A net that is told nothing begins to be told; without a net there is nothing to go on from."""
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    net = agave(3)
    about: dict[str, Any] = {
        "name": "photo", "data": (tmp_path,), "out": tmp_path / "out", "exclude": (), "steps": 4, "minutes": None,
        "seed": 0, "device": "cpu", "part": "pixels", "batch": 4, "patch": 32, "rate": 0.0, "progress": None,
    }  # fmt: skip
    config = {"net": {**net.shape.__dict__}, "guide_width": 0.5, "correction_edges": [100, 115]}
    made, told = family.FAMILY.train(Training(init=Init("photo", registry.PHOTO, config, real(net)), **about))
    assert (told["net"]["told"], told["net"]["told_near"]) == (1, 32)
    first = made.get_parameter("pixels.net.first.weight")
    assert torch.equal(first[:, :-1], real(net)["pixels.net.first.weight"])
    assert not first[:, -1].any()
    with pytest.raises(ModelError, match="they are missing"):
        family.FAMILY.train(Training(init=None, **about))


def test_pictures_that_are_too_small(far: PhotoModel, pictures: list[Path]) -> None:
    task = PixelTask(copy.deepcopy(far.net), pictures, (), seed=0, device=torch.device("cpu"), batch=8, patch=4096)
    task._pictures = []
    with pytest.raises(ImageError, match="no picture is as large as a patch, 4096 x 4096"):
        task.arguments(0, 1, torch.Generator())


def test_factors_are_learned_by_many_pictures(
    pictures: list[Path], tmp_path: Path, far: PhotoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else stays, and what is learned is what changes of weights go through."""
    monkeypatch.setattr(factors, "LARGE", 20)
    net = GridAgave(far.net.shape)
    weights = real(frozen_copy(far.net)) | {k: v for k, v in net.state_dict().items() if k.startswith("factors.")}
    made = train_factors(
        pictures, tmp_path / "out", shape=far.net.shape, weights=weights, steps=4, batch=2, patch=PATCH
    )
    own = dict(tables(made.factors))
    assert len(own) == len(list(large_layers(far.net.pixels))) > 4
    assert all(20 < table.values.float().std() < 50 for table in own.values())
    assert not own["0"].values[:, -1].any()  # of what the first layer is told
    for name, value in made.state_dict().items():
        if not name.startswith("factors."):
            assert torch.equal(value, weights[name]), name
    again = {"shape": far.net.shape, "weights": dict(made.state_dict()), "steps": 4, "rate": 1e-6}
    on = train_factors(pictures, tmp_path / "on", batch=2, patch=PATCH, **again)  # type: ignore[arg-type]
    assert all(torch.equal(table.values, own[name].values) for name, table in tables(on.factors))
    with pytest.raises(ImageError, match="no picture is as large as a patch"):
        train_factors(pictures, tmp_path / "big", shape=far.net.shape, weights=weights, steps=4, patch=4096)
